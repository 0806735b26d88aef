// What is painted ahead covers what is then looked at, and each tile is found where it was painted.
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  atlasOf, covers, partOf, sourceOf, spanOf, tilesAcross,
} from "../../dashboard/assets/feature_maps/wall/atlas.js";
import { spans } from "../../dashboard/assets/feature_maps/wall/palette.js";

const share = fc.double({ min: 0, max: 1, noNaN: true });
const scene = fc.record({
  height: fc.integer({ min: 1, max: 300 }), width: fc.integer({ min: 1, max: 300 }),
  step: fc.integer({ min: 1, max: 9 }), n: fc.integer({ min: 1, max: 600 }),
  sides: fc.tuple(share, share, share, share),
}).map(({ sides: [top, left, down, across], ...one }) => {
  const [height, width] = [Math.max(0.5, down * one.height), Math.max(0.5, across * one.width)];
  const [y, x] = [top * (one.height - height), left * (one.width - width)];
  return { ...one, window: { top: y, left: x, bottom: y + height, right: x + width } };
});

describe("parts", () => {
  test("a window's part lies on whole cells in the map, covers it, and has none too many", () => {
    fc.assert(fc.property(scene, ({ height, width, step, window }) => {
      const part = partOf(window, [height, width, 1], step);
      expect(covers({ part }, window, step)).toBe(true);
      expect([part.top % step, part.left % step]).toEqual([0, 0]);
      expect(part.top + (part.rows - 1) * step).toBeLessThan(Math.min(height, window.bottom));
      expect(part.left + (part.columns - 1) * step).toBeLessThan(Math.min(width, window.right));
      expect(part.top + step).toBeGreaterThan(window.top);
      expect(part.left + step).toBeGreaterThan(window.left);
    }));
  });

  test("a coarser part does not do for a finer look, a finer one does for a coarser", () => {
    fc.assert(fc.property(scene, ({ height, width, step, window }) => {
      const part = partOf(window, [height, width, 1], step);
      expect(covers({ part }, window, step + 1)).toBe(true);
      expect(covers({ part }, window, step - 0.5)).toBe(false);
      const { top, left } = part;
      const [bottom, right] = [top + part.rows * step, left + part.columns * step];
      for (const beyond of [
        { ...window, top: top - 0.1 }, { ...window, left: left - 0.1 },
        { ...window, bottom: bottom + 0.1 }, { ...window, right: right + 0.1 },
      ]) expect(covers({ part }, beyond, step)).toBe(false);
    }));
  });

  test("all tiles have room, and no side is longer than a canvas may be", () => {
    fc.assert(fc.property(scene, ({ height, width, step, n, window }) => {
      const part = partOf(window, [height, width, n], step);
      const across = tilesAcross(n, part);
      expect(across).toBeGreaterThanOrEqual(1);
      expect(across).toBeLessThanOrEqual(n);
      expect(across * part.columns).toBeLessThanOrEqual(16_384);
      expect(Math.ceil(n / across) * part.rows).toBeLessThanOrEqual(16_384);
    }));
    for (const [rows, columns] of [[1, 500], [500, 1], [1, 1], [1, 16_384]]) {
      const across = tilesAcross(4096, { rows, columns });
      expect(across * columns).toBeLessThanOrEqual(16_384);
      expect(Math.ceil(4096 / across) * rows).toBeLessThanOrEqual(16_384);
    }
  });

  test("a window's source is as large as the window, in its own tile", () => {
    fc.assert(fc.property(scene, fc.nat(), ({ height, width, step, n, window }, any) => {
      const part = partOf(window, [height, width, n], step);
      const across = tilesAcross(n, part);
      const filter = any % n;
      const source = sourceOf({ part, across }, filter, window);
      const [x, y] = [
        (filter % across) * part.columns, Math.floor(filter / across) * part.rows];
      expect(source.width * step).toBeCloseTo(window.right - window.left, 6);
      expect(source.height * step).toBeCloseTo(window.bottom - window.top, 6);
      expect(source.x).toBeGreaterThanOrEqual(x);
      expect(source.y).toBeGreaterThanOrEqual(y);
      expect(source.x + source.width).toBeLessThanOrEqual(x + part.columns + 1e-6);
      expect(source.y + source.height).toBeLessThanOrEqual(y + part.rows + 1e-6);
    }));
  });
});

