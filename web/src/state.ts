// One immutable State and what can happen to it. Pure: no document, no clock.
import type { AtlasValue, GridValue, LayerValue } from "./format";
import { type Lens, type Sign, holdsInAllLayers, sameLens } from "./lens";
import { type Place, type Point, type View, atSide, samePlace, sameView } from "./places";

/** What the squares of the map show: icons, the real patch nearest each cell's mean, or the average of its patches. */
export type Evidence = "icons" | "patches" | "average";

/** The dialogue that is open over the map. */
export type Dialogue = "about" | "table" | "gallery" | "projections";

/** What a click or a drag on the map does. */
export type Tool = "look" | "box" | "lasso" | "path";

export interface State {
  readonly layer: string;
  /** The layer on the other map where two lie side by side. `layer` is the one that is worked on. */
  readonly beside: string | null;
  /** Whether `layer` is on the right one of the two. */
  readonly isRight: boolean;
  /** The grid that was chosen; "auto" goes with the zoom. */
  readonly grid: number | "auto";
  /** The side of the grid on the map. */
  readonly shown: number;
  /** What the inspector shows. It keeps its place when the layer changes. */
  readonly cell: Place | null;
  /** The square under the pointer. */
  readonly hover: Place | null;
  /** What the map is dimmed by. */
  readonly lens: Lens | null;
  readonly sign: Sign;
  /** How strongly faint cells show: 1 to 8. */
  readonly gain: number;
  readonly hasLabels: boolean;
  /** What stands in the squares of the map; a grid that has no such pictures shows icons. */
  readonly evidence: Evidence;
  /** How far an icon's size says how many activations its cell holds: 0 (not at all) to 1. */
  readonly density: number;
  /** Where one looks; null while the whole map is seen. */
  readonly view: View | null;
  /** Where a link or a jump wants one to look; a new object each time. */
  readonly goal: { readonly view: View | null } | null;
  readonly dialogue: Dialogue | null;
  readonly tool: Tool;
  /** A line over the map, on the unit square. */
  readonly path: readonly Point[];
  /** Cells that were picked, all of one grid of the layer. */
  readonly picked: readonly Place[];
  /** The stop of the tour; null outside it. */
  readonly stop: number | null;
  readonly isLabOpen: boolean;
  /** What could not be done, for the reader; "" when all is well. */
  readonly message: string;
}

export type Action =
  | { readonly type: "layer"; readonly name: string }
  | { readonly type: "step-layer"; readonly by: 1 | -1 }
  | { readonly type: "grid"; readonly grid: number | "auto" }
  | { readonly type: "next-grid" }
  | { readonly type: "zoomed"; readonly side: number }
  | { readonly type: "select"; readonly cell: Place | null }
  | { readonly type: "click-left" | "click-right"; readonly cell: Place | null }
  /** Something that was waited for is here. */
  | { readonly type: "arrived" }
  | { readonly type: "hover"; readonly cell: Place | null }
  | { readonly type: "lens"; readonly lens: Lens | null }
  | { readonly type: "sign"; readonly sign: Sign }
  | { readonly type: "gain"; readonly gain: number }
  | { readonly type: "evidence"; readonly evidence: Evidence }
  | { readonly type: "density"; readonly share: number }
  | { readonly type: "labels"; readonly areShown: boolean }
  | { readonly type: "looked"; readonly view: View | null }
  | { readonly type: "go"; readonly layer: string; readonly cell: Place }
  /** Show a layer on a second map, or one map only. */
  | { readonly type: "beside"; readonly name: string | null }
  /** Work on the other map. */
  | { readonly type: "cross"; readonly cell: Place | null }
  | { readonly type: "tool"; readonly tool: Tool }
  | { readonly type: "path"; readonly path: readonly Point[] }
  /** `isMore` keeps what was picked before. */
  | { readonly type: "pick"; readonly cells: readonly Place[]; readonly isMore: boolean }
  | { readonly type: "stop"; readonly stop: number | null }
  | { readonly type: "dialogue"; readonly dialogue: Dialogue | null }
  | { readonly type: "lab"; readonly isOpen: boolean }
  | { readonly type: "message"; readonly text: string }
  | { readonly type: "link"; readonly link: Link };

/** What an address says; a part that it does not mention is null. */
export interface Link {
  readonly layer: string | null;
  readonly grid: number | null;
  readonly cell: { readonly column: number; readonly row: number } | null;
  readonly beside: string | null;
  readonly lens: Lens | null;
  readonly sign: Sign;
  readonly view: View | null;
  readonly path: readonly Point[];
  readonly evidence: Evidence;
  /** Of the tour, counted from 0. */
  readonly stop: number | null;
  readonly problems: readonly string[];
}

