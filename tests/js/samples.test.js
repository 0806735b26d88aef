// Which samples a step goes through, which page of thumbnails they are on, and what is said of it.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  arrival, neighbor, pageOf, pageText, positionText, stepped, turned,
} from "../../dashboard/assets/feature_maps/samples.js";

const ALL = {
  list: null, n: 37, total: 37, by: "index", label: null, predicted: null, outcome: "all", group: "",
};

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
    expect(arrival({ ...picks, group: "wrong" }, picks, 5)).toBe(4);
    expect(arrival({ ...picks, predicted: 1 }, picks, 5)).toBe(4);
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
    const samplesOf = (...page) => pageOf(...page).samples;
    expect(samplesOf(ALL, 3, null)).toEqual(Array.from({ length: 20 }, (_, at) => at));
    expect(samplesOf(ALL, 20, null)).toEqual(Array.from({ length: 17 }, (_, at) => 20 + at));
    const list = Array.from({ length: 45 }, (_, at) => 3 * at);
    expect(samplesOf({ ...ALL, list, n: 45 }, 3 * 41, null)).toEqual(list.slice(40));
    expect(samplesOf({ ...ALL, list, n: 45 }, 1, null)).toEqual(list.slice(0, 20));
    expect(samplesOf({ ...ALL, list: [], n: 0 }, 1, null)).toEqual([]);
  });

  test("or another one that was turned to, the last at most", () => {
    const many = { ...ALL, n: 10_000, total: 10_000 };
    const list = Array.from({ length: 45 }, (_, at) => 3 * at);
    expect(pageOf({ ...ALL, list, n: 45 }, 0, 25)).toEqual({ first: 20, samples: list.slice(20, 40) });
    expect(pageOf(many, 0, 99_999).samples.at(-1)).toBe(9_999);
    expect([turned(many, 0, 1), turned(many, 0, -1), turned(many, 40, -Infinity)]).toEqual([20, 0, 0]);
    expect([turned(many, 0, Infinity), turned(many, 9_980, 1)]).toEqual([9_980, 9_980]);
    expect(pageText(many, pageOf(many, 0, 20))).toBe("21–40 of 10,000");
    expect(pageText({ ...many, n: 20 }, pageOf(many, 0, null))).toBe("");
  });

  test("pages in a row show each sample once", () => {
    fc.assert(fc.property(fc.integer({ min: 1, max: 200 }), (n) => {
      const picks = { ...ALL, n, total: n };
      const all = [];
      for (let [first, last] = [0, -1]; first > last; first = turned(picks, first, 1)) {
        all.push(...pageOf(picks, 0, first).samples);
        last = first;
      }
      expect(all).toEqual(Array.from({ length: n }, (_, at) => at));
    }));
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
  });
});
