// Feature maps in a snapshot: the dashboard's own wall over maps that lie in the page.
import { announce, describe } from "../feature_maps/description.js";
import { InputPicture } from "../feature_maps/input.js";
import { marked, rangeWords } from "../feature_maps/legend.js";
import { neighbor } from "../feature_maps/samples.js";
import { Tooltip } from "../feature_maps/tooltip.js";
import { swatchUrl } from "../feature_maps/wall/forms.js";
import { Wall } from "../feature_maps/wall/wall.js";
import { mapsOf, pictureOf } from "./inside.js";
import { card, make, options, scheme, select } from "./parts.js";
import { layerOf } from "./state.js";

const KEPT = 24; // maps that were inflated last
const HINT = "Drag, pinch or Ctrl + wheel zooms, shift-drag moves, double-click shows all, click "
  + "selects. ← and → go to the sample before and after.";
const RANGES = { layer: "Layer", filter: "Filter", map: "Each map", percentile: "1–99 %" };

/** The page in its section. */
export class MapsPage {
  #wall = null;
  #kept = new Map(); // promises of maps, by their names, the newest last
  #unit = null;
  #wanted = ""; // the maps that are waited for

  /**
   * @param {HTMLElement} section
   * @param {object} about what the snapshot holds
   * @param {(news: object) => void} change has something else shown
   */
  constructor(section, about, change) {
    this.about = about;
    this.change = change;
    const id = (name, tag = "div", className = "") => make(tag, { id: name, className });
    this.host = id("maps-wall", "div", "wall");
    this.frame = id("maps-input", "div", "picture input-picture");
    const [previous, next] = [["‹", -1, "before"], ["›", 1, "after"]].map(([text, steps, which]) => {
      const button = make("button", {
        type: "button", textContent: text, attributes: { "aria-label": `The sample ${which}` },
      });
      button.addEventListener("click", () => this.step(steps));
      return button;
    });
    const choose = (name, read = (text) => text) => (text) => change({ [name]: read(text) });
    const ofClass = (text) => {
      const index = text === "" ? null : Number(text);
      const has = about.samples.filter((sample) => index === null || sample.class === index);
      const stays = has.some(({ sample }) => sample === this.state.sample);
      change({ class: index, ...(stays || !has.length ? {} : { sample: has[0].sample }) });
    };
    section.append(
      make("div", { className: "snapshot-side" }, card("Sample",
        select("maps-class", "Samples of", ofClass),
        make("div", { className: "snapshot-step" }, previous,
          select("maps-sample", "Sample", choose("sample", Number)), next),
        this.frame, id("maps-verdict"), id("maps-hovered", "div", "strip-hovered"),
        id("maps-field-note", "p", "dim"))),
      card("All filters",
        make("div", { className: "controls" },
          select("maps-layer", "Layer", (layer) => change({ layer, window: "" })),
          select("maps-filter", "Filter", choose("filter", Number)),
          select("maps-range", "Colors span", choose("range")),
          select("maps-zoom", "Zoom", (zoom) => change({ zoom, window: "" })),
          select("maps-order", "Order of filters", choose("order")),
          select("maps-zeros", "Exact zeros", choose("zeros"))),
        id("maps-message", "div", "message"), this.host,
        id("maps-description", "div", "unseen"),
        make("div", { id: "maps-announcement", className: "unseen", attributes: { role: "status" } }),
        id("maps-legend", "div", "legend"),
        make("p", { className: "dim" }, id("maps-range-note", "span"), " ",
          id("maps-order-note", "span"), ` ${HINT}`)));
    this.input = new InputPicture(this.frame);
  }

  /** The samples that a step goes through: those of the class, where there is one. */
  get samples() {
    const { about, state } = this;
    const has = about.samples.filter((sample) => state.class === null || sample.class === state.class);
    return has.length ? has : about.samples;
  }

  /** Goes to the sample that is some steps on. */
  step(steps) {
    const sample = neighbor(this.samples.map(({ sample: index }) => index), this.state.sample, steps);
    this.change({ sample });
  }