export function initialState(atlas: AtlasValue): State {
  const layer = lastLayerWithGrid(atlas);
  const sides = sidesOf(layer);
  return {
    layer: layer.name,
    beside: null,
    isRight: false,
    grid: sides.length > 1 ? "auto" : (sides[0] ?? "auto"),
    shown: sides[0] ?? 0,
    cell: null,
    hover: null,
    lens: null,
    sign: "both",
    gain: 1.5,
    hasLabels: true,
    evidence: "icons",
    density: 0,
    view: null,
    goal: null,
    dialogue: null,
    tool: "look",
    path: [],
    picked: [],
    stop: null,
    isLabOpen: false,
    message: "",
  };
}

export function reduce(state: State, action: Action, atlas: AtlasValue): State {
  switch (action.type) {
    case "layer":
      return toLayer(state, action.name, atlas);
    case "step-layer": {
      const names = atlas.layers.map((layer) => layer.name);
      const next = names[names.indexOf(state.layer) + action.by];
      return next === undefined ? state : toLayer(state, next, atlas);
    }
    case "grid":
      return toGrid(state, action.grid, atlas);
    case "next-grid": {
      const choices = gridChoices(layerOf(atlas, state.layer));
      const next = choices[(choices.indexOf(state.grid) + 1) % choices.length];
      return next === undefined ? state : toGrid(state, next, atlas);
    }
    case "zoomed":
      return state.grid === "auto" && action.side !== state.shown
        ? { ...state, shown: action.side, hover: null }
        : state;
    case "select":
      return samePlace(state.cell, action.cell) ? state : { ...state, cell: action.cell, hover: null, message: "" };
    case "click-left":
    case "click-right": {
      const isActive = state.beside === null || (action.type === "click-right") === state.isRight;
      return reduce(state, { type: isActive ? "select" : "cross", cell: action.cell }, atlas);
    }
    case "arrived":
      return { ...state };
    case "hover":
      return samePlace(state.hover, action.cell) ? state : { ...state, hover: action.cell };
    case "lens":
      return sameLens(state.lens, action.lens) ? state : { ...state, lens: action.lens, message: "" };
    case "sign":
      return { ...state, sign: action.sign };
    case "gain":
      return { ...state, gain: Math.min(Math.max(action.gain, 1), 8) };
    case "evidence":
      return { ...state, evidence: action.evidence };
    case "density":
      return { ...state, density: Math.min(Math.max(action.share, 0), 1) };
    case "labels":
      return { ...state, hasLabels: action.areShown };
    case "looked":
      return sameView(state.view, action.view) ? state : { ...state, view: action.view };
    case "go": {
      const next = toLayer(state, action.layer, atlas);
      const side = next.grid === "auto" ? action.cell.side : next.shown;
      return { ...next, cell: atSide(action.cell, side), message: "" };
    }
    case "beside":
      return { ...state, beside: action.name, isRight: action.name !== null && state.isRight };
    case "cross": {
      if (state.beside === null) return state;
      const crossed = { ...state, beside: state.layer, isRight: !state.isRight, cell: null };
      return { ...toLayer(crossed, state.beside, atlas), cell: action.cell };
    }
    case "tool":
      return { ...state, tool: action.tool, hover: null };
    case "path":
      return { ...state, path: action.path };
    case "pick":
      return { ...state, picked: action.isMore ? joined(state.picked, action.cells) : action.cells };
    case "stop":
      return { ...state, stop: action.stop };
    case "dialogue":
      return { ...state, dialogue: action.dialogue };
    case "lab":
      return state.isLabOpen === action.isOpen ? state : { ...state, isLabOpen: action.isOpen };
    case "message":
      return { ...state, message: action.text };
    case "link":
      return follow(state, action.link, atlas);
  }
}

export function layerOf(atlas: AtlasValue, name: string): LayerValue {
  const layer = atlas.layers.find((candidate) => candidate.name === name);
  if (layer === undefined) throw new Error(`no layer ${name}`);
  return layer;
}

export function gridOf(layer: LayerValue, side: number): GridValue | null {
  return layer.grids.find((grid) => grid.side === side) ?? null;
}

/** What the reader can choose: "auto" only where there is something to choose from. */
export function gridChoices(layer: LayerValue): (number | "auto")[] {
  const sides = sidesOf(layer);
  return sides.length > 1 ? ["auto", ...sides] : sides;
}

/** Whether the pointer is over another square, and nothing else is new. */
export function isHoverAlone(state: State, before: State): boolean {
  const { hover } = state;
  return hover !== before.hover && Object.entries({ ...before, hover }).every(([name, value]) => state[name as keyof State] === value);
}

