// What the Kernels page shows: the kernels of a layer on a wall, which follows the page's controls.
import { Controls, field, store } from "../feature_maps/controls.js";
import { Latest, Refusal, here } from "../feature_maps/fetching.js";
import { marked } from "../feature_maps/legend.js";
import { neighbor } from "../feature_maps/samples.js";
import { swatchUrl } from "../feature_maps/wall/forms.js";
import { Wall } from "../feature_maps/wall/wall.js";
import { FACTORS } from "../feature_maps/wall/zoom_buttons.js";
import { colorsAt, normsOf, layoutOf, tilesOf, wallFacts } from "./weights.js";
import { cellWords, describe, layoutWords } from "./kernel_words.js";

const LOADING_AFTER = 250; // ms before a picture that is still old is said to be
const RESTS_AFTER = 400; // ms: who holds a key down hears the last of all
const WIDE = 210; // CSS pixels: nearer to the right edge words stand to the left of the pointer
const STRETCH = { fit: 1, large: 4, largest: 16 }; // windows high that a wall may be
const DESCRIPTIONS = ["kernels-description", "kernels-legend", "kernels-note"];
// What Dash's controls say, in the order in which they say it.
const CONTROLS = ["facts", "filter", "plane", "view", "order", "range", "tile", "window", "scheme"];
// Where the controls are that this page changes itself.
const PLACES = {
  filter: field("kernels-filter"), plane: field("kernels-plane"), window: store("kernels-window"),
};

/**
 * What the page has to know of a layer; KernelFacts of pages/kernels says what each is.
 * @typedef {object} KernelFacts
 * @property {string} digest
 * @property {string} layer
 * @property {string} url
 * @property {[number, number, number, number]} shape
 * @property {boolean} is_color
 * @property {boolean} is_depthwise
 * @property {boolean} has_parts
 * @property {string[]} names
 * @property {string} source
 * @property {number} per_group
 * @property {number} filters_per_group
 * @property {number} multiplier
 * @property {number} reach
 * @property {{l1: (number|null)[], l2: (number|null)[]}} norms
 * @property {string} message
 */

const element = (id) => document.getElementById(id);
const tell = (id, props) => window.dash_clientside.set_props(id, props);
// Says whether what the wall shows is current; looked up late, for modules may come before it.
const stale = () => window.dash_clientside.stale;

