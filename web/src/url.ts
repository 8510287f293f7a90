// State ⇄ the part of the address behind the #. Pure. What cannot be read is reported; what is not ours is kept.
import type { Lens, Sign } from "./lens";
import type { Place, Point, View } from "./places";
import type { Names } from "./search";
import type { Evidence, Link, State } from "./state";

const OURS = new Set(["layer", "grid", "cell", "class", "channel", "like", "unlike", "direction", "value", "photos", "reach", "sign", "at", "beside", "path", "show", "stop"]);
const DIGITS = 3; // of a place on the map: a thousandth is less than a cell of any grid

/** The name of the class that a link wants to see, so that the names can be fetched before it is followed. */
export function classInLink(hash: string): string | null {
  const found = pairs(hash).find(([key]) => key === "class");
  return found === undefined ? null : decoded(found[1]);
}

export function readLink(hash: string, names: Names | null): Link {
  const said = new Map<string, string>();
  const problems: string[] = [];
  for (const [key, raw] of pairs(hash)) {
    const value = decoded(raw);
    if (value === null) problems.push(`The address says “${key}=${raw}”, which cannot be read.`);
    else said.set(key, value);
  }
  const read = <T>(key: string, parse: (text: string) => T | null, told: (text: string) => string): T | null => {
    const text = said.get(key);
    if (text === undefined) return null;
    const value = parse(text);
    if (value === null) problems.push(`The address says “${key}=${text}”; ${told(text)}.`);
    return value;
  };
  const grid = read("grid", (text) => (/^\d{1,3}$/.test(text) ? Number(text) : null), () => "a grid is a number such as 20");
  const cell = read("cell", placeOf, () => "a cell is COLUMN,ROW such as 12,7");
  const view = read("at", viewOf, () => "a view is X,Y,ZOOM such as 0.5,0.25,3");
  const sign = read("sign", signOf, () => "a sign is for or against");
  const classIndex = read("class", (text) => names?.named(text) ?? null, () => "no class of this network, or more than one, is called that");
  const channel = read("channel", (text) => (/^\d{1,5}$/.test(text) ? Number(text) : null), () => "a channel is a number");
  const like = read("like", placeOf, () => "a cell is COLUMN,ROW such as 12,7");
  const unlike = read("unlike", placeOf, () => "a cell is COLUMN,ROW such as 12,7");
  const direction = read("direction", (text) => (text === "" || text.length > 60 ? null : text), () => "a direction is called by at most 60 characters");
  const value = read("value", valueOf, () => "a value is COLUMN:VALUE such as label:red fox");
  const evidence = read("show", evidenceOf, () => "what the squares show is icons, patches or average");
  const path = read("path", pathOf, () => "a path is X,Y;X,Y and so on, at most 200 points");
  const stop = read("stop", (text) => (/^[1-9]\d{0,2}$/.test(text) ? Number(text) - 1 : null), () => "a stop of the tour is a number from 1 on");
  const photos = read("photos", photosOf, () => "photos are those of a cell, LAYER:GRID:COLUMN,ROW");
  const reach = read("reach", (text) => (/^[a-z0-9-]{1,40}$/.test(text) ? text : null), () => "other photos are called by a name in small letters");
  let lens: Lens | null = null;
  if (classIndex !== null) lens = { kind: "class", index: classIndex };
  else if (channel !== null) lens = { kind: "channel", index: channel };
  else if (value !== null) lens = { kind: "value", ...value };
  else if (photos !== null) lens = { kind: "photos", ...photos };
  else if (reach !== null) lens = { kind: "reach", projection: reach };
  else if (direction !== null) lens = { kind: "direction", name: direction };
  else if (like !== null && grid !== null) lens = { kind: "like", cell: { side: grid, ...like }, minus: unlike && { side: grid, ...unlike } };
  const [layer, beside] = [said.get("layer") ?? null, said.get("beside") ?? null];
  return { layer, beside, grid, cell, lens, sign: sign ?? "both", view, path: path ?? [], evidence: evidence ?? "icons", stop, problems };
}

