// Which weights a wall of kernels shows, and how an answer of the server becomes its tiles. Knows
// no page.
import { KINDS, MARKS, extremes } from "../feature_maps/wall/palette.js";

const MATRIX = 4 << 20; // weights that are shown whole, a row for each filter

/**
 * What is shown of a layer's kernels.
 * @typedef {object} Layout
 * @property {"colors"|"weights"|"planes"|"rows"|"norm"} kind three planes as colors; one plane of
 *   every filter; every plane of one filter; a row for each filter; the norm over planes
 * @property {string} query what the server is asked for, besides the layer
 * @property {[number, number, number]} shape of the tiles, [y, x, tile]
 * @property {number} plane that is shown, of kind `weights`
 */

/**
 * @param {import("./kernel_wall.js").KernelFacts} facts
 * @param {{view: string, plane: number, filter: number}} state
 * @returns {Layout}
 */
export function layoutOf(facts, { view, plane, filter }) {
  const [height, width, planes, n] = facts.shape;
  const last = Math.min(plane ?? 0, planes - 1);
  const tiles = { shape: [height, width, n], plane: last };
  if (view === "filter" && planes > 1) {
    const query = `&filter=${Math.min(filter ?? 0, n - 1)}`;
    return { kind: "planes", query, shape: [height, width, planes], plane: last };
  }
  if (view === "plane" || planes === 1) return { ...tiles, kind: "weights", query: `&plane=${last}` };
  if (facts.is_color) return { ...tiles, kind: "colors", query: "" };
  if (height * width === 1 && planes * n <= MATRIX) {
    return { ...tiles, kind: "rows", query: "", shape: [1, planes, n] };
  }
  return { ...tiles, kind: "norm", query: "&norm=l2" };
}

/**
 * The tiles of an answer as a wall draws them; of three planes a value is the one farthest from zero.
 * @param {{values: Float32Array}} array weights [y, x, plane, filter]
 * @param {Layout} layout
 * @returns {import("../feature_maps/wall/atlas.js").Maps & {colors: Float32Array|undefined}}
 */
export function tilesOf({ values }, { kind, shape }) {
  const maps = { values, shape, step: 1, origin: { top: 0, left: 0 }, filters: null };
  if (kind !== "colors") return maps;
  const n = shape[2];
  const farthest = new Float32Array(values.length / 3);
  for (let at = 0; at < farthest.length; at += 1) {
    const start = Math.floor(at / n) * 3 * n + (at % n);
    let most = values[start];
    for (const other of [values[start + n], values[start + 2 * n]]) {
      if (Math.abs(other) > Math.abs(most) || other !== other) most = other;
      if (most !== most) break;
    }
    farthest[at] = most;
  }
  return { ...maps, values: farthest, colors: values, paint: painter(values) };
}

/** The L1 or L2 norm of each tile of maps [y, x, tile]. */
export function normsOf(values, n, order) {
  const sums = new Float64Array(n);
  for (let at = 0; at < values.length; at += 1) {
    sums[at % n] += order === "l1" ? Math.abs(values[at]) : values[at] ** 2;
  }
  return order === "l1" ? sums : sums.map(Math.sqrt);
}

/**
 * What a wall has to know of tiles, by the names that it has for what it knows of a layer.
 * @param {import("./kernel_wall.js").KernelFacts} facts
 * @param {Layout} layout
 * @param {import("../feature_maps/wall/atlas.js").Maps} maps
 */
export function wallFacts(facts, { kind, shape }, maps) {
  const { low, high } = extremes(maps.values, shape[2]);
  const isNorm = kind === "norm";
  const span = isNorm ? [0, Math.max(...extremes(maps.values, 1).high) || 1] : [-facts.reach, facts.reach];
  return {
    layer: facts.layer, shape, low: isNorm ? low.fill(0) : low, high, span, percentiles: span,
    signed: !isNorm, windows: null,
  };
}

const shareOf = (value, from, to) => Math.min(1, Math.max(0, (value - from) / (to - from)));

/** A weight as what a color has of one channel: middle gray is zero. */
const channel = (share) => Math.round(255 * share);

/** The colors of a color bar at a share: those of a weight of R alone, of G, and of B. */
export const colorsAt = (share) => [0, 1, 2].map((plane) => (
  `rgb(${[0, 1, 2].map((each) => (each === plane ? channel(share) : 128)).join(" ")})`));

const pixelOf = (hex) => {
  const [red, green, blue] = [1, 3, 5].map((at) => parseInt(hex.slice(at, at + 2), 16));
  return ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
};

/**
 * A painter, as `paint` of palette.js, of kernels whose three planes are colors.
 * @param {Float32Array} colors weights [y, x, plane, filter]
 * @param {number[]} [order] the planes that are red, green and blue
 */
export function painter(colors, order = [0, 1, 2]) {
  return (values, [, width, n], { top, left, rows, columns, step }, span, across, picture) => {
    const kind = KINDS.indexOf("missing");
    const missing = pixelOf(MARKS.diverging.missing);
    const counts = KINDS.map(() => 0);
    const line = across * columns;
    let kinds = null;
    for (let f = 0; f < n; f += 1) {
      const base = Math.floor(f / across) * rows * line + (f % across) * columns;
      const [from, to] = [span.from[f], span.to[f]];
      for (let row = 0; row < rows; row += 1) {
        for (let column = 0; column < columns; column += 1) {
          const cell = (top + row * step) * width + left + column * step;
          const place = base + row * line + column;
          const weights = order.map((plane) => colors[(cell * 3 + plane) * n + f]);
          if (weights.every(Number.isFinite)) {
            const [red, green, blue] = weights.map((weight) => channel(shareOf(weight, from, to)));
            picture[place] = ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
            continue;
          }
          kinds ??= new Uint8Array(picture.length);
          kinds[place] = kind;
          counts[kind] += 1;
          picture[place] = missing;
        }
      }
    }
    return { counts, kinds };
  };
}
