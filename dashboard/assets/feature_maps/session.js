// What the Feature maps page shows: each fact in one place, whoever changes it, be it a control, a
// key, a click or a gesture. The picture follows at once; Dash and the server hear of it after it.
import { Controls, choice, field, store } from "./controls.js";
import { announce, describe } from "./description.js";
import { Latest, Refusal, arrayOf, here, mapsUrl } from "./fetching.js";
import { fileName } from "./file_name.js";
import { InputPicture } from "./input.js";
import { explain } from "./legend.js";
import {
  arrival, neighbor, pageOf, pageText, positionText, stepped, turned,
} from "./samples.js";
import { Tooltip } from "./tooltip.js";
import { exact } from "./wall/numbers.js";
import { isInUnits, needed } from "./wall/palette.js";
import { tilingOf, windowIn } from "./wall/tiling.js";
import { Wall, cellsFor, roomIn } from "./wall/wall.js";
import { FACTORS } from "./wall/zoom_buttons.js";

const SETTLED_AFTER = 120; // ms without another change in a fast drag before the server hears of it
const AFTER_PAINT = 30; // ms
const ENLARGED_AFTER = 60; // ms after Dash has heard: Plotly works while another step might come
const LARGE_AFTER = 50; // ms without another change in a fast drag before a large window is asked for
const LATEST_AFTER = 1000; // ms until Dash hears of a step whose picture has not come
const LOADING_AFTER = 250; // ms before a picture that is still old is said to be
const AHEAD_BYTES = 2 << 20; // of a sample's maps: larger ones are not fetched ahead

// What Dash's controls say, in the order in which they say it.
const CONTROLS = [
  "facts", "sample", "filter", "label", "predicted", "outcome", "group", "by", "range", "ends",
  "colors", "norm", "inverted", "order", "scores", "dead", "zeros", "zoom", "window", "scheme",
  "from", "unit",
];

// Where the controls are that this page changes itself.
const PLACES = {
  sample: field("maps-sample"), filter: field("maps-filter"), range: choice("maps-range"),
  ends: store("maps-ends"), window: store("maps-window"), from: store("maps-from"),
  unit: store("maps-unit"),
};

/**
 * What the page has to know of a layer; pages/feature_maps/wall.py says what each is.
 * @typedef {object} WallFacts
 * @property {string} store
 * @property {string} digest
 * @property {string} layer
 * @property {[number, number, number]} shape
 * @property {string} url
 * @property {string} exact
 * @property {string|null} windows
 * @property {number[]} low
 * @property {number[]} high
 * @property {string[]} whole
 * @property {[number, number]} span
 * @property {[number, number]} percentiles
 * @property {boolean} signed
 * @property {boolean[]} dead
 * @property {[string, string]} image
 * @property {[number, number]} image_shape
 * @property {[number, number][]|null} rows
 * @property {[number, number][]|null} columns
 * @property {number[][][]|null} boxes
 * @property {{top: number, left: number, height: number, width: number}|null} grid
 * @property {string} field_note
 * @property {boolean} at_most
 * @property {Object<string, object>} figures
 * @property {{width: string, height: string}} figure_style
 * @property {string} value_note
 * @property {string} message
 */

/**
 * What is shown.
 * @typedef {object} View
 * @property {WallFacts} facts of the layer
 * @property {number} sample
 * @property {number} filter that is selected
 * @property {string|null} label the class that samples are picked of; null for all
 * @property {string|null} predicted the class that they are predicted to be; null for any
 * @property {string} outcome the kind of prediction that they are picked of
 * @property {string} group the expression of the group that they are picked of; empty for all
 * @property {string} by what they are ordered by
 * @property {string} range what colors span
 * @property {string} ends "low,high" of the range by hand; empty before there was one
 * @property {string} colors what values are colored by
 * @property {string} norm how values lie along the colors
 * @property {boolean} inverted whether the scale is from its other end
 * @property {string} order of the filters
 * @property {number[]|null} scores that they are ordered by, where the server knows them
 * @property {boolean} dead whether dead filters are hidden
 * @property {boolean} zeros whether exact zeros are marked
 * @property {string} zoom
 * @property {string} window that the wall is zoomed to
 * @property {string} scheme
 * @property {number|null} from a place among the picked samples, on the page of thumbnails that is
 *   shown; null for the page that the sample is on
 * @property {string} unit the selected value of the filter's map, "y,x"; empty for none
 */

