import { describe, expect, it } from "vitest";
import { percent } from "../src/dom";
import type { LabPrediction } from "../src/format";
import { Latest } from "../src/lab/latest";
import { boxOf, headline, promise, rowsOf, settled } from "../src/lab/place";

const sight = { width: 224, height: 224 };

describe("a patch's place", () => {
  it("is inside, and its longer side is a share of the shorter side of the sight", () => {
    expect(boxOf({ x: 0.5, y: 0.5, side: 0.5 }, 2, sight)).toEqual({ left: 0.25, top: 0.375, width: 0.5, height: 0.25 });
    expect(boxOf({ x: 0, y: 1, side: 0.4 }, 0.5, sight)).toEqual({ left: 0, top: 0.6, width: 0.2, height: 0.4 });
    const wide = boxOf({ x: 0.5, y: 0.5, side: 1 }, 1, { width: 400, height: 200 });
    expect(wide).toEqual({ left: 0.25, top: 0, width: 0.5, height: 1 });
  });

  it("is named by where the patch lies, so that a step back from the edge is one", () => {
    const edge = settled({ x: 5, y: -3, side: 0.5 }, 1, sight);
    expect(edge).toEqual({ x: 0.75, y: 0.25, side: 0.5 });
    expect(settled({ ...edge, x: edge.x - 0.02 }, 1, sight).x).toBeCloseTo(0.73);
    expect(settled({ x: 0.5, y: 0.5, side: 7 }, 1, sight)).toEqual({ x: 0.5, y: 0.5, side: 1 });
    expect(settled({ x: 0.5, y: 0.5, side: 0 }, 1, sight).side).toBe(0.05);
  });
});

const told: LabPrediction = {
  before: [{ index: 3, class: "spoon", probability: 0.9 }, { index: 1, class: "ladle", probability: 0.06 }],
  after: [{ index: 7, class: "pug", probability: 0.62 }, { index: 3, class: "spoon", probability: 0.2 }],
  classes: [
    { index: 7, class: "pug", before: 0.001, after: 0.62 },
    { index: 3, class: "spoon", before: 0.9, after: 0.2 },
    { index: 1, class: "ladle", before: 0.06, after: 0.01 },
  ],
  box: [0, 0, 0.4, 0.4],
  picture: "",
  seconds: 0.03,
};
const plain = { ...told, after: null, classes: null, box: null };

describe("what was said", () => {
  it("is told in a sentence", () => {
    expect(headline(told)).toBe("Now taken for pug, 62%; before for spoon, 90%.");
    expect(headline(plain)).toBe("Taken for spoon, 90%.");
    expect(headline({ ...told, after: told.before })).toBe("Still taken for spoon: 90% before, 90% now.");
    expect(headline({ ...told, before: [], after: [], classes: [] })).toBe("This network has no classes.");
  });

  it("has a row for each class, with both numbers where there are both", () => {
    expect(rowsOf(told, 2).map((row) => [row.name, row.before, row.after])).toEqual([["pug", 0.001, 0.62], ["spoon", 0.9, 0.2]]);
    expect(rowsOf(plain, 9).map((row) => [row.name, row.before, row.after])).toEqual([["spoon", 0.9, null], ["ladle", 0.06, null]]);
  });

  it("never says of something that it is nothing, or all", () => {
    expect([0, 0.0001, 0.004, 0.005, 0.5, 0.994, 0.995, 0.9999, 1].map(percent)).toEqual(["0%", "<1%", "<1%", "1%", "50%", "99%", ">99%", ">99%", "100%"]);
  });

  it("says of a suggestion what it did here, and what its proof says", () => {
    const suggestion = {
      patch: { key: "k" }, picture: "", shows: "fox", target: { index: 7, class: "pug" }, place: { x: 0, y: 0, side: 0.4 },
      before: 0.01, after: 0.5, flip_rate: 0.36, tested: 25,
    };
    expect(promise(suggestion)).toBe("pug 1% → 50%; turned 36% of 25 photos");
    expect(promise({ ...suggestion, before: null, after: null, flip_rate: null, tested: null })).toBe("pug");
  });
});

describe("the latest", () => {
  it("is one at a time, and of what comes meanwhile only the newest", async () => {
    const begun: number[] = [];
    let release: () => void = () => undefined;
    const latest = new Latest<number>(async (value) => {
      begun.push(value);
      await new Promise<void>((resolve) => (release = resolve));
    });
    for (const value of [1, 2, 3]) latest.push(value);
    expect(begun).toEqual([1]);
    expect(latest.isLast).toBe(false);
    release();
    await new Promise((resolve) => setTimeout(resolve));
    expect(begun).toEqual([1, 3]);
    latest.push(4);
    latest.clear();
    release();
    await new Promise((resolve) => setTimeout(resolve));
    expect(begun).toEqual([1, 3]);
    expect(latest.isLast).toBe(true);
  });
});
