import { describe, expect, it } from "vitest";
import { cellNumbers, strength, strongest, unpacked } from "../src/lens";

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
});
