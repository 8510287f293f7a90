// The page's fixed parts and where they stand.
import { button, el } from "./dom";

export interface Frame {
  readonly map: HTMLElement;
  readonly stage: HTMLElement;
  /** Where panels stand above one another, at the left of the stage. */
  readonly column: HTMLElement;
  readonly minimap: HTMLElement;
  readonly status: HTMLElement;
  readonly spoken: HTMLElement;
}

export interface ZoomActions {
  zoom(factor: number): void;
  home(): void;
}

export function makeFrame(app: HTMLElement, top: HTMLElement, layers: HTMLElement, tools: HTMLElement, zoom: ZoomActions): Frame {
  const map = mapElement("map", "Map of cells");
  const minimap = el("div", { class: "minimap", id: "minimap", testid: "minimap", role: "group", "aria-label": "Overview" });
  const status = el("p", { class: "status", role: "status" });
  const spoken = el("p", { class: "spoken", "aria-live": "polite" });
  const zoomButtons = el(
    "div",
    { class: "zoom", role: "group", "aria-label": "Zoom" },
    button({ "aria-label": "Zoom in", title: "Zoom in (+)" }, () => zoom.zoom(1.6), "+"),
    button({ "aria-label": "Zoom out", title: "Zoom out (−)" }, () => zoom.zoom(1 / 1.6), "−"),
    button({ "aria-label": "Whole map", title: "Whole map (0)" }, () => zoom.home(), "⌂"),
  );
  const column = el("div", { class: "left-column" });
  const stage = el("main", { class: "stage" }, el("div", { class: "corner" }, el("div", { class: "minimap-frame" }, minimap), zoomButtons, tools), column, status, spoken);
  app.replaceChildren(top, el("div", { class: "below" }, layers, stage));
  return { map, stage, column, minimap, status, spoken };
}

export function mapElement(testid: string, name: string): HTMLElement {
  const how = "Arrow keys go from cell to cell, plus and minus zoom, square brackets change the layer.";
  return el("div", { class: "map", testid, role: "application", tabindex: "0", "aria-label": `${name}. ${how}` });
}
