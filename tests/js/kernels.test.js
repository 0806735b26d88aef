// Which weights a wall of kernels shows, how they are painted, and what is said of them.
import { describe, expect, test } from "vitest";
import {
  colorsAt, layoutOf, normsOf, painter, tilesOf, wallFacts,
} from "../../dashboard/assets/kernels/weights.js";
import {
  cellWords, describe as inWords, layoutWords, planeWords, readBy,
} from "../../dashboard/assets/kernels/kernel_words.js";

const FACTS = {
  layer: "conv2", shape: [3, 3, 4, 6], is_color: false, is_depthwise: false, names: [],
  source: "conv1", per_group: 4, filters_per_group: 6, multiplier: 1, reach: 2,
  norms: { l1: [], l2: [1, 2, null, 5, 3, 4] },
};
const COLOR = { ...FACTS, shape: [2, 2, 3, 2], is_color: true, names: ["R", "G", "B"], source: "" };
const at = (view, { plane = 0, filter = 0 } = {}) => ({ view, plane, filter });
// Weights [y, x, plane, filter] that are their own place.
const weights = ([height, width, planes, n]) => ({
  values: Float32Array.from({ length: height * width * planes * n }, (_, place) => place) });

describe("what is shown", () => {
  test("all planes are a norm, one plane or one filter its weights", () => {
    expect(layoutOf(FACTS, at("all"))).toMatchObject(
      { kind: "norm", query: "&norm=l2", shape: [3, 3, 6] });
    expect(layoutOf(FACTS, at("plane", { plane: 2 }))).toMatchObject(
      { kind: "weights", query: "&plane=2", shape: [3, 3, 6] });
    expect(layoutOf(FACTS, at("filter", { filter: 5 }))).toMatchObject(
      { kind: "planes", query: "&filter=5", shape: [3, 3, 4] });
  });

  test("three planes of a color image are colors, and a kernel of one plane is seen as it is", () => {
    expect(layoutOf(COLOR, at("all"))).toMatchObject({ kind: "colors", query: "", shape: [2, 2, 2] });
    const gray = { ...FACTS, shape: [3, 3, 1, 6] };
    for (const view of ["all", "plane", "filter"]) {
      expect(layoutOf(gray, at(view))).toMatchObject({ kind: "weights", query: "&plane=0" });
    }
  });

  test("kernels of one pixel are rows, unless they are too many", () => {
    const pointwise = { ...FACTS, shape: [1, 1, 64, 6] };
    expect(layoutOf(pointwise, at("all"))).toMatchObject(
      { kind: "rows", query: "", shape: [1, 64, 6] });
    expect(layoutOf({ ...FACTS, shape: [1, 1, 1 << 16, 1 << 10] }, at("all")).kind).toBe("norm");
  });

  test("what a link asks for beyond the last is the last", () => {
    expect(layoutOf(FACTS, at("plane", { plane: 99 })).query).toBe("&plane=3");
    expect(layoutOf(FACTS, at("filter", { filter: 99 })).query).toBe("&filter=5");
    expect(layoutOf(FACTS, at("plane", { plane: null })).query).toBe("&plane=0");
  });
});

describe("tiles", () => {
  test("of three planes a value is the one farthest from zero, and NaN where one is", () => {
    const values = Float32Array.from([1, 8, -3, 2, 2, NaN]); // [1, 1, plane, filter]
    const tiles = tilesOf({ values }, { kind: "colors", shape: [1, 1, 2] });
    expect([...tiles.values]).toEqual([-3, NaN]);
  });

  test("norms are those of each tile", () => {
    const values = Float32Array.from([3, -1, -4, 2]); // [2, 1, tile]
    expect([...normsOf(values, 2, "l1")]).toEqual([7, 3]);
    expect([...normsOf(values, 2, "l2")]).toEqual([5, Math.sqrt(5)]);
  });

  test("colors span the layer's weights about zero, and norms from zero", () => {
    const values = Float32Array.from([0.5, -1, 1, 0.25]);
    const maps = { values };
    expect(wallFacts(FACTS, { kind: "weights", shape: [2, 1, 2] }, maps)).toMatchObject(
      { span: [-2, 2], signed: true });
    expect(wallFacts(FACTS, { kind: "norm", shape: [2, 1, 2] }, { values: values.map(Math.abs) }))
      .toMatchObject({ span: [0, 1], signed: false });
  });

  test("a color has of each channel what its weight is, and middle gray for zero", () => {
    const n = 2;
    // [1, 2, plane, filter]: filter 0 is zero, then all there is of red; filter 1 is NaN, then green.
    const colors = Float32Array.from([0, NaN, 0, 0, 0, 0, 1, 0, 0, 0.5, 0, -1]);
    const picture = new Uint32Array(2 * n);
    const span = { from: [-1, -1], to: [1, 1] };
    const part = { top: 0, left: 0, rows: 1, columns: 2, step: 1 };
    const { counts, kinds } = painter(colors)(null, [1, 2, n], part, span, n, picture);
    const channels = (pixel) => [pixel & 255, (pixel >> 8) & 255, (pixel >> 16) & 255];
    expect(channels(picture[0])).toEqual([128, 128, 128]);
    expect(channels(picture[1])).toEqual([255, 128, 128]);
    expect(channels(picture[3])).toEqual([128, 191, 0]);
    expect(counts.reduce((sum, count) => sum + count)).toBe(1);
    expect([...kinds].map(Boolean)).toEqual([false, false, true, false]);
    expect(colorsAt(1)[0]).toBe("rgb(255 128 128)");
  });
});