/** The coarsest grid whose squares are not yet too large on the screen; `shown` stays until it is clearly wrong. */
export function sideForZoom(sides: readonly number[], mapPx: number, shown: number): number {
  const largest = (side: number) => (side === shown ? 104 : 92);
  return sides.find((side) => mapPx / side <= largest(side)) ?? sides[sides.length - 1] ?? shown;
}

function toLayer(state: State, name: string, atlas: AtlasValue): State {
  if (name === state.layer) return state;
  const layer = layerOf(atlas, name);
  const lens = state.lens !== null && holdsInAllLayers(state.lens) ? state.lens : null;
  return withGrid({ ...state, layer: name, lens, picked: [], hover: null, message: "" }, state.grid, layer);
}

function toGrid(state: State, grid: number | "auto", atlas: AtlasValue): State {
  const next = withGrid({ ...state, hover: null, message: "" }, grid, layerOf(atlas, state.layer));
  if (next.cell === null || next.grid === "auto") return next;
  return { ...next, cell: atSide(next.cell, next.shown) };
}

/** The grid as chosen, or the nearest that the layer has. */
function withGrid(state: State, grid: number | "auto", layer: LayerValue): State {
  const sides = sidesOf(layer);
  const wanted = grid === "auto" ? state.shown : grid;
  const shown = nearest(sides, wanted);
  const chosen = grid === "auto" && sides.length > 1 ? "auto" : shown;
  const cell = state.cell !== null && !sides.includes(state.cell.side) ? atSide(state.cell, shown) : state.cell;
  return { ...state, grid: chosen, shown, cell: shown === 0 ? null : cell };
}

function follow(state: State, link: Link, atlas: AtlasValue): State {
  const problems = [...link.problems];
  let next: State = { ...state, hover: null };
  if (link.layer !== null) {
    if (atlas.layers.some((layer) => layer.name === link.layer)) next = toLayer(next, link.layer, atlas);
    else problems.push(`There is no layer “${link.layer}” in this atlas.`);
  }
  const layer = layerOf(atlas, next.layer);
  if (link.grid !== null) {
    if (gridOf(layer, link.grid) !== null) next = withGrid({ ...next, cell: null }, link.grid, layer);
    else problems.push(`${layer.name} has no ${link.grid} × ${link.grid} grid.`);
  }
  const wantsMissingGrid = link.grid !== null && gridOf(layer, link.grid) === null;
  let cell: Place | null = null;
  if (link.cell !== null && !wantsMissingGrid) {
    const { column, row } = link.cell;
    if (column < next.shown && row < next.shown) cell = { side: next.shown, column, row };
    else problems.push(`Cell ${column}, ${row} lies outside the ${next.shown} × ${next.shown} grid.`);
  }
  const { sign, view, path, evidence } = link;
  let { stop } = link;
  if (stop !== null && !atlas.has.tour) {
    problems.push("There is no tour through this atlas.");
    stop = null;
  }
  let { beside } = link;
  if (beside !== null && !atlas.layers.some((one) => one.name === beside)) {
    problems.push(`There is no layer “${beside}” in this atlas.`);
    beside = null;
  }
  let { lens } = link;
  if (lens?.kind === "photos" && !atlas.layers.some((one) => one.name === (lens as Lens & { kind: "photos" }).layer)) {
    problems.push(`There is no layer “${lens.layer}” in this atlas.`);
    lens = null;
  }
  const goal = sameView(view, next.view) ? next.goal : { view };
  return { ...next, beside, isRight: false, cell, lens, sign, view, path, evidence, stop, goal, message: problems.join(" ") };
}

/** Cells of one grid; those of another are left behind. */
function joined(before: readonly Place[], more: readonly Place[]): readonly Place[] {
  const side = more[0]?.side;
  const kept = before.filter((cell) => cell.side === side && !more.some((other) => samePlace(cell, other)));
  return more.length === 0 ? before : [...kept, ...more];
}

function lastLayerWithGrid(atlas: AtlasValue): LayerValue {
  const layers = atlas.layers;
  const layer = [...layers].reverse().find((candidate) => candidate.of === null && candidate.grids.length > 0) ?? layers[layers.length - 1];
  if (layer === undefined) throw new Error("an atlas without layers");
  return layer;
}

function sidesOf(layer: LayerValue): number[] {
  return layer.grids.map((grid) => grid.side);
}

/** The side of the layer's grid that is nearest to one. */
export function nearestSide(layer: LayerValue, side: number): number {
  return nearest(sidesOf(layer), side);
}

function nearest(sides: readonly number[], wanted: number): number {
  return sides.reduce((best, side) => (Math.abs(side - wanted) < Math.abs(best - wanted) ? side : best), sides[0] ?? 0);
}
