// The selected filter's map beside the input: its figure, and what is said of it.
import { announce } from "./description.js";
import { Latest, here, mapsUrl } from "./fetching.js";
import { mapOf, spanOf } from "./wall/atlas.js";
import { fileName } from "./file_name.js";
import { overlayUrl } from "./wall/forms.js";
import { exact, general, tickTexts } from "./wall/numbers.js";
import { colorAt, extremes, paint, spansOf } from "./wall/palette.js";

const ABOUT_PIXELS = 270; // CSS pixels of the longer side of the map, where there is room

const COLORS = 256; // of a scale that Plotly does not get from the server
const SPACED_HOVER = "y %{y}, x %{x}<br><b>%{customdata:.9~g}</b><extra></extra>";
const MARGIN = 0.04; // of what values span, free above and below a line of them

/**
 * What the colors of one filter's map span, as on the wall; `isOther` where they are not of the
 * scale that the server's figure has.
 * @param {import("./session.js").View} view
 * @param {number} filter
 * @param {Float32Array} values the map [y, x]
 */
export function spanOfMap(view, filter, values) {
  let span;
  if (view.range === "map") {
    const { low, high } = extremes(values, 1);
    const facts = { ...view.facts, low, high, shape: [...view.facts.shape.slice(0, 2), 1] };
    span = spansOf({ ...view, facts, range: "filter" }, values);
  } else span = spanOf(spansOf(view, values), [filter]);
  return { ...span, isOther: span.scale !== (view.facts.signed ? "diverging" : "sequential") };
}

/**
 * The figure of a map.
 * @param {object} template as the server made it: a Plotly figure but for the values
 * @param {Float32Array} values the map [y, x]
 * @param {number} width of the map
 * @param {{from: ArrayLike<number>, to: ArrayLike<number>}} span of this one map
 * @param {boolean} zeros whether exact zeros are marked
 * @param {object|null} layout the one of the graph that is there, so that its zoom stays
 */
export function figureOf(template, values, width, span, zeros, layout) {
  if (template.data[0].type !== "heatmap") return rowOf(template, values, span, layout);
  const z = Array.from(
    { length: values.length / width }, (_, y) => values.subarray(y * width, (y + 1) * width));
  const { spacing, scale } = span;
  const trace = { ...template.data[0], z, zmin: span.start[0], zmax: span.stop[0] };
  if (span.isOther) trace.colorscale = colorsOf(scale);
  const images = marksOf(values, width, span, zeros);
  return {
    data: [spacing ? spaced(trace, span) : trace],
    layout: { ...layout ?? template.layout, images },
  };
}

const colorsOf = (scale) => Array.from(
  { length: COLORS }, (_, at) => [at / (COLORS - 1), colorAt(scale, at / (COLORS - 1))]);

// Plotly's colors are linear: it gets the places along the scale, and says the values.
function spaced(trace, { spacing, near, from, start, stop }) {
  const place = (value) => spacing.place(value, near[0]);
  // A cell without a color lies under its form, but Plotly says nothing of one without a number.
  const [first, last] = [start[0], stop[0]].map(place);
  const placeOf = (value) => (
    value >= from[0] && value < Infinity ? place(value) : first);
  const ticks = spacing.ticks(start[0], stop[0], near[0]);
  return {
    ...trace, customdata: trace.z,
    z: trace.z.map((row) => Array.from(row, placeOf)), zmin: first, zmax: last, hovertemplate: SPACED_HOVER,
    colorbar: {
      ...trace.colorbar, tickvals: ticks.map(place),
      ticktext: ticks.flatMap((value) => tickTexts([value])),
    },
  };
}

// What lies over the cells that have no color of the scale: the colors and forms of the wall.
function marksOf(values, width, span, zeros) {
  const height = values.length / width;
  const part = { top: 0, left: 0, rows: height, columns: width, step: 1 };
  const pixels = new Uint32Array(values.length);
  const painted = paint(values, [height, width, 1], part, span, 1, pixels, zeros);
  const source = overlayUrl(
    painted, height, width, span.scale, ABOUT_PIXELS / Math.max(height, width));
  return source ? [{
    source, xref: "x", yref: "y", x: -0.5, y: -0.5, sizex: width, sizey: height,
    sizing: "stretch", layer: "above",
  }] : [];
}

