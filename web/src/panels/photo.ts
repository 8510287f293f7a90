// Under a cell's real patches, where photos ship: the photo that a patch is of, with its place on it.
import { button, el } from "../dom";
import { messageOf } from "../errors";
import { showPicture } from "../files";
import type { LayerValue } from "../format";
import type { PatchPlace, Site } from "../site";

/** The patches as buttons that show their photos; a second click puts the photo away. */
export function withPhotos(site: Site, layer: LayerValue, patches: readonly number[], canvases: readonly HTMLElement[]): HTMLElement {
  const figure = el("figure", { class: "photo", "aria-live": "polite" });
  figure.hidden = true;
  let shown = -1;
  const buttons = canvases.map((canvas, i) =>
    button({ "aria-pressed": "false", "aria-label": `real patch ${i + 1}: its photo`, title: "Where it is on its photo" }, () => {
      shown = shown === i ? -1 : i;
      buttons.forEach((one, k) => one.setAttribute("aria-pressed", String(k === shown)));
      figure.hidden = shown < 0;
      const patch = patches[i];
      if (shown < 0 || patch === undefined) return;
      site.placeOf(layer, patch).then(
        (place) => {
          if (shown !== i || place === null) return;
          figure.replaceChildren(...drawn(place, i));
          figure.querySelector("img")?.addEventListener("load", () => figure.scrollIntoView({ block: "nearest" }), { once: true });
        },
        (error: unknown) => figure.replaceChildren(el("p", { class: "note", text: messageOf(error) })),
      );
    }, canvas),
  );
  return el("div", {}, el("div", { class: "patches" }, ...buttons), figure);
}

function drawn({ url, box }: PatchPlace, i: number): HTMLElement[] {
  const photo = el("img");
  photo.alt = `photo of real patch ${i + 1}`;
  showPicture(photo, url);
  const [left, top, right, bottom] = box;
  const place = el("span", { class: "photo-place" });
  place.style.left = `${100 * left}%`;
  place.style.top = `${100 * top}%`;
  place.style.width = `${100 * (right - left)}%`;
  place.style.height = `${100 * (bottom - top)}%`;
  return [el("div", { class: "photo-frame" }, photo, place)];
}