/** What one open page shows; it goes with the page. */
class Session {
  view = null;
  wall = null;
  #controls = new Controls(PLACES, (values) => {
    if (this.host.isConnected) this.follow(values);
  });
  #layout = null;
  #maps = null;
  #arrays = new Latest();
  #slow = 0;
  #speaking = 0;

  constructor(host) {
    this.host = host;
  }

  /** Follows Dash's controls, by the names of a view. */
  follow(controls) {
    const isFirst = !this.view;
    const news = this.#controls.take(controls);
    this.view = { ...this.view, ...news };
    const isOther = !isFirst && ["facts", "view", "tile"].some((name) => name in news);
    // A window is one of a wall: another shows all.
    if (isOther && !("window" in news) && this.view.window) this.#look("", true);
    if ("facts" in news) {
      const { facts } = news;
      tell("kernels-parts", { hidden: !facts.has_parts });
      tell("kernels-plane", { max: facts.shape[facts.is_depthwise ? 3 : 2] - 1 });
    }
    return this.#refresh();
  }

  /** Goes to the tile that is some steps on. */
  step(steps) {
    const order = this.wall?.order ?? [];
    if (order.length) this.#select(neighbor(order, this.#selected, steps));
  }

  // Whether the tiles are planes, and none of them the selected filter's.
  get #isOfPlanes() {
    return this.view.facts.is_depthwise || this.#layout?.kind === "planes";
  }

  get #selected() {
    const { filter, plane } = this.view;
    return this.#isOfPlanes ? plane : filter;
  }

  #select(tile) {
    const name = this.#isOfPlanes ? "plane" : "filter";
    this.view = { ...this.view, [name]: tile };
    this.#controls.tell({ [name]: tile });
    this.#draw();
  }

  #look(text, isResting) {
    this.view = { ...this.view, window: text };
    if (isResting && this.host.isConnected) this.#controls.tell({ window: text });
  }

  async #refresh() {
    const { view, host } = this;
    const { facts } = view;
    clearTimeout(this.#slow);
    element("kernels-message").textContent = facts.message;
    host.hidden = Boolean(facts.message);
    if (facts.message) {
      this.#arrays.abort();
      this.wall?.clear();
      stale().has("kernels-wall");
      for (const id of DESCRIPTIONS) element(id).replaceChildren();
      return;
    }
    const layout = layoutOf(facts, view);
    const url = facts.url + layout.query;
    this.#slow = setTimeout(() => stale().waits("kernels-wall"), LOADING_AFTER);
    let problem = "";
    const array = here(url) ?? await this.#arrays.get(url).catch((error) => {
      if (!(error instanceof Refusal)) throw error; // for a server that is gone, stale.js waits
      problem = error.message;
      return null;
    });
    if (view.facts !== this.view.facts || layoutOf(facts, this.view).query !== layout.query) return;
    if (!host.isConnected) return;
    clearTimeout(this.#slow);
    if (!array) {
      if (problem) stale().waits("kernels-wall", problem, () => this.#refresh());
      return;
    }
    stale().has("kernels-wall");
    if (array.digest !== facts.digest) {
      stale().replaced();
      return;
    }
    array.tiles ??= new Map(); // an array is one object while it is kept: it is painted once
    if (!array.tiles.has(layout.kind)) {
      const tiles = tilesOf(array, layout);
      array.tiles.set(layout.kind, { tiles, wall: wallFacts(facts, layout, tiles) });
    }
    this.#layout = layout;
    this.#maps = array.tiles.get(layout.kind);
    this.#draw();
  }

  #draw() {
    if (!this.#maps || this.view.facts.message) return;
    const { facts, filter, order, range, scheme, tile, window } = this.view;
    const layout = this.#layout;
    const { tiles, wall } = this.#maps;
    const n = layout.shape[2];
    const names = facts.names.length ? facts.names : null;
    this.wall ??= this.#newWall();
    this.wall.show(tiles, {
      facts: wall, colors: "usual", norm: "linear", inverted: false,
      filter: this.#selected, range: range === "layer" ? "layer" : "map", zoom: "free",
      window, scheme, zeros: false, hidden: null, stretch: STRETCH[tile],
      scores: order === "index" ? null : this.#scores(order),
      names: layout.kind === "planes" && names,
      title: range === "layer" ? (layout.kind === "norm" ? "L2 norm of weights" : "weight")
        : "share of the kernel's range",
      axis: "input",
      colorsAt: layout.kind === "colors" ? colorsAt : undefined,
      words: layout.kind === "planes" ? `${n} input planes of filter ${filter} of ${facts.layer}`
        : `${n} kernels of ${facts.layer}`,
    });
    this.#say("kernels-note", layoutWords(facts, layout, filter, range));
    this.#say("kernels-description", describe(facts, layout, tiles, this.view));
    this.#hover(this.wall.hovered);
    requestAnimationFrame(() => {
      this.host.dataset.drawn = `${facts.layer} ${layout.kind} ${this.#selected}`;
    });
  }

  // Filters by the norm of their whole kernel, planes by that of their own weights.
  #scores(order) {
    const { facts } = this.view;
    const n = this.#layout.shape[2];
    return this.#isOfPlanes ? normsOf(this.#maps.tiles.values, n, order) : facts.norms[order];
  }

  #newWall() {
    return new Wall(this.host, {
      select: ({ filter: tile }) => this.#select(tile),
      look: (text, isResting) => this.#look(text, isResting),
      hover: (cell, point) => this.#hover(cell, point),
      painted: (counts) => this.#explain(counts),
      finer: () => null,
    }, DESCRIPTIONS);
  }

  #explain(counts) {
    const n = this.#layout.shape[2];
    const [count, noun] = [document.createElement("span"), this.#isOfPlanes ? "plane" : "kernel"];
    count.textContent = `${n} ${noun}${n === 1 ? "" : "s"}`;
    element("kernels-legend").replaceChildren(count, ...marked(counts).map(({ kind, words }) => {
      const [item, chip] = [document.createElement("span"), document.createElement("i")];
      chip.style.backgroundImage = `url("${swatchUrl(kind, this.wall.span.scale)}")`;
      item.append(chip, words);
      return item;
    }));
  }

  #hover(cell, point) {
    let tip = this.host.querySelector(".wall-tip");
    if (!cell) {
      tip?.remove();
      return;
    }
    if (!tip) {
      tip = document.createElement("div");
      tip.className = "wall-tip";
      this.host.append(tip);
    }
    const { facts, filter } = this.view;
    tip.textContent = cellWords(facts, this.#layout, this.#maps.tiles, filter, cell);
    if (point) {
      const isNear = point.x > this.host.clientWidth - WIDE;
      tip.style.left = `${isNear ? Math.max(0, point.x - WIDE + 20) : point.x + 14}px`;
      tip.style.top = `${point.y + 14}px`;
    }
    if (!cell.isWalked) return;
    tip.scrollIntoView({ block: "nearest" });
    clearTimeout(this.#speaking);
    const words = tip.textContent.replaceAll("\n", ", ");
    this.#speaking = setTimeout(() => this.#say("kernels-announcement", words), RESTS_AFTER);
  }

  #say(id, text) {
    const place = element(id);
    if (place && place.textContent !== text) place.textContent = text;
  }
}

const sessions = new WeakMap(); // by the wall's element, which goes with its page

/** The session of the page that is open; undefined where it is another page. */
export function session() {
  const host = element("kernels-wall");
  if (host && !sessions.has(host)) sessions.set(host, new Session(host));
  return host ? sessions.get(host) : undefined;
}

// What Dash calls. A function that gives nothing back leaves Dash's output as it is.

/** Shows what Dash's controls say. */
export async function show(...values) {
  const controls = Object.fromEntries(CONTROLS.map((name, at) => [name, values[at]]));
  if (controls.facts) await session()?.follow(controls);
}

/** The tile that is some steps on, for keys. */
export const nextFilter = (steps) => { session()?.step(steps); };

/** Zooms the wall, for keys: "+", "−" or "All". */
export const zoom = (sign) => { session()?.wall?.zoomBy(FACTORS[sign]); };
