// No tile is cut, lost or laid over another, and a window stays where the pointer holds it.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  boxed, corner, inside, isWhole, moved, pane, tileAt, tilingOf, whole, windowIn, windowOf, windowText,
  zoomed,
} from "../../dashboard/assets/feature_maps/wall/tiling.js";

const SMALLEST = 26;
const ROOMS = [
  { width: 160, height: 300 }, { width: 306, height: 523 }, { width: 836, height: 558 },
  { width: 2400, height: 1300 },
];
const SHAPES = [[1, 1], [26, 26], [224, 224], [7, 3], [1, 500], [500, 1], [40, 2]];

const scene = fc.record({
  count: fc.oneof(fc.integer({ min: 1, max: 64 }), fc.integer({ min: 1, max: 4096 })),
  shape: fc.oneof(fc.constantFrom(...SHAPES),
    fc.tuple(fc.integer({ min: 1, max: 512 }), fc.integer({ min: 1, max: 512 }))),
  room: fc.oneof(fc.constantFrom(...ROOMS), fc.record({
    width: fc.integer({ min: 160, max: 3000 }), height: fc.integer({ min: 300, max: 2000 }),
  })),
});
// Of a map's tile: as of the map, but for maps that are so long that one would see a line.
const ratioOf = ({ shape: [height, width] }) => Math.min(8, Math.max(1 / 4, width / height));
const narrowest = (maps) => Math.round(SMALLEST * Math.sqrt(Math.max(1, ratioOf(maps))));
const laid = ({ count, shape: [height, width], room }) => tilingOf(count, height, width, room);