describe("atlas", () => {
  afterEach(() => vi.unstubAllGlobals());

  function browser() {
    vi.stubGlobal("ImageData", class {
      constructor(width, height) {
        Object.assign(this, { width, height, data: new Uint8ClampedArray(4 * width * height) });
      }
    });
    vi.stubGlobal("OffscreenCanvas", class {
      constructor(width, height) {
        Object.assign(this, { width, height, put: [] });
      }

      getContext() {
        return { putImageData: (image, x, y) => this.put.push({ image, x, y }) };
      }
    });
  }

  const [height, width, n] = [3, 4, 5];
  const complete = { step: 1, origin: { top: 0, left: 0 }, filters: null };
  const maps = {
    ...complete,
    shape: [height, width, n],
    values: Float32Array.from({ length: height * width * n }, (_, at) => at),
  };
  const last = height * width * n - 1;
  const span = spans(new Float32Array(n), new Float32Array(n).fill(last), false);
  const all = { top: 0, left: 0, bottom: height, right: width };

  test("each filter's cells are where its source says", () => {
    browser();
    const atlas = atlasOf(maps, partOf(all, maps.shape, 1), span, false, null);
    expect(atlas.kinds).toBeNull();
    expect(atlas.canvas.put).toEqual([{ image: atlas.image, x: 0, y: 0 }]);
    const pixels = new Uint32Array(atlas.image.data.buffer);
    // Of one map alone: what the atlas must hold of it.
    for (let f = 0; f < n; f += 1) {
      const own = maps.values.filter((_, at) => at % n === f);
      const one = { ...complete, shape: [height, width, 1], values: own };
      const alone = atlasOf(one, partOf(all, one.shape, 1), spans([0], [last], false),
        false, null);
      const source = sourceOf(atlas, f, all);
      expect([source.width, source.height]).toEqual([width, height]);
      const rows = Array.from({ length: height }, (_, y) => {
        const start = (source.y + y) * atlas.canvas.width + source.x;
        return [...pixels.subarray(start, start + width)];
      });
      expect(rows.flat()).toEqual([...new Uint32Array(alone.image.data.buffer)]);
    }
  });

  test("of a coarse window of some filters each lies where its source says, and others nowhere", () => {
    browser();
    const some = {
      values: Float32Array.from({ length: 2 * 3 * 2 }, (_, at) => at), shape: [2, 3, 2],
      step: 2, origin: { top: 4, left: 6 }, filters: [7, 2],
    };
    const wide = spans(new Float32Array(9), Float32Array.from({ length: 9 }, (_, f) => 12 + f), false);
    const part = { top: 4, left: 6, rows: 2, columns: 3, step: 2 };
    const atlas = atlasOf(some, part, spanOf(wide, some.filters), false, null);
    const seen = { top: 4, left: 6, bottom: 8, right: 12 };
    const pixels = new Uint32Array(atlas.image.data.buffer);
    for (const [place, filter] of some.filters.entries()) {
      const source = sourceOf(atlas, filter, seen);
      expect([source.width, source.height]).toEqual([3, 2]);
      const own = some.values.filter((_, at) => at % 2 === place);
      const alone = atlasOf(
        { ...complete, shape: [2, 3, 1], values: own },
        { top: 0, left: 0, rows: 2, columns: 3, step: 1 },
        spans([0], [12 + filter], false), false, null);
      const rows = [0, 1].flatMap((y) => {
        const start = (source.y + y) * atlas.canvas.width + source.x;
        return [...pixels.subarray(start, start + 3)];
      });
      expect(rows).toEqual([...new Uint32Array(alone.image.data.buffer)]);
    }
    expect(sourceOf(atlas, 5, seen)).toBe(null);
  });

  test("memory is used again where the picture is as large, and not else", () => {
    browser();
    const first = atlasOf(maps, partOf(all, maps.shape, 1), span, false, null);
    const again = atlasOf(maps, partOf(all, maps.shape, 1), span, false, first);
    expect(again.canvas).toBe(first.canvas);
    expect(again.image).toBe(first.image);
    const coarse = atlasOf(maps, partOf(all, maps.shape, 2), span, false, first);
    expect(coarse.canvas).not.toBe(first.canvas);
    // As wide, but lower.
    const narrow = { ...partOf(all, maps.shape, 1), rows: 2 };
    const lower = atlasOf(maps, narrow, span, false, first);
    expect(lower.canvas.width).toBe(first.canvas.width);
    expect(lower.canvas).not.toBe(first.canvas);
  });
});
