// Squares, points and views of the map. Pure.

/** A square of a grid of `side` × `side`; it may hold no cell. */
export interface Place {
  readonly side: number;
  readonly column: number;
  readonly row: number;
}

export interface Point {
  readonly x: number;
  readonly y: number;
}

/** Where one looks: a point of the map, and how many times larger than when the whole map is seen. */
export interface View {
  readonly x: number;
  readonly y: number;
  readonly zoom: number;
}

export function samePlace(a: Place | null, b: Place | null): boolean {
  if (a === null || b === null) return a === b;
  return a.side === b.side && a.column === b.column && a.row === b.row;
}

export function middleOf(place: Place): Point {
  return { x: (place.column + 0.5) / place.side, y: (place.row + 0.5) / place.side };
}

/** The square of another grid at the same place: the one that holds the middle of `place`. */
export function atSide(place: Place, side: number): Place {
  const map = (index: number) => Math.min(Math.floor(((index + 0.5) / place.side) * side), side - 1);
  return { side, column: map(place.column), row: map(place.row) };
}

export function sameView(a: View | null, b: View | null): boolean {
  if (a === null || b === null) return a === b;
  return a.x === b.x && a.y === b.y && a.zoom === b.zoom;
}
