// Raw little-endian bytes of the HTTP API as numbers. Knows no page.

let table = null; // all 65,536 float16 as float32, for browsers without Float16Array

/**
 * The values of an answer.
 * @param {ArrayBuffer} buffer its bytes
 * @param {string} dtype in numpy's words: "<f4" or "<f2"
 * @returns {Float32Array} float32 also for float16: every float16 is a float32
 */
export function decode(buffer, dtype) {
  if (dtype === "<f4") return new Float32Array(buffer);
  if (dtype !== "<f2") throw new Error(`expected <f4 or <f2, found ${dtype}`);
  if (globalThis.Float16Array) return new Float32Array(new globalThis.Float16Array(buffer));
  table ??= Float32Array.from({ length: 1 << 16 }, (_, bits) => half(bits));
  return Float32Array.from(new Uint16Array(buffer), (bits) => table[bits]);
}

/** The value of a float16 (IEEE 754 binary16) by its bits. */
export function half(bits) {
  const sign = bits & 0x8000 ? -1 : 1;
  const exponent = (bits >> 10) & 0x1f;
  const fraction = bits & 0x3ff;
  if (exponent === 0x1f) return fraction ? NaN : sign * Infinity;
  if (exponent === 0) return sign * fraction * 2 ** -24;
  return sign * (1 + fraction / 1024) * 2 ** (exponent - 15);
}

/** A number as numpy writes a float32: the fewest digits that tell it from its neighbours. */
export function exact(value) {
  if (!Number.isFinite(value)) return Number.isNaN(value) ? "NaN" : value > 0 ? "∞" : "−∞";
  for (let digits = 1; digits < 9; digits += 1) {
    // The neighbour below a power of two is nearer than the one above: what reads as it lies about
    // a point a little farther from zero.
    for (const middle of [value, value * (1 + 2 ** -26)]) {
      const near = Number(middle.toPrecision(digits));
      if (Math.fround(near) === value) return String(near);
    }
  }
  return String(Number(value.toPrecision(9)));
}

/** A number of so many digits, as `number_text` of fmcore/numbers.py writes it. */
export function general(value, most = 6) {
  if (!Number.isFinite(value)) return exact(value);
  const [digits, exponent] = value.toExponential(most - 1).split("e");
  const power = Number(exponent);
  if (power >= -4 && power < most) return String(Number(value.toPrecision(most)));
  const sign = power < 0 ? "-" : "+";
  return `${Number(digits)}e${sign}${String(Math.abs(power)).padStart(2, "0")}`;
}

/** Numbers of an axis in as few digits as tell them from each other; short, and so with powers. */
export function tickTexts(values) {
  const far = Math.max(...values.map(Math.abs));
  const near = values.length > 1 ? Math.abs(values[1] - values[0]) : far;
  const most = Math.min(Math.max(3, Math.floor(Math.log10(far / near || 1)) + 2), 15);
  return values.map((value) => {
    const size = Math.abs(value);
    if (!value || (size >= 1e-3 && size < 1e5)) return String(Number(value.toPrecision(most)));
    const [digits, exponent] = value.toExponential(most - 1).split("e");
    return `${Number(digits)}e${Number(exponent)}`;
  });
}

/** Round numbers from low to high, about `count` of them, for a color bar. */
export function ticks(low, high, count) {
  const rough = (high - low) / count;
  if (!(rough > 0) || !Number.isFinite(rough)) return [low];
  const unit = 10 ** Math.floor(Math.log10(rough));
  const step = [1, 2, 5, 10].map((times) => times * unit).find((length) => length >= rough);
  const values = [];
  for (let at = Math.ceil(low / step); at * step <= high + step * 1e-9; at += 1) {
    values.push(Number((at * step).toPrecision(12)));
  }
  return values;
}
