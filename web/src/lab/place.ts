// Where a patch lies on what the network sees, and what was said of it. Pure.
import { percent } from "../dom";
import type { LabPlace, LabPrediction, LabSuggestion } from "../format";

export const LEAST_SIDE = 0.05;
export const FIRST_PLACE: LabPlace = { x: 0.5, y: 0.5, side: 0.35 };

/** What the network sees, in pixels of its input. */
export interface Sight {
  readonly width: number;
  readonly height: number;
}

/** As fractions of the sight. */
export interface Box {
  readonly left: number;
  readonly top: number;
  readonly width: number;
  readonly height: number;
}

/** aspect: of the patch, width over height. At the edge it is moved inwards, as the server does. */
export function boxOf(place: LabPlace, aspect: number, sight: Sight): Box {
  const longer = place.side * Math.min(sight.width, sight.height);
  const width = (aspect >= 1 ? longer : longer * aspect) / sight.width;
  const height = (aspect >= 1 ? longer / aspect : longer) / sight.height;
  return { left: clamp(place.x - width / 2, 0, 1 - width), top: clamp(place.y - height / 2, 0, 1 - height), width, height };
}

/** The same place, named by where the patch really lies: so a step back from the edge is a step at once. */
export function settled(place: LabPlace, aspect: number, sight: Sight): LabPlace {
  const side = clamp(place.side, LEAST_SIDE, 1);
  const { left, top, width, height } = boxOf({ ...place, side }, aspect, sight);
  return { x: left + width / 2, y: top + height / 2, side };
}

function clamp(value: number, least: number, most: number): number {
  return Math.min(Math.max(value, least), Math.max(least, most));
}

interface Row {
  readonly index: number;
  readonly name: string;
  readonly before: number;
  /** Null without a patch. */
  readonly after: number | null;
}

/** The classes to show, the likeliest now first. */
export function rowsOf(told: LabPrediction, most: number): Row[] {
  if (told.classes === null) {
    return told.before.map((entry) => ({ index: entry.index, name: entry.class, before: entry.probability, after: null })).slice(0, most);
  }
  return told.classes.map(({ index, class: name, before, after }) => ({ index, name, before, after })).slice(0, most);
}

/** In a sentence: what the network takes the photo for, and took it for. */
export function headline(told: LabPrediction): string {
  const [before] = told.before;
  const [after] = told.after ?? [];
  if (before === undefined) return "This network has no classes.";
  if (after === undefined) return `Taken for ${before.class}, ${percent(before.probability)}.`;
  if (after.index === before.index) return `Still taken for ${after.class}: ${percent(before.probability)} before, ${percent(after.probability)} now.`;
  return `Now taken for ${after.class}, ${percent(after.probability)}; before for ${before.class}, ${percent(before.probability)}.`;
}

/** What a suggested patch does, in a line. */
export function promise(suggestion: LabSuggestion): string {
  const { target, before, after, flip_rate, tested } = suggestion;
  const here = before === null || after === null ? target.class : `${target.class} ${percent(before)} → ${percent(after)}`;
  return flip_rate === null || tested === null ? here : `${here}; turned ${percent(flip_rate)} of ${tested} photos`;
}
