// One layer in one sample: its summary over the input and beside it, and some of its filters.
import { exact, general } from "../feature_maps/wall/numbers.js";
import { colorAt } from "../feature_maps/wall/palette.js";
import { drawColors, drawPlane, extremesOf } from "./planes.js";

const STOPS = 12; // colors of a bar

/**
 * What the page has to know of a layer; pages/layers/rows.py says what each is.
 * @typedef {object} RowFacts
 * @property {string} layer
 * @property {[number, number, number]} shape
 * @property {boolean} has_maps
 * @property {{top: number, left: number, height: number, width: number}|null} grid
 * @property {string} url
 */

/**
 * A place in a tile: the cell of a map that lies there, and what is said of it.
 * @typedef {object} Cell
 * @property {number} y
 * @property {number} x
 * @property {string} words
 */

const make = (name, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
};

/** One row of the page. */
export class Row {
  view = null; // { sample, by } that are drawn; null before the first
  #array = null;
  #about = null; // what the answer says of it
  #items = []; // places for filters, of which the last answer fills the first ones

  /**
   * @param {RowFacts} facts
   * @param {{image_shape: [number, number], words: Object<string, string>}} page
   * @param {number} at which row it is
   */
  constructor(facts, page, at) {
    this.facts = facts;
    this.page = page;
    const [height, width, n] = facts.shape;
    const size = height === 1 ? width === 1 ? "one value each" : `${width} values each`
      : `${height} × ${width} values each`;
    this.id = `layers-row-${at}`;
    this.link = make("a", { textContent: facts.layer, className: "layer-link" });
    this.note = make("p", { className: "layer-note" });
    this.image = make("img", { alt: "" });
    this.over = this.#tile("over", this.image);
    this.over.ariaHidden = "true";
    this.alone = this.#tile("alone");
    this.alone.tabIndex = 0;
    // Its keys are its own: a screen reader lets them through.
    this.alone.setAttribute("role", "application");
    this.bar = make("div", { className: "layer-bar" });
    this.filters = make("ul", { className: "layer-filters" });
    const count = `${n.toLocaleString("en")} filter${n === 1 ? "" : "s"}`;
    this.summary = make(
      "div", { className: "layer-summary", hidden: !facts.has_maps }, this.over, this.alone, this.bar);
    this.element = make(
      "section", { id: this.id },
      make(
        "div", { className: "layer-row" },
        make("div", { className: "panel-state" }),
        make(
          "div", { className: "layer-about" },
          make("h3", {}, this.link), make("p", { textContent: `${count}, ${size}` }), this.note),
        this.summary, this.filters));
    this.element.dataset.fills = this.id;
  }

  url(sample, by) {
    return `${this.facts.url}&sample=${sample}&by=${by}`;
  }

  /** Draws an answer, as soon as it is here. */
  show(array, view, linkTo) {
    this.#array = array;
    const about = JSON.parse(array.headers.get("x-summary"));
    this.#about = about;
    this.view = { sample: view.sample, by: view.summary };
    const planes = planesOf(array);
    if (this.facts.has_maps) this.#drawSummary(planes, about, view);
    this.#drawFilters(planes.slice(planes.length - about.filters.length), about);
    this.note.textContent = notesOf(about, this.facts, view.summary).join(" ");
    this.lead(linkTo);
  }

  /** Sets where the links lead. */
  lead(linkTo) {
    this.link.href = linkTo({ layer: this.facts.layer });
    for (const [at, filter] of (this.#about?.filters ?? []).entries()) {
      this.#items[at].link.href = linkTo({ layer: this.facts.layer, filter });
    }
  }

  #tile(kind, ...below) {
    const canvas = make("canvas");
    const scene = make("span", { className: "scene" }, ...below, canvas);
    const tile = make(kind === "filter" ? "span" : "div", { className: `tile ${kind}` }, scene);
    this.#place(canvas);
    return tile;
  }

