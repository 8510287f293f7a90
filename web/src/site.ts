// The site's files: data come as scripts that call actatlas(key, value), so that they load from a double click too.
import type {
  AtlasValue,
  BlockValue,
  CellsValue,
  ColumnsValue,
  ConfusionsValue,
  GridValue,
  LabLights,
  LayerValue,
  NamesValue,
  PhotosValue,
  PlacesValue,
  TourValue,
  TracesValue,
} from "./format";
import type { PhotoName } from "./lab/client";
import { type CellNumbers, type Lens, cellNumbers, isShare, numberAt, unpacked } from "./lens";
import { Names } from "./search";
import { type Evidence, type Place, atSide, gridOf, layerOf } from "./state";

declare global {
  interface Window {
    actatlas?: (key: string, value: unknown) => void;
  }
}

export const FORMAT_VERSION = 2;

/** One kept cell, in words that panels use. */
export interface Cell {
  readonly place: Place;
  readonly count: number;
  readonly photos: number;
  readonly cosine: number | null;
  readonly rank: number | null;
  readonly cohesion: number | null;
  readonly remarks: readonly CellsValue["remarks"][number][number][];
  readonly classes: readonly { readonly index: number; readonly name: string; readonly value: number; readonly error: number | null }[];
  /** Of how many photos the classes' values are estimates; null where they are of all activations. */
  readonly valuePhotos: number | null;
  /** Numbers of its real patches in the layer's pool, the nearest to its mean first. */
  readonly patches: readonly number[];
  readonly photoColumns: readonly { readonly name: string; readonly values: readonly (readonly [string, number])[] }[];
  readonly channels: readonly { readonly index: number; readonly score: number }[];
  readonly near: readonly { readonly place: Place; readonly cosine: number }[];
}