describe("tiling", () => {
  test("all tiles lie in the wall, and the wall in its room as far as that can be", () => {
    fc.assert(fc.property(scene, (one) => {
      const tiling = laid(one);
      const { count, columns, rows, tileWidth, tileHeight, gap, name, left, edge, under } = tiling;
      expect(count).toBe(one.count);
      expect(columns * rows).toBeGreaterThanOrEqual(count);
      expect(columns * (rows - 1)).toBeLessThan(count);
      expect(tiling.width).toBeLessThanOrEqual(one.room.width);
      if (tiling.form === "tile") expect(tileWidth).toBeGreaterThanOrEqual(SMALLEST);
      expect(tileHeight).toBeGreaterThanOrEqual(8);
      for (const place of [0, columns - 1, count - 1].filter((at) => at < count)) {
        const { x, y } = corner(tiling, place);
        expect(x).toBeGreaterThanOrEqual(left + edge);
        expect(y).toBeGreaterThanOrEqual(name); // its name is above it
        expect(x + tileWidth).toBeLessThanOrEqual(tiling.width);
        expect(y + tileHeight + under).toBeLessThanOrEqual(tiling.height);
      }
      if (tiling.form === "tile" && tiling.height > one.room.height) {
        // Higher than its room only with as many in a row as have room.
        const more = Math.floor(one.room.width / (columns + 1) - gap);
        expect(columns === count || more < narrowest(one)).toBe(true);
      }
    }));
  });

  test("tiles do not lie over each other, nor over a name", () => {
    fc.assert(fc.property(scene, (one) => {
      const tiling = laid(one);
      const { columns, count, tileWidth, tileHeight, name } = tiling;
      for (let place = 1; place < Math.min(count, 2 * columns + 2); place += 1) {
        const here = corner(tiling, place);
        if (place % columns) {
          expect(here.x).toBeGreaterThan(corner(tiling, place - 1).x + tileWidth);
        }
        if (place >= columns) {
          const above = corner(tiling, place - columns).y + tileHeight;
          expect(here.y - name).toBeGreaterThanOrEqual(above);
        }
      }
    }));
  });

  test("no tiling with all in sight has tiles more than a quarter wider", () => {
    fc.assert(fc.property(scene, (one) => {
      const tiling = laid(one);
      for (let columns = 1; columns <= one.count; columns += 1) {
        const rough = one.room.width / columns;
        if (tiling.form !== "tile" || rough < narrowest(one)) break;
        const [gap, ratio] = [rough < 60 ? 3 : 6, ratioOf(one)];
        const wide = Math.min(480 * Math.max(1, ratio), Math.floor(rough - gap),
          Math.max(SMALLEST, Math.floor((one.room.height - 15) * ratio)));
        if (wide < narrowest(one)) continue; // it could not be read
        const high = Math.max(8, Math.round(wide / ratio));
        const all = Math.ceil(one.count / columns) * (high + (wide < 60 ? 11 : 15) + gap) - gap;
        if (all <= one.room.height) {
          expect(tiling.height).toBeLessThanOrEqual(one.room.height);
          expect(tiling.tileWidth * 1.25).toBeGreaterThanOrEqual(wide);
        }
      }
    }));
  });

  test("a tile has the proportions of its map where that can be seen", () => {
    for (const [height, width] of [[26, 26], [224, 224], [7, 3], [3, 7]]) {
      const { tileWidth, tileHeight } = tilingOf(16, height, width, ROOMS[2]);
      expect(Math.abs(tileHeight - (tileWidth * height) / width)).toBeLessThanOrEqual(0.5);
    }
  });

  test("a long map has the room of one that is eight times as wide as high, or four as high", () => {
    for (const [height, width, ratio] of [[4, 200, 8], [200, 4, 1 / 4], [500, 1, 1 / 4]]) {
      const { tileWidth, tileHeight } = tilingOf(6, height, width, ROOMS[2]);
      expect(Math.abs(tileHeight - tileWidth / ratio)).toBeLessThanOrEqual(0.5);
      expect(Math.min(tileWidth, tileHeight)).toBeGreaterThan(40);
    }
  });

  test("maps of one row are rows over the whole room, with a name beside and an axis below", () => {
    for (const room of ROOMS) {
      const few = tilingOf(12, 1, 200, room);
      expect(few).toMatchObject({ form: "row", columns: 1, rows: 12 });
      expect(few.width).toBeGreaterThan(room.width - 6);
      expect(few.height).toBeLessThanOrEqual(room.height);
      expect(few.tileHeight).toBeGreaterThanOrEqual(18);
      expect(corner(few, 3).x).toBeGreaterThanOrEqual(40);
      expect(few.height - pane(few).bottom).toBeGreaterThanOrEqual(30);
    }
    // Of many, columns of them, none of which is too narrow or too low.
    const many = tilingOf(512, 1, 200, ROOMS[3]);
    expect(many.columns).toBeGreaterThan(4);
    expect(many.tileWidth).toBeGreaterThanOrEqual(200);
    expect(many.tileHeight).toBeGreaterThanOrEqual(13);
  });

  test("maps of one value are bars beside each other, in as many rows as it takes", () => {
    for (const room of ROOMS) {
      for (const count of [1, 10, 128, 4096]) {
        const tiling = tilingOf(count, 1, 1, room);
        expect(tiling.form).toBe("bar");
        expect(tiling.tileWidth).toBeGreaterThanOrEqual(room.width < 200 ? 1 : 5);
        expect(tiling.tileHeight).toBeGreaterThanOrEqual(90);
        expect(tiling.width).toBeLessThanOrEqual(room.width);
      }
    }
    expect(tilingOf(10, 1, 1, ROOMS[2]).rows).toBe(1);
  });

  test("the tile at a point of a tile is that tile, and the place in it that place", () => {
    const part = fc.integer({ min: 0, max: 999 }).map((one) => one / 1000);
    fc.assert(fc.property(scene, fc.nat(), part, part, (one, any, across, down) => {
      const tiling = laid(one);
      const place = any % one.count;
      const { x, y } = corner(tiling, place);
      const found = tileAt(tiling, x + across * tiling.tileWidth, y + down * tiling.tileHeight);
      expect(found.place).toBe(place);
      expect(found.across).toBeCloseTo(across, 6);
      expect(found.down).toBeCloseTo(down, 6);
    }));
  });

  test("between tiles, on names, beyond the last and outside there is none", () => {
    const tiling = tilingOf(5, 10, 10, { width: 400, height: 300 });
    const { x, y } = corner(tiling, 0);
    const last = corner(tiling, 4);
    const next = last.x + tiling.tileWidth + tiling.gap;
    for (const [px, py] of [
      [x + tiling.tileWidth, y], [x, y - 1], [x, y + tiling.tileHeight], [-1, y], [x, -1],
      [next, last.y], [x, tiling.height + 1], [1e6, y],
    ]) expect(tileAt(tiling, px, py), `${px}, ${py}`).toBeNull();
  });

  test("of no filters there is an empty wall", () => {
    const tiling = tilingOf(0, 5, 5, ROOMS[0]);
    expect(tileAt(tiling, 1, 20)).toBeNull();
    expect(tiling.width).toBeGreaterThan(0);
  });
});

