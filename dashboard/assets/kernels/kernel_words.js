// A wall of kernels in words: what it shows, what is under the pointer, and all of it for people who
// do not see it. Knows no page.
import { exact, general } from "../feature_maps/wall/numbers.js";
import { extremes } from "../feature_maps/wall/palette.js";
import { normsOf } from "./weights.js";

const NAMED = 5; // kernels that are named

/** The index, among all planes that come in, of a plane of a filter's kernel. */
export function readBy(facts, filter, plane) {
  const group = Math.floor(filter / facts.filters_per_group);
  return Math.floor((group * facts.per_group + plane) / facts.multiplier);
}

/** A plane of a filter's kernel: its color, or its number and what it is. */
export function planeWords(facts, filter, plane) {
  if (facts.names.length) return facts.names[plane];
  const read = readBy(facts, filter, plane);
  const what = facts.source ? `, filter ${read} of ${facts.source}` : "";
  return `input plane ${read}${what}`;
}

const SHOWN = {
  colors: (facts) => (
    `Each kernel in the colors of its input planes, ${facts.names.join(", ")}: middle gray is zero, `
    + "brighter is above it, darker below."),
  weights: (facts, { plane }) => {
    if (facts.is_depthwise) return "The depthwise part: a kernel for each plane that it makes.";
    if (facts.shape[2] === 1) return "Each kernel has one input plane.";
    const isSame = facts.filters_per_group >= facts.shape[3];
    const which = isSame ? planeWords(facts, 0, plane) : `plane ${plane} of those that it reads`;
    return `Of each kernel ${which}.`;
  },
  planes: (facts, _, filter) => `All ${facts.shape[2]} input planes of filter ${filter}.`,
  rows: (facts) => `Each kernel is a row of ${facts.shape[2]} weights, one for each input.`,
  norm: (facts) => `Each cell is the L2 norm over the ${facts.shape[2]} input planes.`,
};

/** What a wall shows, and what its colors span. */
export function layoutWords(facts, layout, filter, range) {
  const own = layout.kind === "planes" ? "plane" : "kernel";
  const values = layout.kind === "norm" ? "norms" : "weights";
  const layer = layout.kind === "norm" ? "Colors span all norms, from zero."
    : `Colors span the weights of the whole layer, from ${general(-facts.reach, 3)} to `
      + `${general(facts.reach, 3)}.`;
  return `${SHOWN[layout.kind](facts, layout, filter)} ${range === "layer" ? layer
    : `Colors span each ${own}'s own ${values}: they do not compare between ${own}s.`}`;
}

/**
 * What is under the pointer: a tile, a place in it, and the stored weight.
 * @param {{filter: number, y: number, x: number}} cell `filter` is the tile
 */
export function cellWords(facts, layout, maps, filter, { filter: tile, y, x }) {
  const [, width, n] = layout.shape;
  const value = exact(maps.values[(y * width + x) * n + tile]);
  const place = `y ${y}, x ${x}`;
  switch (layout.kind) {
    case "planes": return `filter ${filter}\n${planeWords(facts, filter, tile)}\n${place}\n${value}`;
    case "rows": return `filter ${tile}\n${planeWords(facts, tile, x)}\n${value}`;
    case "norm": return `filter ${tile}\n${place}\nL2 over ${facts.shape[2]} planes ${value}`;
    case "colors": return [`filter ${tile}`, place, ...facts.names.map((name, plane) => (
      `${name} ${exact(maps.colors[((y * width + x) * 3 + plane) * n + tile])}`))].join("\n");
    default: {
      const plane = planeWords(facts, tile, layout.plane);
      const noun = facts.is_depthwise ? "depthwise kernel" : "filter";
      return `${noun} ${tile}\n${plane}\n${place}\n${value}`;
    }
  }
}

/** What a wall shows, in sentences. */
export function describe(facts, layout, maps, { filter, range }) {
  const [height, width, planes, n] = facts.shape;
  const count = layout.shape[2];
  const norms = layout.kind === "planes" ? normsOf(maps.values, count, "l2") : facts.norms.l2;
  const largest = [...norms.keys()].filter((tile) => Number.isFinite(norms[tile]))
    .sort((a, b) => norms[b] - norms[a] || a - b).slice(0, NAMED);
  const { low: [low], high: [high] } = extremes(maps.values, 1);
  const noun = layout.kind === "planes" ? "plane" : "kernel";
  return [
    `Layer ${facts.layer}: ${n} kernels, each ${height} × ${width} over ${planes} input `
      + `plane${planes === 1 ? "" : "s"}.`,
    layoutWords(facts, layout, filter, range),
    `Values go from ${general(low)} to ${general(high)}.`,
    largest.length ? `Largest L2 norms: ${largest.map((tile) => (
      `${general(norms[tile], 3)} in ${noun} ${tile}`)).join(", ")}.` : "",
  ].filter(Boolean).join(" ");
}
