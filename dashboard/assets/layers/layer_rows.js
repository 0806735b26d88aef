// What the Layers page shows: one sample in every layer. The rows follow at once; Dash and the server
// hear of it after they are painted.
import { Controls, field, store } from "../feature_maps/controls.js";
import { Refusal } from "../feature_maps/fetching.js";
import { arrival, positionText, stepped } from "../feature_maps/samples.js";
import { follow } from "../feature_maps/wall/gestures.js";
import {
  boxed, inside, middleOf, moved, whole, windowOf, windowText, zoomed,
} from "../feature_maps/wall/tiling.js";
import { FACTORS, hintAt, zoomButtons } from "../feature_maps/wall/zoom_buttons.js";
import { arrivals } from "./arrivals.js";
import { Row } from "./row.js";

const SETTLED_AFTER = 120; // ms without another change in a fast drag before the server hears of it
const AFTER_PAINT = 30; // ms
const LARGE_AFTER = 60; // ms without another change in a fast drag before many maps are asked for
const LATEST_AFTER = 1000; // ms until Dash hears of a step whose rows have not all come
const LOADING_AFTER = 250; // ms before a row that is still of another sample is said to be
const RESTS_AFTER = 250; // ms without a gesture before the link has the part that is seen
const AHEAD_BYTES = 4 << 20; // of all rows: more are not fetched ahead
const DEEPEST = 40; // how far it zooms in
const CONTROLS = ["facts", "sample", "summary", "region", "scheme"];
// Where the controls are that this page changes itself.
const PLACES = { sample: field("layers-sample"), region: store("layers-region") };

const element = (id) => document.getElementById(id);
const tell = (id, props) => window.dash_clientside.set_props(id, props);
// Says whether what is shown is current; looked up late, for modules may come before it.
const stale = () => window.dash_clientside.stale;

