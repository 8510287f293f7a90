// Where cells are: the map is the unit square, y downwards. Pure.
import type { Place } from "../places";

/** The square that holds a point of the map, or null outside. A point on the far edge is outside, as its pixel is. */
export function placeAt(x: number, y: number, side: number): Place | null {
  if (!(x >= 0 && x < 1 && y >= 0 && y < 1)) return null;
  return { side, column: Math.floor(x * side), row: Math.floor(y * side) };
}

export interface Box {
  readonly x: number;
  readonly y: number;
  readonly size: number;
}

export function boxOf(place: Place): Box {
  return { x: place.column / place.side, y: place.row / place.side, size: 1 / place.side };
}

export interface Insets {
  readonly top: number;
  readonly right: number;
  readonly bottom: number;
  readonly left: number;
}

/**
 * How far, in pixels, the whole map moves to the right so that what covers the left of the view leaves it free; 0 where the
 * view has no room for both. side: of the map; air: what is left free round it at least
 */
export function shiftClear(width: number, side: number, covered: number, air: number): number {
  const beside = (width - side) / 2;
  const shift = covered + air - beside;
  return shift > 0 && beside - shift >= air ? shift : 0;
}

/** How far, in pixels, the view must move so that [start, end] lies in [low, high]; 0 if it does, or cannot. */
export function shiftInto(start: number, end: number, low: number, high: number): number {
  if (end - start > high - low) return (start + end) / 2 - (low + high) / 2;
  if (start < low) return start - low;
  if (end > high) return end - high;
  return 0;
}
