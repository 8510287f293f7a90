// The kept cells of a grid. Pure.
import type { CellsValue } from "./format";
import type { Place } from "./places";

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
  /** What a comparison of two networks says of it; null in other atlases. */
  readonly compared: NonNullable<CellsValue["compared"]>[number] | null;
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
    return k === undefined ? null : this.cell(k);
  }

  /** All of them, in the order of the site's lists. */
  cells(): Cell[] {
    return this.value.columns.map((_, k) => this.cell(k));
  }

  private cell(k: number): Cell {
    const { value } = this;
    return {
      place: this.placeOf(k),
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
      compared: value.compared?.[k] ?? null,
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

  placesWhere(isIn: (place: Place) => boolean): Place[] {
    return this.value.columns.map((_, k) => this.placeOf(k)).filter(isIn);
  }

  indexOf(place: Place): number | null {
    return this.index.get(place.column + this.value.side * place.row) ?? null;
  }

  /** The kept cell nearest to a point in squares. */
  nearest(column: number, row: number): Place | null {
    return this.nearestOf(column, row, () => true);
  }

  /** The nearest cell in a direction: straight on if there is one, else the nearest beyond. */
  next(from: Place, column: -1 | 0 | 1, row: -1 | 0 | 1): Place | null {
    return this.nearestOf(from.column, from.row, (place) => {
      const along = (place.column - from.column) * column + (place.row - from.row) * row;
      const aside = Math.abs((place.column - from.column) * row) + Math.abs((place.row - from.row) * column);
      return along > 0 && aside <= along;
    });
  }

  private nearestOf(column: number, row: number, isAllowed: (place: Place) => boolean): Place | null {
    let best: Place | null = null;
    let least = Number.POSITIVE_INFINITY;
    for (const place of this.placesWhere(isAllowed)) {
      const distance = Math.hypot(place.column - column, place.row - row);
      if (distance >= least) continue;
      least = distance;
      best = place;
    }
    return best;
  }
}
