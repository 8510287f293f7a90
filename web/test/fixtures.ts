import type { AtlasValue, LayerValue } from "../src/format";
import { type Link, type State, initialState } from "../src/state";

export function layer(name: string, sides: number[]): LayerValue {
  const numbers = { classes: { count: 10, block: 4 }, channels: null, directions: null, likeness: null };
  const grids = sides.map((side) => ({
    side, cells: side * side, painted: side * side, cell_px: 80, tile_cells: 8, view_px: null, numbers, lists_photos: false,
  }));
  return { name, of: null, slug: name, type: "SiLU", shape: [8, 7, 7], stride: 16, patch_px: 48, activations: 100, attribution: null, patches: null, grids, regions: [], directions: [] };
}

export function atlas(...layers: LayerValue[]): AtlasValue {
  return {
    format_version: 2,
    title: "t",
    origin: "o",
    network: "n",
    is_finished: true,
    photos: { listed: 1, used: 1, skipped: 0 },
    examples: "none",
    labels: null,
    columns: [],
    has: { comparison: false, confusions: false, projections: false, traces: false, tour: false, names: false },
    layers,
  };
}

export function link(parts: Partial<Link>): Link {
  return { layer: null, beside: null, grid: null, cell: null, lens: null, sign: "both", view: null, path: [], evidence: "icons", stop: null, problems: [], ...parts };
}

export function state(parts: Partial<State>): State {
  return { ...initialState(atlas(layer("late", [20, 40]))), ...parts };
}
