import { describe, expect, it } from "vitest";
import { sizesOf } from "../src/map/shrinking";

describe("icons as large as their cells are full", () => {
  const cells = Array.from({ length: 100 }, (_, i) => ({ column: i % 10, row: Math.floor(i / 10), count: i === 99 ? 10_000 : 100 }));

  it("an icon's area says how many, and a few huge cells shrink no other", () => {
    const sizes = sizesOf(10, [...cells.slice(0, 98), { column: 8, row: 9, count: 25 }, ...cells.slice(99)], 1);
    expect(sizes.of[0]).toBe(1);
    expect(sizes.of[98]).toBeCloseTo(0.5);
    expect(sizes.of[99]).toBe(1);
  });

  it("a share of none leaves every icon whole, and half of it half as small", () => {
    const one = [...cells.slice(1), { column: 0, row: 0, count: 25 }];
    expect(sizesOf(10, one, 0).of.every((size) => size === 1)).toBe(true);
    expect(sizesOf(10, one, 0.5).of[0]).toBeCloseTo(0.75);
  });
});
