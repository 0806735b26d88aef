// The map of samples: what lies where, what a line goes around, sets of samples as text, and what is drawn.
import fc from "fast-check";
import { describe, expect, test, vi } from "vitest";
import { indicesOf, setText } from "../../dashboard/assets/samples/index_sets.js";
import {
  Lasso, beside, boxed, lie, nearest, placed, worldOf,
} from "../../dashboard/assets/samples/placing.js";
import { byNumber, byOutcome, byText, classColor } from "../../dashboard/assets/samples/point_colors.js";
import { Scatter, orderOf } from "../../dashboard/assets/samples/scatter.js";

const cell = fc.integer({ min: 0, max: 40 });
const corner = fc.record({ x: cell, y: cell });
const pointsOf = (corners) => ({
  x: Float32Array.from(corners, ({ x }) => x), y: Float32Array.from(corners, ({ y }) => y),
});

// The even-odd rule by whole numbers alone: edges that a ray to the right crosses.
function isWithin({ x, y }, corners) {
  let n = 0;
  corners.forEach((a, at) => {
    const b = corners[(at + 1) % corners.length];
    if ((a.y > y) === (b.y > y)) return;
    const side = (b.x - a.x) * (y - a.y) - (x - a.x) * (b.y - a.y);
    if (b.y > a.y ? side > 0 : side < 0) n += 1;
  });
  return n % 2 === 1;
}

describe("points", () => {
  test("lie in a world with the same scale both ways, right to the right and up above", () => {
    const { x, y, world, missing } = placed(
      Float32Array.of(-1, 3, NaN, 1), Float32Array.of(0, 2, 1, Infinity));
    expect(missing).toBe(2);
    expect(world.width).toBe(1000);
    expect((x[1] - x[0]) / 4).toBeCloseTo((y[0] - y[1]) / 2, 3);
    expect([x[2], y[3]]).toEqual([NaN, NaN]);
  });

  test("without a place, or all in one, still have a world", () => {
    for (const values of [[NaN, NaN], [2, 2]]) {
      const { world } = placed(Float32Array.from(values), Float32Array.from(values));
      expect(world.width).toBeGreaterThan(0);
      expect(world.height).toBeGreaterThan(0);
    }
  });

  test("are where a canvas says they are", () => {
    const place = lie({ left: 100, right: 300, top: 0, bottom: 50 }, { width: 400, height: 400 });
    expect(place.scale).toBe(2);
    expect(worldOf({ x: 0, y: 200 }, place)).toEqual({ x: 100, y: 25 });
  });

  test("within a lasso are those of the even-odd rule, however it crosses itself", () => {
    const shape = [fc.array(corner, { minLength: 3, maxLength: 12 }), fc.array(corner, { maxLength: 60 })];
    fc.assert(fc.property(...shape, (corners, others) => {
      const lasso = new Lasso(pointsOf(others));
      corners.forEach((at) => lasso.add(at));
      expect([...lasso.inside]).toEqual(others.map((point) => Number(isWithin(point, corners))));
    }));
  });

  test("within a box include those on its edge, and none without a place", () => {
    const points = { x: Float32Array.of(1, 2, 3, NaN), y: Float32Array.of(1, 2, 3, 1) };
    expect([...boxed(points, { x: 3, y: 2 }, { x: 1, y: 0 })]).toEqual([1, 1, 0, 0]);
  });

  test("nearest to a place are found within reach, and faint ones give way", () => {
    const points = pointsOf([{ x: 0, y: 0 }, { x: 3, y: 0 }, { x: 4, y: 0 }]);
    expect(nearest(points, { x: 2, y: 0 }, 5)).toBe(1);
    expect(nearest(points, { x: 2, y: 0 }, 0.5)).toBe(-1);
    expect(nearest(points, { x: 2, y: 0 }, 5, Uint8Array.of(0, 1, 0))).toBe(0);
    expect(nearest(points, { x: 3, y: 0 }, 0.5, Uint8Array.of(0, 1, 0))).toBe(1);
  });

  test("beside one are the nearest within 45° of that way", () => {
    const ways = fc.constantFrom([1, 0], [-1, 0], [0, 1], [0, -1]);
    fc.assert(fc.property(fc.array(corner, { minLength: 1, maxLength: 40 }), ways, (corners, way) => {
      const [from] = corners;
      const that = ({ x, y }) => [x - from.x, y - from.y];
      const far = ({ to: [x, y] }) => x * x + y * y; // whole numbers: two as far are equal
      const index = beside(pointsOf(corners), 0, way);
      const reached = corners.map((at, index) => ({ index, to: that(at) })).filter(({ to: [x, y] }) => {
        const along = x * way[0] + y * way[1];
        return along > 0 && Math.abs(x * way[1] - y * way[0]) <= along;
      }).sort((a, b) => far(a) - far(b) || a.index - b.index);
      expect(index).toBe(reached[0]?.index ?? -1);
    }));
  });
});

