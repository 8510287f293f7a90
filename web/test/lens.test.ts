import { describe, expect, it } from "vitest";
import { fixed, logit } from "../src/dom";
import { besideWords, cellNumbers, sideWithNumbers, strength, strongest, unpacked, wordsOf } from "../src/lens";
import { layer } from "./fixtures";

describe("a lens", () => {
  it("unpacks a character a cell: the peak times the square of the level's share, with its sign", () => {
    const values = unpacked({ peaks: [1, 8], levels: ["fff", "Af-"] }, 1);
    expect(Array.from(values)).toEqual([-8, 0, 8]);
    expect(unpacked({ peaks: [31 * 31], levels: ["gB"] }, 0)).toEqual(Float32Array.from([1, -30 * 30]));
  });

  it("shows strength as a share of the peak, of the sign that was asked for", () => {
    const numbers = cellNumbers(2, Float32Array.from([-1, 2, 0.5, 0]));
    expect([numbers.least, numbers.most]).toEqual([-1, 2]);
    expect([-1, 2, 0.5, 0].map((value) => strength(value, numbers, "both", 1))).toEqual([-0.5, 1, 0.25, 0]);
    expect([-1, 2, 0.5].map((value) => strength(value, numbers, "for", 4))).toEqual([0, 1, 1]);
    expect([-1, 2].map((value) => strength(value, numbers, "against", 1))).toEqual([-0.5, 0]);
    expect(strength(0, cellNumbers(2, new Float32Array(4)), "both", 1)).toBe(0);
  });

  it("names the strongest cells, and none that says nothing", () => {
    const numbers = cellNumbers(2, Float32Array.from([-1, 2, 0.5, 0]));
    expect(strongest(numbers, 3, "both")).toEqual([1, 2]);
    expect(strongest(numbers, 3, "against")).toEqual([0]);
  });

  it("takes its numbers from the shown grid, or from the nearest coarser one that has them", () => {
    const late = layer("late", [10, 20, 40]);
    const grids = late.grids.map((grid) => ({ ...grid, lists_photos: grid.side === 10 }));
    const value = { ...late, grids };
    expect(sideWithNumbers(value, 40, { kind: "class", index: 0 })).toBe(40);
    expect(sideWithNumbers(value, 40, { kind: "value", column: "label", value: "cat" })).toBe(10);
    expect(sideWithNumbers(value, 40, { kind: "channel", index: 0 })).toBeNull();
  });

  it("is said in a sentence beside the map that is worked on, with its largest number", () => {
    const shares = cellNumbers(2, Float32Array.from([0, 0.26, 0.1, 0]));
    const cell = { side: 20, column: 10, row: 12 };
    const said = besideWords({ kind: "photos", layer: "late", cell }, shares, "for", String);
    expect(said).toBe("Where the photos of cell 10, 12 of late went, here: the brighter, the more of them, up to 26% in one cell.");
    expect(besideWords({ kind: "photos", layer: "late", cell }, cellNumbers(2, new Float32Array(4)), "for", String)).toContain("None of the photos");
    const logits = cellNumbers(2, Float32Array.from([-1, 0.891, 0, 0]));
    const name = (): string => "kite";
    expect(besideWords({ kind: "class", index: 1 }, logits, "both", name)).toBe("What speaks for kite, here: the brighter, the more, up to 0.89 logits; hatched: against it.");
    expect(besideWords({ kind: "class", index: 1 }, logits, "for", name)).not.toContain("hatched");
    expect(besideWords({ kind: "class", index: 1 }, logits, "against", name)).toContain("against kite");
  });

  it("of a direction is said by its name, of two cells by both", () => {
    expect(wordsOf({ kind: "direction", name: "stripes" }, "late", String)).toMatchObject({ heading: "stripes", note: "a direction of late: its cosine with the cells’ means, less the layer’s" });
    const [cell, minus] = [{ side: 20, column: 1, row: 2 }, { side: 20, column: 3, row: 4 }];
    expect(wordsOf({ kind: "like", cell, minus: null }, "late", String).heading).toBe("Like cell 1, 2");
    expect(wordsOf({ kind: "like", cell, minus }, "late", String).heading).toBe("Like cell 1, 2, not 3, 4");
    expect(besideWords({ kind: "direction", name: "stripes" }, cellNumbers(2, Float32Array.from([-1, 0.5])), "both", String)).toContain("“stripes”");
  });

  it("has no sign before what is nought once it is rounded", () => {
    expect([fixed(-0.04, 1), fixed(-0.05, 1), fixed(0.04, 1), fixed(-12.3, 1)]).toEqual(["0.0", "−0.1", "0.0", "−12.3"]);
    expect([logit(-1e-7), logit(-0.25), logit(-0.012)]).toEqual(["0.00", "−0.25", "−0.012"]);
  });

  it("is called the same in the field as over its scale, where it begins a sentence", () => {
    const className = (index: number): string => `class ${index}`;
    expect(wordsOf({ kind: "class", index: 3 }, "late", className)).toMatchObject({ inField: "class 3", heading: "class 3" });
    expect(wordsOf({ kind: "channel", index: 7 }, "late", className)).toMatchObject({ inField: "channel 7", heading: "Channel 7", note: "late: above the layer’s mean, in deviations over the cells" });
    expect(wordsOf({ kind: "photos", layer: "early", cell: { side: 20, column: 1, row: 2 } }, "late", className)).toMatchObject({
      inField: "photos of cell 1, 2", heading: "The same photos", note: "of the photos in cell 1, 2 of early, the share that pass through a cell too",
    });
  });
});
