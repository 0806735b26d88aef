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

// What a cell is that has no color of a scale, by the number that `paint` keeps of it: above the
// range, below it, +∞, −∞, NaN, exactly zero, where that is marked, and what has no logarithm, where
// colors are spaced by it. 0 for all others.
export const KINDS = [
  "", "above", "below", "highest", "lowest", "missing", "zero", "nonpositive",
];
const [, ABOVE, BELOW, HIGHEST, LOWEST, MISSING, ZERO, NONPOSITIVE] = KINDS.keys();

// Their colors on either scale. Each is ΔE2000 15 or more from every color of the scale, from both
// grounds of the pages and from the others, also for those who see no red, green or blue; so many as
// there are: beside the diverging scale there are two. What shares a color is told by its form, see
// forms.js; null is the color that the value has anyway. tests/e2e/test_color.py measures them, and
// dashboard/figures/marks.py has them too.
export const MARKS = {
  sequential: {
    above: "#b93b17", below: "#b75dff", highest: "#b93b17", lowest: "#b75dff",
    missing: "#775555", zero: "#b0a8d0", nonpositive: null,
  },
  diverging: {
    above: "#7c515e", below: "#7c515e", highest: "#7c515e", lowest: "#7c515e",
    missing: "#8d898b", zero: null, nonpositive: null,
  },
};

// Of what is no value: names, frames, ticks.
export const INK = {
  light: { ground: "#ffffff", text: "#212529", chip: "rgb(255 255 255 / 82%)", accent: "#e8590c" },
  dark: { ground: "#242424", text: "#dee2e6", chip: "rgb(26 27 30 / 82%)", accent: "#ff922b" },
};

const channels = (hex) => [0, 2, 4].map((at) => parseInt(hex.slice(at, at + 2), 16));
// A pixel as ImageData holds it, on a little-endian machine.
const pixel = ([red, green, blue]) => ((255 << 24) | (blue << 16) | (green << 8) | red) >>> 0;
const pixelOf = (color) => pixel(
  color.startsWith("#") ? channels(color.slice(1)) : color.match(/\d+/g).map(Number));

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
const ABOUT_ZERO = new Set(["diverging"]);

/** How values lie along the colors where that is not linear, by name; spacing.js adds them. */
export const SPACINGS = {};

/** Adds a scale and the same from its other end; scales.js has those that few pages need. */
export function addScale(name, anchors, marks, isAboutZero) {
  for (const [key, table] of [[name, anchors], [`${name}_r`, anchors?.toReversed()]]) {
    TABLES[key] ??= table ? tableOf(table) : TABLES[name].toReversed();
    MARKS[key] ??= marks ?? MARKS[name];
    if (isAboutZero) ABOUT_ZERO.add(key);
  }
}

// What links call the two scales that are always here.
const NAMES = { viridis: "sequential", red_blue: "diverging" };

/**
 * What values are colored by: what was chosen; else about zero where some may be below it, which a
 * logarithm has no place for.
 * @param {{facts: {signed: boolean}, colors: string, norm: string, inverted: boolean}} view
 */
export function scaleOf({ facts, colors, norm, inverted }) {
  const usual = facts.signed && norm !== "log" ? "diverging" : "sequential";
  const name = colors === "usual" ? usual : NAMES[colors] ?? colors;
  return inverted ? `${name}_r` : name;
}

/** The modules that have to be here before a view is painted. */
export const needed = (view) => [
  ...(scaleOf(view) in TABLES ? [] : ["./wall/scales.js"]),
  ...(view.norm === "linear" || view.norm in SPACINGS ? [] : ["./wall/spacing.js"]),
];

/** CSS color of a scale at a share from 0 to 1, for color bars. */
export function colorAt(scale, share) {
  const value = TABLES[scale][Math.round(share * (STEPS - 1))];
  return `rgb(${value & 255} ${(value >> 8) & 255} ${(value >> 16) & 255})`;
}

/** The color of a cell of a kind: its own, that of zero, or the lowest for what has no logarithm. */
export const fillOf = (kind, scale) => MARKS[scale][kind] ?? colorAt(scale, kind === "zero" ? 0.5 : 0);

/**
 * What each filter's colors span, made ready for `paint`: values `from` and `to`, beyond which they
 * are marked; `start` and `stop`, where the scale begins and ends.
 * @param {ArrayLike<number>} low of each filter
 * @param {ArrayLike<number>} high of each filter
 * @param {boolean} isAboutZero to the same distance both ways
 * @param {string} scale
 */