/** What one open page shows; it goes with the page. */
export class Session {
  view = null; // by the names of CONTROLS
  rows = [];
  #picks = null; // which samples a step goes through; pages/feature_maps/samples.py says what is in it
  #controls = new Controls(PLACES, (values) => {
    if (this.host.isConnected) this.follow(values);
  });
  #direction = 1;
  #changedAt = -Infinity;
  #asking = null;
  #ahead = { sample: null };
  #timers = {};
  #waiting = new Set(); // rows of which it is said that they are not current
  #window = null; // the part of the input that is seen
  #marked = null; // { row, tile, cell } under the pointer, or where keys are

  constructor(host) {
    this.host = host;
    element("layers-zoom").replaceChildren(zoomButtons((factor) => this.zoomBy(factor), "all rows"));
    host.addEventListener("pointermove", (event) => this.#hover(event));
    host.addEventListener("pointerleave", () => this.#mark(null));
  }

  /** Follows Dash's controls, by the names of a view. */
  follow(controls) {
    const news = this.#controls.take(controls);
    if (this.view && Object.keys(news).every((name) => this.view[name] === news[name])) return null;
    this.view = { ...this.view, ...news };
    if ("facts" in news) this.#build();
    if ("region" in news) this.#look(windowOf(this.view.region, this.world), false);
    return this.#refresh();
  }

  /** Shows another sample at once, and tells Dash after it is painted. */
  change(news) {
    if (!this.view || !this.host.isConnected) return;
    this.view = { ...this.view, ...news };
    this.#refresh();
  }

  /** Goes to the sample that is some steps on. */
  step(steps) {
    this.#direction = steps;
    const sample = this.view && stepped(this.#picks, this.view.sample, steps);
    if (sample !== null) this.change({ sample });
  }

  /** Goes through other samples from now on. */
  pick(picks) {
    const before = this.#picks;
    this.#picks = picks;
    const sample = this.view && arrival(before, picks, this.view.sample);
    if (sample !== null && sample !== this.view?.sample) this.change({ sample });
    else this.#place();
  }

  /** What is seen is a part of this: thousandths of the input; of one row only the length is zoomed. */
  get world() {
    const [height, width] = this.view.facts.image_shape.map((side) => (side === 1 ? 1 : 1000));
    return { height, width, least: 1000 / DEEPEST };
  }

  /** Zooms all rows about the pointer, else about the middle; `Infinity` shows all. */
  zoomBy(factor) {
    if (!this.view) return;
    const { world } = this;
    if (factor === Infinity) {
      this.#look(whole(world));
      return;
    }
    const at = this.#marked ? this.#worldOf(this.#marked) : middleOf(this.#window);
    this.#look(zoomed(this.#window, at, factor, world));
  }

  #build() {
    const { facts } = this.view;
    this.rows = facts.rows.map((row, at) => new Row(row, facts, at));
    this.host.replaceChildren(...this.rows.map(({ element: part }) => part));
    const [height, width] = facts.image_shape;
    // As pictures of the input elsewhere: none is much longer than wide.
    const ratio = Math.min(3, Math.max(1 / 3, width / height));
    this.host.style.setProperty("--ratio", ratio);
    for (const row of this.rows) {
      for (const tile of [row.over, row.alone]) this.#followGestures(row, tile);
    }
  }

  #followGestures(row, tile) {
    const at = (point) => this.#worldAt(point, tile);
    const scaled = (x, y) => {
      const { width, height } = tile.getBoundingClientRect();
      const { left, right, top, bottom } = this.#window;
      return [(x / width) * (right - left), (y / height) * (bottom - top)];
    };
    const band = document.createElement("span");
    band.className = "band";
    band.hidden = true;
    tile.append(band);
    follow(tile, {
      hover: (point) => this.#markAt(row, tile, point),
      click: () => {},
      zoom: (point, factor) => this.#look(zoomed(this.#window, at(point), factor, this.world)),
      move: (x, y) => this.#look(moved(this.#window, ...scaled(x, y), this.world)),
      band: (from, to) => drawBand(band, from, to),
      box: (from, to) => this.#look(boxed(at(from), at(to), this.world)),
      reset: () => this.zoomBy(Infinity),
      scroll: () => this.#hint(),
      walk: (x, y) => this.#walk(row, tile, x, y),
      turn: (steps) => this.#turn(row, steps),
      pick: () => row.link.click(),
    });
  }

  #hint() {
    if (this.hinted) return;
    this.hinted = true;
    hintAt(this.host);
  }

  // A point of a tile, in the world.
  #worldAt({ x, y }, tile) {
    const { width, height } = tile.getBoundingClientRect();
    const { left, right, top, bottom } = this.#window;
    return { x: left + (x / width) * (right - left), y: top + (y / height) * (bottom - top) };
  }

  #worldOf({ row, cell }) {
    const { x, y } = row.placeOf(cell);
    return { x: x * this.world.width, y: y * this.world.height };
  }

  #look(window, isNews = true) {
    const { world, host } = this;
    this.#window = inside(window, world);
    const { top, left, bottom, right } = this.#window;
    const shares = {
      "--left": left / world.width, "--top": top / world.height,
      "--wide": (right - left) / world.width, "--high": (bottom - top) / world.height,
    };
    for (const [name, share] of Object.entries(shares)) host.style.setProperty(name, share);
    if (!isNews) return;
    this.view.region = windowText(this.#window, world);
    clearTimeout(this.#timers.region);
    this.#timers.region = setTimeout(() => {
      if (host.isConnected) this.#controls.tell({ region: this.view.region });
    }, RESTS_AFTER);
  }

  #hover(event) {
    const tile = event.target.closest(".tile");
    if (tile && !tile.matches(".filter")) return; // its gestures say it
    const row = tile && this.rows.find(({ element: part }) => part.contains(tile));
    const box = tile?.getBoundingClientRect();
    this.#markAt(row, tile, tile && { x: event.clientX - box.left, y: event.clientY - box.top });
  }

  #markAt(row, tile, point) {
    const at = point && row.view && this.#worldAt(point, tile);
    const cell = at && row.cellAt({ x: at.x / this.world.width, y: at.y / this.world.height });
    this.#mark(cell ? { row, tile, cell } : null);
  }

  #walk(row, tile, x, y) {
    const [height, width] = row.facts.shape;
    const from = this.#marked?.row === row ? this.#marked.cell
      : row.cellAt({ x: 0.5, y: 0.5 }) ?? { x: 0, y: 0 };
    const isFirst = this.#marked?.row !== row;
    const within = (value, most) => Math.min(Math.max(value, 0), most - 1);
    const cell = isFirst ? from : { x: within(from.x + x, width), y: within(from.y + y, height) };
    this.#mark({ row, tile, cell });
    clearTimeout(this.#timers.announcement);
    this.#timers.announcement = setTimeout(() => {
      element("layers-announcement").textContent = row.wordsAt(tile, cell).replace("\n", ", ");
    }, 400);
  }

  #turn(row, steps) {
    const at = Math.min(Math.max(this.rows.indexOf(row) + steps, 0), this.rows.length - 1);
    this.rows[at].alone.focus();
  }

  // Says what is under the pointer, and marks the same place in all tiles.
  #mark(marked) {
    this.#marked = marked;
    const { host } = this;
    host.classList.toggle("is-marked", Boolean(marked));
    this.tip ??= Object.assign(document.createElement("div"), { className: "wall-tip" });
    if (!marked) {
      this.tip.remove();
      return;
    }
    const { row, tile, cell } = marked;
    const { x, y } = row.placeOf(cell);
    host.style.setProperty("--at-x", x);
    host.style.setProperty("--at-y", y);
    this.tip.textContent = row.wordsAt(tile, cell);
    if (!this.tip.isConnected) host.append(this.tip);
    // Below the tile, so that it covers nothing of it.
    const [box, frame] = [tile, host].map((element) => element.getBoundingClientRect());
    const room = frame.width - this.tip.offsetWidth;
    this.tip.style.left = `${Math.max(0, Math.min(box.left - frame.left, room))}px`;
    this.tip.style.top = `${box.bottom - frame.top + 4}px`;
  }

  async #refresh() {
    const { view, rows } = this;
    const { facts, sample, summary } = view;
    const isQuick = performance.now() - this.#changedAt < SETTLED_AFTER;
    this.#changedAt = performance.now();
    for (const name of ["loading", "settling"]) clearTimeout(this.#timers[name]);
    this.#asking?.abort();
    const asking = new AbortController();
    this.#asking = asking;
    if (this.#ahead.sample !== sample) this.#ahead.asking?.abort();
    this.#showInput();
    // What is not of the sample is said to be on its way; pictures that are late, or never come.
    this.#timers.loading = setTimeout(() => {
      for (const row of rows.filter((late) => !this.#isCurrent(late))) this.#waits(row);
    }, LOADING_AFTER);
    this.#timers.settling = setTimeout(() => this.#tellDash(), LATEST_AFTER);
    if (facts.is_large && isQuick) {
      await new Promise((go) => { setTimeout(go, LARGE_AFTER); });
      if (asking.signal.aborted) return;
    }
    const order = this.#inSightFirst();
    let bytes = 0;
    let isFirst = true;
    await arrivals(order.map((row) => row.url(sample, summary)), asking.signal, (at, array, problem) => {
      const row = order[at];
      if (problem && !(problem instanceof Refusal)) throw problem; // for one that is gone, stale.js waits
      if (problem) {
        this.#waits(row, problem.message, () => this.#refresh());
        return;
      }
      if (array.digest !== facts.digest) {
        stale().replaced();
        return;
      }
      bytes += array.values.byteLength;
      row.show(array, view, (goal) => this.#linkTo(goal));
      if (this.#waiting.delete(row)) stale().has(row.id);
      if (isFirst) this.host.dataset.first = `${sample} ${summary}`;
      isFirst = false;
    });
    if (asking.signal.aborted || !this.host.isConnected) return;
    clearTimeout(this.#timers.loading);
    clearTimeout(this.#timers.settling);
    if (rows.every((row) => this.#isCurrent(row))) {
      requestAnimationFrame(() => { this.host.dataset.drawn = `${sample} ${summary}`; });
    }
    if (this.#marked) this.#mark(this.#marked);
    this.#timers.settling = setTimeout(
      () => this.#tellDash(), isQuick ? SETTLED_AFTER : AFTER_PAINT);
    this.#fetchAhead(bytes);
  }

  #waits(row, ...why) {
    this.#waiting.add(row);
    stale().waits(row.id, ...why);
  }

  #isCurrent({ view }) {
    return view?.sample === this.view.sample && view.by === this.view.summary;
  }

  #inSightFirst() {
    const isInSight = ({ element: part }) => {
      const { top, bottom } = part.getBoundingClientRect();
      return bottom > 0 && top < window.innerHeight;
    };
    const near = this.rows.map(isInSight);
    const places = this.rows.map((_, at) => at);
    return [...places.filter((at) => near[at]), ...places.filter((at) => !near[at])]
      .map((at) => this.rows[at]);
  }

  #showInput() {
    const { facts, sample } = this.view;
    const address = facts.image.join(sample);
    const frame = element("layers-input");
    const image = frame.querySelector("img") ?? frame.appendChild(document.createElement("img"));
    if (image.getAttribute("src") !== address) {
      image.alt = `Input image of sample ${sample}`;
      for (const picture of [image, ...this.rows.map((row) => row.image)]) picture.src = address;
    }
    this.#place();
  }

  // Where the sample is among those that match.
  #place() {
    if (!this.#picks || !this.view) return;
    element("layers-position").textContent = positionText(this.#picks, this.view.sample);
  }

  // A page of a layer or a filter, with what else the address says.
  #linkTo(goal) {
    const query = new URLSearchParams(window.location.search);
    query.delete("window"); // another picture was zoomed
    for (const [key, value] of Object.entries({ sample: this.view.sample, filter: 0, ...goal })) {
      query.set(key, value);
    }
    return `maps?${query}`;
  }

  #tellDash() {
    const { host, view } = this;
    if (!host.isConnected) return;
    const { sample } = view;
    this.#controls.tell({ sample });
    if (this.settled !== sample) {
      this.settled = sample;
      tell("layers-settled", { data: sample });
    }
  }

  #fetchAhead(bytes) {
    const { sample, summary } = this.view;
    const next = stepped(this.#picks, sample, this.#direction);
    if (bytes > AHEAD_BYTES || next === null || next === sample) return;
    this.#ahead = { sample: next, asking: new AbortController() };
    const urls = this.rows.map((row) => row.url(next, summary));
    // Only a favor to the next step, which says what is wrong.
    arrivals(urls, this.#ahead.asking.signal, () => {}, 2).catch(() => {});
    new Image().src = this.view.facts.image.join(next);
  }
}

function drawBand(band, from, to) {
  band.hidden = !from;
  if (!from) return;
  Object.assign(band.style, {
    left: `${Math.min(from.x, to.x)}px`, width: `${Math.abs(to.x - from.x)}px`,
    top: `${Math.min(from.y, to.y)}px`, height: `${Math.abs(to.y - from.y)}px`,
  });
}

const sessions = new WeakMap(); // by the element of the rows, which goes with its page

/** The session of the page that is open; null where it is another page. */
export function session() {
  const host = element("layers-rows");
  if (host && !sessions.has(host)) sessions.set(host, new Session(host));
  return host && sessions.get(host);
}

// What Dash calls. A function that gives nothing back leaves Dash's output as it is.

/** Shows what Dash's controls say. */
export async function show(...values) {
  const controls = Object.fromEntries(CONTROLS.map((name, at) => [name, values[at]]));
  if (controls.facts && Number.isInteger(controls.sample)) await session()?.follow(controls);
}

/** Goes through the samples that the server picked. */
export const pick = (picks) => { if (picks) session()?.pick(picks); };

/** Zooms all rows, for keys: "+", "−" or "All". */
export const zoom = (sign) => { session()?.zoomBy(FACTORS[sign]); };

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("#layers-previous, #layers-next");
  if (button) {
    session()?.step(button.id === "layers-next" ? 1 : -1);
    return;
  }
  // Within the application, as dcc.Link goes; with a modifier as the browser would.
  const link = event.target.closest?.("#layers-rows a");
  if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  window.history.pushState({}, "", link.href);
  window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  window.scrollTo(0, 0);
});
