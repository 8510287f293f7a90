import { describe, expect, it } from "vitest";
import { placeAt, shiftClear, shiftInto } from "../src/map/geometry";
import type { AtlasValue } from "../src/format";
import { atSide } from "../src/places";
import { type Action, type State, initialState, isHoverAlone, reduce, sideForZoom } from "../src/state";
import { atlas, layer, link as linkTo } from "./fixtures";

const two = atlas(layer("early", [20, 40]), layer("late", [20, 40]));

function after(start: State, value: AtlasValue, ...actions: Action[]): State {
  return actions.reduce((state, action) => reduce(state, action, value), start);
}

const link = (layerName: string | null, grid: number | null, cell: [number, number] | null): Action => ({
  type: "link",
  link: linkTo({ layer: layerName, grid, cell: cell && { column: cell[0], row: cell[1] } }),
});

describe("the state", () => {
  it("begins with the latest layer that has a grid", () => {
    expect(initialState(two)).toMatchObject({ layer: "late", grid: "auto", shown: 20, cell: null });
    expect(initialState(atlas(layer("early", [16]), layer("late", [])))).toMatchObject({ layer: "early", grid: 16, shown: 16 });
  });

  it("tells when the pointer alone has moved on, and when something that was waited for is here", () => {
    const start = initialState(two);
    const hover: Action = { type: "hover", cell: { side: 20, column: 1, row: 2 } };
    expect(isHoverAlone(after(start, two, hover), start)).toBe(true);
    expect(isHoverAlone(after(start, two, { type: "arrived" }), start)).toBe(false);
    expect(isHoverAlone(after(start, two, hover, { type: "labels", areShown: false }), start)).toBe(false);
  });

  it("keeps the place of the cell from layer to layer, and stops at the ends", () => {
    const start = after(initialState(two), two, link("early", 40, [7, 30]));
    const late = after(start, two, { type: "step-layer", by: 1 });
    expect(late).toMatchObject({ layer: "late", grid: 40, shown: 40, cell: { side: 40, column: 7, row: 30 } });
    expect(after(late, two, { type: "step-layer", by: 1 })).toBe(late);
  });

  it("takes the nearest grid where a layer lacks the chosen one, and moves the cell along", () => {
    const uneven = atlas(layer("early", [20, 40]), layer("late", [20]));
    const start = after(initialState(uneven), uneven, link("early", 40, [39, 1]));
    const late = after(start, uneven, { type: "layer", name: "late" });
    expect(late).toMatchObject({ grid: 20, shown: 20, cell: { side: 20, column: 19, row: 0 } });
  });

  it("follows a link to its cell, and says what is not there", () => {
    expect(after(initialState(two), two, link("early", 20, [12, 7]))).toMatchObject({
      layer: "early", grid: 20, shown: 20, cell: { side: 20, column: 12, row: 7 }, message: "",
    });
    for (const bad of [link("nowhere", 20, null), link("early", 30, [1, 1]), link("early", 20, [20, 0])]) {
      const state = after(initialState(two), two, bad);
      expect(state.message).not.toBe("");
      expect(state.cell).toBeNull();
    }
  });

  it("moves a chosen cell with the grid", () => {
    const start = after(initialState(two), two, link("early", 20, [10, 3]));
    expect(after(start, two, { type: "grid", grid: 40 }).cell).toEqual({ side: 40, column: 21, row: 7 });
  });

  it("lets the zoom choose a grid only where the reader left that open", () => {
    const open = initialState(two);
    expect(after(open, two, { type: "zoomed", side: 40 }).shown).toBe(40);
    const pinned = after(open, two, { type: "grid", grid: 20 });
    expect(after(pinned, two, { type: "zoomed", side: 40 })).toBe(pinned);
  });

  it("takes a class along to another layer, and leaves a channel behind", () => {
    const start = initialState(two);
    const dimmed = after(start, two, { type: "lens", lens: { kind: "class", index: 3 } }, { type: "step-layer", by: -1 });
    expect(dimmed).toMatchObject({ layer: "early", lens: { kind: "class", index: 3 } });
    const channel = after(start, two, { type: "lens", lens: { kind: "channel", index: 3 } }, { type: "step-layer", by: -1 });
    expect(channel).toMatchObject({ layer: "early", lens: null });
  });

  it("looks where a link says, and nowhere else for the same link again", () => {
    const view = { x: 0.25, y: 0.5, zoom: 4 };
    const there = after(initialState(two), two, { type: "link", link: linkTo({ view }) });
    expect(there).toMatchObject({ view, goal: { view } });
    const moved = after(there, two, { type: "looked", view: { ...view, zoom: 5 } });
    expect(moved.goal).toBe(there.goal);
    expect(after(moved, two, { type: "link", link: linkTo({ view: moved.view }) }).goal).toBe(there.goal);
    expect(after(moved, two, { type: "link", link: linkTo({}) })).toMatchObject({ view: null, goal: { view: null } });
  });

  it("goes to a cell of another layer, on the grid that was chosen", () => {
    const cell = { side: 20, column: 3, row: 4 };
    expect(after(initialState(two), two, { type: "go", layer: "early", cell })).toMatchObject({ layer: "early", cell });
    const pinned = after(initialState(two), two, { type: "grid", grid: 40 }, { type: "go", layer: "early", cell });
    expect(pinned.cell).toEqual({ side: 40, column: 7, row: 9 });
  });

  it("goes round the grids", () => {
    let state = initialState(two);
    const seen = [];
    for (let i = 0; i < 4; i += 1) {
      state = after(state, two, { type: "next-grid" });
      seen.push(state.grid);
    }
    expect(seen).toEqual([20, 40, "auto", 20]);
  });

  it("is not replaced when nothing changes, so that nothing is drawn again", () => {
    const start = after(initialState(two), two, { type: "hover", cell: { side: 20, column: 1, row: 1 } });
    expect(after(start, two, { type: "hover", cell: { side: 20, column: 1, row: 1 } })).toBe(start);
  });
});