/** `before` is the present hash: its keys that are not ours stay. */
export function writeLink(state: State, names: Names | null, before: string): string {
  const parts = [`layer=${readable(state.layer)}`];
  if (state.beside !== null) parts.push(`beside=${readable(state.beside)}`);
  const { lens, cell, view } = state;
  const side = cell?.side ?? (lens?.kind === "like" ? lens.cell.side : null) ?? (state.grid === "auto" ? null : state.grid);
  if (side !== null) parts.push(`grid=${side}`);
  if (cell !== null) parts.push(`cell=${cell.column},${cell.row}`);
  if (lens?.kind === "class") parts.push(`class=${readable(names?.linkOf(lens.index) ?? String(lens.index))}`);
  if (lens?.kind === "channel") parts.push(`channel=${lens.index}`);
  if (lens?.kind === "like" && lens.cell.side === side) {
    parts.push(`like=${lens.cell.column},${lens.cell.row}`);
    if (lens.minus !== null) parts.push(`unlike=${lens.minus.column},${lens.minus.row}`);
  }
  if (lens?.kind === "direction") parts.push(`direction=${readable(lens.name)}`);
  if (lens?.kind === "value") parts.push(`value=${readable(`${lens.column}:${lens.value}`)}`);
  if (lens?.kind === "photos") parts.push(`photos=${readable(`${lens.layer}:${lens.cell.side}:${lens.cell.column},${lens.cell.row}`)}`);
  if (lens?.kind === "reach") parts.push(`reach=${lens.projection}`);
  if (lens !== null && state.sign !== "both") parts.push(`sign=${state.sign}`);
  if (state.evidence !== "icons") parts.push(`show=${state.evidence}`);
  if (state.path.length > 1) parts.push(`path=${state.path.map(({ x, y }) => `${short(x)},${short(y)}`).join(";")}`);
  if (state.stop !== null) parts.push(`stop=${state.stop + 1}`);
  if (view !== null) parts.push(`at=${[view.x, view.y, view.zoom].map(short).join(",")}`);
  for (const [key, raw] of pairs(before)) {
    if (!OURS.has(key)) parts.push(raw === "" ? key : `${key}=${raw}`);
  }
  return `#${parts.join("&")}`;
}

function short(value: number): number {
  return Number(value.toFixed(DIGITS));
}

function pathOf(text: string): Point[] | null {
  const points = text.split(";").map((part) => part.split(",").map((number) => (/^-?\d+(\.\d+)?$/.test(number) ? Number(number) : Number.NaN)));
  const isRight = points.length > 1 && points.length <= 200 && points.every((point) => point.length === 2 && point.every((n) => n >= 0 && n <= 1));
  return isRight ? points.map(([x, y]) => ({ x: x ?? 0, y: y ?? 0 })) : null;
}

function placeOf(text: string): { column: number; row: number } | null {
  const found = /^(\d{1,3}),(\d{1,3})$/.exec(text);
  return found && { column: Number(found[1]), row: Number(found[2]) };
}

function viewOf(text: string): View | null {
  const numbers = text.split(",").map((part) => (/^-?\d+(\.\d+)?$/.test(part) ? Number(part) : Number.NaN));
  const [x, y, zoom] = numbers;
  if (numbers.length !== 3 || x === undefined || y === undefined || zoom === undefined) return null;
  return numbers.every(Number.isFinite) && Math.abs(x) <= 2 && Math.abs(y) <= 2 && zoom > 0 && zoom <= 500 ? { x, y, zoom } : null;
}

function signOf(text: string): Sign | null {
  return text === "for" || text === "against" || text === "both" ? text : null;
}

function evidenceOf(text: string): Evidence | null {
  return text === "icons" || text === "patches" || text === "average" ? text : null;
}

function valueOf(text: string): { column: string; value: string } | null {
  const at = text.indexOf(":");
  return at < 1 ? null : { column: text.slice(0, at), value: text.slice(at + 1) };
}

function photosOf(text: string): { layer: string; cell: Place } | null {
  const found = /^(.+):(\d{1,3}):(\d{1,3}),(\d{1,3})$/.exec(text);
  if (found === null || found[1] === undefined) return null;
  return { layer: found[1], cell: { side: Number(found[2]), column: Number(found[3]), row: Number(found[4]) } };
}

function pairs(hash: string): [string, string][] {
  return hash
    .replace(/^#/, "")
    .split("&")
    .filter((part) => part !== "")
    .map((part) => {
      const at = part.indexOf("=");
      return at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
    });
}

function decoded(raw: string): string | null {
  try {
    return decodeURIComponent(raw.replace(/\+/g, " "));
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}

/** Only what would end a value or an address is escaped, so that people can read it. */
function readable(value: string): string {
  return encodeURIComponent(value).replace(/%2C/g, ",").replace(/%2F/g, "/").replace(/%3A/g, ":").replace(/%20/g, "+");
}
