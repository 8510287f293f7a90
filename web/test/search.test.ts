import { describe, expect, it } from "vitest";
import { Names } from "../src/search";

const names = new Names(
  ["fox squirrel", "red fox", "foxglove", "grey fox", "firefox", "café"],
  [["eastern fox squirrel"], ["Vulpes vulpes"], ["Digitalis"], ["gray fox"], ["fox"], ["coffee bar"]],
);

describe("a search", () => {
  it("puts whole names first, then beginnings, then words, then parts, and labels before other names", () => {
    expect(names.find("fox", 9).map(({ index }) => index)).toEqual([4, 0, 2, 1, 3]);
    expect(names.find("fox", 9)[0]).toEqual({ index: 4, called: "fox" });
    expect(names.find("fox", 2)).toHaveLength(2);
  });

  it("takes case, accents and what separates words lightly", () => {
    expect(names.find("CAFE", 3)).toEqual([{ index: 5, called: null }]);
    expect(names.find("vulpes_vul", 3)).toEqual([{ index: 1, called: "Vulpes vulpes" }]);
  });

  it("finds a class by its index, and nothing by nothing", () => {
    expect(names.find("3", 3)[0]?.index).toBe(3);
    expect(names.find("  ", 3)).toEqual([]);
    expect(names.find("zebra", 3)).toEqual([]);
  });
});
