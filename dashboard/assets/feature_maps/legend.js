// What is said below the wall: how many filters there are, and what its colors mean.
import { ABOVE, BELOW, MISSING, ZERO } from "./wall/palette.js";

const RANGES = {
  layer: "Colors span the layer's activations over the whole test set.",
  filter: "Colors span each filter's activations over the whole test set.",
  map: "Colors span each map's own values: brightness does not compare between maps.",
  percentile: "Colors span 1 % to 99 % of the layer's activations over the whole test set.",
};

/**
 * Explains a wall that was just painted.
 * @param {import("./wall/wall.js").Wall} wall
 * @param {{above: number, below: number}} outside cells that lie outside their span
 * @param {{legend: HTMLElement, note: HTMLElement}} places
 */
export function explain(wall, { above, below }, { legend, note }) {
  const { facts, range, scheme, zeros } = wall.view;
  const parts = [];
  if (above) parts.push([ABOVE, `${above.toLocaleString("en")} cells above the range`]);
  if (below) parts.push([BELOW, `${below.toLocaleString("en")} below it`]);
  if (zeros) parts.push([ZERO[scheme], "exactly zero"]);
  if (facts.has_missing) parts.push([MISSING, "not a number"]);
  const hidden = facts.shape[2] - wall.order.length;
  const count = document.createElement("span");
  count.textContent = `${wall.order.length} of ${facts.shape[2]} filters`
    + (hidden ? `, ${hidden} dead hidden` : "");
  legend.replaceChildren(count, ...parts.map(([color, words]) => {
    const item = document.createElement("span");
    const chip = document.createElement("i");
    chip.style.background = color;
    item.append(chip, words);
    return item;
  }));
  // Text that is set anew is laid out anew, which a step has no time for.
  if (note.textContent !== RANGES[range]) note.textContent = RANGES[range];
}
