import { describe, expect, it } from "vitest";
import type { Lens } from "../src/lens";
import { Names } from "../src/search";
import { classInLink, readLink, writeLink } from "../src/url";
import { link, state } from "./fixtures";

const names = new Names(["red fox", "kite", "kite", "7"], [["Vulpes vulpes", "n02119022"], [], [], []]);
const here = state({ layer: "blocks.11.expanded", grid: 20 });

describe("an address", () => {
  it("is read part by part", () => {
    const cell = { column: 12, row: 7 };
    expect(readLink("#layer=mixed4c&grid=20&cell=12,7", null)).toEqual(link({ layer: "mixed4c", grid: 20, cell }));
    const full = readLink("#class=red+fox&sign=against&at=0.25,0.5,3.5", names);
    expect(full).toEqual(link({ lens: { kind: "class", index: 0 }, sign: "against", view: { x: 0.25, y: 0.5, zoom: 3.5 } }));
  });

  it("may be empty", () => {
    for (const hash of ["", "#", "#&"]) expect(readLink(hash, null)).toEqual(link({}));
  });

  it("survives a round trip, whatever the layer is called", () => {
    for (const layer of ["features.0#2", "a&b=c", "näher/dran", "100%", "a b", "a+b", "<script>"]) {
      const hash = writeLink({ ...here, layer, cell: { side: 40, column: 3, row: 39 } }, null, "");
      expect(readLink(hash, null)).toEqual(link({ layer, grid: 40, cell: { column: 3, row: 39 } }));
    }
  });

  it("survives a round trip, whatever the map is dimmed by", () => {
    const lenses: Lens[] = [
      { kind: "class", index: 0 },
      { kind: "class", index: 2 },
      { kind: "class", index: 3 },
      { kind: "channel", index: 512 },
      { kind: "like", cell: { side: 20, column: 4, row: 5 }, minus: null },
      { kind: "like", cell: { side: 20, column: 4, row: 5 }, minus: { side: 20, column: 0, row: 19 } },
      { kind: "direction", name: "stripes & more=less" },
      { kind: "value", column: "label", value: "a:b & c" },
    ];
    for (const lens of lenses) {
      const hash = writeLink({ ...here, lens, sign: "for", view: { x: 0.1234, y: 1, zoom: 2 } }, names, "");
      expect(readLink(hash, names)).toMatchObject({ lens, sign: "for", view: { x: 0.123, y: 1, zoom: 2 }, problems: [] });
    }
  });

  it("says which stop of the tour it is, counted from 1", () => {
    expect(writeLink({ ...here, stop: 2 }, null, "")).toBe("#layer=blocks.11.expanded&grid=20&stop=3");
    expect(readLink("#stop=3", null)).toEqual(link({ stop: 2 }));
    expect(readLink("#stop=0", null)).toMatchObject({ stop: null, problems: [expect.stringContaining("stop=0")] });
  });

  it("stays readable for ordinary names", () => {
    expect(writeLink({ ...here, cell: { side: 20, column: 1, row: 2 } }, null, "")).toBe("#layer=blocks.11.expanded&grid=20&cell=1,2");
    expect(writeLink({ ...here, grid: "auto" }, null, "")).toBe("#layer=blocks.11.expanded");
    expect(writeLink({ ...here, lens: { kind: "class", index: 0 } }, names, "")).toBe("#layer=blocks.11.expanded&grid=20&class=red+fox");
  });

  it("names a class by any of its names, and by its index where two share one", () => {
    for (const [text, index] of [["Red_Fox", 0], ["vulpes-vulpes", 0], ["n02119022", 0], ["1", 1], ["3", 3]] as const) {
      expect(readLink(`#class=${text}`, names).lens).toEqual({ kind: "class", index });
    }
    for (const text of ["kite", "fox", "9", ""]) {
      expect(readLink(`#class=${text}`, names)).toMatchObject({ lens: null, problems: [expect.stringContaining("class=")] });
    }
    expect(classInLink("#layer=x&class=red+fox")).toBe("red fox");
  });

  it("keeps what it does not know", () => {
    expect(writeLink(here, null, "#note=pug&layer=old&tour")).toBe("#layer=blocks.11.expanded&grid=20&note=pug&tour");
  });

  it("reports what cannot be read, and reads the rest", () => {
    const bad = readLink("#layer=%E0%A4%A&grid=twenty&cell=1;2&at=1,2&sign=up&channel=x", null);
    expect(bad.problems).toHaveLength(6);
    expect(bad).toMatchObject({ layer: null, grid: null, cell: null, view: null, lens: null, sign: "both" });
    expect(readLink("#grid=-3&layer=x", null)).toMatchObject({ layer: "x", grid: null });
    expect(readLink("#cell=1,2,3&layer=x", null).problems).toHaveLength(1);
  });
});
