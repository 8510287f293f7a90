// What the site's files say, each fetched once and when it is asked for.
import { CellTable } from "./cells";
import { loadScript, urlPath } from "./files";
import type {
  AboutValue,
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
  ProjectionsValue,
  TourValue,
  TracesValue,
} from "./format";
import type { PhotoName } from "./lab/client";
import { type CellNumbers, type Lens, cellNumbers, numberAt, sideWithNumbers, unpacked } from "./lens";
import { type Place, atSide } from "./places";
import { Names } from "./search";
import { gridOf, layerOf } from "./state";
import { gridFolder, renew } from "./tiles";

const FORMAT_VERSION = 2;

/** Where a patch lies on its photo; left, top, right and bottom are shares of the photo's sides. */
export interface PatchPlace {
  readonly url: string;
  readonly box: readonly [number, number, number, number];
}

type NumberKind = keyof GridValue["numbers"];

const NEEDED: Record<Lens["kind"], string> = {
  class: "the network has no classes, or the atlas was built without attributions",
  channel: "the atlas does not carry its cells’ activations",
  like: "the atlas does not carry its cells’ activations",
  direction: "it has no direction of that name",
  value: "the atlas does not say which photos its cells are of",
  photos: "the atlas does not say which photos its cells are of",
  lights: "the lab is closed",
  reach: "these photos were not placed on it",
};

export class Site {
  private readonly tables = new Map<string, CellTable>();
  private readonly loading = new Map<string, Promise<unknown>>();
  private readonly numbers = new Map<string, CellNumbers>();

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

  /** Take over what has been painted since; whether anything has. Of a growing atlas that `actatlas view` shows. */
  async grow(): Promise<boolean> {
    const now = (await loadScript("atlas", String(Date.now()))) as AtlasValue;
    let isChanged = now.is_finished !== this.atlas.is_finished;
    for (const layer of this.atlas.layers) {
      const grown = now.layers.find((other) => other.slug === layer.slug);
      for (const grid of layer.grids) {
        const painted = grown && gridOf(grown, grid.side)?.painted;
        if (painted === undefined || (painted === grid.painted && !isChanged)) continue;
        await this.renewCells(layer, grid, painted, now.is_finished);
        isChanged = true;
      }
    }
    this.atlas.is_finished = now.is_finished;
    return isChanged;
  }

  private async renewCells(layer: LayerValue, grid: GridValue, painted: number, isFinished: boolean): Promise<void> {
    const folder = gridFolder(layer, grid.side);
    const version = `${painted}${isFinished ? "-finished" : ""}`;
    this.loading.delete(`${folder}/cells`);
    if (this.tables.has(folder)) {
      const cells = (await loadScript(`${folder}/cells`, version)) as CellsValue;
      const table = new CellTable(cells, this.atlas.labels);
      this.tables.set(folder, table);
      this.loading.set(`${folder}/cells`, Promise.resolve(table));
    }
    grid.painted = painted;
    renew(grid, version);
  }

  /** What was done, with what: for whoever wants to know exactly. */
  about(): Promise<AboutValue> {
    return this.read("about");
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
  async columns(): Promise<ColumnsValue> {
    return this.atlas.columns.length > 0 ? this.read("columns") : {};
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
    return this.atlas.has.confusions ? this.read("confusions") : [];
  }

  /** Second sets of photos that were placed on the atlas. */
  async projections(): Promise<ProjectionsValue> {
    return this.atlas.has.projections ? this.read("projections") : [];
  }

  async traces(): Promise<TracesValue> {
    return this.atlas.has.traces ? this.read("traces") : [];
  }

  async tour(): Promise<TourValue> {
    return this.atlas.has.tour ? this.read("tour") : [];
  }

  get hasPhotos(): boolean {
    return this.atlas.examples === "thumbs" || this.atlas.examples === "originals";
  }

  /** The photo that a patch of the layer's pool is of; null where the site has no photos. */
  async placeOf(layer: LayerValue, patch: number): Promise<PatchPlace | null> {
    if (!this.hasPhotos || layer.patches === null) return null;
    const { photos, boxes } = await this.read<PlacesValue>(`layers/${layer.slug}/places`);
    const [left = 0, top = 0, right = 0, bottom = 0] = boxes[patch] ?? [];
    const url = urlPath(`${this.atlas.examples}/${photos[patch]}.jpg`);
    return { url, box: [left / 1000, top / 1000, right / 1000, bottom / 1000] };
  }

  /** What each class's, channel's or other cell's column of a grid says of its cells. */
  private async column(layer: LayerValue, side: number, kind: NumberKind, at: number): Promise<CellNumbers> {
    const numbers = gridOf(layer, side)?.numbers[kind];
    if (!numbers || at >= numbers.count) throw new Error(`${layer.name} has no numbers for that.`);
    const block = await this.read<BlockValue>(`${gridFolder(layer, side)}/${kind}/${Math.floor(at / numbers.block)}`);
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
    if (lens.kind === "reach") return this.reach(layer, shown, lens.projection);
    const side = sideWithNumbers(layer, shown, lens);
    if (side === null) throw new Error(`${layer.name} has no numbers for that: ${NEEDED[lens.kind]}.`);
    if (lens.kind === "class") return this.column(layer, side, "classes", lens.index);
    if (lens.kind === "channel") return this.column(layer, side, "channels", lens.index);
    if (lens.kind === "like") {
      const like = await this.likeness(layer, lens.cell);
      if (lens.minus === null) return like;
      const { values } = await this.likeness(layer, lens.minus);
      return cellNumbers(like.side, like.values.map((value, k) => value - (values[k] ?? 0)));
    }
    if (lens.kind === "direction") {
      const at = layer.directions.indexOf(lens.name);
      if (at < 0) throw new Error(`${layer.name} has no direction “${lens.name}”.`);
      return this.column(layer, side, "directions", at);
    }
    if (lens.kind === "lights") return this.lit(layer, side, JSON.parse(lens.photo) as PhotoName);
    return lens.kind === "photos" ? this.samePhotos(layer, side, lens) : this.shareWithValue(layer, side, lens.column, lens.value);
  }

  /** How like one cell's mean each cell's of its grid is. */
  private async likeness(layer: LayerValue, cell: Place): Promise<CellNumbers> {
    const k = (await this.cells(layer, cell.side)).indexOf(cell);
    if (k === null) throw new Error(`There is no cell at ${cell.column}, ${cell.row}.`);
    return this.column(layer, cell.side, "likeness", k);
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
      const block = await this.read<BlockValue>(`${gridFolder(layer, side)}/${kind}/${file}`);
      block.levels.forEach((_, at) => {
        values[file * numbers.block + at] = numberAt(block, at, k);
      });
    }
    return values;
  }

  /** Of each cell how often the photos of a projection come near it, in doublings. */
  private async reach(layer: LayerValue, shown: number, key: string): Promise<CellNumbers> {
    const projection = (await this.projections()).find((one) => one.key === key);
    const grids = projection?.layers.find((one) => one.layer === layer.name)?.grids ?? [];
    const grid = [...grids].reverse().find((one) => one.side <= shown) ?? grids[0];
    if (grid === undefined) throw new Error(`${layer.name} has no numbers for that: ${NEEDED.reach}.`);
    return cellNumbers(grid.side, Float32Array.from(grid.doublings));
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

  /** What a file says. */
  private read<T>(key: string): Promise<T> {
    return this.once(key, () => loadScript(key) as Promise<T>);
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
}

function lensKey(layer: LayerValue, side: number, lens: Lens): string {
  return `${layer.slug} ${side} ${JSON.stringify(lens)}`;
}
