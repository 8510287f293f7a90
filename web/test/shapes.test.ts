import { describe, expect, it } from "vitest";
import { isBetween, isInside, squaresAlong, thinned } from "../src/shapes";

const cell = (column: number, row: number) => ({ side: 10, column, row });

describe("shapes on the map", () => {
  it("a line goes through squares in order, each once in a row", () => {
    expect(squaresAlong([{ x: 0.05, y: 0.05 }, { x: 0.38, y: 0.05 }], 10).map(({ column, row }) => [column, row])).toEqual([[0, 0], [1, 0], [2, 0], [3, 0]]);
    expect(squaresAlong([{ x: 1, y: 1 }], 10)).toEqual([cell(9, 9)]);
    const back = squaresAlong([{ x: 0.05, y: 0 }, { x: 0.15, y: 0 }, { x: 0.05, y: 0 }], 10);
    expect(back.map(({ column }) => column)).toEqual([0, 1, 0]);
    expect(squaresAlong([], 10)).toEqual([]);
  });

  it("a lasso holds the squares whose middle it goes round", () => {
    const lasso = [{ x: 0.1, y: 0.1 }, { x: 0.5, y: 0.1 }, { x: 0.1, y: 0.5 }];
    expect([cell(1, 1), cell(3, 1), cell(4, 4), cell(0, 0)].map((place) => isInside(place, lasso))).toEqual([true, true, false, false]);
  });

  it("a box holds both its corners, whichever came first", () => {
    expect([cell(3, 5), cell(4, 6), cell(5, 7), cell(6, 6)].map((place) => isBetween(place, cell(5, 5), cell(3, 7)))).toEqual([true, true, true, false]);
  });

  it("a hand's points are thinned and keep their ends", () => {
    const points = Array.from({ length: 101 }, (_, i) => ({ x: i / 100, y: 0 }));
    const kept = thinned(points, 0.1);
    expect(kept.length).toBeLessThan(13);
    expect([kept[0], kept[kept.length - 1]]).toEqual([{ x: 0, y: 0 }, { x: 1, y: 0 }]);
  });
});
