// The selected filter's map beside the input: its figure, and what is said of it.
import { Latest, here, mapsUrl } from "./fetching.js";
import { mapOf, spanOf } from "./wall/atlas.js";
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

/** The enlarged map of a page, in the graph that Dash made. */
export class EnlargedMap {
  #arrays = new Latest();
  #latest = ""; // the map that is shown, or on its way
  #axes = ""; // what the axes of the graph were made for

  /**
   * @param {HTMLElement} host which goes with its page
   * @param {(id: string, props: object) => void} tell what Dash is told by
   */
  constructor(host, tell) {
    this.host = host;
    this.tell = tell;
  }

  /**
   * Shows the map of a view; of large maps the stored values, which follow.
   * @param {import("./session.js").View} view
   */
  async show({ facts, filter, range, sample, scheme }) {
    if (!(Number.isInteger(filter) && filter < facts.shape[2])) return; // what is typed is none yet
    const wanted = [facts.digest, facts.layer, sample, filter, range, scheme].join(" ");
    if (wanted === this.#latest) return;
    this.#latest = wanted;
    const values = facts.message ? null : await this.#valuesOf(facts, sample, filter);
    if (wanted !== this.#latest || !this.host.isConnected) return;
    if (values === null) {
      this.#clear();
      return;
    }
    const width = facts.shape[1];
    say(factsOf(values, width, [facts.low[filter], facts.high[filter]]));
    const axes = [facts.digest, facts.layer, scheme].join(" ");
    const layout = axes === this.#axes ? layoutOf(document.getElementById("maps-enlarged")) : null;
    this.#axes = axes;
    const template = facts.figures[scheme] ?? facts.figures.light;
    const span = spanOfMap(range, facts, filter, values);
    const figure = figureOf(template, values, width, span, layout);
    this.tell("maps-enlarged", { figure, style: facts.figure_style });
  }

  #clear() {
    this.#latest = this.#axes = "";
    say({});
    this.tell("maps-enlarged", { style: { display: "none" } });
  }

  // The map [y, x]; null where it is not to be had.
  async #valuesOf(facts, sample, filter) {
    const isLarge = Boolean(facts.windows);
    const url = isLarge ? `${facts.exact}&sample=${sample}&filter=${filter}`
      : mapsUrl(facts, sample, 1);
    const array = here(url) ?? await this.#arrays.get(url).catch(() => null);
    if (!array || array.digest !== facts.digest) return null;
    return isLarge ? array.values : mapOf(array.values, facts.shape[2], filter);
  }
}

// The layout of a graph as Plotly has changed it, with its zoom; null before it is plotted.
const layoutOf = (graph) => graph?.querySelector(".js-plotly-plot")?.layout ?? null;

// Puts words in their places in the table beside the map; the style hides a row without any.
function say(words) {
  for (const place of document.querySelectorAll("#maps-filter-note [data-fact]")) {
    place.textContent = words[place.dataset.fact] ?? "";
  }
}