const element = (id) => document.getElementById(id);
const tell = (id, props) => window.dash_clientside.set_props(id, props);
// Says whether what the wall shows is current; looked up late, for modules may come before it.
const stale = () => window.dash_clientside.stale;

/** What one open page shows; it goes with the page. */
export class Session {
  /** @type {View|null} what is shown, or is on its way */
  view = null;
  /** @type {import("./samples.js").Picks|null} which samples a step goes through */
  picks = null;
  /** @type {Wall|null} null before its first picture */
  wall = null;
  /** @type {import("./enlarged.js").EnlargedMap|null} null before it is loaded */
  enlarged = null;
  /** @type {import("./hand.js").Hand|null} null before it is loaded */
  hand = null;
  #controls = new Controls(PLACES, (values) => {
    if (this.host.isConnected) this.follow(values);
  });
  #settled = null; // the sample that the server was told of last
  #goal = null; // what is to be selected of another layer, when its facts are here
  #sent = {}; // by an id of the page, what Dash was told of it last
  #direction = 1;
  #changedAt = -Infinity;
  #rangeBefore = "layer"; // the range before the one by hand
  #settling = 0; // the timer after which Dash hears of what changed
  #enlarging = 0; // the timer after which the enlarged map follows
  #slow = 0; // the timer that says that something is on its way
  #arrays = new Latest();
  #parts = new Latest();
  #ahead = null;

  constructor(host) {
    this.host = host;
    const frame = element("maps-input");
    this.input = frame && new InputPicture(frame);
  }

  /** Follows Dash's controls, by the names of a view. */
  async follow(controls) {
    const before = this.#controls.held;
    const isFirst = before === null;
    if (isFirst) this.#settled = controls.sample; // the page came with it
    // Only what changed: a sample that was stepped to here may be on its way to Dash still.
    const news = this.#controls.take(controls);
    if (!isFirst && Object.keys(news).every((name) => this.view[name] === news[name])) return;
    this.view = { ...this.view, ...news };
    // A window is one of a kind of zoom, and of maps: of others it shows the same part, or all.
    const isOther = !isFirst && ("zoom" in news || "facts" in news) && !("window" in news);
    if (isOther && this.view.window) {
      const isKept = !("zoom" in news) && this.view.zoom === "linked";
      this.view.window = isKept
        ? windowIn(this.view.window, before.facts.shape, this.view.facts.shape) : "";
      this.#tellWindow();
    }
    if ("facts" in news && !isFirst) this.#arrive(news);
    if (news.range === "hand" && !this.view.ends) this.view.ends = this.#endsSeen();
    if ("range" in news && !isFirst) this.#rangeBefore = before.range;
    if (!isFirst && "sample" in news && !("from" in news)) this.#turnTo(null);
    this.#ask(isFirst);
    if (isFirst) this.#place();
    await this.#refresh();
  }

  /** Shows another sample or filter at once, and tells Dash after it is painted. */
  change(news) {
    if (!this.view || !this.host.isConnected) return;
    this.view = { ...this.view, ...news };
    if ("sample" in news) this.#turnTo(null);
    this.#refresh();
  }

  /** Selects a value of a filter of any layer, and zooms the wall to a window about it. */
  go({ layer, ...goal }) {
    this.#goal = { layer, ...goal };
    if (layer !== this.view.facts.layer) {
      tell("maps-layer", { value: layer });
      return;
    }
    this.#arrive({});
    this.#refresh();
  }

  // A value is one of a layer: of another none is selected, or the one that was the goal.
  #arrive(news) {
    const { facts, zoom } = this.view;
    const goal = this.#goal?.layer === facts.layer ? this.#goal : null;
    this.#goal = null;
    if (!goal) {
      if (!("unit" in news)) this.view.unit = "";
      return;
    }
    const window = zoom === "linked" ? goal.window : this.view.window;
    this.view = { ...this.view, filter: goal.filter, unit: goal.unit, window };
    this.#tellWindow();
  }

  /** Has colors span what a person sets by hand. */
  span(ends) {
    if (this.view.range !== "hand") this.#rangeBefore = this.view.range;
    this.change({ range: "hand", ends });
  }

  /** Has colors span what they did before a person set it by hand. */
  unspan() {
    if (this.view.range === "hand") this.change({ range: this.#rangeBefore, ends: "" });
  }

  // What colors span now, where that is the same in all tiles; else what the layer's do.
  #endsSeen() {
    const { wall, view: { facts } } = this;
    const isHere = wall?.view.facts === facts && isInUnits(wall.view.range);
    const [low, high] = isHere ? [wall.span.from[0], wall.span.to[0]] : facts.span;
    return `${exact(low)},${exact(high > low ? high : low + 1)}`;
  }

  /** Turns some pages of thumbnails on. */
  turn(pages) {
    if (!this.picks || !this.view) return;
    const { first } = pageOf(this.picks, this.view.sample, this.view.from);
    this.#turnTo(turned(this.picks, first, pages));
    this.#place();
  }

  /** Goes to the sample that is some steps on. */
  step(steps) {
    this.#direction = steps;
    const sample = this.view && stepped(this.picks, this.view.sample, steps);
    if (sample !== null) this.change({ sample });
  }

  /** Goes to the filter whose tile is some steps on. */
  stepFilter(steps) {
    const order = this.wall?.order ?? [];
    if (order.length) this.change({ filter: neighbor(order, this.view.filter, steps) });
  }

  /** Goes through other samples from now on. */
  pick(picks) {
    const before = this.picks;
    this.picks = picks;
    if (!this.view || !picks) return;
    if (before) this.#turnTo(null);
    const sample = arrival(before, picks, this.view.sample);
    if (sample !== null && sample !== this.view.sample) this.change({ sample });
    else this.#place();
  }

  /** Marks the thumbnail of the sample that is shown. */
  mark() {
    for (const thumbnail of document.querySelectorAll("#maps-thumbnails [data-sample]")) {
      const isShown = Number(thumbnail.dataset.sample) === this.view?.sample;
      if (isShown) thumbnail.setAttribute("aria-current", "true");
      else thumbnail.removeAttribute("aria-current");
    }
  }

  async #refresh() {
    const { view } = this;
    const { facts, sample } = view;
    const quick = performance.now() - this.#changedAt < SETTLED_AFTER;
    this.#changedAt = performance.now();
    for (const timer of [this.#settling, this.#enlarging, this.#slow]) clearTimeout(timer);
    this.#say(facts.message);
    this.host.hidden = Boolean(facts.message);
    if (facts.message) {
      this.input?.show(facts, sample);
      this.#forget();
      this.#settle(quick);
      return;
    }
    this.#slow = setTimeout(() => stale().waits("maps-wall"), LOADING_AFTER);
    // A picture that is late, or never comes.
    this.#settling = setTimeout(() => this.#tellDash(), LATEST_AFTER);
    const step = this.#overviewStep();
    const url = mapsUrl(facts, sample, step);
    // The server makes a window to its end though nobody waits for it any more: one at a time.
    if (facts.windows && quick && !here(url)) {
      await new Promise((go) => { setTimeout(go, LARGE_AFTER); });
      if (view !== this.view) return;
    }
    this.input?.show(facts, sample);
    let problem = "";
    const modules = needed(view);
    if (modules.length && !await loaded(modules)) problem = "The colors did not come.";
    const array = problem ? null : here(url) ?? await this.#arrays.get(url).catch((error) => {
      if (!(error instanceof Refusal)) throw error; // for a server that is gone, stale.js waits
      problem = error.message;
      return null;
    });
    if (view !== this.view || !this.host.isConnected) return;
    clearTimeout(this.#slow);
    if (array) stale().has("maps-wall");
    else stale().waits("maps-wall", problem, () => this.#refresh());
    if (array && array.digest !== facts.digest) {
      stale().replaced();
    } else if (array) {
      this.#draw(array, step);
      this.#fetchAhead(array.values.byteLength);
    }
    clearTimeout(this.#settling);
    this.#settle(quick);
  }

  // Of a layer without maps nothing of the one before may stay.
  #forget() {
    this.wall?.clear();
    if (this.input) this.input.over.hidden = true;
    element("maps-legend")?.replaceChildren();
    element("maps-range-note")?.replaceChildren();
  }

  #overviewStep() {
    const { facts } = this.view;
    if (!facts.windows) return 1;
    const room = roomIn(this.host);
    const tiling = tilingOf(facts.shape[2], facts.shape[0], facts.shape[1], room);
    return cellsFor(facts.shape, tiling, window.devicePixelRatio || 1);
  }

  // A finer part of large maps, of some filters or all; null where another was asked for since.
  async #finer({ top, left, rows, columns, step }, filters) {
    const { facts, sample } = this.wall.view;
    const [height, width] = facts.shape;
    const window = `&y=${top}:${Math.min(top + rows * step, height)}`
      + `&x=${left}:${Math.min(left + columns * step, width)}`;
    const which = filters ? `&filter=${filters.join(",")}` : "";
    try {
      const array = await this.#parts.get(
        `${facts.windows}&sample=${sample}&step=${step}${window}${which}`);
      if (!array || array.digest !== facts.digest) return null;
      return mapsOf(array, step, { top, left }, filters);
    } catch {
      return null; // what is seen stays as it is; the next gesture asks again
    }
  }

  #draw(array, step) {
    const { host, view } = this;
    const { facts, filter, order, sample, scores, zeros } = view;
    this.wall ??= this.#newWall();
    // An array is one object while it is kept, so that the wall knows what it has painted already.
    array.maps ??= mapsOf(array, step, { top: 0, left: 0 }, null);
    this.wall.show(array.maps, {
      ...view,
      unit: unitOf(view.unit),
      scores: order === "index" ? null : scores ?? (order === "mean" ? "mean" : null),
      hidden: view.dead === true ? facts.dead : null,
      zeros: Boolean(zeros),
      words: `Feature maps of ${facts.shape[2]} filters of ${facts.layer}, sample ${sample}`,
    });
    if (!this.wall.order.length) {
      this.#say("Every filter of this layer is dead; show dead filters to see them.");
    }
    this.input?.map(array.maps, this.wall.span, filter, facts, Boolean(zeros));
    this.#hover(this.wall.hovered);
    requestAnimationFrame(() => {
      host.dataset.drawn = `${facts.layer} ${sample} ${filter}`;
    });
  }

  #newWall() {
    const wall = new Wall(this.host, {
      select: ({ filter, y, x }) => this.change({ filter, unit: `${y},${x}` }),
      look: (text, isResting) => {
        // The wall may still show the layer before, whose windows are others.
        if (wall.view.facts !== this.view.facts || wall.view.zoom !== this.view.zoom) return;
        // In place: the request that may be under way is still what is wanted.
        this.view.window = text;
        if (isResting && this.host.isConnected) this.#tellWindow();
      },
      hover: (cell, point) => this.#hover(cell, point),
      painted: (counts) => {
        explain(wall, counts, { legend: element("maps-legend"), note: element("maps-range-note") });
        this.hand?.follow();
      },
      finer: (part, filters) => this.#finer(part, filters),
    });
    this.tooltip = new Tooltip(wall, element("maps-hovered"));
    return wall;
  }

  #hover(cell, point) {
    const words = this.tooltip.show(cell, point);
    if (cell?.isWalked) announce(words);
    this.input?.outline(cell ?? this.wall.view.unit, this.wall.view.facts);
  }

  #tellWindow() {
    this.#controls.tell({ window: this.view.window });
  }

  // Dash and the server are told after the picture, and of a fast drag once: of the sample, the
  // address and the words need it, and their work would hold the picture up.
  #settle(quick) {
    window.dash_clientside.graphs.start(); // which wait for the first picture
    this.#settling = setTimeout(() => this.#tellDash(), quick ? SETTLED_AFTER : AFTER_PAINT);
  }

  #tellDash() {
    if (!this.host.isConnected) return;
    const { ends, facts, filter, range, sample, unit } = this.view;
    this.#controls.tell({ range, ends, unit, sample, filter });
    if (isFilter(filter, facts)) {
      this.#tellNews("maps-filter-name", "children", `${filter} of ${facts.layer}`);
    }
    if (this.#settled !== sample) {
      this.#settled = sample;
      tell("maps-settled", { data: sample });
    }
    this.#ask(false);
    this.mark();
    this.#place();
    this.#describe();
    clearTimeout(this.#enlarging);
    this.#enlarging = setTimeout(() => this.#enlarge(), ENLARGED_AFTER);
  }

  // Neither the enlarged map nor what sets colors by hand is needed for the first picture.
  async #enlarge() {
    const modules = await Promise.all([import("./enlarged.js"), import("./hand.js")]).catch(() => null);
    if (!modules || !this.host.isConnected) return; // the next change tries again
    const [{ EnlargedMap }, { Hand }] = modules;
    this.enlarged ??= new EnlargedMap(this.host, tell);
    this.enlarged.show(this.view);
    if (this.wall) this.hand ??= new Hand(this);
  }

  #describe() {
    const place = element("maps-description");
    if (place) place.textContent = this.wall?.order.length ? describe(this.wall) : "";
  }

  // Asks the server for what only it knows, where the answer may be another one.
  #ask(isAnswered) {
    const questions = {
      "maps-order-question": orderQuestion({ ...this.view, sample: this.#settled }),
      "maps-picks-question": picksQuestion(this.view),
    };
    for (const [id, question] of Object.entries(questions)) {
      if (isAnswered) this.#sent[id] = JSON.stringify(question); // the page came with it
      else this.#tellNews(id, "data", question);
    }
  }

  #tellNews(id, property, value) {
    const text = JSON.stringify(value);
    if (this.#sent[id] === text) return;
    this.#sent[id] = text;
    tell(id, { [property]: value });
  }

  // Says where the sample is among those that match, and turns to the thumbnails that it is on.
  #place() {
    const { picks, view } = this;
    if (!picks) return;
    element("maps-position").textContent = positionText(picks, view.sample);
    const { by, layer, filter } = picks;
    const page = pageOf(picks, view.sample, view.from);
    this.#tellNews("maps-page", "data", { samples: page.samples, by, layer, filter });
    const text = pageText(picks, page);
    element("maps-turn").hidden = !text;
    element("maps-turn-note").textContent = text;
  }

  #turnTo(from) {
    if (this.view.from === from) return;
    this.view = { ...this.view, from };
    this.#controls.tell({ from });
  }

  #fetchAhead(bytes) {
    const { facts, sample } = this.view;
    this.#ahead?.abort();
    const next = stepped(this.picks, sample, this.#direction);
    if (bytes > AHEAD_BYTES || next === null || next === sample) return;
    this.#ahead = new AbortController();
    // Only a favor to the next step.
    const url = mapsUrl(facts, next, this.#overviewStep());
    arrayOf(url, this.#ahead.signal).catch(() => {});
  }

  #say(text) {
    const place = element("maps-message");
    if (place) place.textContent = text;
  }
}

