// Title, how much went in, and the two choices: which layer, which grid.
import { breakable, button, el, number, plural, press } from "../dom";
import { showPicture } from "../files";
import type { AtlasValue, LayerValue } from "../format";
import { type State, type Tool, gridChoices, layerOf } from "../state";
import type { Dispatch } from "../store";
import { finestLevel, tileUrl } from "../tiles";

/** What the header's buttons do, and the names of those that are there. */
export type HeaderAction = readonly [testid: string, text: string, title: string, act: () => void];

export function header(atlas: AtlasValue, search: HTMLElement, view: HTMLElement, actions: readonly HeaderAction[]): HTMLElement {
  return el(
    "header",
    { class: "top" },
    el("h1", { text: atlas.title }),
    el("p", { class: "quiet sizes", text: sizesOf(atlas) }),
    search,
    grids(),
    view,
    el("nav", { class: "actions", "aria-label": "More" }, ...actions.map(([testid, text, title, act]) => button({ class: "plain", testid: `open-${testid}`, title }, act, text))),
  );
}

function sizesOf(atlas: AtlasValue): string {
  const activations = atlas.layers[0]?.activations ?? 0;
  const sizes = `${plural(atlas.photos.used, "photo")}, ${plural(activations, "activation")} a layer`;
  return atlas.is_finished ? sizes : `${sizes} · still being painted`;
}

/** More has been painted. */
export function updateSizes(top: HTMLElement, atlas: AtlasValue): void {
  const sizes = top.querySelector(".sizes");
  if (sizes !== null) sizes.textContent = sizesOf(atlas);
}

const TOOLS: readonly (readonly [Tool, string, string])[] = [
  ["look", "✥", "Look about"],
  ["box", "▭", "Pick cells by a box (b)"],
  ["lasso", "◯", "Pick cells by a lasso (l)"],
  ["path", "∿", "Draw a path (p)"],
];

export function toolbar(dispatch: Dispatch): HTMLElement {
  const buttons = TOOLS.map(([tool, sign, title]) => {
    const one = button({ title, "aria-label": title, testid: `tool-${tool}` }, () => dispatch({ type: "tool", tool }), sign);
    one.dataset.tool = tool;
    return one;
  });
  return el("div", { class: "zoom tools", role: "group", "aria-label": "What a drag does" }, ...buttons);
}

export function updateToolbar(element: HTMLElement, state: State): void {
  press(element, "tool", state.tool);
}

function grids(): HTMLElement {
  return el("div", { class: "grids", testid: "grids", role: "group", "aria-label": "Grid" });
}

/** Fill the grid choice for a layer, and press what is chosen. */
export function updateGrids(element: HTMLElement, atlas: AtlasValue, state: State, dispatch: Dispatch): void {
  const choices = gridChoices(layerOf(atlas, state.layer));
  const key = choices.join();
  if (element.dataset.choices !== key) {
    element.dataset.choices = key;
    element.replaceChildren(
      el("span", { class: "quiet grids-name", text: "Grid" }),
      ...choices.map((grid) => {
        const isAuto = grid === "auto";
        const title = isAuto ? "Finer as you zoom in (g)" : `${grid} × ${grid} (g)`;
        const one = button({ title, "aria-label": isAuto ? "automatic" : `${grid} by ${grid}` }, () => dispatch({ type: "grid", grid }), String(grid));
        one.dataset.grid = String(grid);
        return one;
      }),
    );
  }
  press(element, "grid", String(state.grid));
  for (const one of element.querySelectorAll("button")) {
    one.classList.toggle("is-shown", state.grid === "auto" && one.dataset.grid === String(state.shown));
  }
}

export function layerStrip(atlas: AtlasValue, dispatch: Dispatch): HTMLElement {
  const strip = el("nav", { class: "layers", testid: "layers", "aria-label": atlas.has.comparison ? "Two networks" : "Layers, from early to late" });
  const item = (layer: LayerValue): HTMLElement => {
    const of = layer.of === null ? `${layer.type}, ${number(layer.shape[0] ?? 0)} channels` : plural(layer.activations, "activation");
    const title = `${layer.name}: ${of}`;
    const one = button({ title }, () => dispatch({ type: "layer", name: layer.name }), thumbnail(layer), breakable(layer.name));
    one.dataset.layer = layer.name;
    one.disabled = layer.grids.length === 0;
    return one;
  };
  const end = (text: string): HTMLElement => el("span", { class: "quiet strip-end", text });
  const layers = atlas.layers.filter((layer) => layer.of === null);
  const classes = atlas.layers.filter((layer) => layer.of !== null);
  const [first, last] = atlas.has.comparison ? ["first", "second"] : ["early", "late"];
  strip.append(end(first), ...layers.map(item), end(last));
  if (classes.length > 0) strip.append(end("classes"), ...classes.map(item));
  return strip;
}

/** The layers' small pictures are others. */
export function updateThumbnails(strip: HTMLElement, atlas: AtlasValue): void {
  for (const one of strip.querySelectorAll("button")) {
    const picture = one.querySelector("img");
    const url = thumbnailUrl(layerOf(atlas, one.dataset.layer ?? ""));
    if (picture !== null && url !== null) shows(picture, url);
  }
}

export function updateLayers(strip: HTMLElement, state: State, before: State | null): void {
  press(strip, "layer", state.layer);
  const chosen = strip.querySelector('[aria-pressed="true"]');
  if (before?.layer !== state.layer && chosen !== null) bringInto(strip, chosen);
}

/** Scrolls the box alone: `scrollIntoView` also moves the page that this one is a frame of. */
function bringInto(box: HTMLElement, inside: Element): void {
  const [outer, inner] = [box.getBoundingClientRect(), inside.getBoundingClientRect()];
  box.scrollTop += Math.min(inner.top - outer.top, 0) + Math.max(inner.bottom - outer.bottom, 0);
  box.scrollLeft += Math.min(inner.left - outer.left, 0) + Math.max(inner.right - outer.right, 0);
}

function thumbnail(layer: LayerValue): HTMLElement {
  const url = thumbnailUrl(layer);
  const picture = el("img", { class: "thumbnail" });
  picture.alt = "";
  picture.draggable = false;
  if (url !== null) shows(picture, url);
  return picture;
}

function shows(picture: HTMLImageElement, url: string): void {
  if (picture.dataset.shows === url) return;
  picture.dataset.shows = url;
  showPicture(picture, url);
}

/** The coarsest grid as one small picture: the level of its pyramid that has at least 128 px. */
function thumbnailUrl(layer: LayerValue): string | null {
  const grid = layer.grids[0];
  return grid === undefined ? null : tileUrl(layer, grid, Math.min(8, finestLevel(grid)), 0, 0);
}