  // In per cent of the input, so that all rows show the same part of it.
  #place(canvas) {
    const [rows, columns] = this.page.image_shape;
    const grid = this.facts.grid ?? { top: 0, left: 0, height: rows, width: columns };
    Object.assign(canvas.style, {
      top: `${(100 * grid.top) / rows}%`, height: `${(100 * grid.height) / rows}%`,
      left: `${(100 * grid.left) / columns}%`, width: `${(100 * grid.width) / columns}%`,
    });
  }

  #drawSummary(planes, about, { sample, summary }) {
    const shape = this.#array.shape.slice(1);
    const canvases = [this.over, this.alone].map((tile) => tile.querySelector("canvas"));
    const { layer } = this.facts;
    const words = `${this.page.words[summary]} of ${layer}, sample ${sample}`;
    if (about.basis) {
      for (const canvas of canvases) drawColors(canvas, planes.slice(0, 3), shape, about.basis);
      this.bar.replaceChildren();
      this.alone.setAttribute("aria-label", `Summary: ${words}`);
      return;
    }
    const range = { ...extremesOf(planes[0]), signed: about.signed && summary !== "abs" };
    for (const canvas of canvases) drawPlane(canvas, planes[0], shape, range);
    this.bar.replaceChildren(...barOf(range));
    this.alone.setAttribute(
      "aria-label",
      `Summary: ${words}, from ${general(range.low, 3)} to ${general(range.high, 3)}`);
  }

  #drawFilters(planes, about) {
    const { layer, shape: [height, width], has_maps: hasMaps } = this.facts;
    while (this.#items.length < about.filters.length) this.#items.push(this.#item(hasMaps));
    for (const [at, item] of this.#items.entries()) {
      const filter = about.filters[at];
      item.element.hidden = filter === undefined;
      if (item.element.hidden) continue;
      const [low, high, largest] = [about.low, about.high, about.largest]
        .map((values) => values[at] ?? NaN);
      const value = general(largest, 3);
      if (hasMaps) {
        drawPlane(
          item.canvas, planes[at], this.#array.shape.slice(1),
          { low: low || 0, high: high || 0, signed: about.signed });
      }
      const isNumber = height * width === 1 || !hasMaps;
      item.name.textContent = isNumber ? `${filter}: ${value}` : `${filter}`;
      const words = `Filter ${filter} of ${layer}: ${value} at most here, `
        + `${general(low, 3)} to ${general(high, 3)} over the test set`;
      item.link.title = words;
      item.link.setAttribute("aria-label", words);
    }
  }

  #item(hasMaps) {
    const name = make("span", { className: "filter-name" });
    const link = make("a", { className: "layer-filter", draggable: false });
    const tile = hasMaps ? this.#tile("filter") : null;
    link.append(...[tile, name].filter(Boolean));
    const element = make("li", {}, link);
    this.filters.append(element);
    return { element, link, name, tile, canvas: tile?.querySelector("canvas") };
  }

  /** The cell of a place in the input, y and x from 0 to 1; null beside the maps. */
  cellAt(place) {
    const [rows, columns] = this.page.image_shape;
    const grid = this.facts.grid ?? { top: 0, left: 0, height: rows, width: columns };
    const [height, width] = this.facts.shape;
    const y = Math.floor(((place.y * rows - grid.top) / grid.height) * height);
    const x = Math.floor(((place.x * columns - grid.left) / grid.width) * width);
    return y >= 0 && x >= 0 && y < height && x < width ? { y, x } : null;
  }

  /** The place in the input of a cell's middle, y and x from 0 to 1. */
  placeOf({ y, x }) {
    const [rows, columns] = this.page.image_shape;
    const grid = this.facts.grid ?? { top: 0, left: 0, height: rows, width: columns };
    const [height, width] = this.facts.shape;
    return {
      y: (grid.top + ((y + 0.5) / height) * grid.height) / rows,
      x: (grid.left + ((x + 0.5) / width) * grid.width) / columns,
    };
  }

  /** What a tile shows at a cell, in words; empty where nothing is drawn. */
  wordsAt(tile, cell) {
    if (!this.#array || !cell) return "";
    const { layer } = this.facts;
    const { step, filters, basis } = this.#about;
    const width = this.#array.shape[2];
    const at = Math.floor(cell.y / step) * width + Math.floor(cell.x / step);
    const planes = planesOf(this.#array);
    const text = (plane) => (step > 1 ? `≈ ${general(plane[at], 3)}` : exact(plane[at]));
    const place = this.#items.findIndex((item) => item.tile === tile);
    const n = planes.length - filters.length;
    const value = place >= 0 ? `filter ${filters[place]}: ${text(planes[n + place])}`
      : basis ? `components ${planes.slice(0, basis.low.length).map(text).join(", ") || "none"}`
        : `${this.page.words[this.view.by]}: ${text(planes[0])}`;
    return `${layer}, y ${cell.y}, x ${cell.x}\n${value}`;
  }
}

/** The planes of an answer, [y, x] each. */
export function planesOf({ values, shape: [n, height, width] }) {
  const size = height * width;
  return Array.from({ length: n }, (_, at) => values.subarray(at * size, (at + 1) * size));
}

function barOf({ low, high, signed }) {
  const reach = Math.max(-low, high) || 1;
  const [from, to] = signed ? [-reach, reach] : [low, high];
  const scale = signed ? "diverging" : "sequential";
  const colors = Array.from({ length: STOPS }, (_, at) => colorAt(scale, at / (STOPS - 1)));
  const strip = make("i");
  strip.style.background = `linear-gradient(to right, ${colors.join(", ")})`;
  const ends = [from, to].map((value) => make("span", { textContent: general(value, 3) }));
  return [ends[0], strip, ends[1]];
}

const percent = (share) => `${Number((100 * share).toPrecision(2))}%`;

/** What there is to know of a row beside its pictures, in sentences. */
export function notesOf(about, facts, by) {
  const { basis, n_nonfinite: nBad, step, filters } = about;
  const n = basis?.shares.length;
  const shares = basis?.shares.map(percent).join(", ");
  const samples = `${basis?.n_samples} sample${basis?.n_samples === 1 ? "" : "s"}`;
  return [
    facts.has_maps ? "" : "This store keeps no maps of it: pooled, tables and statistics only. "
      + "Filters with their largest value here:",
    basis && n === 3 ? `Red, green and blue are ${shares} of the variance in ${samples}.` : "",
    basis && n > 0 && n < 3 ? `There ${n === 1 ? "is 1 component" : "are 2 components"}: `
      + `${shares} of the variance in ${samples}.` : "",
    basis && n === 0 ? `In ${samples} no filter varies: there is no component.` : "",
    facts.has_maps && nBad ? "Values that are NaN or infinite are left out"
      + `${by === "pca" ? ", as the mean of their filter" : ""}.` : "",
    step > 1 ? `One cell stands for ${step} × ${step} values: the one farthest from zero.` : "",
    facts.has_maps && !facts.grid && facts.shape[0] * facts.shape[1] > 1
      ? "Where its maps lie in the input is unknown; they fill it." : "",
    filters.length ? "" : "No filter of it varies over the test set.",
  ].filter(Boolean);
}
