// Which samples a step goes through, which page of thumbnails they are on, and what is said of it.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  arrival, neighbor, pageOf, positionText, stepped,
} from "../../dashboard/assets/feature_maps/samples.js";

const ALL = { list: null, n: 37, total: 37, by: "index", label: null, outcome: "all" };

describe("neighbor", () => {
  test("goes round, and as far back as forth", () => {
    const list = fc.uniqueArray(fc.nat(999), { minLength: 1, maxLength: 30 });
    const far = fc.integer({ min: -100, max: 100 });
    fc.assert(fc.property(list, fc.nat(), far, (all, any, steps) => {
      const item = all[any % all.length];
      const next = neighbor(all, item, steps);
      expect(all).toContain(next);
      expect(neighbor(all, next, -steps)).toBe(item);
      expect(neighbor(all, item, all.length)).toBe(item);
    }));
    expect(neighbor([4, 7, 9], 9, 1)).toBe(4);
    expect(neighbor([4, 7, 9], 4, -1)).toBe(9);
  });

  test("of what is not in the list is the first; of none there is none", () => {
    expect(neighbor([4, 7], 5, 1)).toBe(4);
    expect(neighbor([], 5, 1)).toBeNull();
  });
});

describe("a step", () => {
  test("goes round all samples, or round those that match; where none does there is none", () => {
    expect([stepped(ALL, 36, 1), stepped(ALL, 0, -1), stepped(ALL, 5, 38)]).toEqual([0, 36, 6]);
    const picks = { ...ALL, list: [4, 9, 2], n: 3 };
    expect([stepped(picks, 9, 1), stepped(picks, 2, 1), stepped(picks, 7, 1)]).toEqual([2, 4, 4]);
    expect(stepped({ ...picks, list: [], n: 0 }, 4, 1)).toBeNull();
    expect(stepped(null, 4, 1)).toBeNull();
  });
});

describe("a selection that was just made", () => {
  const picks = { ...ALL, list: [4, 9, 2], n: 3 };

  test("has its first sample shown where the one that is shown is not in it", () => {
    const before = { ...ALL, label: 1 };
    expect(arrival(before, picks, 5)).toBe(4);
    expect(arrival(before, picks, 9)).toBeNull();
    expect(arrival({ ...picks, outcome: "wrong" }, picks, 5)).toBe(4);
    expect(arrival(before, { ...picks, list: [], n: 0 }, 5)).toBeNull();
    expect(arrival(before, ALL, 5)).toBeNull();
  });

  test("in another order begins at its first", () => {
    expect(arrival({ ...picks, by: "sure" }, picks, 9)).toBe(4);
  });

  test("a link may show a sample beside a selection that it is not in", () => {
    expect(arrival(null, picks, 5)).toBeNull();
    expect(arrival({ ...picks, filter: 3, list: [5] }, picks, 5)).toBeNull();
  });
});

describe("a page of thumbnails", () => {
  test("is the one that the sample is on", () => {
    expect(pageOf(ALL, 3)).toEqual(Array.from({ length: 20 }, (_, at) => at));
    expect(pageOf(ALL, 20)).toEqual(Array.from({ length: 17 }, (_, at) => 20 + at));
    const list = Array.from({ length: 45 }, (_, at) => 3 * at);
    expect(pageOf({ ...ALL, list, n: 45 }, 3 * 41)).toEqual(list.slice(40));
    expect(pageOf({ ...ALL, list, n: 45 }, 1)).toEqual(list.slice(0, 20));
    expect(pageOf({ ...ALL, list: [], n: 0 }, 1)).toEqual([]);
  });
});

describe("a position", () => {
  test("is said of how many", () => {
    const picks = { list: [5, 2], n: 2, total: 50 };
    expect(positionText(picks, 2)).toBe("2 of 2 that match, of 50 samples");
    expect(positionText(picks, 4)).toBe("Not among the 2 that match, of 50 samples");
    expect(positionText({ ...picks, list: [], n: 0 }, 4))
      .toBe("0 of 50 samples match; choose others.");
    expect(positionText({ list: null, n: 9000, total: 9000 }, 4)).toBe("9,000 samples");
    const list = Array.from({ length: 5000 }, (_, at) => at);
    expect(positionText({ list, n: 9000, total: 9999 }, 2))
      .toBe("3 of 9,000 that match, the first 5,000 listed, of 9,999 samples");
  });
});
