// One filter in a snapshot: what is wrong with it, its kernel, its values, its strongest samples.
import { neighbor } from "../feature_maps/samples.js";
import { pictureOf, recordOf } from "./inside.js";
import { card, draw, facts, make, options, select, table } from "./parts.js";
import { layerOf } from "./state.js";

export const HINT = "Choose a class for its numbers, beside what chance would give.";

/** The page in its section. */
export class FilterPage {
  /** @param {HTMLElement} section, the data of the page and what changes it: see `MapsPage` */
  constructor(section, about, change) {
    this.about = about;
    this.change = change;
    const id = (name, tag = "div", className = "") => make(tag, { id: name, className });
    section.append(
      card("",
        make("div", { className: "controls" },
          select("filter-layer", "Layer", (layer) => change({ layer, window: "" })),
          select("filter-filter", "Filter", (text) => change({ filter: Number(text) })),
          select("filter-class", "Class", (text) => change({ class: text === "" ? null : Number(text) }))),
        make("div", { className: "snapshot-columns" },
          make("div", {}, id("filter-title", "h2"), id("filter-findings"), id("filter-numbers")),
          make("div", {}, make("h3", {}, "Kernel: its weights"), id("filter-kernel"),
            id("filter-kernel-note", "p", "dim")))),
      card("Activations by class", id("filter-histogram"), id("filter-histogram-note", "p", "dim")),
      card("Strongest samples", id("filter-top", "div", "snapshot-thumbnails"),
        id("filter-top-note", "p", "dim")),
      card("Statistics, beside what chance gives", id("filter-table"), id("filter-hint", "p", "dim")));
  }

  /** Goes to the filter that is some steps on. */
  step(steps) {
    const { filters } = layerOf(this.about, this.state.layer);
    this.change({ filter: neighbor(filters, this.state.filter, steps) });
  }

  /** Shows what a state says. */
  async show(state) {
    this.state = state;
    const { about } = this;
    const layer = layerOf(about, state.layer);
    const at = about.layers.indexOf(layer);
    options("filter-layer", about.layers.map(({ path }) => [path, path]), state.layer);
    options("filter-filter", layer.filters.map((index) => [index, `${index}`]), state.filter);
    options("filter-class", classOptions(about), state.class ?? "");
    document.getElementById("filter-class").parentElement.hidden = !about.classes.length;
    const [record, numbers] = await Promise.all([
      recordOf(`filter-${at}-${state.filter}`), recordOf(`numbers-${at}-${state.filter}`)]);
    if (this.state !== state) return;
    const place = (name) => document.getElementById(`filter-${name}`);
    place("title").textContent = `${state.layer} · filter ${state.filter}`;
    place("findings").replaceChildren(...record.findings.map(({ text, meaning, grave }) => (
      make("p", {}, make(grave ? "strong" : "b", {}, text), ` ${meaning}`))));
    place("numbers").replaceChildren(facts(record.numbers));
    place("kernel-note").textContent = record.kernel.note;
    place("histogram-note").textContent = record.histogram.note;
    place("top").replaceChildren(...record.top.map((response) => this.#thumbnail(response)));
    place("top-note").textContent = record.top.length
      ? `${record.top.length} of all ${about.n_samples.toLocaleString("en")} samples of the store, by `
        + "the largest activation of the map."
      : "No map has a finite value.";
    place("table").replaceChildren(table(numbers[state.class === null ? 0 : state.class + 1]));
    place("hint").textContent = state.class === null && about.classes.length ? HINT : "";
    const bare = { ...about.graph, displayModeBar: false };
    await draw(place("kernel"), record.kernel, bare);
    await draw(place("histogram"), record.histogram, about.graph);
    place("title").dataset.drawn = `${state.layer} ${state.filter}`;
  }

  // A sample whose maps are here leads to them.
  #thumbnail({ sample, value, words, signs }) {
    const picture = make("img", { src: pictureOf(`top-${sample}`), alt: `Sample ${sample}` });
    const parts = [picture, make("b", {}, value), make("span", {}, signs),
      make("small", {}, `#${sample}`)];
    const properties = { title: `Sample ${sample}: ${value} ${words}` };
    const isHere = this.about.here.includes("maps")
      && this.about.samples.some((other) => other.sample === sample);
    if (!isHere) return make("div", properties, ...parts);
    const button = make("button", { type: "button", ...properties }, ...parts);
    button.addEventListener("click", () => this.change({ page: "maps", sample, class: null }));
    return button;
  }
}

/** The classes of a snapshot, and all of them. */
export const classOptions = ({ classes }) => (
  [["", "all classes"], ...classes.map((words, index) => [index, words])]);
