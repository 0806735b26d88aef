// The order of the tiles is that of a stable sort, and keys go round it.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { neighbour, shownOrder } from "../../dashboard/assets/wall/order.js";

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
      const known = scores[f] !== null && !Number.isNaN(scores[f]);
      if (known && (best === null || scores[f] > scores[best])) best = f;
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
      expect(shownOrder(scores.length, scores, hidden)).toEqual(reference(scores, hidden));
    }));
  });

  test("typed arrays are sorted as lists are", () => {
    expect(shownOrder(4, Float64Array.of(1, NaN, 3, 1), null)).toEqual([2, 0, 3, 1]);
  });

  test("without scores they stay as they are; hidden ones go", () => {
    expect(shownOrder(4, null, null)).toEqual([0, 1, 2, 3]);
    expect(shownOrder(4, null, [false, true, false, true])).toEqual([0, 2]);
    expect(shownOrder(0, null, null)).toEqual([]);
  });
});

describe("neighbour", () => {
  test("goes round, and as far back as forth", () => {
    const list = fc.uniqueArray(fc.nat(999), { minLength: 1, maxLength: 30 });
    const far = fc.integer({ min: -100, max: 100 });
    fc.assert(fc.property(list, fc.nat(), far, (all, any, steps) => {
      const item = all[any % all.length];
      const found = neighbour(all, item, steps);
      expect(all).toContain(found);
      expect(neighbour(all, found, -steps)).toBe(item);
      expect(neighbour(all, item, all.length)).toBe(item);
    }));
    expect(neighbour([4, 7, 9], 9, 1)).toBe(4);
    expect(neighbour([4, 7, 9], 4, -1)).toBe(9);
  });

  test("of what is not in the list is the first; of none there is none", () => {
    expect(neighbour([4, 7], 5, 1)).toBe(4);
    expect(neighbour([], 5, 1)).toBeNull();
  });
});
