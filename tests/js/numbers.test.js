// What travels as bytes is the number that was stored, and is read out whole.
import fc from "fast-check";
import { afterEach, describe, expect, test, vi } from "vitest";
import {
  decode, exact, general, half, tickTexts, ticks,
} from "../../dashboard/assets/feature_maps/wall/numbers.js";

const ALL_HALVES = 1 << 16;

// IEEE 754-2019, 3.4, in whole numbers: a float16's bits moved into a float32's. Subnormals have
// no counterpart and are shifted until their leading bit is the hidden one.
function widened(bits) {
  const sign = (bits & 0x8000) << 16;
  let exponent = (bits >> 10) & 0x1f;
  let fraction = bits & 0x3ff;
  if (exponent === 0x1f) return (sign | 0x7f800000 | (fraction << 13)) >>> 0;
  if (exponent === 0 && fraction === 0) return sign >>> 0;
  if (exponent === 0) {
    exponent = 1;
    while (!(fraction & 0x400)) {
      fraction <<= 1;
      exponent -= 1;
    }
    fraction &= 0x3ff;
  }
  return (sign | ((exponent + 112) << 23) | (fraction << 13)) >>> 0;
}

const EVERY = Uint16Array.from({ length: ALL_HALVES }, (_, bits) => bits);
const EXPECTED = new Float32Array(Uint32Array.from(EVERY, widened).buffer);

const asFloat32 = (bits) => new Float32Array(Uint32Array.of(bits).buffer)[0];
const float32 = fc.integer({ min: 0, max: 0xffffffff }).map((bits) => asFloat32(bits >>> 0));

/** Fails at the first number that is another one; NaN is NaN, and −0 is not 0. */
function expectSame(found, expected) {
  expect(found.length).toBe(expected.length);
  const wrong = found.findIndex((value, at) => !Object.is(value, expected[at]));
  expect(wrong, `${found[wrong]} for ${expected[wrong]}`).toBe(-1);
}

describe("decode", () => {
  afterEach(() => vi.unstubAllGlobals());

  test("every float16, where the browser knows no Float16Array", () => {
    vi.stubGlobal("Float16Array", undefined);
    expectSame(decode(EVERY.buffer, "<f2"), EXPECTED);
  });

  test("every float16, where the browser knows them", () => {
    const native = globalThis.Float16Array;
    if (!native) {
      // A Node without them: as the language says it is called.
      vi.stubGlobal("Float16Array", class {
        constructor(buffer) {
          return Float32Array.from(new Uint16Array(buffer), (bits) => asFloat32(widened(bits)));
        }
      });
    }
    expectSame(decode(EVERY.buffer, "<f2"), EXPECTED);
  });

  test("some that everybody knows", () => {
    expect(half(0x3c00)).toBe(1);
    expect(half(0xc000)).toBe(-2);
    expect(half(0x7bff)).toBe(65504);
    expect(half(0x0001)).toBe(2 ** -24);
    expect(half(0x7c00)).toBe(Infinity);
    expect(half(0xfc00)).toBe(-Infinity);
    expect(half(0x7e00)).toBeNaN();
    expect(half(0x8000)).toBe(-0);
  });

  test("float32 bytes are the values, little-endian", () => {
    const bytes = Uint8Array.of(0, 0, 128, 63, 0, 0, 32, 192);
    expect([...decode(bytes.buffer, "<f4")]).toEqual([1, -2.5]);
  });

  test("another type is refused by its name", () => {
    expect(() => decode(new ArrayBuffer(8), "<f8")).toThrow("expected <f4 or <f2, found <f8");
  });
});

