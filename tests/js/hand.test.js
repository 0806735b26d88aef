// Ends of colors that are typed and dragged.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { movedEnds, numberOf, problemOf } from "../../dashboard/assets/feature_maps/hand.js";
import { barOf } from "../../dashboard/assets/feature_maps/wall/bar.js";
import { spansOf } from "../../dashboard/assets/feature_maps/wall/palette.js";
import "../../dashboard/assets/feature_maps/wall/spacing.js";

describe("what is typed", () => {
  test("is a number as people write it", () => {
    expect(["1", " −2.5 ", "0,5", ".5", "2e-3", "-1E+4"].map(numberOf))
      .toEqual([1, -2.5, 0.5, 0.5, 0.002, -10000]);
    for (const text of ["", "x", "1 2", "NaN", "Infinity", "1e39", "0x10", "1,2,3"]) {
      expect(numberOf(text)).toBeNaN();
    }
  });

  test("says what is expected and found where it is none", () => {
    expect(problemOf("0", "2.5")).toBe("");
    expect(problemOf("abc", "2")).toBe(
      "Low end: expected a number, such as 0.5 or 2e-3; found “abc”.");
    expect(problemOf("3", "1")).toBe("Expected the low end below the high end; found 3 and 1.");
    expect(problemOf("1", "1.00000000001")).not.toBe(""); // one float32
  });
});

describe("an end that is moved", () => {
  const bar = (ends, norm = "linear") => {
    const facts = { shape: [1, 1, 1], span: [0, 1], signed: false };
    const view = { facts, range: "hand", ends, norm, colors: "usual", inverted: false };
    const bar = barOf({ axis: null, view, span: spansOf(view, new Float32Array(1)) });
    return { ...bar, isLinear: norm === "linear" };
  };

  test("is where the pointer is, on the bar and beyond it", () => {
    expect(movedEnds(bar("0,10"), "high", 0.25, false)).toEqual([0, 2.5]);
    expect(movedEnds(bar("0,10"), "high", 1.5, false)).toEqual([0, 15]);
    expect(movedEnds(bar("0,10"), "low", 0.5, false)).toEqual([5, 10]);
    const [low, high] = movedEnds(bar("1,100", "log"), "high", 0.5, false);
    expect([low, high]).toEqual([1, 10]);
  });

  test("takes the other with it where they are as far from zero", () => {
    expect(movedEnds(bar("-8,8"), "high", 0.75, true)).toEqual([-4, 4]);
    expect(movedEnds(bar("-8,8"), "low", 0.25, true)).toEqual([-4, 4]);
  });

  test("never meets the other end, however far one drags", () => {
    const number = fc.integer({ min: -1e6, max: 1e6 });
    fc.assert(fc.property(number, fc.integer({ min: 1, max: 1e6 }),
      fc.constantFrom("low", "high"), fc.double({ min: -9, max: 9, noNaN: true }),
      fc.constantFrom("linear", "symlog"), (from, more, which, share, norm) => {
        const [low, high] = movedEnds(bar(`${from},${from + more}`, norm), which, share, false);
        expect(Math.fround(low)).toBeLessThanOrEqual(Math.fround(high));
        expect(Number.isFinite(low) && Number.isFinite(high)).toBe(true);
      }));
  });
});
