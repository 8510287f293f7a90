// What the map is dimmed by: a number for every cell of a layer. Pure.
import { fixed, percent } from "./dom";
import type { BlockValue, GridValue, LayerValue } from "./format";
import type { Place } from "./places";

export type Lens =
  | { readonly kind: "class"; readonly index: number }
  | { readonly kind: "channel"; readonly index: number }
  /** Likeness to one cell of the layer, less that to another of the same grid: the direction from this to that. */
  | { readonly kind: "like"; readonly cell: Place; readonly minus: Place | null }
  /** A direction of the layer that somebody named. */
  | { readonly kind: "direction"; readonly name: string }
  /** Share of a cell's photos that have a value in a column that came with the photos. */
  | { readonly kind: "value"; readonly column: string; readonly value: string }
  /** Of one cell's photos, the share that also pass through a cell. */
  | { readonly kind: "photos"; readonly layer: string; readonly cell: Place }
  /** Share of a photo's places that are nearest to a cell, as the lab says. photo: how the lab is asked for it, as JSON. */
  | { readonly kind: "lights"; readonly photo: string; readonly name: string }
  /** How often a second set of photos comes near a cell, in doublings over the atlas's own. */
  | { readonly kind: "reach"; readonly projection: string };

export type Sign = "both" | "for" | "against";

