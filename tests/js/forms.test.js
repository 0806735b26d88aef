// A form is as large as it can be seen, and lies on whole cells.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  FORMS, cellsPath, patternSvg, swatchUrl, unitOf,
} from "../../dashboard/assets/feature_maps/wall/forms.js";
import { KINDS, MARKS, colorAt } from "../../dashboard/assets/feature_maps/wall/palette.js";

test("each kind has a form of its own, and a color or none on each scale", () => {
  const kinds = KINDS.slice(1);
  expect(Object.keys(FORMS)).toEqual(kinds);
  expect(new Set(Object.values(FORMS).map(({ path }) => path)).size).toBe(kinds.length);
  for (const marks of Object.values(MARKS)) expect(Object.keys(marks)).toEqual(kinds);
});

test("a form is never too small to be seen, and is a cell, a part of one or several whole ones", () => {
  fc.assert(fc.property(fc.double({ min: 0.2, max: 500, noNaN: true }), (cell) => {
    const unit = unitOf(cell);
    expect(unit).toBeGreaterThanOrEqual(4);
    expect(unit).toBeLessThan(22);
    const share = unit >= cell ? unit / cell : cell / unit;
    expect(share).toBeCloseTo(Math.round(share), 6);
  }));
  expect([unitOf(4), unitOf(8), unitOf(12), unitOf(1)]).toEqual([4, 8, 12, 6]);
});

describe("as SVG", () => {
  test("all cells of a kind are in its path, and no other", () => {
    const kinds = fc.array(fc.nat(2), { minLength: 12, maxLength: 12 });
    fc.assert(fc.property(kinds, (all) => {
      const path = cellsPath(1, (y, x) => all[4 * y + x], 3, 4);
      const marked = new Array(12).fill(false);
      for (const [, x, y, n] of path.matchAll(/M(\d+) (\d+)h(\d+)v1h-\3z/g)) {
        for (let at = 0; at < Number(n); at += 1) marked[4 * Number(y) + Number(x) + at] = true;
      }
      expect(marked).toEqual(all.map((kind) => kind === 1));
    }));
  });

  test("a pattern has the color of its kind; zero about zero that of the middle", () => {
    expect(patternSvg("a", "above", "sequential", [1, 1])).toContain(MARKS.sequential.above);
    expect(patternSvg("a", "zero", "diverging", [1, 1])).toContain(colorAt("diverging", 0.5));
    expect(decodeURIComponent(swatchUrl("missing", "diverging"))).toContain(FORMS.missing.path);
  });
});
