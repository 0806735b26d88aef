// One filter's map, enlarged: its figure and what is said beside it. Knows no page.
import { spanOf } from "./wall/atlas.js";
import { general } from "./wall/numbers.js";
import { extremes, spans, spansOf } from "./wall/palette.js";

/**
 * What the colors of one filter's map span, as on the wall.
 * @param {string} range "layer", "filter", "map" or "percentile"
 * @param {import("./session.js").WallFacts} facts
 * @param {number} filter
 * @param {Float32Array} values the map [y, x]
 */
export function spanOfMap(range, facts, filter, values) {
  if (range !== "map") return spanOf(spansOf(range, facts, values), [filter]);
  const { low, high } = extremes(values, 1);
  return spans(low, high, facts.signed);
}

/**
 * The figure of a map.
 * @param {object} template as the server made it: a Plotly figure but for the values
 * @param {Float32Array} values the map [y, x]
 * @param {number} width of the map
 * @param {{from: ArrayLike<number>, to: ArrayLike<number>}} span of this one map
 * @param {object|null} layout the one of the graph that is there, so that its zoom stays
 */
export function figureOf(template, values, width, span, layout) {
  const z = Array.from(
    { length: values.length / width }, (_, y) => values.subarray(y * width, (y + 1) * width));
  const data = [{ ...template.data[0], z, zmin: span.from[0], zmax: span.to[0] }];
  return { data, layout: layout ?? template.layout };
}

/**
 * What is said of a map, of its finite values; a name without words says nothing.
 * @param {Float32Array} values the map [y, x]
 * @param {number} width of the map
 * @param {[number, number]} ends the filter's smallest and largest activation in the whole test set
 */
export function factsOf(values, width, [low, high]) {
  const n = { finite: 0, zero: 0 };
  let [sum, largest] = [0, -1];
  for (let at = 0; at < values.length; at += 1) {
    if (values[at] === 0) n.zero += 1;
    if (!Number.isFinite(values[at])) continue;
    n.finite += 1;
    sum += values[at];
    if (largest < 0 || values[at] > values[largest]) largest = at;
  }
  const of = (count) => `${count.toLocaleString("en")} of ${values.length.toLocaleString("en")}`;
  const place = `at y ${Math.floor(largest / width)}, x ${largest % width}`;
  const none = n.finite ? "" : "no finite value";
  const isZero = n.zero === values.length;
  return {
    largest: none || (isZero ? "all zero" : `${general(values[largest])} ${place}`),
    mean: none || general(sum / n.finite),
    zero: of(n.zero),
    missing: n.finite < values.length ? of(values.length - n.finite) : "",
    whole: `${general(low)} to ${general(high)}`,
  };
}
