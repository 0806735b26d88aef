// A color says what the value is: beside Plotly's own scales, and a painter of single pixels.
import { readFileSync } from "node:fs";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  KINDS, MARKS, allZero, colorAt, extremes, means, paint, scaleOf, spans,
} from "../../dashboard/assets/feature_maps/wall/palette.js";
import "../../dashboard/assets/feature_maps/wall/scales.js";

// Written by Python from plotly.colors; tests/contract/test_scripts.py sees that they still agree.
const PLOTLY = JSON.parse(readFileSync(new URL("plotly_scales.json", import.meta.url), "utf8"));

const ZERO = KINDS.indexOf("zero");
const rgb = (color) => color.match(/\d+/g).map(Number);
const hexToRgb = (hex) => [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
const unpacked = (pixel) => [pixel & 255, (pixel >>> 8) & 255, (pixel >>> 16) & 255, pixel >>> 24];

describe("scales", () => {
  test.each(Object.entries(PLOTLY))("%s is Plotly's, also between anchors", (scale, anchors) => {
    for (let step = 0; step < 256; step += 1) {
      const at = (step / 255) * (anchors.length - 1);
      const low = anchors[Math.floor(at)];
      const high = anchors[Math.ceil(at)];
      const found = rgb(colorAt(scale, step / 255));
      for (const [part, value] of found.entries()) {
        const expected = low[part] + (high[part] - low[part]) * (at % 1);
        expect(Math.abs(value - expected)).toBeLessThanOrEqual(0.5 + 1e-9);
      }
    }
    expect(rgb(colorAt(scale, 0))).toEqual(anchors[0]);
    expect(rgb(colorAt(scale, 1))).toEqual(anchors.at(-1));
    for (const share of [0, 0.25, 1]) {
      expect(colorAt(`${scale}_r`, share)).toBe(colorAt(scale, Math.round(255 * (1 - share)) / 255));
    }
  });

  test("no scale has a color that stands for something else", () => {
    for (const scale of Object.keys(PLOTLY)) {
      for (const mark of Object.values(MARKS[scale]).filter(Boolean).map(hexToRgb)) {
        for (let step = 0; step < 256; step += 1) {
          expect(rgb(colorAt(scale, step / 255))).not.toEqual(mark);
        }
      }
    }
  });

  test("signed values are drawn about zero", () => {
    const view = { colors: "usual", norm: "linear", inverted: false };
    expect(scaleOf({ ...view, facts: { signed: true } })).toBe("diverging");
    expect(scaleOf({ ...view, facts: { signed: false } })).toBe("sequential");
  });
});

describe("spans", () => {
  test("unsigned: from low to high, of each filter on its own", () => {
    const { from, to } = spans([0, -2, 5], [4, 3, 6], false);
    expect([[...from], [...to]]).toEqual([[0, -2, 5], [4, 3, 6]]);
  });

  test("signed: as far below zero as above, to the farther end", () => {
    fc.assert(fc.property(fc.float({ min: -1e6, max: 1e6, noNaN: true }),
      fc.float({ min: 0, max: 1e6, noNaN: true }), (low, width) => {
        const high = Math.fround(low + width);
        const { from: [from], to: [to] } = spans([low], [high], true);
        expect(from + to).toBe(0);
        expect(to).toBe(Math.max(Math.abs(low), Math.abs(high)) || 1);
      }));
  });

  test("nothing between low and high still has a width", () => {
    expect([...spans([3], [3], false).to]).toEqual([4]);
    expect([...spans([0], [0], true).to]).toEqual([1]);
    expect([...spans([0], [0], true).from]).toEqual([-1]);
  });
});

describe("extremes and means", () => {
  test("of each filter; what is not finite is left out of the extremes", () => {
    const values = Float32Array.of(1, -5, NaN, 2, NaN, NaN, -3, Infinity, NaN);
    const { low, high } = extremes(values, 3);
    expect([...low]).toEqual([-3, -5, 0]);
    expect([...high]).toEqual([2, -5, 0]);
    const found = [...means(values, 3)];
    expect(found[0]).toBe(0);
    expect(found.slice(1).some(Number.isFinite)).toBe(false);
  });
});

// One pixel at a time, straight from what a tile is said to show.
function painted(values, [height, width, n], { top, left, rows, columns, step }, span, zeros) {
  const kindOf = (value, f) => {
    if (Number.isNaN(value)) return "missing";
    if (value > span.to[f]) return value === Infinity ? "highest" : "above";
    if (value < span.from[f]) return value === -Infinity ? "lowest" : "below";
    return value === 0 && zeros ? "zero" : "";
  };
  const pixelOf = (value, f) => {
    const kind = kindOf(value, f);
    const mark = MARKS[span.scale][kind];
    if (mark) return { kind, color: hexToRgb(mark) };
    const share = (value - span.from[f]) / (span.to[f] - span.from[f]);
    return { kind, color: rgb(colorAt(span.scale, Math.min(255, Math.floor(share * 256)) / 255)) };
  };
  const tiles = Array.from({ length: n }, (_, f) => (
    Array.from({ length: rows }, (__, row) => Array.from({ length: columns }, (___, column) => {
      const block = [];
      for (let y = top + row * step; y < Math.min(top + (row + 1) * step, height); y += 1) {
        const end = Math.min(left + (column + 1) * step, width);
        for (let x = left + column * step; x < end; x += 1) {
          block.push(values[(y * width + x) * n + f]);
        }
      }
      const numbers = block.filter((one) => !Number.isNaN(one));
      const farthest = Math.max(...numbers.map(Math.abs));
      return pixelOf(numbers.find((one) => Math.abs(one) === farthest) ?? NaN, f);
    }))));
  return tiles;
}

function check(values, shape, part, span, across, zeros) {
  const n = shape[2];
  const wide = across * part.columns;
  const picture = new Uint32Array(wide * Math.ceil(n / across) * part.rows).fill(7);
  const { counts, kinds } = paint(values, shape, part, span, across, picture, zeros);
  const tiles = painted(values, shape, part, span, zeros);
  const all = tiles.flat(2).map(({ kind }) => kind);
  expect(counts.slice(1)).toEqual(
    KINDS.slice(1).map((kind) => all.filter((painted) => painted === kind).length));
  expect(kinds === null).toBe(all.every((kind) => !kind));
  const written = new Set();
  for (let f = 0; f < n; f += 1) {
    for (let row = 0; row < part.rows; row += 1) {
      for (let column = 0; column < part.columns; column += 1) {
        const place = (Math.floor(f / across) * part.rows + row) * wide
          + (f % across) * part.columns + column;
        written.add(place);
        const { color, kind } = tiles[f][row][column];
        expect(unpacked(picture[place])).toEqual([...color, 255]);
        expect(KINDS[kinds?.[place] ?? 0]).toBe(kind);
      }
    }
  }
  for (const [place, pixel] of picture.entries()) if (!written.has(place)) expect(pixel).toBe(7);
}

describe("paint", () => {
  // Quarters: exact in float32, so that both painters mean the same number.
  const value = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: -20, max: 20 }).map((one) => one / 4) },
    fc.constantFrom(0, -0, NaN, Infinity, -Infinity, 1e30));
  const scene = fc.record({
    height: fc.integer({ min: 1, max: 7 }), width: fc.integer({ min: 1, max: 7 }),
    n: fc.integer({ min: 1, max: 5 }), step: fc.integer({ min: 1, max: 4 }),
    across: fc.integer({ min: 1, max: 5 }), top: fc.nat(6), left: fc.nat(6), signed: fc.boolean(),
    zeros: fc.boolean(),
    values: fc.array(value, { minLength: 245, maxLength: 245 }),
    ends: fc.array(fc.tuple(fc.integer({ min: -8, max: 4 }), fc.nat(8)),
      { minLength: 5, maxLength: 5 }),
  });

  test("is what one pixel at a time gives: any window, step, range, and ragged edges", () => {
    fc.assert(fc.property(scene, (one) => {
      const { height, width, n, step, signed } = one;
      const values = Float32Array.from(one.values.slice(0, height * width * n));
      const [top, left] = [one.top % height, one.left % width];
      const part = {
        top, left, step, rows: Math.ceil((height - top) / step),
        columns: Math.ceil((width - left) / step),
      };
      const ends = one.ends.slice(0, n);
      const span = spans(ends.map(([low]) => low), ends.map(([low, more]) => low + more), signed);
      check(values, [height, width, n], part, span, Math.min(one.across, n), one.zeros);
    }), { numRuns: 300 });
  });

  const colors = (values, span, zeros = false) => {
    const picture = new Uint32Array(values.length);
    const part = { top: 0, left: 0, rows: 1, columns: values.length, step: 1 };
    const { counts } = paint(
      Float32Array.from(values), [1, values.length, 1], part, span, 1, picture, zeros);
    return { pixels: [...picture].map((pixel) => unpacked(pixel).slice(0, 3)), counts };
  };

  test("the ends of a range have the ends of the scale; beyond them is counted", () => {
    const { pixels, counts } = colors([0, 4, 4.001, -0.001, Infinity], spans([0], [4], false));
    const { above, below, highest } = MARKS.sequential;
    expect(pixels).toEqual([
      PLOTLY.sequential[0], PLOTLY.sequential.at(-1), ...[above, below, highest].map(hexToRgb)]);
    expect(counts).toEqual([0, 1, 1, 1, 0, 0, 0, 0]);
  });

  test("a range as narrow as float32 has still has all of the scale", () => {
    for (const high of [2 ** -148, 1e-38, 1e-20]) {
      const { pixels } = colors([0, high], spans([0], [high], false));
      expect(pixels).toEqual([PLOTLY.sequential[0], PLOTLY.sequential.at(-1)]);
    }
  });

  test("zero, both of them, is marked only where that is asked", () => {
    const { pixels, counts } = colors([0, -0, 2 ** -100], spans([0], [2], false), true);
    const zero = hexToRgb(MARKS.sequential.zero);
    expect(pixels).toEqual([zero, zero, PLOTLY.sequential[0]]);
    expect(counts[ZERO]).toBe(2);
    // About zero no other color is as far from all that mean something: its form tells.
    const signed = colors([0], spans([-2], [2], true), true);
    for (const part of signed.pixels[0]) expect(part).toBeGreaterThan(240);
    expect(signed.counts[ZERO]).toBe(1);
    expect(colors([0], spans([-2], [2], true)).counts[ZERO]).toBe(0);
  });
});

test("only a map that is zero everywhere is all zero: NaN and infinities are not", () => {
  const values = Float32Array.of(0, 0, NaN, 0, -0, 1, NaN, Infinity); // [y, x, filter], 4 filters
  expect([...allZero(values, 4)]).toEqual([1, 0, 0, 0]);
});
