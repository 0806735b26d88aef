// What the points of a map are colored by: a color and a form for each class, outcome or step of a scale.
// Knows no page.
import { INK, colorAt } from "../feature_maps/wall/palette.js";
import { FORMS } from "./scatter.js";

// Of up to ten classes. Each is ΔE2000 13 or more from every other and from the ground, also for those who
// see no red, green or blue, and has 3 to 1 of contrast with the ground; tests/dashboard/pages/
// test_samples.py measures them.
export const CLASS_COLORS = {
  light: [
    "#20a495", "#c1145d", "#041be5", "#af8302", "#144300", "#be54fd", "#5b6705", "#7b6a9e", "#701765",
    "#8d9a6c",
  ],
  dark: [
    "#17a7b3", "#e2f36f", "#e9280f", "#c2bbff", "#528755", "#0df2d7", "#c75588", "#b9b510", "#ad59ed",
    "#a0d296",
  ],
};
const OUTCOME_COLORS = { light: ["#1971c2", "#e8590c"], dark: ["#74c0fc", "#ff922b"] };
const UNKNOWN = { light: "#868e96", dark: "#868e96" };
const STEPS = 256;
const FAINT = 0.16; // how much of its color a point keeps that is not meant
const RIM = 0.5; // how much of the ink of the text an edge has that tells light points from the ground

const channels = (color) => (color.startsWith("#")
  ? [1, 3, 5].map((at) => parseInt(color.slice(at, at + 2), 16)) : color.match(/[\d.]+/g).map(Number));
// As ImageData holds it on a little-endian machine, opaque, and signed.
const pixelOf = ([red, green, blue]) => -0x1000000 | (blue << 16) | (green << 8) | red;
const mixed = (from, to, share) => from.map((part, at) => Math.round(part + (to[at] - part) * share));

/** The pixel of the ground of a scheme. */
export const groundOf = (scheme) => pixelOf(channels(INK[scheme].ground));

/** The color of a class; of more than ten hues go round, light and dark in turn. */
export function classColor(index, n, scheme) {
  const few = CLASS_COLORS[scheme];
  if (n <= few.length) return few[index];
  const lightness = (scheme === "dark" ? [62, 78, 50] : [38, 55, 26])[index % 3];
  return hsl((360 * index) / n, 75, lightness);
}

// CSS Color 4, section 7.1, as a color of sRGB that canvas and tests both read.
function hsl(hue, saturation, lightness) {
  const light = lightness / 100;
  const reach = (saturation / 100) * Math.min(light, 1 - light);
  const part = (n) => {
    const turn = (n + hue / 30) % 12;
    return Math.round(255 * (light - reach * Math.max(-1, Math.min(turn - 3, 9 - turn, 1))));
  };
  return `#${[0, 8, 4].map((n) => part(n).toString(16).padStart(2, "0")).join("")}`;
}

/**
 * An entry of a legend: what points of one color are.
 * @typedef {{code: number, name: string, color: string, n: number, isCross: boolean}} Entry
 */

/**
 * What colors points.
 * @typedef {object} Coloring
 * @property {Uint16Array} codes of each point
 * @property {Int32Array} cores of each code, see scatter.js
 * @property {Int32Array} rims
 * @property {Int32Array} faint
 * @property {Uint8Array} forms
 * @property {number} rim CSS pixels
 * @property {boolean} isOrdered whether a higher code lies above a lower one
 * @property {Entry[]} entries of the legend; empty for a scale
 * @property {{scale: string, from: number, to: number, missing: number}|null} span of a scale
 */

/** Colors by the texts of a column: classes. */
export function byText({ values, texts }, scheme) {
  const n = texts.length;
  const colors = [...texts.map((_, at) => classColor(at, n, scheme)), UNKNOWN[scheme]];
  const codes = codesOf(values, (value) => (value >= 0 && value < n ? value : n));
  return coded(codes, colors, [...texts, "not known"], scheme);
}

/** Colors by right and wrong; what is wrong is a cross too, and lies above. */
export function byOutcome({ values }, scheme) {
  const colors = OUTCOME_COLORS[scheme];
  const coloring = coded(codesOf(values, (value) => (value ? 0 : 1)), colors,
    ["right", "wrong"], scheme);
  coloring.forms[1] = FORMS.cross;
  coloring.entries.forEach((entry) => { entry.isCross = entry.code === 1; });
  return { ...coloring, isOrdered: true };
}

/**
 * Colors by a number, on the scale that the wall has for such values; the higher ones lie above.
 * @param {{values: Float32Array}} column
 * @param {string} scheme
 * @param {[number, number]|null} ends what the scale spans, if not the values
 */
export function byNumber({ values }, scheme, ends = null) {
  let [from, to] = ends ?? [Infinity, -Infinity];
  let missing = 0;
  for (const value of values) {
    if (!Number.isFinite(value)) missing += 1;
    else if (!ends) [from, to] = [Math.min(from, value), Math.max(to, value)];
  }
  if (!(from <= to)) [from, to] = [0, 1];
  const isAboutZero = from < 0;
  const scale = isAboutZero ? "diverging" : "sequential";
  if (isAboutZero) [from, to] = [-Math.max(-from, to), Math.max(-from, to)];
  const span = to > from ? to - from : 1;
  const codes = codesOf(values, (value) => {
    if (!Number.isFinite(value)) return STEPS;
    return Math.min(STEPS - 1, Math.max(0, Math.floor(((value - from) / span) * STEPS)));
  });
  const colors = [
    ...Array.from({ length: STEPS }, (_, at) => colorAt(scale, at / (STEPS - 1))), UNKNOWN[scheme],
  ];
  const coloring = coded(codes, colors, [], scheme);
  const ink = channels(INK[scheme].text);
  coloring.rims = Int32Array.from(colors, (color) => pixelOf(mixed(channels(color), ink, RIM)));
  return {
    ...coloring, rim: 0.5, isOrdered: true, entries: [], span: { scale, from, to, missing },
  };
}

// In a loop: what `from` of an array asks of each value takes ten times as long.
function codesOf(values, codeOf) {
  const codes = new Uint16Array(values.length);
  for (let i = 0; i < codes.length; i += 1) codes[i] = codeOf(values[i]);
  return codes;
}

function coded(codes, colors, names, scheme) {
  const ground = channels(INK[scheme].ground);
  const counts = new Uint32Array(colors.length);
  for (const code of codes) counts[code] += 1;
  const cores = Int32Array.from(colors, (color) => pixelOf(channels(color)));
  return {
    codes,
    cores,
    rims: cores,
    faint: Int32Array.from(colors, (color) => pixelOf(mixed(ground, channels(color), FAINT))),
    forms: new Uint8Array(colors.length),
    rim: 0,
    isOrdered: false,
    entries: names.map((name, code) => ({ code, name, color: colors[code], n: counts[code], isCross: false }))
      .filter(({ n }) => n),
    span: null,
  };
}