// A line, or the bar of a single value; its axis spans what the colors of the wall do, and zero.
function rowOf(template, values, span, layout) {
  const [along, up] = template.data[0].type === "bar" ? ["x", "xaxis"] : ["y", "yaxis"];
  const { low, high } = extremes(values, 1);
  const from = Math.min(0, low[0], span.from[0]);
  const to = Math.max(0, high[0], span.to[0]);
  const free = MARGIN * (to - from);
  const around = layout ?? template.layout;
  return {
    data: [{ ...template.data[0], [along]: Array.from(values) }],
    layout: { ...around, [up]: { ...around[up], range: [from - free, to + free] } },
  };
}

/**
 * What is said of a map, of its finite values; a name without words says nothing.
 * @param {Float32Array} values the map [y, x]
 * @param {number} width of the map
 * @param {string} whole the filter's range in the whole test set, in the server's words
 */
export function factsOf(values, width, whole) {
  const n = { finite: 0, zero: 0, NaN: 0, "∞": 0, "−∞": 0 };
  let [sum, largest] = [0, -1];
  for (let at = 0; at < values.length; at += 1) {
    if (values[at] === 0) n.zero += 1;
    if (!Number.isFinite(values[at])) {
      n[exact(values[at])] += 1;
      continue;
    }
    n.finite += 1;
    sum += values[at];
    if (largest < 0 || values[at] > values[largest]) largest = at;
  }
  const of = (count) => `${count.toLocaleString("en")} of ${values.length.toLocaleString("en")}`;
  const place = `at y ${Math.floor(largest / width)}, x ${largest % width}`;
  const none = n.finite ? "" : "no finite value";
  const isZero = n.zero === values.length;
  const kinds = ["NaN", "∞", "−∞"].filter((kind) => n[kind])
    .map((kind) => `${n[kind].toLocaleString("en")} ${kind}`);
  return {
    largest: none || (isZero ? "all zero" : `${general(values[largest])} ${place}`),
    mean: none || general(sum / n.finite),
    zero: of(n.zero),
    missing: kinds.length ? `${of(values.length - n.finite)}: ${kinds.join(", ")}` : "",
    whole,
  };
}

const COLORED_BY = ["range", "ends", "colors", "norm", "inverted"];

/** The enlarged map of a page, in the graph that Dash made. */
export class EnlargedMap {
  #arrays = new Latest();
  #latest = ""; // the map that is shown, or on its way
  #named = false;
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
  async show(view) {
    const { facts, filter, sample, scheme, zeros } = view;
    if (!(Number.isInteger(filter) && filter < facts.shape[2])) return; // what is typed is none yet
    const colors = COLORED_BY.map((name) => view[name]);
    const wanted = [facts.digest, facts.layer, sample, filter, scheme, zeros, ...colors].join(" ");
    if (wanted === this.#latest) return;
    this.#latest = wanted;
    const values = facts.message ? null : await this.#valuesOf(facts, sample, filter);
    if (wanted !== this.#latest || !this.host.isConnected) return;
    if (values === null) {
      this.#clear();
      return;
    }
    const width = facts.shape[1];
    const news = factsOf(values, width, facts.whole[filter]);
    say({ filter: `${filter} of ${facts.layer}`, ...news });
    this.#name(`Filter ${filter} of ${facts.layer}, sample ${sample}: largest ${news.largest}, `
      + `mean ${news.mean}, exactly zero ${news.zero}`);
    const axes = [facts.digest, facts.layer, scheme].join(" ");
    const layout = axes === this.#axes ? layoutOf(document.getElementById("maps-enlarged")) : null;
    this.#axes = axes;
    const template = facts.figures[scheme] ?? facts.figures.light;
    const span = spanOfMap(view, filter, values);
    const figure = figureOf(template, values, width, span, Boolean(zeros), layout);
    const file = fileName(facts.store, facts.layer, `sample${sample}`, `filter${filter}`);
    figure.layout.meta = { file };
    this.tell("maps-enlarged", { figure, style: facts.figure_style });
  }

  // What the picture shows, in words; they are read out when they change, but not at first.
  #name(words) {
    this.tell("maps-enlarged-words", { children: words });
    if (this.#named) announce(words);
    this.#named = true;
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
