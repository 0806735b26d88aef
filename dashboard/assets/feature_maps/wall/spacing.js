// Colors that are not spaced evenly: by logarithm, and by logarithm beyond a linear middle, as
// matplotlib's SymLogNorm (linscale 1, base 10). Loaded where one is chosen; SPACINGS of palette.js has them.
import { general, ticks } from "./numbers.js";
import { SPACINGS } from "./palette.js";

const DECADES = 3; // below the high end, where the low end is no positive number
const NEAR = 0.01; // of the farthest end: within it symlog is linear
const LINEAR = 10 / 9; // decades that the linear middle takes, each way
const SMALLEST = 2 ** -149; // of float32

const powers = (low, high) => {
  const first = Math.ceil(Math.log10(low) - 1e-9);
  const n = Math.floor(Math.log10(high) + 1e-9) - first + 1;
  return Array.from({ length: Math.max(0, n) }, (_, at) => Number(`1e${first + at}`));
};

// About as many as a color bar has room for.
function logTicks(low, high) {
  const decades = powers(low, high);
  if (decades.length < 2) return ticks(low, high, 5);
  const every = Math.ceil(decades.length / 8);
  if (decades.length > 3) return decades.filter((_, at) => at % every === 0);
  return [decades[0] / 10, ...decades].flatMap((tick) => [1, 2, 5].map((times) => times * tick))
    .filter((tick) => tick >= low * (1 - 1e-9) && tick <= high * (1 + 1e-9));
}

// Of each filter, as `spans` of palette.js has them.
function spanned({ low, high, scale }, spacing, endsAt) {
  const n = low.length;
  const [from, to, start, stop] = [0, 1, 2, 3].map(() => new Float32Array(n));
  const near = new Float64Array(n);
  for (let f = 0; f < n; f += 1) {
    [from[f], to[f], start[f], stop[f], near[f]] = endsAt(low[f], high[f]);
  }
  return { from, to, start, stop, near, scale, spacing };
}

SPACINGS.log = {
  isLog: true,
  place: Math.log10,
  value: (place) => 10 ** place,
  ticks: logTicks,
  /** From the low end, where it is positive and all tiles have it; else from a share of the high. */
  spans(wanted) {
    return spanned(wanted, SPACINGS.log, (low, high) => {
      const top = high > 0 ? high : 1;
      const bottom = Math.fround(
        Math.max(wanted.isInUnits && low > 0 ? low : top / 10 ** DECADES, SMALLEST));
      const end = top > bottom ? top : bottom * 10;
      return [bottom, end, bottom, end, NaN];
    });
  },
  words({ from, to }, isInUnits) {
    const ends = isInUnits ? `from ${general(from[0], 3)} to ${general(to[0], 3)}`
      : "over three decades";
    return `They are spaced by logarithm, ${ends}; a low end that is not positive is a thousandth of `
      + "the high one. Values that are zero or below have no logarithm, and are dashed.";
  },
};

SPACINGS.symlog = {
  isLog: false,
  place: (value, near) => {
    const size = Math.abs(value);
    return size <= near ? (value / near) * LINEAR
      : Math.sign(value) * (LINEAR + Math.log10(size / near));
  },
  value: (place, near) => {
    const size = Math.abs(place);
    return size <= LINEAR ? (place / LINEAR) * near
      : Math.sign(place) * near * 10 ** (size - LINEAR);
  },
  ticks(low, high, near) {
    const sizes = (reach) => (reach > near ? powers(near, reach) : []);
    const all = [...sizes(-low).map((tick) => -tick).reverse(), 0, ...sizes(high)];
    return all.filter((tick) => tick >= low && tick <= high);
  },
  /** About zero where a filter's own range is spanned, so that one bar holds for all tiles. */
  spans(wanted) {
    const isBothWays = wanted.isAboutZero || (!wanted.isInUnits && wanted.low.some((end) => end < 0));
    return spanned(wanted, SPACINGS.symlog, (low, high) => {
      const reach = Math.max(-low, high, Math.abs(low)) || 1;
      const own = wanted.isInUnits ? [low, high > low ? high : low + 1] : [0, reach];
      const whole = isBothWays ? [-reach, reach] : own;
      return [...(wanted.isByHand ? own : whole), ...whole, reach * NEAR];
    });
  },
  words({ near }, isInUnits) {
    const middle = isInUnits ? `within ±${general(near[0], 3)}, ` : "";
    return `They are linear ${middle}1 % of the farthest end, and spaced by logarithm beyond.`;
  },
};
