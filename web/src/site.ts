// The site's files: data come as scripts that call actatlas(key, value), so that they load from a double click too.
import type { AtlasValue, CellsValue, GridValue, LayerValue } from "./format";
import { type Place, gridOf } from "./state";

declare global {
  interface Window {
    actatlas?: (key: string, value: unknown) => void;
  }
}

export const FORMAT_VERSION = 1;

/** One kept cell, in words that panels use. */
export interface Cell {
  readonly place: Place;
  readonly count: number;
  readonly photos: number;
  readonly cosine: number | null;
  readonly rank: number | null;
  readonly cohesion: number | null;
  readonly remarks: readonly CellsValue["remarks"][number][number][];
  readonly classes: readonly { readonly name: string; readonly value: number }[];
  readonly photoColumns: readonly { readonly name: string; readonly values: readonly (readonly [string, number])[] }[];
}

export class CellTable {
  private readonly index = new Map<number, number>();

  constructor(
    readonly value: CellsValue,
    private readonly labels: readonly string[] | null,
  ) {
    value.columns.forEach((column, k) => this.index.set(column + value.side * (value.rows[k] ?? 0), k));
  }

  get length(): number {
    return this.value.columns.length;
  }

  has(column: number, row: number): boolean {
    return this.index.has(column + this.value.side * row);
  }

  at(column: number, row: number): Cell | null {
    const k = this.index.get(column + this.value.side * row);
    if (k === undefined) return null;
    const { value } = this;
    return {
      place: { side: value.side, column, row },
      count: value.counts[k] ?? 0,
      photos: value.photos[k] ?? 0,
      cosine: value.cosine[k] ?? null,
      rank: value.rank[k] ?? null,
      cohesion: value.cohesion[k] ?? null,
      remarks: value.remarks[k] ?? [],
      classes: (value.classes?.[k] ?? []).map((index, i) => ({
        name: this.labels?.[index] ?? `class ${index}`,
        value: value.values?.[k]?.[i] ?? 0,
      })),
      photoColumns: Object.entries(value.photo_columns).map(([name, cells]) => ({
        name,
        values: (cells[k] ?? []) as [string, number][],
      })),
    };
  }

  /** The kept cell nearest to a point in squares, going only where `isAllowed` lets it. */
  nearest(column: number, row: number, isAllowed: (column: number, row: number) => boolean): Place | null {
    let best: Place | null = null;
    let least = Number.POSITIVE_INFINITY;
    this.value.columns.forEach((c, k) => {
      const r = this.value.rows[k] ?? 0;
      const distance = Math.hypot(c - column, r - row);
      if (distance < least && isAllowed(c, r)) {
        least = distance;
        best = { side: this.value.side, column: c, row: r };
      }
    });
    return best;
  }
}

export class Site {
  private readonly tables = new Map<string, CellTable>();
  private readonly loading = new Map<string, Promise<CellTable>>();
  private readonly pictures = new Map<string, HTMLImageElement>();

  private constructor(readonly atlas: AtlasValue) {}

  static async open(): Promise<Site> {
    const atlas = (await loadScript("atlas")) as AtlasValue;
    if (atlas.format_version !== FORMAT_VERSION) {
      throw new Error(`This page reads format ${FORMAT_VERSION}, and its data has format ${atlas.format_version}.`);
    }
    return new Site(atlas);
  }

  /** The cells of a grid if they are here already. */
  peek(layer: LayerValue, side: number): CellTable | null {
    return this.tables.get(gridFolder(layer, side)) ?? null;
  }

  cells(layer: LayerValue, side: number): Promise<CellTable> {
    const folder = gridFolder(layer, side);
    const begun = this.loading.get(folder);
    if (begun) return begun;
    const promise = this.fetchCells(folder);
    this.loading.set(folder, promise);
    promise.catch(() => this.loading.delete(folder)); // it may be tried again
    return promise;
  }

  private async fetchCells(folder: string): Promise<CellTable> {
    const table = new CellTable((await loadScript(`${folder}/cells`)) as CellsValue, this.atlas.labels);
    this.tables.set(folder, table);
    return table;
  }

  /** Draws a cell's icon over the whole canvas, now or as soon as its tile is here. */
  drawIcon(canvas: HTMLCanvasElement, layer: LayerValue, place: Place): void {
    const grid = gridOf(layer, place.side);
    if (grid === null) return;
    const column = Math.floor(place.column / grid.tile_cells);
    const row = Math.floor(place.row / grid.tile_cells);
    const left = (place.column % grid.tile_cells) * grid.cell_px;
    const top = (place.row % grid.tile_cells) * grid.cell_px;
    const url = tileUrl(layer, grid, finestLevel(grid), column, row);
    this.drawPart(canvas, url, left, top, grid.cell_px);
  }

  /** Draws a cell's i-th real patch over the whole canvas. */
  drawPatch(canvas: HTMLCanvasElement, layer: LayerValue, place: Place, i: number): void {
    const patches = gridOf(layer, place.side)?.patches;
    if (!patches) return;
    const { block, size_px } = patches;
    const folder = urlPath(gridFolder(layer, place.side));
    const url = `${folder}/examples/${Math.floor(place.column / block)}_${Math.floor(place.row / block)}.jpg`;
    const slot = (place.row % block) * block + (place.column % block);
    this.drawPart(canvas, url, i * size_px, slot * size_px, size_px);
  }

  private drawPart(canvas: HTMLCanvasElement, url: string, left: number, top: number, size: number): void {
    const key = `${url} ${left} ${top}`;
    if (canvas.dataset.shows === key) return;
    canvas.dataset.shows = key;
    const context = canvas.getContext("2d");
    if (context === null) return;
    context.clearRect(0, 0, canvas.width, canvas.height);
    const picture = this.picture(url);
    const draw = () => {
      if (canvas.dataset.shows !== key) return; // it shows another cell by now
      context.imageSmoothingQuality = "high";
      context.drawImage(picture, left, top, size, size, 0, 0, canvas.width, canvas.height);
    };
    if (picture.complete && picture.naturalWidth > 0) draw();
    else picture.addEventListener("load", draw, { once: true });
  }

  private picture(url: string): HTMLImageElement {
    const found = this.pictures.get(url);
    if (found) return found;
    const picture = new Image();
    picture.src = url;
    this.pictures.set(url, picture);
    const oldest = this.pictures.keys().next().value;
    if (this.pictures.size > 48 && oldest !== undefined) this.pictures.delete(oldest);
    return picture;
  }
}

export function gridFolder(layer: LayerValue, side: number): string {
  return `layers/${layer.slug}/${side}`;
}

export function fullPx(grid: GridValue): number {
  return grid.side * grid.cell_px;
}

export function finestLevel(grid: GridValue): number {
  return 32 - Math.clz32(fullPx(grid) - 1);
}

export function tileUrl(layer: LayerValue, grid: GridValue, level: number, column: number, row: number): string {
  return urlPath(`${gridFolder(layer, grid.side)}/tiles_files/${level}/${column}_${row}.webp`);
}

function urlPath(path: string): string {
  return path.split("/").map(encodeURIComponent).join("/");
}

const waiting = new Map<string, (value: unknown) => void>();

function loadScript(key: string): Promise<unknown> {
  window.actatlas ??= (name, value) => waiting.get(name)?.(value);
  const path = `${urlPath(key)}.js`;
  return new Promise((resolve, reject) => {
    const script = document.createElement("script");
    waiting.set(key, resolve);
    script.src = path;
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
