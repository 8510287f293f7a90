// The site's files: data come as scripts that call actatlas(key, value), so that they load from a double click too. A page of
// one file holds them, and one in a notebook asks for those that it does not hold.
import { notebook } from "./notebook";

declare global {
  interface Window {
    actatlas?: (key: string, value: unknown) => void;
  }
}

const ASKED = "asked:";

/** Where a picture of the site is: beside the page, in it, or with the notebook. `showPicture` shows it. version: as for `loadScript` */
export function urlPath(path: string, version = ""): string {
  const inPage = held(path, version);
  if (typeof inPage === "string") return inPage;
  const url = path.split("/").map(encodeURIComponent).join("/");
  const there = notebook === null ? url : `${ASKED}${url}`;
  return version === "" ? there : `${there}?${version}`;
}

/** Puts the picture at a `urlPath` into an image, at once or when it is here. */
export function showPicture(image: HTMLImageElement, url: string): void {
  if (notebook === null || !url.startsWith(ASKED)) {
    image.src = url;
    return;
  }
  notebook.ask(decodeURIComponent(url.slice(ASKED.length).split("?")[0] ?? "")).then(
    (value) => (image.src = String(value)),
    () => image.dispatchEvent(new Event("error")),
  );
}

const waiting = new Map<string, (value: unknown) => void>();

let table: Readonly<Record<string, unknown>> | null = null;

/** What a page of one file holds of the files that others have beside them: a picture's data: URL, or what a script hands over. */
function held(path: string, version = ""): unknown {
  if (version !== "") return undefined; // it is newer than what the page holds
  table ??= JSON.parse(document.getElementById("actatlas-files")?.textContent ?? "{}") as Record<string, unknown>;
  return table[path];
}

/** What the script `key`.js hands over. version: of a file that changes, so that no earlier one is taken for it */
export function loadScript(key: string, version = ""): Promise<unknown> {
  const inPage = held(`${key}.js`, version);
  if (inPage !== undefined) return Promise.resolve(inPage);
  if (notebook !== null) return notebook.ask(`${key}.js`);
  window.actatlas ??= (name, value) => waiting.get(name)?.(value);
  const path = `${urlPath(key)}.js`;
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    waiting.set(key, resolve);
    script.src = version === "" ? path : `${path}?${version}`;
    script.onload = () => {
      script.remove();
      // Received by now, or never: then the file is damaged, and a second rejection does nothing.
      reject(new Error(`${path} is damaged; write the site again.`));
    };
    script.onerror = () => {
      script.remove();
      reject(new Error(`${path} could not be read; copy the whole folder, or write the site again.`));
    };
    document.head.append(script);
  });
}
