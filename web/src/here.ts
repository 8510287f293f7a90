// The address of what is on the screen: the window's own, or the page's where it is in a frame and the window is another's.

/** A frame whose page was handed to it has no address that could be changed, and going back is the business of what holds it. */
export const isFramed = window.location.protocol === "about:";

let own = document.querySelector<HTMLMetaElement>('meta[name="actatlas-begin"]')?.content ?? "";
let followed: (hash: string) => void = () => {};
/** Between going elsewhere and hearing of it: what the page then says of where it is, it says of where it was. */
let isGoing = false;
let written: () => void = () => {};

/** Begins with #, or is empty. */
export function hash(): string {
  return isFramed ? own : window.location.hash;
}

/** Says where one is. isStep: it can be gone back to */
export function write(link: string, isStep: boolean): void {
  if (isGoing) return;
  if (isFramed) own = link;
  else if (isStep) window.history.pushState(null, "", link);
  else window.history.replaceState(null, "", link);
  written();
}

/** Calls `listener` whenever the page has written another address. */
export function afterWriting(listener: () => void): void {
  written = listener;
}

export function go(link: string): void {
  if (isFramed) return followed((own = link));
  const before = window.location.hash;
  window.location.hash = link;
  isGoing = window.location.hash !== before;
}

/** Calls `follow` when somebody goes elsewhere. */
export function listen(follow: (hash: string) => void): void {
  followed = follow;
  // Not the address as it is now: the page itself may have written it anew meanwhile.
  window.addEventListener("hashchange", (event) => {
    isGoing = false;
    follow(new URL(event.newURL).hash);
  });
}
