// What a line, a box or a lasso on the map takes in. Pure; points lie on the unit square.
import { type Place, type Point, middleOf } from "./places";

/** The squares that a line goes through, in order, each once in a row. */
export function squaresAlong(path: readonly Point[], side: number): Place[] {
  const found: Place[] = [];
  const add = (x: number, y: number): void => {
    const column = Math.min(Math.max(Math.floor(x * side), 0), side - 1);
    const row = Math.min(Math.max(Math.floor(y * side), 0), side - 1);
    const last = found[found.length - 1];
    if (last === undefined || last.column !== column || last.row !== row) found.push({ side, column, row });
  };
  path.forEach((to, i) => {
    const from = path[i - 1] ?? to;
    const steps = Math.max(Math.ceil(4 * side * Math.hypot(to.x - from.x, to.y - from.y)), 1);
    for (let step = i === 0 ? steps : 1; step <= steps; step += 1) {
      add(from.x + ((to.x - from.x) * step) / steps, from.y + ((to.y - from.y) * step) / steps);
    }
  });
  return found;
}

/** Whether the middle of a square lies inside a closed line. */
export function isInside(place: Place, lasso: readonly Point[]): boolean {
  const { x, y } = middleOf(place);
  let inside = false;
  lasso.forEach((a, i) => {
    const b = lasso[(i + 1) % lasso.length] ?? a;
    if (a.y > y !== b.y > y && x < a.x + ((y - a.y) / (b.y - a.y)) * (b.x - a.x)) inside = !inside;
  });
  return inside;
}

/** Whether a square lies in the box that two others are corners of. */
export function isBetween(place: Place, a: Place, b: Place): boolean {
  const within = (at: number, one: number, other: number): boolean => at >= Math.min(one, other) && at <= Math.max(one, other);
  return within(place.column, a.column, b.column) && within(place.row, a.row, b.row);
}

export function boxBetween(a: Point, b: Point): Point[] {
  return [a, { x: b.x, y: a.y }, b, { x: a.x, y: b.y }];
}

/** Points at least `apart` from one another, the last kept: a hand draws more than a link should carry. */
export function thinned(points: readonly Point[], apart: number): Point[] {
  const kept: Point[] = [];
  points.forEach((point, i) => {
    const last = kept[kept.length - 1];
    if (last === undefined || i === points.length - 1 || Math.hypot(point.x - last.x, point.y - last.y) >= apart) kept.push(point);
  });
  return kept;
}