  /** Shows what a state says. */
  async show(state) {
    const { about } = this;
    if (state.layer !== this.state?.layer || state.filter !== this.state?.filter) this.#unit = null;
    this.state = state;
    const layer = layerOf(about, state.layer);
    this.#fill(layer);
    const { facts } = layer;
    const at = about.layers.indexOf(layer);
    const sample = about.samples.find(({ sample: index }) => index === state.sample);
    document.getElementById("maps-verdict").replaceChildren(
      ...sample.lines.map((line) => make("div", {}, line)));
    this.frame.style.setProperty("--proportions", facts.image_shape[1] / facts.image_shape[0]);
    this.input.show(facts, state.sample, pictureOf(`image-${state.sample}`));
    document.getElementById("maps-message").textContent = facts.message;
    this.host.hidden = Boolean(facts.message);
    if (facts.message) return;
    const name = `maps-${at}-${state.sample}`;
    this.#wanted = name;
    const maps = await this.#maps(name, layer);
    if (this.#wanted === name && this.state === state) this.#draw(maps, layer);
  }

  #fill({ facts, filters }) {
    const { about, state } = this;
    const numbered = (list) => list.map((index) => [index, `${index}`]);
    options("maps-layer", about.layers.map(({ path }) => [path, path]), state.layer);
    options("maps-filter", numbered(filters), state.filter);
    options("maps-sample", this.samples.map(({ sample, signs }) => [sample, `${sample} · ${signs}`]),
      state.sample);
    const count = (index) => about.samples.filter((sample) => sample.class === index).length;
    options("maps-class", [["", `all ${about.samples.length} here`], ...about.classes
      .map((words, index) => [index, `${words} (${count(index)})`])
      .filter(([index]) => count(index))], state.class ?? "");
    document.getElementById("maps-class").parentElement.hidden = !about.classes.length;
    options("maps-range", Object.entries(RANGES), state.range);
    options("maps-zoom", [["linked", "Linked"], ["free", "Free"]], state.zoom);
    options("maps-order", [["index", "Index"], ["mean", "Mean here"]], state.order);
    options("maps-zeros", [["plain", "As any value"], ["mark", "Marked"]], state.zeros);
    document.getElementById("maps-order-note").textContent = filters.length === facts.shape[2] ? ""
      : `${filters.length} of ${facts.shape[2]} filters of this layer are in this snapshot.`;
  }

  // Inflated once, and kept a while: a key that is held goes through many.
  #maps(name, { facts, filters }) {
    const kept = this.#kept.get(name) ?? mapsOf(name, facts.shape, filters);
    this.#kept.delete(name);
    this.#kept.set(name, kept);
    if (this.#kept.size > KEPT) this.#kept.delete(this.#kept.keys().next().value);
    return kept;
  }

  #draw(maps, { facts, filters }) {
    const { state } = this;
    const { filter, order, range, sample, zoom, window } = state;
    this.#wall ??= this.#newWall();
    const zeros = state.zeros === "mark";
    const isAll = filters.length === facts.shape[2];
    this.#wall.show(maps, {
      facts, filter, range, sample, zeros, zoom, window,
      ends: "", colors: "usual", norm: "linear", inverted: false, unit: this.#unit,
      scheme: scheme(),
      scores: order === "mean" ? "mean" : null,
      hidden: isAll ? null : facts.dead.map((_, index) => !filters.includes(index)),
      words: `Feature maps of ${filters.length} filters of ${facts.layer}, sample ${sample}`,
    });
    this.input.map(maps, this.#wall.span, filter, facts, zeros);
    this.#hover(this.#wall.hovered);
    document.getElementById("maps-description").textContent = describe(this.#wall);
    requestAnimationFrame(() => { this.host.dataset.drawn = `${facts.layer} ${sample} ${filter}`; });
  }

  #newWall() {
    const wall = new Wall(this.host, {
      select: ({ filter, y, x }) => {
        this.change({ filter });
        this.#unit = { y, x };
        this.show(this.state);
      },
      look: (window, isResting) => isResting && this.change({ window }),
      hover: (cell, point) => this.#hover(cell, point),
      painted: (counts) => this.#explain(counts),
      finer: async () => null, // all values are here
    });
    this.tooltip = new Tooltip(wall, document.getElementById("maps-hovered"));
    return wall;
  }

  #hover(cell, point) {
    const words = this.tooltip.show(cell, point);
    if (cell?.isWalked) announce(words);
    this.input.outline(cell ?? this.#unit, this.#wall.view.facts);
  }

  // Counts are of the filters that are here; what is absent is no value.
  #explain(counts) {
    const wall = this.#wall;
    const { facts } = wall.view;
    const items = wall.order.length === facts.shape[2] ? marked(counts) : [];
    document.getElementById("maps-legend").replaceChildren(
      make("span", {}, `${wall.order.length} of ${facts.shape[2]} filters`),
      ...items.map(({ kind, words }) => {
        const chip = make("i");
        chip.style.backgroundImage = `url("${swatchUrl(kind, wall.span.scale)}")`;
        return make("span", {}, chip, words);
      }));
    document.getElementById("maps-range-note").textContent =
      `${rangeWords(wall.view, wall.span)} ${facts.value_note}`.trim();
  }
}
