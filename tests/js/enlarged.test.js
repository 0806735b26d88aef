// What is said of an enlarged map is of its values, and its figure is the server's with them in it.
import { describe, expect, test } from "vitest";
import { factsOf, figureOf, spanOfMap } from "../../dashboard/assets/feature_maps/enlarged.js";
import { spans } from "../../dashboard/assets/feature_maps/wall/palette.js";

describe("facts", () => {
  test("of a dead map", () => {
    const facts = factsOf(new Float32Array(9), 3, "0 to 2");
    expect(facts).toEqual({
      largest: "all zero", mean: "0", zero: "9 of 9", missing: "", whole: "0 to 2",
    });
  });

  test("are of finite values", () => {
    const facts = factsOf(Float32Array.of(NaN, 2, Infinity, 1), 2, "0 to 2");
    expect(facts).toMatchObject({ largest: "2 at y 0, x 1", mean: "1.5", missing: "2 of 4: 1 NaN, 1 ∞" });
    expect(factsOf(Float32Array.of(NaN, NaN), 2, ""))
      .toMatchObject({ largest: "no finite value", mean: "no finite value", zero: "0 of 2" });
  });

  test("name the first of equal values, row after row", () => {
    expect(factsOf(Float32Array.of(-3, -1, -1, -2), 2, "").largest).toBe("-1 at y 0, x 1");
  });

  test("count in thousands, and write numbers with six digits", () => {
    const facts = factsOf(new Float32Array(1600).fill(1e-6), 40, "");
    expect(facts).toMatchObject({
      largest: "1e-06 at y 0, x 0", zero: "0 of 1,600",
    });
  });
});

describe("colors", () => {
  const facts = {
    shape: [2, 2, 2], low: [0, -1], high: [5, 3], span: [-1, 5], percentiles: [0.5, 2],
    signed: false,
  };
  const values = Float32Array.of(Infinity, NaN, 1, -2);
  const ends = (range, more) => {
    const view = { facts: { ...facts, ...more }, range, colors: "usual", norm: "linear" };
    const { from, to } = spanOfMap(view, 1, values);
    return [...from, ...to];
  };

  test("span what was chosen", () => {
    expect(ends("map")).toEqual([-2, 1]); // its finite values
    expect(ends("filter")).toEqual([-1, 3]);
    expect(ends("layer")).toEqual([-1, 5]);
    expect(ends("percentile")).toEqual([0.5, 2]);
  });

  test("reach as far on both sides of zero where values may be below it", () => {
    expect(ends("map", { signed: true })).toEqual([-2, 2]);
    expect(ends("layer", { signed: true })).toEqual([-5, 5]);
  });
});

describe("a figure", () => {
  const template = { data: [{ type: "heatmap", colorscale: "a" }], layout: { width: 5 } };
  const span = spans([0], [6], false);

  test("is the template with the values, row by row", () => {
    const figure = figureOf(template, Float32Array.of(1, 2, 3, 4, 5, 6), 3, span, false, null);
    expect(figure.layout).toEqual({ ...template.layout, images: [] });
    expect(figure.data).toEqual([{
      type: "heatmap", colorscale: "a", zmin: 0, zmax: 6,
      z: [Float32Array.of(1, 2, 3), Float32Array.of(4, 5, 6)],
    }]);
    expect(template.data[0].z).toBeUndefined();
  });

  test("keeps the layout of the graph that is there, and with it the zoom", () => {
    const layout = { xaxis: { range: [1, 2] } };
    expect(figureOf(template, Float32Array.of(1), 1, span, false, layout).layout)
      .toEqual({ ...layout, images: [] });
  });

  test("has over it what has no color of the scale, and loses it with the map", () => {
    const values = Float32Array.of(0, 7, -1, NaN, Infinity, 3);
    const { layout } = figureOf(template, values, 3, span, true, null);
    const [image, ...more] = layout.images;
    expect(more).toEqual([]);
    expect(image).toMatchObject({ x: -0.5, y: -0.5, sizex: 3, sizey: 2, sizing: "stretch" });
    const svg = decodeURIComponent(image.source.slice("data:image/svg+xml,".length));
    const marked = Object.fromEntries([...svg.matchAll(/url\(#(\w+)\)" d="([^"]*)"/g)]
      .map(([, kind, path]) => [kind, path]));
    expect(marked).toEqual({
      zero: "M0 0h1v1h-1z", above: "M1 0h1v1h-1z", below: "M2 0h1v1h-1z",
      missing: "M0 1h1v1h-1z", highest: "M1 1h1v1h-1z",
    });
    expect(figureOf(template, Float32Array.of(1, 2, 3), 3, span, true, layout).layout.images)
      .toEqual([]);
  });
});
