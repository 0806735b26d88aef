// What is said below the wall: how many filters there are, and what its colors mean.
import { swatchUrl } from "./wall/forms.js";
import { KINDS, isInUnits } from "./wall/palette.js";

const RANGES = {
  layer: "Colors span the layer's activations over the whole test set.",
  filter: "Colors span each filter's activations over the whole test set.",
  map: "Colors span each map's own values: brightness does not compare between maps.",
  percentile: "Colors span 1 % to 99 % of the layer's activations over the whole test set.",
  hand: "Colors span what was set by hand.",
};

const WORDS = {
  above: (n) => `${n} above the range`,
  below: (n) => `${n} below the range`,
  highest: (n) => `${n} +∞`,
  lowest: (n) => `${n} −∞`,
  missing: (n) => `${n} not a number`,
  zero: (n) => `${n} exactly zero`,
  nonpositive: (n) => `${n} without a logarithm: zero or below`,
};

/**
 * What the cells of a wall are that have no color of its scale.
 * @param {number[]} counts how many there are of each of `KINDS`
 * @returns {{kind: string, words: string}[]}
 */
export function marked(counts) {
  return KINDS.map((kind, at) => ({ kind, n: counts[at] })).filter(({ n }) => n)
    .map(({ kind, n }) => ({ kind, words: WORDS[kind](cells(n)) }));
}

const cells = (n) => `${n.toLocaleString("en")} cell${n === 1 ? "" : "s"}`;

/** What the colors of a wall span, in words, and how they are spaced where that is not linear. */
export const rangeWords = ({ range }, span) => (
  `${RANGES[range]} ${span.spacing?.words(span, isInUnits(range)) ?? ""}`.trim());

/**
 * Explains a wall that was just painted.
 * @param {import("./wall/wall.js").Wall} wall
 * @param {number[]} counts how many cells there are of each of `KINDS`
 * @param {{legend: HTMLElement, note: HTMLElement}} places
 */
export function explain(wall, counts, { legend, note }) {
  const { facts } = wall.view;
  const { scale } = wall.span;
  const hidden = facts.shape[2] - wall.order.length;
  const count = document.createElement("span");
  count.textContent = `${wall.order.length} of ${facts.shape[2]} filters`
    + (hidden ? `, ${hidden} dead hidden` : "");
  legend.replaceChildren(count, ...marked(counts).map(({ kind, words }) => {
    const item = document.createElement("span");
    const chip = document.createElement("i");
    chip.style.backgroundImage = `url("${swatchUrl(kind, scale)}")`;
    item.append(chip, words);
    return item;
  }));
  // Text that is set anew is laid out anew, which a step has no time for.
  const words = `${rangeWords(wall.view, wall.span)} ${facts.value_note}`.trim();
  if (note.textContent !== words) note.textContent = words;
}