export function spans(low, high, isAboutZero, scale = isAboutZero ? "diverging" : "sequential") {
  const n = low.length;
  const from = new Float32Array(n);
  const to = new Float32Array(n);
  for (let f = 0; f < n; f += 1) {
    const reach = Math.max(-low[f], high[f]) || 1;
    from[f] = isAboutZero ? -reach : low[f];
    // A span of nothing still needs a width: all of it is then the lowest color.
    to[f] = isAboutZero ? reach : high[f] > low[f] ? high[f] : low[f] + 1;
  }
  return { from, to, start: from, stop: to, scale, isAboutZero, spacing: null };
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

/** Whether the colors of a range are the same values in all tiles, and so have a unit. */
export const isInUnits = (range) => ["layer", "percentile", "hand"].includes(range);

/** Two ends as a link has them, "low,high", as numbers; null where there are none. */
export function endsOf(text) {
  const [low, high] = (text || "").split(",").map(Number);
  return low < high ? [low, high] : null;
}

/**
 * What each filter's colors span, by the choice of a person.
 * @param {import("../session.js").View} view
 * @param {Float32Array} values maps [y, x, filter], for the range "map"
 */
export function spansOf(view, values) {
  const { facts, norm, range } = view;
  const n = facts.shape[2];
  const fill = (value) => new Float32Array(n).fill(value);
  const ends = {
    percentile: facts.percentiles, hand: endsOf(view.ends) ?? facts.span,
  }[range] ?? facts.span;
  const { low, high } = range === "map" ? extremes(values, n)
    : range === "filter" ? { low: facts.low, high: facts.high } : { low: fill(ends[0]), high: fill(ends[1]) };
  const scale = scaleOf(view);
  const isAboutZero = ABOUT_ZERO.has(scale);
  const isByHand = range === "hand";
  if (norm !== "linear") {
    return SPACINGS[norm].spans({ low, high, scale, isAboutZero, isByHand, isInUnits: isInUnits(range) });
  }
  const span = spans(low, high, isAboutZero, scale);
  // By hand the ends are as typed, and zero keeps its color.
  return isByHand && isAboutZero ? { ...span, from: fill(ends[0]), to: fill(ends[1]) } : span;
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
 * @param {object} span see `spans`
 * @param {number} across tiles in a row of the picture
 * @param {Uint32Array} picture pixels; all that belong to a tile are written
 * @param {boolean} zeros whether exact zeros are marked
 * @returns {{counts: number[], kinds: Uint8Array|null}} how many cells there are of each of `KINDS`,
 *   and the kind of each pixel; null where no cell has one
 */
export function paint(values, shape, part, span, across, picture, zeros) {
  const [height, width, n] = shape;
  const { top, left, rows, columns, step } = part;
  const table = TABLES[span.scale];
  const { from, to, start, stop, spacing, near } = span;
  const fills = Uint32Array.from(KINDS, (kind) => kind && pixelOf(fillOf(kind, span.scale)));
  // Below the range: of a logarithm, what has none is told apart.
  const lowKind = (value) => {
    if (!spacing?.isLog || value > 0) return BELOW;
    return value === 0 && zeros ? ZERO : NONPOSITIVE;
  };
  const counts = KINDS.map(() => 0);
  let kinds = null;
  const line = across * columns; // pixels of a row of the picture
  const base = new Uint32Array(n);
  const origin = spacing ? start.map((end, f) => spacing.place(end, near[f])) : start;
  const factor = new Float64Array(n); // of a span of 1e-38 it is more than a float32 holds
  for (let f = 0; f < n; f += 1) {
    base[f] = Math.floor(f / across) * rows * line + (f % across) * columns;
    factor[f] = STEPS / ((spacing?.place(stop[f], near[f]) ?? stop[f]) - origin[f]);
  }
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
        let kind = 0;
        if (value !== value) kind = MISSING;
        else if (value > to[f]) kind = value === Infinity ? HIGHEST : ABOVE;
        else if (value < from[f]) kind = value === -Infinity ? LOWEST : lowKind(value);
        else if (value === 0 && zeros) kind = ZERO;
        if (kind) {
          kinds ??= new Uint8Array(picture.length);
          kinds[base[f] + place] = kind;
          counts[kind] += 1;
        } else if (spacing) value = spacing.place(value, near[f]);
        picture[base[f] + place] = (kind && fills[kind])
          || table[Math.min(STEPS - 1, ((value - origin[f]) * factor[f]) | 0)];
      }
    }
  }
  return { counts, kinds };
}