/** Numbers of a grid's cells, in the order of its table. They may be of a coarser grid than the one on the map. */
export interface CellNumbers {
  readonly side: number;
  readonly values: Float32Array;
  readonly least: number;
  readonly most: number;
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-";
const MOST_LEVEL = 31;
const SHARE_OF = new Float32Array(128);
for (let i = 0; i < ALPHABET.length; i += 1) {
  const share = (i - MOST_LEVEL) / MOST_LEVEL;
  SHARE_OF[ALPHABET.charCodeAt(i)] = Math.sign(share) * share * share;
}

/** Column `at` of a block. */
export function unpacked(block: BlockValue, at: number): Float32Array {
  const levels = block.levels[at] ?? "";
  const peak = block.peaks[at] ?? 0;
  const values = new Float32Array(levels.length);
  for (let k = 0; k < levels.length; k += 1) values[k] = peak * (SHARE_OF[levels.charCodeAt(k)] ?? 0);
  return values;
}

/** What column `at` of a block says of cell k. */
export function numberAt(block: BlockValue, at: number, k: number): number {
  return (block.peaks[at] ?? 0) * (SHARE_OF[block.levels[at]?.charCodeAt(k) ?? 0] ?? 0);
}

export function cellNumbers(side: number, values: Float32Array): CellNumbers {
  let least = 0;
  let most = 0;
  for (const value of values) {
    if (value < least) least = value;
    if (value > most) most = value;
  }
  return { side, values, least, most };
}

/** Shares are often small beside a few large ones: their roots show where any are. */
export function rooted(numbers: CellNumbers): CellNumbers {
  return cellNumbers(numbers.side, numbers.values.map(Math.sqrt));
}

/** How strongly a cell shows, −1 to 1: 0 is dimmed away; negative is hatched. `gain` of 2 shows half the peak in full. */
export function strength(value: number, numbers: CellNumbers, sign: Sign, gain: number): number {
  const peak = Math.max(-numbers.least, numbers.most);
  if (peak === 0 || (sign === "for" && value < 0) || (sign === "against" && value > 0)) return 0;
  return Math.sign(value) * Math.min((Math.abs(value) / peak) * gain, 1);
}

/** Indices of the cells with the largest numbers, or with the smallest; those that say nothing are left out. */
export function strongest(numbers: CellNumbers, count: number, sign: Sign): number[] {
  const factor = sign === "against" ? -1 : 1;
  return Array.from(numbers.values.keys())
    .filter((k) => factor * (numbers.values[k] ?? 0) > 0)
    .sort((a, b) => factor * ((numbers.values[b] ?? 0) - (numbers.values[a] ?? 0)) || a - b)
    .slice(0, count);
}

export function sameLens(a: Lens | null, b: Lens | null): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Channels and likeness are of one layer; classes and photos hold in all, and each layer may have a direction of a name. */
export function holdsInAllLayers(lens: Lens): boolean {
  return lens.kind !== "channel" && lens.kind !== "like";
}

/** "×0.25" of −2 doublings. */
function times(doublings: number): string {
  const factor = 2 ** doublings;
  return `×${factor >= 10 ? factor.toFixed(0) : factor >= 1 ? factor.toFixed(1) : factor.toFixed(2)}`;
}

/** How a lens's numbers are said; plain: those that are neither shares nor factors. */
export function sayerOf(lens: Lens, plain: (value: number) => string): (value: number) => string {
  if (lens.kind === "reach") return times;
  return isShare(lens) ? percent : plain;
}

/** Shares are said in per cent, and none is negative. */
export function isShare(lens: Lens): boolean {
  return lens.kind === "value" || lens.kind === "photos" || lens.kind === "lights";
}

function columnsOf(kind: Lens["kind"]): keyof GridValue["numbers"] {
  if (kind === "class") return "classes";
  return kind === "direction" ? "directions" : "channels";
}

/** The side of the grid that a lens's numbers are taken from: the one shown, or the nearest coarser one that has them. */
export function sideWithNumbers(layer: LayerValue, shown: number, lens: Lens): number | null {
  const has = (grid: GridValue): boolean => {
    if (lens.kind === "lights" || lens.kind === "reach") return true;
    if (isShare(lens)) return grid.lists_photos;
    if (lens.kind === "like") return grid.numbers.likeness !== null && grid.side === lens.cell.side;
    return grid.numbers[columnsOf(lens.kind)] !== null;
  };
  const sides = layer.grids.filter(has).map((grid) => grid.side);
  return [...sides].reverse().find((side) => side <= shown) ?? sides[0] ?? null;
}

/** What a lens is called in the field where it is looked for and over its scale, and what its numbers are. */
export interface LensWords {
  readonly inField: string;
  readonly heading: string;
  readonly note: string;
}

export function wordsOf(lens: Lens, layer: string, className: (index: number) => string): LensWords {
  switch (lens.kind) {
    case "class": {
      const name = className(lens.index);
      return { inField: name, heading: name, note: "attribution over the layer’s average, in logits" };
    }
    case "channel":
      return { ...named(`channel ${lens.index}`), note: `${layer}: above the layer’s mean, in deviations over the cells` };
    case "like": {
      const like = `like cell ${lens.cell.column}, ${lens.cell.row}`;
      if (lens.minus === null) return { ...named(like), note: "cosine of the means, less the layer’s" };
      return { ...named(`${like}, not ${lens.minus.column}, ${lens.minus.row}`), note: "cosine with the one’s mean less that with the other’s, all less the layer’s" };
    }
    case "direction":
      return { inField: lens.name, heading: lens.name, note: `a direction of ${layer}: its cosine with the cells’ means, less the layer’s` };
    case "photos": {
      const cell = `cell ${lens.cell.column}, ${lens.cell.row}`;
      return { inField: `photos of ${cell}`, heading: "The same photos", note: `of the photos in ${cell} of ${lens.layer}, the share that pass through a cell too` };
    }
    case "lights":
      return { ...named(`lit by ${lens.name}`), note: "share of the photo’s places whose nearest cell it is, by cosine, less the layer’s mean" };
    case "reach":
      return { ...named(`reach of ${lens.projection}`), note: "how often its photos come near a cell, over the atlas’s own photos; ×1 where both are alike" };
    case "value":
      return { inField: lens.value, heading: lens.value, note: `share of a cell’s photos with this ${lens.column}` };
  }
}

/** One sentence for the map beside the one that is worked on: what its dimming shows. */
export function besideWords(lens: Lens, numbers: CellNumbers, sign: Sign, className: (index: number) => string): string {
  const most = `up to ${sayerOf(lens, (value) => fixed(value, 2))(numbers.most)}`;
  switch (lens.kind) {
    case "photos":
      return numbers.most === 0
        ? `None of the photos of cell ${lens.cell.column}, ${lens.cell.row} of ${lens.layer} pass through a cell here.`
        : `Where the photos of cell ${lens.cell.column}, ${lens.cell.row} of ${lens.layer} went, here: the brighter, the more of them, ${most} in one cell.`;
    case "class": {
      const name = className(lens.index);
      const hatched = sign === "for" ? "" : "; hatched: against it";
      if (sign === "against") return `What speaks against ${name}, here: the denser the hatching, the more.`;
      return `What speaks for ${name}, here: the brighter, the more, ${most} logits${hatched}.`;
    }
    case "value":
      return `Photos with ${lens.column} “${lens.value}”, here: the brighter, the larger their share of a cell’s photos, ${most}.`;
    case "direction":
      return `What points along “${lens.name}”, here: the brighter, the more, a cosine of ${most}; hatched: against it.`;
    case "lights":
      return `What ${lens.name} lights up, here: the brighter, the larger the share of its places, ${most}.`;
    case "reach":
      return `Where the photos of ${lens.projection} come, here: the brighter, the more often over the atlas’s own, ${most}; hatched: less often.`;
    default:
      return "Dimmed by the same as the other map: the brighter, the more.";
  }
}

function named(name: string): { readonly inField: string; readonly heading: string } {
  return { inField: name, heading: name.charAt(0).toUpperCase() + name.slice(1) };
}
