// Icons and real patches on canvases, cut out of the site's tiles and sheets.
import { type Attributes, square } from "./dom";
import { showPicture, urlPath } from "./files";
import type { LayerValue } from "./format";
import type { Place } from "./places";
import { gridOf } from "./state";
import { finestLevel, tileUrl } from "./tiles";

const MOST_FILES = 48;

const files = new Map<string, HTMLImageElement>();

/** A square canvas of `px` pixels with a cell's icon. */
export function cellIcon(layer: LayerValue, place: Place, px: number, attributes: Attributes = {}): HTMLCanvasElement {
  const canvas = square(px, attributes);
  drawIcon(canvas, layer, place);
  return canvas;
}

/** Draws a cell's icon over the whole canvas, now or as soon as its tile is here. */
export function drawIcon(canvas: HTMLCanvasElement, layer: LayerValue, place: Place): void {
  const grid = gridOf(layer, place.side);
  if (grid === null) return;
  const column = Math.floor(place.column / grid.tile_cells);
  const row = Math.floor(place.row / grid.tile_cells);
  const left = (place.column % grid.tile_cells) * grid.cell_px;
  const top = (place.row % grid.tile_cells) * grid.cell_px;
  const url = tileUrl(layer, grid, finestLevel(grid), column, row);
  drawPart(canvas, url, left, top, grid.cell_px);
}

/** Draws a patch of the layer's pool over the whole canvas, now or as soon as its sheet is here. */
export function drawPatch(canvas: HTMLCanvasElement, layer: LayerValue, patch: number): void {
  if (layer.patches === null) return;
  const { size_px, sheet_edge } = layer.patches;
  const slot = patch % sheet_edge ** 2;
  const url = urlPath(`layers/${layer.slug}/patches/${Math.floor(patch / sheet_edge ** 2)}.jpg`);
  drawPart(canvas, url, (slot % sheet_edge) * size_px, Math.floor(slot / sheet_edge) * size_px, size_px);
}

function drawPart(canvas: HTMLCanvasElement, url: string, left: number, top: number, size: number): void {
  const key = `${url} ${left} ${top}`;
  if (canvas.dataset.shows === key) return;
  canvas.dataset.shows = key;
  const context = canvas.getContext("2d");
  if (context === null) return;
  context.clearRect(0, 0, canvas.width, canvas.height);
  const picture = fileAt(url);
  const draw = async (): Promise<void> => {
    if (canvas.dataset.shows !== key) return; // it shows another cell by now
    const part = await createImageBitmap(picture, left, top, size, size); // of a whole <img> the browser would keep a copy
    if (canvas.dataset.shows === key) {
      context.imageSmoothingQuality = "high";
      context.clearRect(0, 0, canvas.width, canvas.height);
      context.drawImage(part, 0, 0, canvas.width, canvas.height);
    }
    part.close();
  };
  if (picture.complete && picture.naturalWidth > 0) void draw();
  else picture.addEventListener("load", () => void draw(), { once: true });
}

function fileAt(url: string): HTMLImageElement {
  const found = files.get(url);
  if (found) return found;
  const picture = new Image();
  showPicture(picture, url);
  files.set(url, picture);
  const oldest = files.keys().next().value;
  if (files.size > MOST_FILES && oldest !== undefined) files.delete(oldest);
  return picture;
}
