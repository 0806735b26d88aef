// What a snapshot shows by its link, and maps of which some filters are absent.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { spread } from "../../dashboard/assets/snapshot/inside.js";
import { changed, hashOf, stateOf } from "../../dashboard/assets/snapshot/state.js";

const ABOUT = {
  here: ["maps", "filter", "classes"],
  layers: [{ path: "conv1", filters: [0, 1, 5] }, { path: "a/b &c", filters: [7, 9] }],
  samples: [{ sample: 4 }, { sample: 2 }],
  classes: ["zero", "one"],
  statistics: [{}, {}, {}],
};

const states = fc.constantFrom(...ABOUT.layers).chain(({ path, filters }) => fc.record({
  page: fc.constantFrom(...ABOUT.here),
  layer: fc.constant(path),
  filter: fc.constantFrom(...filters),
  sample: fc.constantFrom(4, 2),
  class: fc.constantFrom(null, 0, 1),
  statistic: fc.nat(2),
  range: fc.constantFrom("layer", "filter", "map", "percentile"),
  zoom: fc.constantFrom("linked", "free"),
  order: fc.constantFrom("index", "mean"),
  zeros: fc.constantFrom("plain", "mark"),
  window: fc.constantFrom("", "0,0,5.5,6"),
}));

describe("a link", () => {
  test("opens to what it was made from", () => {
    fc.assert(fc.property(states, (state) => {
      expect(stateOf(`#${hashOf(state, ABOUT)}`, ABOUT)).toEqual({ state, problems: [] });
    }));
    expect(hashOf(stateOf("", ABOUT).state, ABOUT)).toBe("");
  });

  test("says what is not there, and shows what is", () => {
    const { state, problems } = stateOf("#sample=3&filter=2&class=9&zoom=linked&page=x", ABOUT);
    expect([state.sample, state.filter, state.class, state.page]).toEqual([4, 0, null, "maps"]);
    expect(problems.map((words) => words.match(/asks for (\w+)/)[1]).sort())
      .toEqual(["class", "filter", "page", "sample"]);
  });

  test("of a page without maps hands the sample on", () => {
    const about = { ...ABOUT, here: ["classes"], samples: [] };
    const { state, problems } = stateOf("#sample=3&filter=1", about);
    expect([state.sample, problems]).toEqual([3, []]);
    expect(hashOf({ ...state, page: "maps" }, about)).toBe("page=maps&filter=1&sample=3");
  });
});

test("of another layer a filter is chosen that is there", () => {
  const { state } = stateOf("#filter=5", ABOUT);
  expect(changed(state, { layer: "a/b &c" }, ABOUT).filter).toBe(7);
  expect(changed(state, { class: 1 }, ABOUT)).toEqual({ ...state, class: 1 });
});

test("values of some filters lie at their places, and all others are no number", () => {
  const all = spread(Float32Array.of(1, 2, 3, 4), [0, 2], 3);
  expect([...all]).toEqual([1, NaN, 2, 3, NaN, 4]);
});
