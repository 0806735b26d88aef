// All feature maps of a sample on one canvas: draws them, and follows pointer, wheel and fingers.
import { atlasOf, covers, partOf, spanOf } from "./atlas.js";
import { drawBar } from "./bar.js";
import { drawMarks, drawTiles } from "./drawing.js";
import { follow } from "./gestures.js";
import { shownOrder } from "./order.js";
import { ABOVE, BELOW, MISSING, ZERO, allZero, extremes, means, spans } from "./palette.js";
import {
  corner, inside, isWhole, tileAt, tilingOf, whole, windowOf, windowText,
} from "./tiling.js";

const BAR = 84; // CSS pixels to the right of the tiles, for the colour bar
const LEAST_CELLS = 2; // a linked window is never smaller
const DEEPEST = 40; // how far the free wall zooms in
const FINER_AFTER = 90; // ms without a gesture before what is seen is painted finely

/**
 * The wall in a page's element.
 *
 * `show` says what to show; what a person does comes back through `on`: `select(filter)`,
 * `looked(text)` at each move of the window and `window(text)` when it rests,
 * `hover(place|null)` with the filter, y and x under the pointer. What is to be
 * seen finer than the maps that are here is asked for with `finer(part, filters)`, which gives
 * maps, or null where it was overtaken.
 */
export class Wall {
  #finer = 0;
  #coming = ""; // what was asked for and is not here yet
  #frame = 0;

  constructor(host, on) {
    this.host = host;
    this.on = on;
    this.view = null; // what was asked for last
    this.maps = null; // what is drawn: its values and their shape
    this.overview = null;
    this.detail = null;
    this.old = null; // an overview whose memory may be used again
    this.order = [];
    this.hovered = null;
    this.band = null;
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.marks = document.createElement("canvas");
    this.marks.className = "wall-marks";
    host.replaceChildren(this.canvas, this.marks);
    follow(this.canvas, this);
    // Hidden, an element has no width.
    new ResizeObserver(() => this.maps && host.clientWidth && this.#layOut()).observe(host);
  }

  /**
   * Draws maps.
   * @param {import("./atlas.js").Maps} maps of all filters
   * @param {{facts: object, filter: number, range: string, scores: null|"mean"|number[],
   *   hidden: boolean[]|null, zeros: boolean, zoom: string, window: string, scheme: string,
   *   words: string}} view
   */
  show(maps, view) {
    const old = this.view;
    const kept = old && maps === this.maps && ["facts", "range", "zeros", "scheme"]
      .every((name) => old[name] === view[name]);
    this.view = view;
    this.maps = maps;
    const n = maps.shape[2];
    const scores = view.scores === "mean" ? means(maps.values, n) : view.scores;
    this.order = shownOrder(n, scores, view.hidden);
    if (this.hovered) {
      const filter = this.order[this.hovered.place];
      const same = old?.facts === view.facts && filter !== undefined;
      this.hovered = same ? { ...this.hovered, filter } : null;
    }
    this.canvas.setAttribute("aria-label", view.words);
    if (!kept) {
      this.span = this.#spanOf(maps, view);
      this.zeroMaps = allZero(maps.values, n);
      this.old = this.overview ?? this.old;
      this.overview = this.detail = null;
      this.#coming = "";
    }
    this.#layOut();
  }

  #spanOf(maps, { facts, range }) {
    const n = maps.shape[2];
    const fill = (value) => new Float32Array(n).fill(value);
    if (range === "map") {
      const { low, high } = extremes(maps.values, n);
      return spans(low, high, facts.signed);
    }
    if (range === "filter") return spans(facts.low, facts.high, facts.signed);
    const [low, high] = range === "percentile" ? facts.percentiles : facts.span;
    return spans(fill(low), fill(high), facts.signed);
  }

  get linked() {
    return this.view.zoom === "linked";
  }

  /** What a window is counted in: cells of a tile, or thousandths of the wall. */
  get world() {
    const [height, width] = this.view.facts.shape;
    if (this.linked) return { height, width, least: Math.min(LEAST_CELLS, height, width) };
    return { height: 1000, width: 1000, least: 1000 / DEEPEST };
  }

