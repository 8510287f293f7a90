// State ⇄ the part of the address behind the #. Pure. What cannot be read is reported; what is not ours is kept.
import type { Link, State } from "./state";

const OURS = new Set(["layer", "grid", "cell"]);

export function readLink(hash: string): Link {
  let layer: string | null = null;
  let grid: number | null = null;
  let cell: Link["cell"] = null;
  const problems: string[] = [];
  for (const [key, raw] of pairs(hash)) {
    const value = decoded(raw);
    if (value === null) problems.push(`The address says “${key}=${raw}”, which cannot be read.`);
    else if (key === "layer") layer = value;
    else if (key === "grid") {
      if (/^\d{1,3}$/.test(value)) grid = Number(value);
      else problems.push(`The address says “grid=${value}”; a grid is a number such as 20.`);
    } else if (key === "cell") {
      const found = /^(\d{1,3}),(\d{1,3})$/.exec(value);
      if (found) cell = { column: Number(found[1]), row: Number(found[2]) };
      else problems.push(`The address says “cell=${value}”; a cell is COLUMN,ROW such as 12,7.`);
    }
  }
  return { layer, grid, cell, problems };
}

/** `before` is the present hash: its keys that are not ours stay. */
export function writeLink(state: State, before: string): string {
  const parts = [`layer=${readable(state.layer)}`];
  if (state.cell !== null) {
    parts.push(`grid=${state.cell.side}`, `cell=${state.cell.column},${state.cell.row}`);
  } else if (state.grid !== "auto") parts.push(`grid=${state.grid}`);
  for (const [key, raw] of pairs(before)) {
    if (!OURS.has(key)) parts.push(raw === "" ? key : `${key}=${raw}`);
  }
  return `#${parts.join("&")}`;
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
    return decodeURIComponent(raw);
  } catch (error) {
    if (error instanceof URIError) return null;
    throw error;
  }
}

/** Only what would end a value or an address is escaped, so that people can read it. */
function readable(value: string): string {
  return encodeURIComponent(value).replace(/%2C/g, ",").replace(/%2F/g, "/").replace(/%3A/g, ":");
}