/** Where a patch lies on its photo; left, top, right and bottom are shares of the photo's sides. */
export interface PatchPlace {
  readonly url: string;
  readonly box: readonly [number, number, number, number];
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
        index,
        name: this.labels?.[index] ?? `class ${index}`,
        value: value.values?.[k]?.[i] ?? 0,
        error: value.errors?.[k]?.[i] ?? null,
      })),
      valuePhotos: value.value_photos?.[k] ?? null,
      patches: value.patches?.[k] ?? [],
      photoColumns: Object.entries(value.photo_columns).map(([name, cells]) => ({
        name,
        values: (cells[k] ?? []) as [string, number][],
      })),
      channels: (value.channels?.[k] ?? []).map((index, i) => ({ index, score: value.channel_scores?.[k]?.[i] ?? 0 })),
      near: (value.near?.[k] ?? []).map((other, i) => ({ place: this.placeOf(other), cosine: value.near_cosines?.[k]?.[i] ?? 0 })),
    };
  }

  /** The place of cell k, in the order of the site's lists. */
  placeOf(k: number): Place {
    return { side: this.value.side, column: this.value.columns[k] ?? 0, row: this.value.rows[k] ?? 0 };
  }

  /** Where every cell is, and how many activations it holds. */
  places(): { readonly column: number; readonly row: number; readonly count: number }[] {
    const { columns, rows, counts } = this.value;
    return columns.map((column, k) => ({ column, row: rows[k] ?? 0, count: counts[k] ?? 0 }));
  }

  indexOf(place: Place): number | null {
    return this.index.get(place.column + this.value.side * place.row) ?? null;
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

export type NumberKind = keyof GridValue["numbers"];

const NEEDED: Record<Lens["kind"], string> = {
  class: "the network has no classes, or the atlas was built without attributions",
  channel: "the atlas does not carry its cells’ activations",
  like: "the atlas does not carry its cells’ activations",
  value: "the atlas does not say which photos its cells are of",
  photos: "the atlas does not say which photos its cells are of",
  lights: "the lab is closed",
};

export class Site {
  private readonly tables = new Map<string, CellTable>();
  private readonly loading = new Map<string, Promise<unknown>>();
  private readonly numbers = new Map<string, CellNumbers>();
  private readonly pictures = new Map<string, HTMLImageElement>();

  /** Which cells a photo lights up on the grids of a side; null where there is no lab to say so. */
  lights: ((photo: PhotoName, side: number) => Promise<LabLights>) | null = null;

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
    return this.once(`${gridFolder(layer, side)}/cells`, async (key) => {
      const table = new CellTable((await loadScript(key)) as CellsValue, this.atlas.labels);
      this.tables.set(gridFolder(layer, side), table);
      return table;
    });
  }

  /** Which classes are called what. */
  names(): Promise<Names> {
    return this.once("names", async (key) => {
      const others = this.atlas.has.names ? ((await loadScript(key)) as NamesValue) : null;
      return new Names(this.atlas.labels ?? this.classLabels(), others);
    });
  }

  className(index: number): string {
    return this.atlas.labels?.[index] ?? `class ${index}`;
  }

  /** What came with the photos: for each column its values, and which of them each photo has. */
  columns(): Promise<ColumnsValue> {
    return this.once("columns", async (key) => (await loadScript(key)) as ColumnsValue);
  }

  /** Of each cell the ids of its photos. Only of a grid that lists them. */
  photos(layer: LayerValue, side: number): Promise<number[][]> {
    return this.once(`${gridFolder(layer, side)}/photos`, async (key) => {
      const steps = (await loadScript(key)) as PhotosValue;
      return (steps ?? []).map((cell) => {
        let id = 0;
        return cell.map((step) => (id += step));
      });
    });
  }

  /** What the network misunderstands; nothing where it was not looked for. */
  async confusions(): Promise<ConfusionsValue> {
    return this.atlas.has.confusions ? this.once("confusions", async (key) => (await loadScript(key)) as ConfusionsValue) : [];
  }

  async traces(): Promise<TracesValue> {
    return this.atlas.has.traces ? this.once("traces", async (key) => (await loadScript(key)) as TracesValue) : [];
  }

  async tour(): Promise<TourValue> {
    return this.atlas.has.tour ? this.once("tour", async (key) => (await loadScript(key)) as TourValue) : [];
  }

  /** What each class's, channel's or other cell's column of a grid says of its cells. */
  async column(layer: LayerValue, side: number, kind: NumberKind, at: number): Promise<CellNumbers> {
    const numbers = gridOf(layer, side)?.numbers[kind];
    if (!numbers || at >= numbers.count) throw new Error(`${layer.name} has no numbers for that.`);
    const key = `${gridFolder(layer, side)}/${kind}/${Math.floor(at / numbers.block)}`;
    const block = await this.once(key, async () => (await loadScript(key)) as BlockValue);
    return cellNumbers(side, unpacked(block, at % numbers.block));
  }

  /** What a layer is dimmed by, for the grid of a side or the nearest that has such numbers. */
  async lensNumbers(layer: LayerValue, side: number, lens: Lens): Promise<CellNumbers> {
    const key = lensKey(layer, side, lens);
    const found = this.numbers.get(key) ?? (await this.once(`numbers ${key}`, () => this.fetchNumbers(layer, side, lens)));
    this.numbers.set(key, found);
    const oldest = this.numbers.keys().next().value;
    if (this.numbers.size > 64 && oldest !== undefined) {
      this.numbers.delete(oldest);
      this.loading.delete(`numbers ${oldest}`);
    }
    return found;
  }

  /** The same if it is here already. */
  peekNumbers(layer: LayerValue, side: number, lens: Lens): CellNumbers | null {
    return this.numbers.get(lensKey(layer, side, lens)) ?? null;
  }

  private async fetchNumbers(layer: LayerValue, shown: number, lens: Lens): Promise<CellNumbers> {
    const side = sideWithNumbers(layer, shown, lens);
    if (side === null) throw new Error(`${layer.name} has no numbers for that: ${NEEDED[lens.kind]}.`);
    if (lens.kind === "class") return this.column(layer, side, "classes", lens.index);
    if (lens.kind === "channel") return this.column(layer, side, "channels", lens.index);
    if (lens.kind === "like") {
      const table = await this.cells(layer, lens.cell.side);
      const k = table.indexOf(lens.cell);
      if (k === null) throw new Error(`There is no cell at ${lens.cell.column}, ${lens.cell.row}.`);
      return this.column(layer, lens.cell.side, "likeness", k);
    }
    if (lens.kind === "lights") return this.lit(layer, side, JSON.parse(lens.photo) as PhotoName);
    return lens.kind === "photos" ? this.samePhotos(layer, side, lens) : this.shareWithValue(layer, side, lens.column, lens.value);
  }

  /** Of the photos of the lens's cell, the share that each cell of this layer holds too. */
  private async samePhotos(layer: LayerValue, side: number, lens: Lens & { kind: "photos" }): Promise<CellNumbers> {
    const from = layerOf(this.atlas, lens.layer);
    const fromSide = sideWithNumbers(from, lens.cell.side, lens);
    if (fromSide === null) throw new Error(`${from.name} has no numbers for that: ${NEEDED.photos}.`);
    const [table, sets, photos] = await Promise.all([this.cells(from, fromSide), this.photos(from, fromSide), this.photos(layer, side)]);
    const k = table.indexOf(atSide(lens.cell, fromSide));
    const own = new Set(k === null ? [] : sets[k]);
    const shares = photos.map((ids) => ids.filter((id) => own.has(id)).length / Math.max(own.size, 1));
    return cellNumbers(side, Float32Array.from(shares));
  }

  /** What every class, or every channel, says of one cell. `loaded` hears of the files, there can be many. */
  async row(layer: LayerValue, side: number, kind: NumberKind, k: number, loaded: (done: number, all: number) => void): Promise<Float32Array> {
    const numbers = gridOf(layer, side)?.numbers[kind];
    if (!numbers) throw new Error(`${layer.name} has no numbers for that.`);
    const values = new Float32Array(numbers.count);
    const files = Math.ceil(numbers.count / numbers.block);
    for (let file = 0; file < files; file += 1) {
      loaded(file, files);
      const key = `${gridFolder(layer, side)}/${kind}/${file}`;
      const block = await this.once(key, async () => (await loadScript(key)) as BlockValue);
      block.levels.forEach((_, at) => {
        values[file * numbers.block + at] = numberAt(block, at, k);
      });
    }
    return values;
  }

  /** Of a photo's places the share that is nearest to each cell. */
  private async lit(layer: LayerValue, side: number, photo: PhotoName): Promise<CellNumbers> {
    if (this.lights === null) throw new Error(`${NEEDED.lights}.`);
    const [told, table] = await Promise.all([this.lights(photo, side), this.cells(layer, side)]);
    const found = told.layers.find((candidate) => candidate.layer === layer.name && candidate.side === side);
    if (!found) throw new Error(`Which cells a photo lights up is known for the layers, not for ${layer.name}.`);
    const values = new Float32Array(table.length);
    for (const [column = 0, row = 0, share = 0] of found.cells) {
      const k = table.indexOf({ side, column, row });
      if (k !== null) values[k] = share;
    }
    return cellNumbers(side, values);
  }

  /** Of each cell's photos the share that have a value. */
  private async shareWithValue(layer: LayerValue, side: number, name: string, value: string): Promise<CellNumbers> {
    const [columns, photos] = await Promise.all([this.columns(), this.photos(layer, side)]);
    const column = columns[name];
    const at = column?.values.indexOf(value) ?? -1;
    if (!column || at < 0) throw new Error(`No photo has ${name} “${value}”.`);
    const shares = photos.map((ids) => ids.filter((id) => column.of[id] === at).length / Math.max(ids.length, 1));
    return cellNumbers(side, Float32Array.from(shares));
  }

  private classLabels(): string[] {
    const count = Math.max(...this.atlas.layers.flatMap((layer) => layer.grids.map((grid) => grid.numbers.classes?.count ?? 0)), 0);
    return Array.from({ length: count }, (_, i) => `class ${i}`);
  }

  /** Begins a fetch once; what failed may be tried again. */
  private once<T>(key: string, begin: (key: string) => Promise<T>): Promise<T> {
    const begun = this.loading.get(key) as Promise<T> | undefined;
    if (begun) return begun;
    const promise = begin(key);
    this.loading.set(key, promise);
    promise.catch(() => this.loading.delete(key));
    return promise;
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

  /** Draws a patch of the layer's pool over the whole canvas. */
  drawPatch(canvas: HTMLCanvasElement, layer: LayerValue, patch: number): void {
    if (layer.patches === null) return;
    const { size_px, sheet_edge } = layer.patches;
    const slot = patch % sheet_edge ** 2;
    const url = urlPath(`layers/${layer.slug}/patches/${Math.floor(patch / sheet_edge ** 2)}.jpg`);
    this.drawPart(canvas, url, (slot % sheet_edge) * size_px, Math.floor(slot / sheet_edge) * size_px, size_px);
  }

  get hasPhotos(): boolean {
    return this.atlas.examples === "thumbs" || this.atlas.examples === "originals";
  }

  /** The photo that a patch of the layer's pool is of; null where the site has no photos. */
  async placeOf(layer: LayerValue, patch: number): Promise<PatchPlace | null> {
    if (!this.hasPhotos || layer.patches === null) return null;
    const places = this.once(`layers/${layer.slug}/places`, async (key) => (await loadScript(key)) as PlacesValue);
    const { photos, boxes } = await places;
    const [left = 0, top = 0, right = 0, bottom = 0] = boxes[patch] ?? [];
    const url = urlPath(`${this.atlas.examples}/${photos[patch]}.jpg`);
    return { url, box: [left / 1000, top / 1000, right / 1000, bottom / 1000] };
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

/** The side of the grid that a lens's numbers are taken from: the one shown, or the nearest coarser one that has them. */
export function sideWithNumbers(layer: LayerValue, shown: number, lens: Lens): number | null {
  const has = (grid: GridValue): boolean => {
    if (lens.kind === "lights") return true;
    if (isShare(lens)) return grid.lists_photos;
    if (lens.kind === "like") return grid.numbers.likeness !== null && grid.side === lens.cell.side;
    return grid.numbers[lens.kind === "class" ? "classes" : "channels"] !== null;
  };
  const sides = layer.grids.filter(has).map((grid) => grid.side);
  return [...sides].reverse().find((side) => side <= shown) ?? sides[0] ?? null;
}

function lensKey(layer: LayerValue, side: number, lens: Lens): string {
  return `${layer.slug} ${side} ${JSON.stringify(lens)}`;
}

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

export function tileUrl(
  layer: LayerValue,
  grid: GridValue,
  level: number,
  column: number,
  row: number,
  view: Evidence = "icons",
): string {
  const files = view === "icons" ? "tiles_files" : `${view}_files`;
  return urlPath(`${gridFolder(layer, grid.side)}/${files}/${level}/${column}_${row}.webp`);
}

/** Where a file of the site is: beside the page, or in it. */
export function urlPath(path: string): string {
  const inPage = held(path);
  if (typeof inPage === "string") return inPage;
  return path.split("/").map(encodeURIComponent).join("/");
}

const waiting = new Map<string, (value: unknown) => void>();

let table: Readonly<Record<string, unknown>> | null = null;

/** What a page of one file holds of the files that others have beside them: a picture's data: URL, or what a script hands over. */
function held(path: string): unknown {
  table ??= JSON.parse(document.getElementById("actatlas-files")?.textContent ?? "{}") as Record<string, unknown>;
  return table[path];
}

function loadScript(key: string): Promise<unknown> {
  const inPage = held(`${key}.js`);
  if (inPage !== undefined) return Promise.resolve(inPage);
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
