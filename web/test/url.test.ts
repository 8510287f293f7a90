import { describe, expect, it } from "vitest";
import { readLink, writeLink } from "../src/url";
import type { State } from "../src/state";

const state: State = { layer: "blocks.11.expanded", grid: 20, shown: 20, cell: null, hover: null, isAboutOpen: false, message: "" };

describe("an address", () => {
  it("is read part by part", () => {
    expect(readLink("#layer=mixed4c&grid=20&cell=12,7")).toEqual({
      layer: "mixed4c",
      grid: 20,
      cell: { column: 12, row: 7 },
      problems: [],
    });
  });

  it("may be empty", () => {
    for (const hash of ["", "#", "#&"]) expect(readLink(hash)).toEqual({ layer: null, grid: null, cell: null, problems: [] });
  });

  it("survives a round trip, whatever the layer is called", () => {
    for (const layer of ["features.0#2", "a&b=c", "näher/dran", "100%", "a b", "<script>"]) {
      const hash = writeLink({ ...state, layer, cell: { side: 40, column: 3, row: 39 } }, "");
      const link = readLink(hash);
      expect(link).toEqual({ layer, grid: 40, cell: { column: 3, row: 39 }, problems: [] });
    }
  });

  it("stays readable for ordinary names", () => {
    expect(writeLink({ ...state, cell: { side: 20, column: 1, row: 2 } }, "")).toBe("#layer=blocks.11.expanded&grid=20&cell=1,2");
    expect(writeLink({ ...state, grid: "auto" }, "")).toBe("#layer=blocks.11.expanded");
  });

  it("keeps what it does not know", () => {
    expect(writeLink(state, "#class=pug&layer=old&tour")).toBe("#layer=blocks.11.expanded&grid=20&class=pug&tour");
  });

  it("reports what cannot be read, and reads the rest", () => {
    const link = readLink("#layer=%E0%A4%A&grid=twenty&cell=1;2");
    expect(link.problems).toHaveLength(3);
    expect(link).toMatchObject({ layer: null, grid: null, cell: null });
    expect(readLink("#grid=-3&layer=x")).toMatchObject({ layer: "x", grid: null });
    expect(readLink("#cell=1,2,3&layer=x").problems).toHaveLength(1);
  });
});
