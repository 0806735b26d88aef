// The wall in words, for people who do not see it, and what is said of it when it changes.
import { general } from "./wall/numbers.js";
import { extremes, isInUnits } from "./wall/palette.js";

const STRONGEST = 5; // filters that are named
const RESTS_AFTER = 400; // ms without another change: who holds a key down hears the last of all

/**
 * The facts that the wall's colors show.
 * @param {import("./wall/wall.js").Wall} wall
 * @returns {string} sentences
 */
export function describe({ maps, order, span, view, zeroMaps }) {
  const { facts, filter, range, sample } = view;
  const [height, width, n] = facts.shape;
  const { high } = extremes(maps.values, n);
  const zero = order.filter((tile) => zeroMaps[tile] === 1);
  const active = order.filter((tile) => zeroMaps[tile] !== 1)
    .sort((a, b) => high[b] - high[a] || a - b).slice(0, STRONGEST);
  return [
    `Layer ${facts.layer}, sample ${sample}: ${order.length} of ${n} filters, `
      + `each a map of ${height} × ${width} values. Filter ${filter} is selected.`,
    isInUnits(range) ? `Colors go from ${general(span.from[0])} to ${general(span.to[0])}.` : "",
    active.length ? `Largest values: ${active.map((tile) =>
      `${general(high[tile])} in filter ${tile}`).join(", ")}.` : "",
    zero.length ? `Zero everywhere: filter${zero.length > 1 ? "s" : ""} ${zero.join(", ")}.` : "",
  ].filter(Boolean).join(" ");
}

let timer = 0;

/** Has screen readers say something once what it is of rests. */
export function announce(text) {
  clearTimeout(timer);
  timer = setTimeout(() => {
    const place = document.getElementById("maps-announcement");
    if (place) place.textContent = text;
  }, RESTS_AFTER);
}
