// Keys lead from cell to cell, over the edges of tiles, and never out of the wall.
import { describe, expect, test } from "vitest";
import { strongest, walked } from "../../dashboard/assets/feature_maps/wall/cursor.js";

const TILING = { columns: 3, count: 5 }; // 0 1 2 over 3 4
const SHAPE = [2, 4];
const walk = (place, y, x, ...way) => {
  const cell = walked({ place, y, x }, way, TILING, SHAPE);
  return [cell.place, cell.y, cell.x];
};

describe("a step", () => {
  test("leads to the cell beside", () => {
    expect([walk(1, 0, 1, 1, 0), walk(1, 0, 1, -1, 0), walk(1, 0, 1, 0, 1), walk(1, 1, 1, 0, -1)])
      .toEqual([[1, 0, 2], [1, 0, 0], [1, 1, 1], [1, 0, 1]]);
  });

  test("leads over the edge of a tile into the one beside it", () => {
    expect([walk(0, 1, 3, 1, 0), walk(1, 1, 0, -1, 0), walk(1, 1, 2, 0, 1), walk(4, 0, 2, 0, -1)])
      .toEqual([[1, 1, 0], [0, 1, 3], [4, 0, 2], [1, 1, 2]]);
  });

  test("stays where the wall ends", () => {
    for (const [place, y, x, ...way] of [
      [2, 0, 3, 1, 0], [3, 0, 0, -1, 0], [4, 0, 3, 1, 0], [0, 0, 1, 0, -1], [2, 1, 1, 0, 1], [3, 1, 1, 0, 1],
    ]) expect(walk(place, y, x, ...way)).toEqual([place, y, x]);
  });

  test("of several values ends at the edge of its tile's neighbor, or its own", () => {
    expect([walk(0, 0, 2, 3, 0), walk(2, 0, 2, 3, 0)]).toEqual([[1, 0, 0], [2, 0, 3]]);
  });
});

test("the strongest cell is the first largest finite value of its filter, counted in values", () => {
  const maps = (values, step = 1) => ({ values: Float32Array.from(values), shape: [2, 2, 2], step });
  expect(strongest(maps([Infinity, 1, 0, 5, 3, 5, NaN, 2]), 0)).toEqual({ y: 1, x: 0 });
  expect(strongest(maps([0, NaN, 2, 5, 3, 5, 3, 2], 4), 1)).toEqual({ y: 0, x: 4 });
});