describe("windows", () => {
  const share = fc.double({ min: 0, max: 1, noNaN: true });
  const world = fc.record({
    height: fc.integer({ min: 1, max: 500 }), width: fc.integer({ min: 1, max: 500 }),
  }).map(({ height, width }) => ({ height, width, least: Math.min(2, height, width) }));
  // Any window of a world that is not smaller than its least.
  const seen = fc.record({ world, height: share, width: share, top: share, left: share })
    .map(({ world: all, ...one }) => {
      const height = all.least + one.height * (all.height - all.least);
      const width = all.least + one.width * (all.width - all.least);
      const top = one.top * (all.height - height);
      const left = one.left * (all.width - width);
      return { world: all, window: { top, left, bottom: top + height, right: left + width } };
    });
  const factors = fc.double({ min: 0.05, max: 20, noNaN: true });

  function expectInside(window, all) {
    expect(window.top).toBeGreaterThanOrEqual(-1e-9);
    expect(window.left).toBeGreaterThanOrEqual(-1e-9);
    expect(window.bottom).toBeLessThanOrEqual(all.height + 1e-9);
    expect(window.right).toBeLessThanOrEqual(all.width + 1e-9);
    expect(Math.min(window.bottom - window.top, window.right - window.left))
      .toBeGreaterThanOrEqual(all.least - 1e-6);
  }

  function expectClose(one, other, slack = 6) {
    for (const side of ["top", "left", "bottom", "right"]) {
      expect(one[side], side).toBeCloseTo(other[side], slack);
    }
  }

  test("zoomed or moved, a window stays in its world and no smaller than its least", () => {
    const far = fc.double({ min: -1000, max: 1000, noNaN: true });
    fc.assert(fc.property(seen, share, share, factors, far, far, (one, x, y, factor, dx, dy) => {
      const at = { x: x * one.world.width, y: y * one.world.height };
      expectInside(zoomed(one.window, at, factor, one.world), one.world);
      const shifted = moved(one.window, dx, dy, one.world);
      expectInside(shifted, one.world);
      expect(shifted.right - shifted.left).toBeCloseTo(one.window.right - one.window.left, 6);
    }));
  });

  test("zooming in keeps the point under the pointer, and zooming out again comes back", () => {
    const nearer = fc.double({ min: 0.05, max: 1, noNaN: true });
    fc.assert(fc.property(seen, share, share, nearer, ({ world: all, window }, x, y, factor) => {
      const [height, width] = [window.bottom - window.top, window.right - window.left];
      const at = { x: window.left + x * width, y: window.top + y * height };
      const next = zoomed(window, at, factor, all);
      expect(next.left + x * (next.right - next.left)).toBeCloseTo(at.x, 6);
      expect(next.top + y * (next.bottom - next.top)).toBeCloseTo(at.y, 6);
      // A side of one value is not zoomed.
      const back = all.width > 1 ? width / (next.right - next.left)
        : height / (next.bottom - next.top);
      expectClose(zoomed(next, at, back, all), window, 5);
    }));
  });

  test("zooming out far enough shows all, as a double click does", () => {
    fc.assert(fc.property(seen, ({ world: all, window }) => {
      const out = zoomed(window, { x: 0, y: 0 }, 1e6, all);
      expect(isWhole(out, all)).toBe(true);
      expect(out).toEqual(whole(all));
    }));
  });

  test("a window that is inside stays as it is", () => {
    fc.assert(fc.property(seen, ({ world: all, window }) => {
      expectClose(inside(window, all), window);
    }));
  });

  test("a link brings the window back, to a thousandth", () => {
    fc.assert(fc.property(seen, ({ world: all, window }) => {
      const text = windowText(window, all);
      expect(text === "").toBe(isWhole(window, all));
      // Where a rounded window is smaller than the least it grows about its middle.
      expectClose(windowOf(text, all), window, 2);
      expect(windowText(windowOf(text, all), all).split(",").length).toBe(
        isWhole(windowOf(text, all), all) ? 1 : 4);
    }));
  });

  test.each([
    "", null, undefined, "1,2,3", "1,2,3,4,5", "a,b,c,d", "5,5,5,5", "9,0,1,10", "0,0,NaN,3",
    "0,0,Infinity,Infinity", "<script>", ",,,",
  ])("a link that says %j shows all", (text) => {
    const all = { height: 26, width: 20, least: 2 };
    expect(windowOf(text, all)).toEqual(whole(all));
  });

  test("a link that says a window outside, or too small, is shown as near to it as can be", () => {
    const all = { height: 26, width: 20, least: 2 };
    expect(windowOf("-5,-5,5,5", all)).toEqual({ top: 0, left: 0, bottom: 10, right: 10 });
    expect(windowOf("100,100,104,104", all)).toEqual({ top: 22, left: 16, bottom: 26, right: 20 });
    expectClose(windowOf("5,5,5.001,5.001", all),
      { top: 4.0005, left: 4.0005, bottom: 6.0005, right: 6.0005 });
    for (const text of ["0,0,5e-324,5e-324", "-1e308,0,1e308,5", "1e308,0,1.7e308,5"]) {
      expectInside(windowOf(text, all), all);
    }
    const side = fc.double({ noNaN: true, noDefaultInfinity: true });
    fc.assert(fc.property(fc.tuple(side, side, side, side), (parts) => {
      expectInside(windowOf(parts.join(","), all), all);
    }));
  });

  test("a box that is drawn is seen whole, with the proportions of the world", () => {
    fc.assert(fc.property(world, share, share, share, share, (all, a, b, c, d) => {
      const first = { x: a * all.width, y: b * all.height };
      const second = { x: c * all.width, y: d * all.height };
      const found = boxed(first, second, all);
      expectInside(found, all);
      for (const { x, y } of [first, second]) {
        expect(x).toBeGreaterThanOrEqual(found.left - 1e-6);
        expect(x).toBeLessThanOrEqual(found.right + 1e-6);
        expect(y).toBeGreaterThanOrEqual(found.top - 1e-6);
        expect(y).toBeLessThanOrEqual(found.bottom + 1e-6);
      }
      const [height, width] = [found.bottom - found.top, found.right - found.left];
      if (Math.min(all.height, all.width) > 1) {
        expect(height * all.width).toBeCloseTo(width * all.height, 5);
      } else {
        expect(all.height > 1 || height === 1).toBe(true); // there is nothing to zoom
        expect(all.width > 1 || width === 1).toBe(true);
      }
    }));
  });

  test("a box that is drawn beyond the edge ends there", () => {
    const all = { height: 20, width: 20, least: 2 };
    expectClose(boxed({ x: 10, y: 10 }, { x: 60, y: 70 }, all),
      { top: 10, left: 10, bottom: 20, right: 20 });
  });
});

describe("a window in another map", () => {
  test("is the same where maps are as large", () => {
    expect(windowIn("1,2.5,3,4", [28, 28, 16], [28, 28, 64])).toBe("1,2.5,3,4");
  });

  test("is the same share where one is a whole number of times as large", () => {
    expect(windowIn("4,8,12,16", [112, 56], [56, 28])).toBe("2,4,6,8");
    expect(windowIn("2,4,6,8", [56, 28], [112, 56])).toBe("4,8,12,16");
  });

  test("is all where cells of one are not whole cells of the other", () => {
    for (const after of [[11, 11], [13, 26], [26, 13], [39, 39]]) {
      expect(windowIn("1,1,4,4", [26, 26], after)).toBe("");
    }
    expect(windowIn("", [26, 26], [26, 26])).toBe("");
  });
});
