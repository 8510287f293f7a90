import { describe, expect, it } from "vitest";
import { linesOf } from "../src/captioned";

const letters = (text: string): number => text.length;

describe("a caption", () => {
  it("goes on lines of at most a width, and a longer word on one of its own", () => {
    expect(linesOf("late, 20 × 20. Kite: attribution", 14, letters)).toEqual(["late, 20 × 20.", "Kite:", "attribution"]);
    expect(linesOf("a blocks.15.expanded b", 6, letters)).toEqual(["a", "blocks.15.expanded", "b"]);
    expect(linesOf("", 10, letters)).toEqual([]);
  });
});
