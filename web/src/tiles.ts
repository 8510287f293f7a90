// Where a grid's pictures are among the site's files, and how large they are.
import { urlPath } from "./files";
import type { GridValue, LayerValue } from "./format";
import type { Evidence } from "./state";

export function gridFolder(layer: LayerValue, side: number): string {
  return `layers/${layer.slug}/${side}`;
}

/** Side of a cell in the view's finest tiles; null where the site does not have this view. */
export function cellPx(grid: GridValue, view: Evidence): number | null {
  return view === "icons" ? grid.cell_px : grid.view_px;
}

export function fullPx(grid: GridValue, view: Evidence = "icons"): number {
  return grid.side * (cellPx(grid, view) ?? grid.cell_px);
}

export function finestLevel(grid: GridValue, view: Evidence = "icons"): number {
  return 32 - Math.clz32(fullPx(grid, view) - 1);
}

const versions = new WeakMap<GridValue, string>();

/** A grid's pictures are others from now on. */
export function renew(grid: GridValue, version: string): void {
  versions.set(grid, version);
}

/** Of a grid's pictures; empty where they have been the same since the page was opened. */
export function versionOf(grid: GridValue): string {
  return versions.get(grid) ?? "";
}

export function tileUrl(
  layer: LayerValue,
  grid: GridValue,
  level: number,
  column: number,
  row: number,
  view: Evidence = "icons",
): string {
  const files = view === "icons" ? "tiles_files" : `${view}_files`;
  return urlPath(`${gridFolder(layer, grid.side)}/${files}/${level}/${column}_${row}.webp`, versionOf(grid));
}