describe("words", () => {
  test("a plane is a color, a filter of the layer before, or a number", () => {
    expect(planeWords(COLOR, 0, 1)).toBe("G");
    expect(planeWords(FACTS, 5, 3)).toBe("input plane 3, filter 3 of conv1");
    expect(planeWords({ ...FACTS, source: "" }, 5, 3)).toBe("input plane 3");
  });

  test("groups, depthwise and separable layers read the planes that they read", () => {
    const grouped = { per_group: 2, filters_per_group: 3, multiplier: 1 };
    expect([0, 2, 3, 5].map((filter) => readBy(grouped, filter, 1))).toEqual([1, 1, 3, 3]);
    const depthwise = { per_group: 1, filters_per_group: 2, multiplier: 1 };
    expect([0, 1, 2, 3].map((filter) => readBy(depthwise, filter, 0))).toEqual([0, 0, 1, 1]);
    const separable = { per_group: 12, filters_per_group: 4, multiplier: 2 };
    expect([0, 1, 2, 11].map((plane) => readBy(separable, 3, plane))).toEqual([0, 0, 1, 5]);
  });

  test("under the pointer is the stored weight with its place, of every kind of picture", () => {
    const tip = (facts, state, cell) => {
      const layout = layoutOf(facts, state);
      return cellWords(facts, layout, tilesOf(weights(pick(facts, layout)), layout), state.filter, cell);
    };
    const pick = ({ shape: [y, x, planes, n] }, { kind }) => (
      { norm: [y, x, 1, n], weights: [y, x, 1, n], planes: [y, x, planes, 1] }[kind]
      ?? [y, x, planes, n]);
    const cell = { filter: 1, y: 1, x: 0 };
    expect(tip(FACTS, at("all"), cell)).toBe("filter 1\ny 1, x 0\nL2 over 4 planes 19");
    expect(tip(FACTS, at("plane", { plane: 2 }), cell))
      .toBe("filter 1\ninput plane 2, filter 2 of conv1\ny 1, x 0\n19");
    expect(tip(FACTS, at("filter", { filter: 5 }), cell))
      .toBe("filter 5\ninput plane 1, filter 1 of conv1\ny 1, x 0\n13");
    expect(tip(COLOR, at("all"), cell)).toBe("filter 1\ny 1, x 0\nR 13\nG 15\nB 17");
    expect(tip({ ...FACTS, shape: [1, 1, 4, 6] }, at("all"), { filter: 2, y: 0, x: 3 }))
      .toBe("filter 2\ninput plane 3, filter 3 of conv1\n20");
  });

  test("what a wall shows is in sentences, with its largest kernels", () => {
    const layout = layoutOf(FACTS, at("plane", { plane: 1 }));
    const maps = tilesOf(weights([3, 3, 1, 6]), layout);
    const text = inWords(FACTS, layout, maps, { filter: 0, range: "layer" });
    expect(text).toContain("Layer conv2: 6 kernels, each 3 × 3 over 4 input planes.");
    expect(text).toContain("Of each kernel input plane 1, filter 1 of conv1.");
    expect(text).toContain("Colors span the weights of the whole layer, from -2 to 2.");
    expect(text).toContain("Largest L2 norms: 5 in kernel 3, 4 in kernel 5, 3 in kernel 4, 2 in kernel 1");
    expect(layoutWords(FACTS, layout, 0, "each")).toContain("they do not compare between kernels");
  });
});
