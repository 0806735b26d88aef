// Painted maps kept as one picture, tile beside tile, which the wall copies from at each frame.
import { paint } from "./palette.js";

const LONGEST = 16_384; // pixels of a side that every browser's canvas takes

/**
 * Maps as they came: all values, or of large ones a window in which a cell stands for several.
 * @typedef {object} Maps
 * @property {Float32Array} values cells [y, x, filter]
 * @property {[number, number, number]} shape of `values`
 * @property {number} step values each way that a cell stands for; 1 for all values
 * @property {{top: number, left: number}} origin the first value of the window
 * @property {number[]|null} filters which filters they are of; null for all
 * @property {typeof paint} [paint] paints them, where a color is more than a value
 */

/**
 * A window of maps, painted.
 * @param {Maps} maps
 * @param {{top: number, left: number, rows: number, columns: number, step: number}} part cells,
 *   counted in values of the whole map; `step` a multiple of that of the maps
 * @param {object} span see `spans` of palette.js
 * @param {boolean} zeros whether exact zeros are marked
 * @param {Atlas|null} old one whose memory may be used again
 * @typedef {{canvas: OffscreenCanvas, part: object, across: number, scale: string,
 *   counts: number[], kinds: Uint8Array|null}} Atlas
 * @returns {Atlas}
 */
export function atlasOf(maps, part, span, zeros, old) {
  const n = maps.shape[2];
  const across = tilesAcross(n, part);
  const width = across * part.columns;
  const height = Math.ceil(n / across) * part.rows;
  const fits = old && old.canvas.width === width && old.canvas.height === height;
  const canvas = fits ? old.canvas : new OffscreenCanvas(width, height);
  const image = fits ? old.image : new ImageData(width, height);
  const pixels = new Uint32Array(image.data.buffer);
  const inCells = {
    ...part, step: part.step / maps.step,
    top: (part.top - maps.origin.top) / maps.step, left: (part.left - maps.origin.left) / maps.step,
  };
  const painted = (maps.paint ?? paint)(maps.values, maps.shape, inCells, span, across, pixels, zeros);
  canvas.getContext("2d").putImageData(image, 0, 0);
  const places = maps.filters && new Map(maps.filters.map((filter, place) => [filter, place]));
  return { canvas, image, part, across, places, scale: span.scale, ...painted };
}

/** One filter's map, its values [y, x], out of maps [y, x, filter]. */
export function mapOf(values, n, filter) {
  const map = new Float32Array(values.length / n);
  for (let at = 0; at < map.length; at += 1) map[at] = values[at * n + filter];
  return map;
}

/** The spans of some filters, in their order; all for null. */
export function spanOf(span, filters) {
  if (filters === null) return span;
  const parts = ["from", "to", "start", "stop", "near"].filter((name) => span[name]);
  return { ...span, ...Object.fromEntries(parts.map((name) => [
    name, Float64Array.from(filters, (filter) => span[name][filter])])) };
}

/** Tiles in a row, so that the picture is about square and no side is too long. */
export function tilesAcross(n, { rows, columns }) {
  const square = Math.max(1, Math.round(Math.sqrt((n * rows) / columns)));
  return Math.min(n, square, Math.max(1, Math.floor(LONGEST / columns)));
}

/** The part of a map that a window needs, in whole cells of `step` values. */
export function partOf(window, [height, width], step) {
  const top = Math.max(0, Math.floor(window.top / step) * step);
  const left = Math.max(0, Math.floor(window.left / step) * step);
  return {
    top, left, step,
    rows: Math.ceil((Math.min(height, window.bottom) - top) / step),
    columns: Math.ceil((Math.min(width, window.right) - left) / step),
  };
}

/** Whether an atlas shows all of a window, and no coarser than asked. */
export function covers({ part }, window, step) {
  return part.step <= step && part.top <= window.top && part.left <= window.left
    && part.top + part.rows * part.step >= window.bottom
    && part.left + part.columns * part.step >= window.right;
}

/** Where a window of a filter's map lies in an atlas, in its pixels; null if it is not there. */
export function sourceOf({ part, across, places }, filter, window) {
  const place = places ? places.get(filter) : filter;
  if (place === undefined) return null;
  return {
    x: (place % across) * part.columns + (window.left - part.left) / part.step,
    y: Math.floor(place / across) * part.rows + (window.top - part.top) / part.step,
    width: (window.right - window.left) / part.step,
    height: (window.bottom - window.top) / part.step,
  };
}