// Whether modules of colors are here, or came.
const loaded = (modules) => Promise.all(modules.map((module) => import(module)))
  .then(() => true, () => false);

const mapsOf = (array, step, origin, filters) => (
  { values: array.values, shape: array.shape.slice(1), step, origin, filters });

const isFilter = (filter, facts) => Number.isInteger(filter) && filter < facts.shape[2];

// The cell of a value that is selected, as a link says it.
function unitOf(text) {
  const [y, x] = (text || "").split(",").map(Number);
  return Number.isInteger(x) ? { y, x } : null;
}

/** What the server is asked to order the filters: only what the order depends on. */
export function orderQuestion({ facts, filter, label, order, sample }) {
  const question = { filter_order: order };
  if (order !== "index") question.layer = facts.layer;
  if (order === "similar") question.filter_index = filter;
  if (order === "class") Object.assign(question, label ? { class_index: label } : { sample });
  if (order === "mean" && facts.windows) question.sample = sample;
  return question;
}

/** What the server is asked to pick samples: only what the choice depends on. */
export function picksQuestion({ by, facts, filter, group, label, outcome, predicted }) {
  const question = { class_index: label, predicted, outcome, group, picked: by };
  if (by === "response") Object.assign(question, { layer: facts.layer, filter_index: filter });
  return question;
}

