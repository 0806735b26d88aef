// Colors of activations: look-up tables from values to pixels. Knows no page.

// The anchors of Plotly's Viridis and RdBu, so that the wall and the enlarged map agree.
const VIRIDIS = [
  "440154", "482878", "3e4989", "31688e", "26828e",
  "1f9e89", "35b779", "6ece58", "b5de2b", "fde725",
];
const RED_BLUE = [
  "053061", "2166ac", "4393c3", "92c5de", "d1e5f0", "f7f7f7",
  "fddbc7", "f4a582", "d6604d", "b2182b", "67001f",
];
const STEPS = 256;

export const ABOVE = "#ff5c5c"; // over the range; neither scale has it
export const BELOW = "#22b8cf"; // under the range
export const ZERO = { light: "#dee2e6", dark: "#495057" }; // exactly zero, where it is marked
export const MISSING = "#868e96"; // NaN

// Of what is no value: names, frames, ticks.
export const INK = {
  light: { text: "#212529", faint: "#868e96", chip: "rgb(255 255 255 / 82%)", accent: "#e8590c" },
  dark: { text: "#dee2e6", faint: "#868e96", chip: "rgb(26 27 30 / 82%)", accent: "#ff922b" },
};

const channels = (hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
// A pixel as ImageData holds it, on a little-endian machine.
const pixel = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
const pixelOf = (color) => pixel(channels(color.slice(1)));

function tableOf(anchors) {
  const parts = anchors.map(channels);
  return Uint32Array.from({ length: STEPS }, (_, index) => {
    const at = (index / (STEPS - 1)) * (parts.length - 1);
    const low = Math.min(Math.floor(at), parts.length - 2);
    return pixel(parts[low].map((part, c) =>
      Math.round(part + (parts[low + 1][c] - part) * (at - low))));
  });
}

const TABLES = { sequential: tableOf(VIRIDIS), diverging: tableOf(RED_BLUE) };

/**
 * What values are colored by.
 * @param {boolean} signed whether some values may be below zero: then about zero, else from low
 */
export const scaleOf = (signed) => (signed ? "diverging" : "sequential");

/** CSS color of a scale at a share from 0 to 1, for color bars. */
export function colorAt(scale, share) {
  const value = TABLES[scale][Math.round(share * (STEPS - 1))];
  return `rgb(${value & 255} ${(value >> 8) & 255} ${(value >> 16) & 255})`;
}

/**
 * What each filter's colors span, made ready for `paint`.
 * @param {ArrayLike<number>} low of each filter
 * @param {ArrayLike<number>} high of each filter
 * @param {boolean} signed about zero, to the same distance both ways
 */
export function spans(low, high, signed) {
  const n = low.length;
  const from = new Float32Array(n);
  const to = new Float32Array(n);
  for (let f = 0; f < n; f += 1) {
    const reach = Math.max(-low[f], high[f]) || 1;
    from[f] = signed ? -reach : low[f];
    // A span of nothing still needs a width: all of it is then the lowest color.
    to[f] = signed ? reach : high[f] > low[f] ? high[f] : low[f] + 1;
  }
  return { from, to, scale: scaleOf(signed) };
}

/** The smallest and the largest finite value of each filter of maps [y, x, filter]. */
export function extremes(values, n) {
  const low = new Float32Array(n).fill(Infinity);
  const high = new Float32Array(n).fill(-Infinity);
  for (let start = 0; start < values.length; start += n) {
    for (let f = 0; f < n; f += 1) {
      const value = values[start + f];
      if (value - value !== 0) continue; // NaN and infinities
      if (value < low[f]) low[f] = value;
      if (value > high[f]) high[f] = value;
    }
  }
  for (let f = 0; f < n; f += 1) if (low[f] > high[f]) low[f] = high[f] = 0;
  return { low, high };
}

/**
 * What each filter's colors span, by the choice of a person.
 * @param {string} range "layer", "filter", "map" or "percentile"
 * @param {import("../session.js").WallFacts} facts
 * @param {Float32Array} values maps [y, x, filter], for "map"
 */
export function spansOf(range, facts, values) {
  const n = facts.shape[2];
  const fill = (value) => new Float32Array(n).fill(value);
  if (range === "map") {
    const { low, high } = extremes(values, n);
    return spans(low, high, facts.signed);
  }
  if (range === "filter") return spans(facts.low, facts.high, facts.signed);
  const [low, high] = range === "percentile" ? facts.percentiles : facts.span;
  return spans(fill(low), fill(high), facts.signed);
}

/** Which filters of maps [y, x, filter] are exactly zero everywhere: 1 for each; NaN is not zero. */
export function allZero(values, n) {
  const zero = new Uint8Array(n).fill(1);
  for (let start = 0; start < values.length; start += n) {
    for (let f = 0; f < n; f += 1) if (values[start + f] !== 0) zero[f] = 0;
  }
  return zero;
}

/** The mean of each filter of maps [y, x, filter]; not finite where one of its values is not. */
export function means(values, n) {
  const sums = new Float64Array(n);
  for (let start = 0; start < values.length; start += n) {
    for (let f = 0; f < n; f += 1) sums[f] += values[start + f];
  }
  return sums.map((sum) => (sum / values.length) * n);
}

/**
 * Paints a window of maps into a picture that holds the tiles side by side, without gaps.
 *
 * A cell that stands for several values shows the one farthest from zero, so that sparse activity
 * stays seen.
 *
 * @param {Float32Array} values maps [y, x, filter]
 * @param {[number, number, number]} shape of the maps
 * @param {{top: number, left: number, rows: number, columns: number, step: number}} part cells of
 *   the window, and how many values each way one of them stands for
 * @param {{from: Float32Array, to: Float32Array, scale: string}} span see `spans`
 * @param {number} across tiles in a row of the picture
 * @param {Uint32Array} picture pixels; all that belong to a tile are written
 * @param {{zero: string|null}} marks the color of exact zeros, if they are marked
 * @returns {{above: number, below: number}} how many cells lie outside their span
 */
export function paint(values, shape, part, span, across, picture, marks) {
  const [height, width, n] = shape;
  const { top, left, rows, columns, step } = part;
  const table = TABLES[span.scale];
  const [over, under, missing] = [ABOVE, BELOW, MISSING].map(pixelOf);
  const zero = marks.zero === null ? null : pixelOf(marks.zero);
  const line = across * columns; // pixels of a row of the picture
  const base = new Uint32Array(n);
  const factor = new Float64Array(n); // of a span of 1e-38 it is more than a float32 holds
  for (let f = 0; f < n; f += 1) {
    base[f] = Math.floor(f / across) * rows * line + (f % across) * columns;
    factor[f] = STEPS / (span.to[f] - span.from[f]);
  }
  const { from, to } = span;
  let above = 0;
  let below = 0;
  for (let row = 0; row < rows; row += 1) {
    const firstY = top + row * step;
    const lastY = Math.min(firstY + step, height);
    for (let column = 0; column < columns; column += 1) {
      const firstX = left + column * step;
      const lastX = Math.min(firstX + step, width);
      const place = row * line + column;
      for (let f = 0; f < n; f += 1) {
        let value = values[(firstY * width + firstX) * n + f];
        if (step > 1) {
          for (let y = firstY; y < lastY; y += 1) {
            for (let x = firstX; x < lastX; x += 1) {
              const other = values[(y * width + x) * n + f];
              if (Math.abs(other) > Math.abs(value) || value !== value) value = other;
            }
          }
        }
        let color;
        if (value !== value) color = missing;
        else if (value > to[f]) { color = over; above += 1; }
        else if (value < from[f]) { color = under; below += 1; }
        else if (value === 0 && zero !== null) color = zero;
        else color = table[Math.min(STEPS - 1, ((value - from[f]) * factor[f]) | 0)];
        picture[base[f] + place] = color;
      }
    }
  }
  return { above, below };
}