describe("a tour", () => {
  it("is at the stop that the address says, and at none where it says none", () => {
    const toured = { ...two, has: { ...two.has, tour: true } };
    const to = (stop: number | null): Action => ({ type: "link", link: linkTo({ stop }) });
    const there = after(initialState(toured), toured, to(2));
    expect(there.stop).toBe(2);
    expect(after(there, toured, to(null)).stop).toBeNull();
    expect(after(there, two, to(2))).toMatchObject({ stop: null, message: "There is no tour through this atlas." });
  });
});

describe("places", () => {
  it("every point of the map lies in exactly the square that floor gives", () => {
    expect(placeAt(0, 0, 20)).toEqual({ side: 20, column: 0, row: 0 });
    expect(placeAt(0.9999, 0.05, 20)).toEqual({ side: 20, column: 19, row: 1 });
    for (const [x, y] of [[-1e-9, 0.5], [1, 0.5], [0.5, 1], [Number.NaN, 0.5]] as const) expect(placeAt(x, y, 20)).toBeNull();
  });

  it("a square's place on a finer grid lies inside it, and on a coarser one holds it", () => {
    for (let column = 0; column < 20; column += 1) {
      const fine = atSide({ side: 20, column, row: 0 }, 40);
      expect(atSide(fine, 20).column).toBe(column);
    }
  });

  it("the zoom's choice does not flicker at its threshold", () => {
    const px = 20 * 98; // between the two limits
    expect(sideForZoom([20, 40], px, 20)).toBe(20);
    expect(sideForZoom([20, 40], px, 40)).toBe(40);
    expect(sideForZoom([20, 40], 20 * 40, 40)).toBe(20);
    expect(sideForZoom([20, 40], 20 * 300, 20)).toBe(40);
  });

  it("the whole map moves clear of what covers the left, where there is room for both", () => {
    expect(shiftClear(1156, 700, 302, 24)).toBe(98);
    expect(shiftClear(1156, 700, 0, 24)).toBe(0);
    expect(shiftClear(2400, 700, 302, 24)).toBe(0); // clear already
    expect(shiftClear(876, 605, 302, 21)).toBe(0); // no room
  });

  it("a view moves no more than it must", () => {
    expect(shiftInto(10, 20, 0, 100)).toBe(0);
    expect(shiftInto(-5, 5, 0, 100)).toBe(-5);
    expect(shiftInto(95, 110, 0, 100)).toBe(10);
  });
});
