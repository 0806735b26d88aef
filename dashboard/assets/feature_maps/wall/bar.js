// The color bar to the right of a wall's tiles: what it says, and where its ends are.
import { ticks, tickTexts } from "./numbers.js";
import { INK, colorAt, fillOf, isInUnits } from "./palette.js";

const THICK = 12; // CSS pixels across
const TOP = 16; // CSS pixels above it, for its arrow
const TITLES = {
  layer: "activation", percentile: "activation", hand: "activation",
  filter: "share of the filter's range", map: "share of the map's range",
};

/**
 * What the bar spans: the values of the colors, or shares where each tile has its own.
 * @param {import("./wall.js").Wall} wall
 * @returns {{from: number, to: number, start: number, stop: number, near: number, first: number,
 *   last: number, place: (value: number) => number, value: (place: number) => number,
 *   ticks: (low: number, high: number) => number[]}} `from` to `to` have the colors `start` to `stop`;
 *   `first` to `last` is all of the bar; `place` makes equal distances of equal lengths
 */
export function barOf({ axis, span, view }) {
  const [from, to, start, stop, near] = ["from", "to", "start", "stop", "near"]
    .map((name) => span[name]?.[0]);
  const { spacing } = span;
  const ways = {
    place: (value) => (spacing ? spacing.place(value, ends.near) : value),
    value: (place) => (spacing ? spacing.value(place, ends.near) : place),
    ticks: (low, high) => (spacing ?? { ticks: (...both) => ticks(...both.slice(0, 2), 5) })
      .ticks(low, high, ends.near),
  };
  let ends = { from, to, start, stop, near };
  if (!isInUnits(view.range)) {
    // Shares, of what is farthest from zero where colors are not linear.
    const reach = Math.max(Math.abs(from), Math.abs(to));
    const shares = spacing ? [from / reach, to / reach] : [span.isAboutZero ? -1 : 0, 1];
    ends = { from: shares[0], to: shares[1], start: shares[0], stop: shares[1], near: near / reach };
  }
  return { ...ends, ...ways, ...axis ?? { first: ends.from, last: ends.to } };
}

/** Where the bar lies, in CSS pixels of the wall. */
export const barBox = ({ tiling }) => (
  { x: tiling.width + 12, top: TOP, height: Math.min(Math.max(tiling.height - 72, 80), 420) });

/** How far up the bar a value lies, from 0 to 1. */
export const shareUp = ({ first, last, place }, value) => (
  (place(value) - place(first)) / (place(last) - place(first)));

/** The value that lies so far up the bar. */
export const valueUp = ({ first, last, place, value }, share) => (
  value(place(first) + (place(last) - place(first)) * share));

/** Draws the bar, in the units of the activation where all tiles have the same. */
export function drawBar(pen, wall) {
  const { span: { scale }, view: { range, scheme, title } } = wall;
  const colorsAt = wall.view.colorsAt ?? ((share) => [colorAt(scale, share)]);
  const bar = barOf(wall);
  const { x, top, height } = barBox(wall);
  const [low, high] = [bar.from, bar.to].map((end) => shareUp(bar, end));
  const [start, stop] = [bar.start, bar.stop].map((end) => shareUp(bar, end));
  for (let row = 0; row < height; row += 1) {
    const up = 1 - row / (height - 1);
    const isWithin = up >= low - 1e-9 && up <= high + 1e-9;
    const share = Math.min(1, Math.max(0, (up - start) / (stop - start)));
    const colors = isWithin ? colorsAt(share) : [fillOf(up > high ? "above" : "below", scale)];
    const thick = THICK / colors.length;
    colors.forEach((color, at) => {
      pen.fillStyle = color;
      pen.fillRect(x + at * thick, top + row, thick, 1.5);
    });
  }
  const end = (kind, y, way) => wall.forms.fill(
    pen, kind, scale, [[x, y], [x + THICK, y], [x + THICK / 2, y + way * 10]], wall.density);
  end("above", top - 2, -1);
  end("below", top + height + 2, 1);
  pen.fillStyle = INK[scheme].text;
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "middle";
  const values = bar.ticks(bar.first, bar.last);
  const texts = textsOf(values, wall);
  values.forEach((value, at) => {
    const y = top + height * (1 - shareUp(bar, value));
    pen.fillRect(x + THICK, y - 0.5, 4, 1);
    pen.fillText(texts[at], x + THICK + 6, y);
  });
  const widest = Math.max(0, ...texts.map((text) => pen.measureText(text).width));
  pen.save();
  pen.translate(x + THICK + 16 + widest, top + height / 2);
  pen.rotate(-Math.PI / 2);
  pen.textAlign = "center";
  pen.fillText(title ?? TITLES[range], 0, 0, height);
  pen.restore();
}

function textsOf(values, { span, view }) {
  if (!isInUnits(view.range)) return values.map((value) => `${Number((value * 100).toPrecision(3))}%`);
  return span.spacing ? values.flatMap((value) => tickTexts([value])) : tickTexts(values);
}