const sessions = new WeakMap(); // by the wall's element, which goes with its page

/** The session of the page that is open; null where it is another page. */
export function session() {
  const host = element("maps-wall");
  if (host && !sessions.has(host)) sessions.set(host, new Session(host));
  return host && sessions.get(host);
}

// What Dash calls. A function that gives nothing back leaves Dash's output as it is.

/** Shows what Dash's controls say; nothing else needs the server for the next sample. */
export async function show(...values) {
  const controls = Object.fromEntries(CONTROLS.map((name, at) => [name, values[at]]));
  if (controls.facts && Number.isInteger(controls.sample)) await session()?.follow(controls);
}

/** Goes through the samples that the server picked. */
export const pick = (picks) => { session()?.pick(picks); };

/** Marks the thumbnail of the sample that is shown. */
export const mark = () => { session()?.mark(); };

/** Outlines in the input what a unit of the enlarged map sees. */
export function outline(hover) {
  const point = hover?.points?.[0];
  const { input, view } = session() ?? {};
  if (view) input?.outline(point ? cellAt(point, view.facts.shape) : null, view.facts);
}

// Of what is drawn as a line or a bar, one of a point's numbers is the value.
const cellAt = ({ y, x }, [height, width]) => (
  { y: height === 1 ? 0 : y, x: height === 1 && width === 1 ? 0 : x });

