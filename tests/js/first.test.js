// @vitest-environment happy-dom
// The maps of the first page are asked for once, as the page itself would ask.
import { beforeEach, expect, test, vi } from "vitest";

const arrayOf = vi.fn(() => Promise.resolve({}));
vi.mock("../../dashboard/assets/feature_maps/fetching.js", () => ({
  arrayOf, mapsUrl: ({ url }, sample) => `${url}&sample=${sample}`,
}));
const { fetchMaps } = await import("../../dashboard/assets/feature_maps/first.js");

const FACTS = { url: "maps?layer=conv1", windows: null, message: "" };
const layoutOf = (facts) => ({
  props: {
    children: [
      "words", null,
      { props: { children: { props: { id: "maps-facts", data: facts } } } },
      { props: { id: "maps-settled", data: 7 } },
    ],
  },
});

beforeEach(() => arrayOf.mockClear());

test("asks for the maps that the layout will show", () => {
  fetchMaps(layoutOf(FACTS));
  expect(arrayOf.mock.calls).toEqual([["maps?layer=conv1&sample=7"]]);
});

test("asks for nothing where there is no wall, or where it depends on the screen", () => {
  fetchMaps(layoutOf({ ...FACTS, message: "none" }));
  fetchMaps(layoutOf({ ...FACTS, windows: "windows?layer=conv1" }));
  fetchMaps({ props: { children: [{ props: { id: "filter-layer" } }] } });
  fetchMaps(null);
  expect(arrayOf).not.toHaveBeenCalled();
});

test("the page asks again where the maps did not come", async () => {
  arrayOf.mockReturnValueOnce(Promise.reject(new Error("gone")));
  expect(() => fetchMaps(layoutOf(FACTS))).not.toThrow();
});