  #layOut() {
    const { host, view, order } = this;
    const [height, width] = this.view.facts.shape;
    this.tiling = tilingOf(order.length, height, width, roomIn(host));
    this.size = { width: host.clientWidth, height: Math.max(this.tiling.height, 200) };
    this.density = window.devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.marks]) {
      const [across, down] = [this.size.width, this.size.height]
        .map((one) => Math.round(one * this.density));
      if (canvas.width !== across || canvas.height !== down) {
        [canvas.width, canvas.height] = [across, down];
        canvas.style.height = `${this.size.height}px`;
      }
    }
    this.window = windowOf(view.window, this.world);
    this.#paint();
    this.draw();
  }

  /** How many values each way one device pixel stands for, at least 1. */
  get step() {
    const { seen, tiling, density, scale } = this;
    return stepFor(seen.right - seen.left, tiling.tileWidth * density * scale);
  }

  /** How much the free wall is magnified. */
  get scale() {
    return this.linked ? 1 : 1000 / (this.window.right - this.window.left);
  }

  #paint() {
    const { maps, span, view, step } = this;
    const { shape } = view.facts;
    const marks = { zero: view.zeros ? ZERO[view.scheme] : null };
    const { seen } = this;
    if (this.overview === null) {
      const all = whole({ height: shape[0], width: shape[1] });
      const coarse = cellsFor(shape, this.tiling, this.density);
      const multiple = Math.ceil(coarse / maps.step) * maps.step;
      this.overview = atlasOf(maps, partOf(all, shape, multiple), span, marks, this.old);
      this.old = null;
    }
    if (covers(this.overview, seen, step)) this.detail = null;
    else if (!this.detail || !covers(this.detail, seen, step) || this.detail.places) {
      const part = partOf(seen, shape, step);
      if (maps.step === 1) this.detail = atlasOf(maps, part, span, marks, this.detail);
      else this.#finerFrom(part, marks);
    }
    this.host.dispatchEvent(new CustomEvent("painted", { detail: this.overview.outside }));
  }

  // Of large maps only what is seen comes, and it comes later.
  async #finerFrom(part, marks) {
    const { maps, span } = this;
    const seen = this.linked ? null
      : this.order.filter((_, place) => this.isSeen(this.boxOf(place)));
    const asked = JSON.stringify([part, seen, marks]);
    if (this.#coming === asked) return;
    this.#coming = asked;
    const finer = await this.on.finer(part, seen);
    if (this.#coming === asked) this.#coming = "";
    if (finer === null || maps !== this.maps || span !== this.span) return;
    this.detail = atlasOf(finer, part, spanOf(span, seen), marks, null);
    this.draw();
  }

  /** Whether a tile's picture, or a part of it, is in sight. */
  isSeen(box) {
    return box.x <= this.tiling.width && box.y <= this.tiling.height
      && box.x + box.width >= 0 && box.y + box.height >= 0;
  }

  /** Moves the window; it is painted finely when the gesture rests. */
  look(window) {
    this.window = inside(window, this.world);
    // Whatever is drawn next, such as the maps of another sample, has this window.
    this.view.window = windowText(this.window, this.world);
    this.on.looked(this.view.window);
    this.draw();
    clearTimeout(this.#finer);
    this.#finer = setTimeout(() => {
      this.#paint();
      this.draw();
      this.on.window(this.view.window);
    }, FINER_AFTER);
  }

  /** Draws at the next frame, once. */
  draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.drawNow();
    });
  }

  drawNow() {
    const pen = this.canvas.getContext("2d");
    drawTiles(pen, this);
    drawBar(pen, this);
    this.drawMarks();
  }

  /** Only what is selected, hovered or being drawn: the tiles stay as they are. */
  drawMarks() {
    drawMarks(this.marks.getContext("2d"), this);
  }

  /** Where the free wall's window begins, in CSS pixels of the whole wall. */
  get start() {
    if (this.linked) return { x: 0, y: 0 };
    const { tiling, window: seen } = this;
    return { x: (seen.left / 1000) * tiling.width, y: (seen.top / 1000) * tiling.height };
  }

  /** Where a tile's picture is drawn, in CSS pixels. */
  boxOf(place) {
    const { tiling, scale, start } = this;
    const at = corner(tiling, place);
    return {
      x: (at.x - start.x) * scale, y: (at.y - start.y) * scale,
      width: tiling.tileWidth * scale, height: tiling.tileHeight * scale,
    };
  }

  /** Where a value of a tile is drawn, in CSS pixels. */
  cellBox(place, { x, y }) {
    const { seen } = this;
    const box = this.boxOf(place);
    const width = box.width / (seen.right - seen.left);
    const height = box.height / (seen.bottom - seen.top);
    return {
      x: box.x + (x - seen.left) * width, y: box.y + (y - seen.top) * height, width, height,
    };
  }

  /** The window of a map that each tile shows. */
  get seen() {
    const [height, width] = this.view.facts.shape;
    return this.linked ? this.window : whole({ height, width });
  }

  /** The filter, y and x at a point of the canvas; null between tiles. */
  locate({ x, y }) {
    const { tiling, scale, seen, start } = this;
    if (x < 0 || y < 0 || x >= tiling.width || y >= tiling.height) return null;
    const found = tileAt(tiling, x / scale + start.x, y / scale + start.y);
    if (found === null) return null;
    const [height, width] = this.view.facts.shape;
    const at = {
      x: seen.left + found.across * (seen.right - seen.left),
      y: seen.top + found.down * (seen.bottom - seen.top),
    };
    return {
      place: found.place, filter: this.order[found.place], exact: at,
      x: Math.min(Math.floor(at.x), width - 1), y: Math.min(Math.floor(at.y), height - 1),
    };
  }

  /** A point of the canvas in the world that is zoomed; null where there is none. */
  toWorld(point) {
    if (this.linked) return this.locate(point)?.exact ?? null;
    const { tiling, window: seen } = this;
    return {
      x: seen.left + (point.x / tiling.width) * (seen.right - seen.left),
      y: seen.top + (point.y / tiling.height) * (seen.bottom - seen.top),
    };
  }

  /** How far a pixel reaches in the world that is zoomed. */
  get reach() {
    const { tiling, window: seen, linked } = this;
    return {
      x: (seen.right - seen.left) / (linked ? tiling.tileWidth : tiling.width),
      y: (seen.bottom - seen.top) / (linked ? tiling.tileHeight : tiling.height),
    };
  }

  get isWhole() {
    return isWhole(this.window, this.world);
  }

  /** What is seen as a PNG file, with the frame, the names and the colour bar. */
  async picture() {
    const both = document.createElement("canvas");
    [both.width, both.height] = [this.canvas.width, this.canvas.height];
    const pen = both.getContext("2d");
    pen.fillStyle = getComputedStyle(document.body).backgroundColor;
    pen.fillRect(0, 0, both.width, both.height);
    this.hovered = null;
    this.drawNow();
    pen.drawImage(this.canvas, 0, 0);
    pen.drawImage(this.marks, 0, 0);
    return new Promise((give) => both.toBlob(give, "image/png"));
  }

  /** The colours that mean something else than a value, for the legend. */
  get legend() {
    return { above: ABOVE, below: BELOW, missing: MISSING, zero: ZERO[this.view.scheme] };
  }
}

// A quarter of a pixel may be missing before a cell stands for one value more.
const stepFor = (values, pixels) => Math.max(1, Math.ceil(values / pixels - 0.25));

/** How many values each way a device pixel of a whole tile stands for, at least 1. */
export const cellsFor = ([, width], tiling, density) =>
  stepFor(width, tiling.tileWidth * density);

/** The room for tiles in an element of the page. */
export const roomIn = (host) => ({
  width: Math.max(160, host.clientWidth - BAR), height: Math.max(300, window.innerHeight * 0.62),
});
