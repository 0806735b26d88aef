// Colors by logarithm, and by hand: beside formulas written out for single values.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { barOf, shareUp, valueUp } from "../../dashboard/assets/feature_maps/wall/bar.js";
import {
  KINDS, SPACINGS, colorAt, needed, paint, scaleOf, spansOf,
} from "../../dashboard/assets/feature_maps/wall/palette.js";
import "../../dashboard/assets/feature_maps/wall/scales.js";
import "../../dashboard/assets/feature_maps/wall/spacing.js";

const VIEW = { range: "hand", ends: "", colors: "usual", norm: "linear", inverted: false };
const FACTS = {
  shape: [1, 4, 1], span: [0, 8], low: [0], high: [8], percentiles: [0.5, 4], signed: false,
};
const viewOf = (news, facts = {}) => ({ ...VIEW, ...news, facts: { ...FACTS, ...facts } });
const spanOf = (news, facts, values = []) => spansOf(viewOf(news, facts), Float32Array.from(values));

/** The kind and the color of each value. */
function seen(values, span, zeros = false) {
  const picture = new Uint32Array(values.length);
  const part = { top: 0, left: 0, rows: 1, columns: values.length, step: 1 };
  const { kinds } = paint(
    Float32Array.from(values), [1, values.length, 1], part, span, 1, picture, zeros);
  return [...picture].map((pixel, at) => [
    KINDS[kinds?.[at] ?? 0], `rgb(${pixel & 255} ${(pixel >>> 8) & 255} ${(pixel >>> 16) & 255})`]);
}
const colorOf = (scale, share) => colorAt(scale, Math.min(255, Math.floor(share * 256)) / 255);

describe("by hand", () => {
  test("ends are as typed, whatever the layer", () => {
    const { from, to } = spanOf({ ends: "0.1,2.5" });
    expect([...from, ...to]).toEqual([Math.fround(0.1), 2.5]);
    expect([...spanOf({ ends: "0.1,2.5" }, { span: [0, 99] }).to]).toEqual([2.5]);
  });

  test("a value that is read and typed as an end is in the range", () => {
    const span = spanOf({ ends: "0.1,0.7" });
    expect(seen([0.1, 0.7], span).map(([kind]) => kind)).toEqual(["", ""]);
  });

  test("about zero the middle color is zero, and what is beyond an end is marked", () => {
    const span = spanOf({ ends: "-1,4" }, { signed: true, span: [-9, 9] });
    expect(seen([-1.5, 0, 4, 2], span)).toEqual([
      ["below", "rgb(124 81 94)"], ["", colorOf("diverging", 0.5)],
      ["", colorOf("diverging", 1)], ["", colorOf("diverging", 0.75)]]);
  });

  test("without ends it is the layer's range", () => {
    expect([...spanOf({}).from, ...spanOf({}).to]).toEqual([0, 8]);
  });
});

describe("scales", () => {
  test("a layer with values below zero has one about zero, but by logarithm", () => {
    const names = [{}, { norm: "log" }, { colors: "viridis" }, { colors: "red_blue" },
      { colors: "magma", inverted: true }].map((news) => scaleOf(viewOf(news, { signed: true })));
    expect(names).toEqual(["diverging", "sequential", "sequential", "diverging", "magma_r"]);
  });

  test("one in one direction spans a signed layer from end to end, one about zero any layer", () => {
    const ends = (colors, signed, span) => {
      const { from, to } = spanOf({ range: "layer", colors }, { signed, span });
      return [...from, ...to];
    };
    expect(ends("magma", true, [-2, 8])).toEqual([-2, 8]);
    expect(ends("usual", true, [-2, 8])).toEqual([-8, 8]);
    expect(ends("brown_teal", false, [0, 8])).toEqual([-8, 8]);
  });

  test("what is always here needs no module", () => {
    expect(needed(viewOf({}))).toEqual([]);
    expect(needed(viewOf({ colors: "no such" }))).toEqual(["./wall/scales.js"]);
    expect(needed(viewOf({ norm: "no such" }))).toEqual(["./wall/spacing.js"]);
  });
});

