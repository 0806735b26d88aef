// A plane of an answer as a picture: numbers as colors of a scale, three of them as red, green, blue.
import { MARKS, paint, spans } from "../feature_maps/wall/palette.js";

const MISSING = MARKS.sequential.missing;

/** The smallest and the largest finite value; 0 and 0 where there is none. */
export function extremesOf(values) {
  let [low, high] = [Infinity, -Infinity];
  for (const value of values) {
    if (value - value !== 0) continue; // NaN and infinities
    if (value < low) low = value;
    if (value > high) high = value;
  }
  return low > high ? { low: 0, high: 0 } : { low, high };
}

/**
 * Draws one plane in the colors of a scale, a pixel a value.
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array} values [y, x]
 * @param {[number, number]} shape
 * @param {{low: number, high: number, signed: boolean}} range what the colors span
 */
export function drawPlane(canvas, values, [height, width], { low, high, signed }) {
  const picture = new Uint32Array(height * width);
  const part = { top: 0, left: 0, rows: height, columns: width, step: 1 };
  paint(values, [height, width, 1], part, spans([low], [high], signed), 1, picture, false);
  put(canvas, picture, height, width);
}

/**
 * Draws scores of three components as red, green and blue.
 * @param {HTMLCanvasElement} canvas
 * @param {Float32Array[]} planes [y, x] of each component
 * @param {[number, number]} shape
 * @param {{low: number[], high: number[]}} basis what the colors of each component that there is span
 */
export function drawColors(canvas, planes, [height, width], basis) {
  const picture = new Uint32Array(height * width);
  const bytes = new Uint8ClampedArray(picture.buffer);
  const missing = [1, 3, 5].map((at) => parseInt(MISSING.slice(at, at + 2), 16));
  for (let at = 0; at < picture.length; at += 1) {
    const isMissing = Number.isNaN(planes[0][at]);
    for (let color = 0; color < 3; color += 1) {
      bytes[4 * at + color] = isMissing
        ? missing[color] : 255 * shareOf(planes[color][at], basis.low[color], basis.high[color]);
    }
    bytes[4 * at + 3] = 255;
  }
  put(canvas, picture, height, width);
}

/** How far a score is from the lowest to the highest color, 0 to 1; one half where there is none. */
export function shareOf(score, low, high) {
  if (low === undefined) return 0.5;
  return Math.min(Math.max((score - low) / (high > low ? high - low : 1), 0), 1);
}

function put(canvas, picture, height, width) {
  [canvas.width, canvas.height] = [width, height];
  const data = new ImageData(new Uint8ClampedArray(picture.buffer), width, height);
  canvas.getContext("2d").putImageData(data, 0, 0);
}
