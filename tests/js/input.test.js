// The box in the input is what the store says that a unit sees.
import { expect, test } from "vitest";
import { seen } from "../../dashboard/assets/feature_maps/input.js";

test("rows and columns tell what a unit sees, or its own box does", () => {
  const facts = { rows: [[0, 2], [1, 3]], columns: [[4, 6], [5, 7], [6, 8]], boxes: null };
  expect(seen({ y: 1, x: 2 }, facts)).toEqual([1, 6, 3, 8]);
  const turned = { rows: null, columns: null, boxes: [[[0, 1, 2, 3], [4, 5, 6, 7]]] };
  expect(seen({ y: 0, x: 1 }, turned)).toEqual([4, 5, 6, 7]);
});

test("nothing is outlined where it is unknown, or outside the map", () => {
  const unknown = { rows: null, columns: null, boxes: null };
  expect(seen({ y: 0, x: 0 }, unknown)).toBeNull();
  expect(seen({ y: 5, x: 0 }, { ...unknown, boxes: [[[0, 1, 2, 3]]] })).toBeNull();
  expect(seen({ y: 5, x: 0 }, { ...unknown, rows: [[0, 1]], columns: [[0, 1]] })).toBeNull();
});