/** Selects the value of the enlarged map that was clicked. */
export function choose(click) {
  const point = click?.points?.[0];
  const open = session();
  if (!point || !open?.view) return;
  const { y, x } = cellAt(point, open.view.facts.shape);
  open.change({ unit: `${y},${x}` });
}

/** How strongly the map lies over the input, in per cent. */
export function fade(percent) {
  element("maps-input")?.style.setProperty("--map-opacity", percent / 100);
}

/** Saves the values of the filters that are shown, or asks how a picture of them shall be. */
export function save(button) {
  const wall = session()?.wall;
  if (!wall?.order.length) return;
  const { facts, sample } = wall.view;
  const form = button.split("-").pop();
  if (form === "picture") {
    tell("maps-picture", { opened: true });
    return;
  }
  const all = wall.order.length === facts.shape[2];
  const filters = all ? "" : `&filter=${[...wall.order].sort((a, b) => a - b).join(",")}`;
  const href = `${facts.exact}&sample=${sample}&format=${form}${filters}`;
  Object.assign(document.createElement("a"), { href, download: "" }).click();
}

/** Saves what is seen as a picture. */
export async function savePicture(clicks, form, scale, hasLabels, isForPaper) {
  const wall = session()?.wall;
  if (!clicks || !wall?.order.length) return;
  const { facts, sample, scheme } = wall.view;
  const wanted = { form, scale: Number(scale), hasLabels, scheme: isForPaper ? "light" : scheme };
  const words = element("maps-picture-message");
  const say = (text) => { if (words) words.textContent = text; };
  say("");
  // Only who saves one needs it.
  const module = await import("./wall/picture.js").catch(() => null);
  if (!module) {
    say("The server does not answer; try again.");
    return;
  }
  const { NoPicture, download, pictureOf } = module;
  try {
    const name = `${fileName(facts.store, facts.layer, `sample${sample}`)}.${form}`;
    download(await pictureOf(wall, wanted), name);
    tell("maps-picture", { opened: false });
  } catch (error) {
    if (!(error instanceof NoPicture)) throw error;
    say(error.message);
  }
}

/** Zooms the wall, for keys: "+", "−" or "All". */
export const zoom = (sign) => { session()?.wall?.zoomBy(FACTORS[sign]); };

/** The filter that is some tiles on, for keys. */
export const nextFilter = (steps) => { session()?.stepFilter(steps); };

// What a place in the image is asked by comes with the first pointer or key that is over it.
for (const type of ["pointerover", "focusin", "click", "keydown"]) {
  document.addEventListener(type, (event) => {
    const frame = event.target.closest?.("#maps-input");
    if (frame) import("./place.js").then(({ attend }) => attend(frame, event), () => {});
  });
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.(
    "#maps-thumbnails [data-sample], #maps-previous, #maps-next, #maps-turn button");
  if (!button) return;
  const steps = { "maps-previous": -1, "maps-next": 1 }[button.id];
  const pages = {
    "maps-turn-first": -Infinity, "maps-turn-back": -1, "maps-turn-on": 1, "maps-turn-last": Infinity,
  }[button.id];
  if (steps) session()?.step(steps);
  else if (pages) session()?.turn(pages);
  else session()?.change({ sample: Number(button.dataset.sample) });
});
