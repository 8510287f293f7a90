// What is said of a cell: the same in the card and in the inspector.
import type { Cell, CellTable } from "../cells";
import { button, el, fixed, logit, number, plural, rankWords, square, track } from "../dom";
import type { AtlasValue, LayerValue } from "../format";
import { cellIcon, drawPatch } from "../pictures";
import type { Place } from "../places";
import type { Site } from "../site";
import { withPhotos } from "./photo";

const METHODS: Record<string, string> = {
  "patch-replacement":
    "What each class’s logit loses when the layer’s mean takes the place of one of these activations and of those around it, as far as the patch that it answers to",
  "mean-replacement": "What each class’s logit loses when one of these activations is replaced by the layer’s mean",
  gradient: "Activation times gradient of each class’s logit, a first-order estimate of what the activation adds",
  "smooth-gradient":
    "Activation times gradient of each class’s logit, smoothed through max-pooling, a first-order estimate of what the activation adds",
  removal: "What each class’s logit loses when one of these activations is set to zero",
};

const REMARKS: Record<Cell["remarks"][number], string> = {
  icon: "Take this icon with care: the layer’s answer to it is less like the cell than its own photos’ are.",
  members: "The activations of this cell have little in common: it may stand for no one thing.",
};

export function counts(cell: Cell): string {
  return `${plural(cell.count, "activation")} from ${plural(cell.photos, "photo")}`;
}

/** What the picture of a cell is. */
export function pictureName(pictures: AtlasValue["pictures"]): string {
  return pictures === "photos" ? "photo nearest the cell’s mean" : "painted icon";
}

/** [short, whole sentence] */
export function fidelity(cell: Cell, cellCount: number, pictures: AtlasValue["pictures"]): [string, string] {
  if (cell.cosine === null || cell.rank === null) return ["not painted yet", "This cell’s icon is still to be painted."];
  const others = number(Math.max(cellCount - 1, 0));
  if (pictures === "photos") {
    const nearest = cell.rank === 0 ? "nearer to it than to any other cell" : `nearer to ${plural(cell.rank, "other cell")} of ${others}`;
    return [rankWords(cell.rank), `No icon: a photo, of this cell’s the nearest to its mean. Its own vector is ${nearest}.`];
  }
  const told =
    cell.rank === 0
      ? `The layer’s answer to this icon is nearer to this cell than to any of the ${others} others.`
      : `The layer’s answer to this icon is nearer to ${plural(cell.rank, "other cell")} of ${others}: take the icon with care.`;
  return [rankWords(cell.rank), told];
}

export function fidelityLine(cell: Cell, cellCount: number, pictures: AtlasValue["pictures"]): HTMLElement {
  const [short, told] = fidelity(cell, cellCount, pictures);
  const kind = cell.rank === null ? "is-unpainted" : cell.rank === 0 ? "is-identified" : "is-mistaken";
  const badge = el("span", { class: `badge ${kind}`, text: short, title: told });
  const line = el("p", { class: "fidelity" }, badge);
  if (cell.cosine !== null) line.prepend(el("span", { text: `${pictures === "photos" ? "photo" : "icon"}’s cosine ${fixed(cell.cosine, 2)}` }));
  return line;
}

/** What a screen reader says of a square. */
export function sentence(place: Place, table: CellTable): string {
  const cell = table.at(place.column, place.row);
  if (cell === null) return `No cell at ${place.column}, ${place.row}.`;
  const classes = cell.classes.slice(0, 2).map((entry) => `${entry.name} ${logit(entry.value)}`);
  return `Cell ${place.column}, ${place.row} of ${place.side}: ${counts(cell)}; ${[...classes, cell.rank === null ? "not painted yet" : rankWords(cell.rank)].join(", ")}.`;
}

/** What the cell may not be taken for; null for most cells. */
export function remarks(cell: Cell): HTMLElement | null {
  if (cell.remarks.length === 0) return null;
  return el("ul", { class: "remarks" }, ...cell.remarks.map((remark) => el("li", { text: REMARKS[remark] })));
}

/**
 * Bars of the classes that a cell speaks for; a negative value is hatched, so that colour is not its only sign.
 * `choose`: what a click of a class does; null where nothing can be clicked.
 */
export function classBars(cell: Cell, choose: ((index: number) => void) | null): HTMLElement {
  const largest = Math.max(...cell.classes.map((entry) => Math.abs(entry.value)), 1e-9);
  const rows = cell.classes.map(({ index, name, value, error }) => {
    return el(
      "li",
      {},
      choose === null
        ? el("span", { class: "class-name", text: name, title: name })
        : button({ class: "class-name link", title: `Dim the map by ${name}` }, () => choose(index), name),
      el("span", { class: "class-value", text: error === null ? logit(value) : `${logit(value)} ± ${logit(error)}` }),
      track(Math.abs(value) / largest, value < 0 ? "bar is-negative" : "bar"),
    );
  });
  return el("ol", { class: "classes" }, ...rows);
}

export function attributionNote(layer: LayerValue, cell: Cell): string {
  const method = layer.attribution !== null && METHODS[layer.attribution];
  if (!method) return "";
  const few =
    cell.valuePhotos === null
      ? ""
      : ` Estimated from ${plural(cell.valuePhotos, "photo")} of the cell, one activation each; ± one standard error.`;
  return `${method}; over what the layer’s average activation does.${few}`;
}

/** Patches of photos whose activations lie in the cell; null where the site has none. `toOpen`: they may show their photos. */
export function patches(
  site: Site,
  layer: LayerValue,
  cell: Cell,
  px: number,
  atMost: number,
  toOpen = false,
): HTMLElement | null {
  if (cell.patches.length === 0) return null;
  const canvases = cell.patches.slice(0, atMost).map((patch, i) => {
    const canvas = square(px, { role: "img", "aria-label": `real patch ${i + 1}` });
    drawPatch(canvas, layer, patch);
    return canvas;
  });
  if (toOpen && site.hasPhotos) return withPhotos(site, layer, cell.patches, canvases);
  return el("div", { class: "patches" }, ...canvases);
}

/** A cell's icon to click, with what is written under it. */
export function cellButton(
  layer: LayerValue,
  place: Place,
  look: { readonly class: string; readonly px: number; readonly title: string },
  act: () => void,
  text: string | null = null,
): HTMLButtonElement {
  const written = text === null ? [] : [el("span", { class: "quiet", text })];
  return button({ class: look.class, title: look.title, "aria-label": look.title }, act, cellIcon(layer, place, look.px), ...written);
}

/** Marks an element as being about a cell, for scripts and tests. */
export function mark(element: HTMLElement, layer: LayerValue, place: Place, count: number): void {
  element.dataset.layer = layer.name;
  element.dataset.grid = String(place.side);
  element.dataset.column = String(place.column);
  element.dataset.row = String(place.row);
  element.dataset.count = String(count);
}
