// Classes in a snapshot: a statistic of each class and filter, and all numbers of one of them.
import { INK } from "../feature_maps/wall/palette.js";
import { HINT, classOptions } from "./filter_page.js";
import { plotly, recordOf } from "./inside.js";
import { card, draw, make, options, select, table } from "./parts.js";
import { layerOf } from "./state.js";

// About the chosen cell; about its column where no class is chosen.
const frame = ({ class: row, filter, scheme }, { classes }) => ({
  type: "rect",
  line: { color: INK[scheme].accent, width: 3 },
  x0: filter - 0.5,
  x1: filter + 0.5,
  y0: (row ?? 0) - 0.5,
  y1: (row ?? Math.max(classes.length, 1) - 1) + 0.5,
});

/** The page in its section. */
export class ClassesPage {
  /** @param {HTMLElement} section, the data of the page and what changes it: see `MapsPage` */
  constructor(section, about, change) {
    this.about = about;
    this.change = change;
    const id = (name, tag = "div", className = "") => make(tag, { id: name, className });
    this.graph = id("classes-heatmap");
    section.append(
      card("Every class and filter",
        make("div", { className: "controls" },
          select("classes-layer", "Layer", (layer) => change({ layer, window: "" })),
          select("classes-statistic", "Statistic", (text) => change({ statistic: Number(text) })),
          select("classes-class", "Class", (text) => change({ class: text === "" ? null : Number(text) })),
          select("classes-filter", "Filter", (text) => change({ filter: Number(text) }))),
        id("classes-definition", "p", "dim"), this.graph, id("classes-note", "p", "dim"),
        id("classes-words", "div", "unseen")),
      card("", id("classes-title", "h2"), id("classes-table"), id("classes-hint", "p", "dim")));
  }

  /** Shows what a state says. */
  async show(state) {
    const before = this.state;
    this.state = state;
    const { about } = this;
    const layer = layerOf(about, state.layer);
    const at = about.layers.indexOf(layer);
    options("classes-layer", about.layers.map(({ path }) => [path, path]), state.layer);
    options("classes-statistic", about.statistics.map(({ title }, index) => [index, title]),
      state.statistic);
    options("classes-filter", layer.filters.map((index) => [index, `${index}`]), state.filter);
    options("classes-class", classOptions(about), state.class ?? "");
    document.getElementById("classes-class").parentElement.hidden = !about.classes.length;
    const [record, numbers] = await Promise.all([
      recordOf(`classes-${at}-${state.statistic}`), recordOf(`numbers-${at}-${state.filter}`)]);
    if (this.state !== state) return;
    const place = (name) => document.getElementById(`classes-${name}`);
    const of = state.class === null ? "all classes" : `class ${about.classes[state.class]}`;
    place("title").textContent = `Filter ${state.filter} of ${state.layer}, ${of}`;
    place("table").replaceChildren(table(numbers[state.class === null ? 0 : state.class + 1]));
    place("hint").textContent = state.class === null && about.classes.length ? HINT : "";
    place("definition").textContent = about.statistics[state.statistic].definition;
    place("note").textContent = `${record.note} Of the whole test set. Drag to zoom, double-click for `
      + "all; a click chooses class and filter.";
    place("words").textContent = record.words;
    // A choice of a cell leaves the heatmap, and its zoom, as they are.
    const isSame = before && ["layer", "statistic", "page", "scheme"]
      .every((name) => before[name] === state[name]);
    if (!isSame) await draw(this.graph, record, about.graph);
    await (await plotly()).relayout(this.graph, { shapes: [frame(state, about)] });
    if (!this.isHeard) this.graph.on("plotly_click", (event) => this.#choose(event.points[0]));
    this.isHeard = true;
    place("title").dataset.drawn = `${state.layer} ${state.statistic} ${state.filter}`;
  }

  #choose({ x, y }) {
    const { filters } = layerOf(this.about, this.state.layer);
    const news = this.about.classes.length ? { class: y } : {};
    if (filters.includes(x)) this.change({ ...news, filter: x });
    else {
      document.getElementById("classes-note").textContent =
        `The numbers of filter ${x} are not in this snapshot beyond what the heatmap shows.`;
    }
  }
}
