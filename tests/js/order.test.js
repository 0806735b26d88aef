// The order of the tiles is that of a stable sort.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { orderOf } from "../../dashboard/assets/feature_maps/wall/tiling.js";

const score = fc.oneof(
  fc.integer({ min: -3, max: 3 }), fc.double({ noNaN: true }),
  fc.constantFrom(NaN, null, Infinity, -Infinity, 0, -0));
const scene = fc.array(fc.tuple(score, fc.boolean()), { maxLength: 60 });

/** Takes the largest of what is left, the first of equals, until only those without are left. */
function reference(scores, hidden) {
  const left = new Set(scores.keys());
  const order = [];
  while (left.size) {
    let best = null;
    for (const f of left) {
      const hasScore = scores[f] !== null && !Number.isNaN(scores[f]);
      if (hasScore && (best === null || scores[f] > scores[best])) best = f;
    }
    best ??= Math.min(...left);
    left.delete(best);
    order.push(best);
  }
  return order.filter((f) => !hidden[f]);
}

describe("order", () => {
  test("by score, largest first, equals by index, those without last, the hidden left out", () => {
    fc.assert(fc.property(scene, (filters) => {
      const scores = filters.map(([one]) => one);
      const hidden = filters.map(([, one]) => one);
      expect(orderOf(scores.length, scores, hidden)).toEqual(reference(scores, hidden));
    }));
  });

  test("typed arrays are sorted as lists are", () => {
    expect(orderOf(4, Float64Array.of(1, NaN, 3, 1), null)).toEqual([2, 0, 3, 1]);
  });

  test("without scores they stay as they are; hidden ones go", () => {
    expect(orderOf(4, null, null)).toEqual([0, 1, 2, 3]);
    expect(orderOf(4, null, [false, true, false, true])).toEqual([0, 2]);
    expect(orderOf(0, null, null)).toEqual([]);
  });
});
