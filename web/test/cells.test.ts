import { describe, expect, it } from "vitest";
import { CellTable } from "../src/cells";
import type { CellsValue } from "../src/format";

const value = {
  side: 4, columns: [0, 3, 1], rows: [0, 0, 2], counts: [5, 6, 7], photos: [2, 3, 4], cosine: [0.5, null, 0.7], rank: [0, null, 2],
  cohesion: [null, null, null], remarks: [[], [], []], classes: [[1], [0], [1]], values: [[0.5], [2], [-1]], errors: null, value_photos: null,
  patches: null, photo_columns: {}, channels: null, channel_scores: null, near: [[2], [], [0, 1]], near_cosines: [[0.9], [], [0.9, 0.1]],
} as unknown as CellsValue;
const table = new CellTable(value, ["cat", "dog"]);

describe("the cells of a grid", () => {
  it("are found by their square, and there are none elsewhere", () => {
    expect(table.at(1, 2)).toMatchObject({ place: { side: 4, column: 1, row: 2 }, count: 7, rank: 2, classes: [{ name: "dog", value: -1 }] });
    expect(table.at(2, 1)).toBeNull();
    expect([table.has(3, 0), table.has(0, 3)]).toEqual([true, false]);
  });

  it("name their neighbours by place", () => {
    expect(table.at(1, 2)?.near).toEqual([
      { place: { side: 4, column: 0, row: 0 }, cosine: 0.9 },
      { place: { side: 4, column: 3, row: 0 }, cosine: 0.1 },
    ]);
  });

  it("are listed in the site's order, all or those that one wants", () => {
    expect(table.cells().map((cell) => cell.count)).toEqual([5, 6, 7]);
    expect(table.placesWhere(({ row }) => row === 0)).toEqual([{ side: 4, column: 0, row: 0 }, { side: 4, column: 3, row: 0 }]);
  });

  it("go on to the nearest one in a direction: straight on, or beyond", () => {
    expect(table.nearest(2.6, 0.2)).toEqual({ side: 4, column: 3, row: 0 });
    const first = { side: 4, column: 0, row: 0 };
    expect(table.next(first, 1, 0)).toEqual({ side: 4, column: 3, row: 0 });
    expect(table.next(first, 0, 1)).toEqual({ side: 4, column: 1, row: 2 });
    expect(table.next(first, -1, 0)).toBeNull();
  });
});