describe("log", () => {
  test("equal ratios are equal distances", () => {
    const span = spanOf({ norm: "log", ends: "0.01,100" });
    for (const [power, share] of [[-2, 0], [-1, 0.25], [0, 0.5], [1, 0.75], [2, 1]]) {
      // A hair above, as float32 may be below the power.
      const [[kind, color]] = seen([10 ** power * (1 + (power < 2 ? 1e-6 : 0))], span);
      expect([kind, color]).toEqual(["", colorOf("sequential", share)]);
    }
  });

  test("what is zero or below has no color of a value, and a form of its own", () => {
    const span = spanOf({ norm: "log", ends: "0.5,8" });
    const values = [0, -3, 0.25, -Infinity, NaN, 9];
    const kinds = (zeros) => seen(values, span, zeros).map(([kind]) => kind);
    expect(kinds(false)).toEqual(
      ["nonpositive", "nonpositive", "below", "lowest", "missing", "above"]);
    expect(kinds(true)[0]).toBe("zero");
    expect(seen([-3], span)[0][1]).toBe(colorAt("sequential", 0));
  });

  test("a low end that is not positive is a thousandth of the high one", () => {
    const { from, to } = spanOf({ norm: "log", range: "layer" });
    expect([...from, ...to]).toEqual([Math.fround(0.008), 8]);
  });

  test("each filter's own range is three decades, so that one bar holds for all", () => {
    const { from, to } = spanOf({ norm: "log", range: "map" }, {}, [3, 1, 2, 0.5]);
    expect(to[0] / from[0]).toBeCloseTo(1000, 3);
  });

  test("nothing positive, a constant and the smallest numbers have a range too", () => {
    for (const span of [[-4, -1], [0, 0], [3, 3], [0, 2 ** -149], [0, 3.4e38]]) {
      const { from: [from], to: [to] } = spanOf({ norm: "log", range: "layer" }, { span });
      expect(from).toBeGreaterThan(0);
      expect(to).toBeGreaterThan(from);
      expect(Number.isFinite(to)).toBe(true);
    }
  });
});

describe("symlog", () => {
  const { place, value } = SPACINGS.symlog;
  test("is linear within 1 % of the farthest end, and by logarithm beyond", () => {
    const span = spanOf({ norm: "symlog", range: "layer" }, { signed: true, span: [-5, 100] });
    expect([...span.from, ...span.to, ...span.near]).toEqual([-100, 100, 1]);
    // matplotlib's SymLogNorm(1, vmin=-100, vmax=100, base=10): 0.5, 10 and −10 at these shares.
    const whole = 2 * place(100, 1);
    for (const [number, share] of [[0.5, 0.5892857142857143], [10, 0.8392857142857143],
      [-10, 0.16071428571428573]]) {
      expect((place(number, 1) - place(-100, 1)) / whole).toBeCloseTo(share, 12);
    }
  });

  test("goes up with values, and back to them", () => {
    fc.assert(fc.property(fc.double({ min: -1e6, max: 1e6, noNaN: true }), (number) => {
      expect(value(place(number, 3), 3)).toBeCloseTo(number, 6);
      expect(place(number + 1, 3)).toBeGreaterThan(place(number, 3));
    }));
  });
});

describe("the color bar", () => {
  const bar = (news, facts, axis = null) => {
    const view = viewOf(news, facts);
    return barOf({ axis, view, span: spansOf(view, Float32Array.of(1, 2, 3, 8)) });
  };
  const VIEWS = [
    { range: "layer" }, { range: "percentile", norm: "log" }, { range: "filter", norm: "log" },
    { range: "layer", norm: "symlog" }, { range: "map", norm: "symlog" }, { ends: "-3,5" },
    { ends: "0.01,5", norm: "log" }, { ends: "-3,5", norm: "symlog" }, { range: "map" },
  ];

  test.each(VIEWS)("has ticks between its ends, and values where they lie: %o", (news) => {
    for (const signed of [false, true]) {
      const colorBar = bar(news, { signed, span: [signed ? -4 : 0, 8] });
      const ticks = colorBar.ticks(colorBar.first, colorBar.last);
      expect(ticks.length).toBeGreaterThan(1);
      expect(ticks.length).toBeLessThan(12);
      for (const tick of ticks) {
        const share = shareUp(colorBar, tick);
        expect(share).toBeGreaterThan(-1e-6);
        expect(share).toBeLessThan(1 + 1e-6);
        expect(valueUp(colorBar, share)).toBeCloseTo(tick, 5);
      }
    }
  });

  test("ticks of a logarithm are powers of ten where there are some", () => {
    const colorBar = bar({ ends: "0.001,1000", norm: "log" });
    expect(colorBar.ticks(0.001, 1000)).toEqual([0.001, 0.01, 0.1, 1, 10, 100, 1000]);
    expect(bar({ ends: "0.1,10", norm: "log" }).ticks(0.1, 10)[1]).toBeCloseTo(0.2);
  });

  test("stays while an end of it is dragged", () => {
    const colorBar = bar({ ends: "2,4" }, {}, { first: 0, last: 8 });
    expect([shareUp(colorBar, 2), shareUp(colorBar, 4)]).toEqual([0.25, 0.5]);
  });
});