// Made by `set_text` of fmcore/selection.
const RANDOM = [
  53, 82, 164, 220, 282, 334, 407, 748, 802, 890, 1240, 1743, 1751, 2570, 2682, 2762, 2990, 3061, 3794, 3833,
];
const SETS = [
  ["not all", []],
  ["0", [0]],
  ["3:6,9", [3, 4, 5, 9]],
  ["0:100", Array.from({ length: 100 }, (_, at) => at)],
  ["set:eNozlQk0tzX2uMJkGn6X6Rsz-ya2fP_HjG53WNUAbJ8Ieg", RANDOM],
  ["set:eNpjOM54fRbj_I9bGRnYUAAAXVIE1Q",
    [0, 200, 20000, 3000000, ...Array.from({ length: 15 }, (_, at) => 3000001 + 7 * at)]],
  // As bits.
  ["set:AHjam84VyDSBmYlBMdErUWSBoBIjA_ME1yYWBgmBBS7qHUoMjQxcDUw-Ah4CwgxHWJgFGpgMGQEZ3Ao9",
    [...new Set(Array.from({ length: 90 }, (_, at) => (at * at) % 401))].sort((a, b) => a - b)],
];

describe("sets of samples", () => {
  test("read what Python wrote", async () => {
    for (const [text, indices] of SETS) expect([...await indicesOf(text)]).toEqual(indices);
  });

  test("short ones are written as Python writes them", async () => {
    for (const [text, indices] of SETS.filter(([words]) => !words.startsWith("set:"))) {
      expect(await setText(indices)).toBe(text);
    }
  });

  test("come back as they were", async () => {
    const set = fc.uniqueArray(fc.integer({ min: 0, max: 5000 }), { maxLength: 400 });
    await fc.assert(fc.asyncProperty(set, async (values) => {
      const indices = [...values].sort((a, b) => a - b);
      expect([...await indicesOf(await setText(indices))]).toEqual(indices);
    }), { numRuns: 40 });
  });
});

describe("colors", () => {
  test("tell up to ten classes apart in both schemes, and name those without one", () => {
    for (const scheme of ["light", "dark"]) {
      const colors = Array.from({ length: 10 }, (_, at) => classColor(at, 10, scheme));
      expect(new Set(colors).size).toBe(10);
      const { codes, entries } = byText({ values: Int32Array.of(1, -1, 0, 1), texts: ["a", "b"] }, scheme);
      expect([...codes]).toEqual([1, 2, 0, 1]);
      expect(entries.map(({ name, n }) => [name, n])).toEqual([["a", 1], ["b", 2], ["not known", 1]]);
    }
  });

  test("of many classes differ from their neighbors'", () => {
    const colors = Array.from({ length: 1000 }, (_, at) => classColor(at, 1000, "light"));
    expect(colors.every((color, at) => color !== colors[at + 1])).toBe(true);
  });

  test("wrong samples have a form of their own, and lie above", () => {
    const { codes, forms, isOrdered } = byOutcome({ values: Uint8Array.of(1, 0) }, "light");
    expect(forms[codes[0]]).not.toBe(forms[codes[1]]);
    expect(isOrdered).toBe(true);
    expect([...orderOf(Uint8Array.of(1, 1), codes)]).toEqual([0, 1]);
  });

  test("of numbers span them, about zero where some are below it", () => {
    const up = byNumber({ values: Float32Array.of(0, 1, NaN, 0.5) }, "light");
    expect([...up.codes]).toEqual([0, 255, 256, 128]);
    expect(up.span).toMatchObject({ scale: "sequential", from: 0, to: 1, missing: 1 });
    expect(byNumber({ values: Float32Array.of(-1, 4) }, "light").span)
      .toMatchObject({ scale: "diverging", from: -4, to: 4 });
  });

  test("the order of drawing is by rank, then color, then index", () => {
    const points = fc.array(fc.tuple(fc.integer({ min: 0, max: 2 }), fc.integer({ min: 0, max: 9 })));
    fc.assert(fc.property(points, fc.boolean(), (pairs, hasOrder) => {
      const ranks = Uint8Array.from(pairs, ([rank]) => rank);
      const codes = hasOrder ? Uint16Array.from(pairs, ([, code]) => code) : null;
      const expected = pairs.map((_, at) => at).sort((a, b) => (
        ranks[a] - ranks[b] || (codes ? codes[a] - codes[b] : 0) || a - b));
      expect([...orderOf(ranks, codes)]).toEqual(expected);
    }));
  });
});

test("a point is drawn in its color where it lies, and one outside the canvas not at all", () => {
  vi.stubGlobal("ImageData", class {
    constructor(width, height) {
      Object.assign(this, { width, height, data: new Uint8ClampedArray(4 * width * height) });
    }
  });
  let picture = null;
  const canvas = {
    width: 40, height: 30, getContext: () => ({ putImageData: (image) => { picture = image; } }),
  };
  const coloring = byText({ values: Int32Array.of(0, 1, 1), texts: ["a", "b"] }, "light");
  const ranks = Uint8Array.of(1, 1, 1);
  const scene = {
    ...coloring, ranks, order: orderOf(ranks, null),
    x: Float32Array.of(10, 500, NaN), y: Float32Array.of(20, 20, 20),
  };
  new Scatter(canvas).draw(scene, { scale: 1, left: 0, top: 0 }, { radius: 3, density: 1, ground: -1 });
  const margin = (picture.width - canvas.width) / 2;
  const pixels = new Int32Array(picture.data.buffer);
  expect(pixels[(20 + margin) * picture.width + 10 + margin]).toBe(coloring.cores[0]);
  const drawn = pixels.filter((pixel) => pixel !== -1).length;
  expect(drawn).toBeGreaterThan(Math.PI * 9 * 0.9);
  expect(drawn).toBeLessThan(Math.PI * 25);
});