describe("exact", () => {
  /** How many digits a float32 needs: of `digits`, the decimals about it, and do any read back? */
  function needed(value) {
    for (let digits = 1; digits < 9; digits += 1) {
      const [mantissa, exponent] = value.toExponential(digits - 1).split("e");
      const whole = BigInt(mantissa.replace(".", ""));
      const near = [-1n, 0n, 1n].map((more) => Number(`${whole + more}e${exponent - digits + 1}`));
      if (near.some((one) => Object.is(Math.fround(one), value))) return digits;
    }
    return 9;
  }

  const digitsOf = (text) => text.replace(/e.*$/, "").replace(/[-.]/g, "")
    .replace(/^0+/, "").replace(/0+$/, "").length;

  function check(value) {
    const text = exact(value);
    expect(Math.fround(Number(text)), text).toBe(value);
    expect(digitsOf(text), text).toBeLessThanOrEqual(needed(value));
  }

  test("is the shortest text that reads back as the same float32", () => {
    fc.assert(fc.property(float32.filter((one) => Number.isFinite(one) && one !== 0), check), {
      numRuns: 3000,
    });
  });

  test("also where the distances to the neighbours differ, and at the ends", () => {
    for (let exponent = -149; exponent < 128; exponent += 1) check(2 ** exponent);
    for (const bits of [1, 2, 3, 0x007fffff, 0x00800000, 0x7f7fffff]) check(asFloat32(bits));
  });

  test.each([
    [0, "0"], [-0, "0"], [0.5, "0.5"], [-1, "-1"], [Math.fround(0.1), "0.1"],
    [Math.fround(1 / 3), "0.33333334"], [16777216, "16777216"], [Math.fround(1e-7), "1e-7"],
    [NaN, "NaN"], [Infinity, "∞"], [-Infinity, "−∞"],
  ])("%f is %s", (value, text) => {
    expect(exact(value)).toBe(text);
  });
});

describe("numbers that people read", () => {
  const sizes = [1, -1].flatMap((sign) => [1, 2.34567, 9.9996].flatMap((digits) =>
    Array.from({ length: 25 }, (_, at) => sign * digits * 10 ** (at - 12))));

  test("keep their digits from 1e-12 to 1e12", () => {
    for (const most of [3, 6]) {
      for (const value of sizes) {
        const text = general(value, most);
        expect(Math.abs(Number(text) / value - 1)).toBeLessThan(0.51 * 10 ** (1 - most));
        expect(text).toMatch(/^-?[\d.]+(e[+-]\d+)?$/);
      }
    }
    expect([NaN, Infinity, -Infinity].map((value) => general(value, 3))).toEqual(["NaN", "∞", "−∞"]);
  });

  test("of an axis differ, are short, and are read back", () => {
    for (const low of [0, 1000, -5]) {
      // A range of fewer digits than ticks have is none.
      for (let power = low ? -7 : -12; power <= 12; power += 1) {
        const values = ticks(low, low + 3 * 10 ** power, 5);
        const texts = tickTexts(values);
        expect(new Set(texts).size).toBe(values.length);
        for (const [at, text] of texts.entries()) {
          expect(Number(text)).toBeCloseTo(values[at], 11 - Math.max(power, 0));
          if (!low) expect(text.length).toBeLessThanOrEqual(7);
        }
      }
    }
    expect(tickTexts([0, 2e-5, 4e-5])).toEqual(["0", "2e-5", "4e-5"]);
    expect(tickTexts([0.25])).toEqual(["0.25"]);
  });
});

describe("ticks", () => {
  const range = fc.tuple(float32, float32).filter(([a, b]) => (
    Number.isFinite(a) && Number.isFinite(b) && Math.fround(b - a) > 1e-30
  ));

  test("lie in the range, rise evenly, and are about as many as asked", () => {
    fc.assert(fc.property(range, fc.integer({ min: 2, max: 10 }), ([low, high], count) => {
      const found = ticks(low, high, count);
      const slack = (high - low) * 1e-6;
      expect(found.length).toBeGreaterThanOrEqual(Math.floor(count / 2.5));
      expect(found.length).toBeLessThanOrEqual(count + 1);
      for (const [at, one] of found.entries()) {
        expect(one).toBeGreaterThanOrEqual(low - slack);
        expect(one).toBeLessThanOrEqual(high + slack);
        if (at) expect(one).toBeGreaterThan(found[at - 1]);
      }
    }));
  });

  test("are round", () => {
    expect(ticks(0, 1, 5)).toEqual([0, 0.2, 0.4, 0.6, 0.8, 1]);
    expect(ticks(-1, 1, 5)).toEqual([-1, -0.5, 0, 0.5, 1]);
    expect(ticks(0, 3.7, 5)).toEqual([0, 1, 2, 3]);
  });

  test("of no range there is one", () => {
    expect(ticks(2, 2, 5)).toEqual([2]);
    expect(ticks(0, NaN, 5)).toEqual([0]);
    expect(ticks(0, Infinity, 5)).toEqual([0]);
  });
});
