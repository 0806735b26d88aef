// All feature maps of a sample on one canvas: what is seen of them, and what a gesture on it means.
import { atlasOf, covers, partOf, spanOf } from "./atlas.js";
import { drawBar, drawMarks, drawTiles } from "./drawing.js";
import { follow } from "./gestures.js";
import { ZERO, allZero, means, spansOf } from "./palette.js";
import {
  boxed, corner, inside, isWhole, middleOf, moved, orderOf, tileAt, tilingOf, whole, windowOf,
  windowText, zoomed,
} from "./tiling.js";

const BAR = 84; // CSS pixels to the right of the tiles, for the color bar
const LEAST_CELLS = 2; // a linked window is never smaller
const DEEPEST = 40; // how far the free wall zooms in
const FINER_AFTER = 90; // ms without a gesture before what is seen is painted finely

/**
 * The wall in a page's element.
 *
 * `show` says what to show; what a person does comes back through `on`: `select(filter)`,
 * `look(text, isResting)` with the window, at each move and when it rests, and
 * `hover(cell, point)` with the filter, y and x under the pointer and where that is, null where
 * there is none. `painted(outside)` says how many cells lie outside their span. What is to be seen
 * finer than the maps that are here is asked for with `finer(part, filters)`, which gives maps, or
 * null where it was overtaken.
 */
export class Wall {
  // Only the wall itself changes what it holds; the drawing reads it.
  view = null; // what to show
  maps = null; // of what: values and their shape
  order = []; // the filter of each tile
  span = null; // what the colors of each filter span
  zeroMaps = null;
  window = null; // what is seen of the world
  tiling = null;
  size = null;
  density = 1;
  overview = null; // the atlas of all
  detail = null; // the atlas of what is seen, where the overview is too coarse for it
  hovered = null;
  band = null;
  #spare = null; // an overview whose memory may be used again
  #coming = ""; // the part that was asked for and is not here yet
  #finer = 0;
  #frame = 0;

  constructor(host, on) {
    this.host = host;
    this.on = on;
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    this.canvas.setAttribute("role", "img");
    this.marks = document.createElement("canvas");
    this.marks.className = "wall-marks";
    host.replaceChildren(this.canvas, this.marks);
    follow(this.canvas, {
      hover: (point) => this.#hover(point && this.locate(point), point),
      click: (point) => this.#click(point),
      zoom: (point, factor) => this.#zoom(point, factor),
      move: (x, y) => this.#move(x, y),
      band: (from, to) => this.#setBand(from && { from, to }),
      box: (from, to) => this.#zoomTo(from, to),
      reset: () => this.maps && this.look(whole(this.world)),
    });
    // Hidden, an element has no width.
    new ResizeObserver(() => this.maps && host.clientWidth && this.#layOut()).observe(host);
  }

  /**
   * Draws maps.
   * @param {import("./atlas.js").Maps} maps of all filters
   * @param {{facts: import("../session.js").WallFacts, filter: number, range: string,
   *   scores: null|"mean"|number[], hidden: boolean[]|null, zeros: boolean, zoom: string,
   *   window: string, scheme: string, words: string}} view
   */
  show(maps, view) {
    const before = this.view;
    const isPainted = before && maps === this.maps && ["facts", "range", "zeros", "scheme"]
      .every((name) => before[name] === view[name]);
    this.view = view;
    this.maps = maps;
    this.window = windowOf(view.window, this.world);
    const n = maps.shape[2];
    const scores = view.scores === "mean" ? means(maps.values, n) : view.scores;
    this.order = orderOf(n, scores, view.hidden);
    if (this.hovered) {
      const filter = this.order[this.hovered.place];
      const isHere = before?.facts === view.facts && filter !== undefined;
      this.hovered = isHere ? { ...this.hovered, filter } : null;
    }
    this.canvas.setAttribute("aria-label", view.words);
    if (!isPainted) {
      this.span = spansOf(view.range, view.facts, maps.values);
      this.zeroMaps = allZero(maps.values, n);
      this.#spare = this.overview ?? this.#spare;
      this.overview = this.detail = null;
      this.#coming = "";
    }
    this.#layOut();
  }

  /** Shows no tile any more: nothing of the layer before may stay. */
  clear() {
    this.order = [];
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
    const { host, order } = this;
    const [height, width] = this.view.facts.shape;
    this.tiling = tilingOf(order.length, height, width, roomIn(host));
    this.size = { width: host.clientWidth, height: Math.max(this.tiling.height, 200) };
    this.density = window.devicePixelRatio || 1;
    for (const canvas of [this.canvas, this.marks]) {
      const [across, down] = [this.size.width, this.size.height]
        .map((length) => Math.round(length * this.density));
      if (canvas.width !== across || canvas.height !== down) {
        [canvas.width, canvas.height] = [across, down];
        canvas.style.height = `${this.size.height}px`;
      }
    }
    this.#paint();
    this.#draw();
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
    const shape = view.facts.shape;
    const marks = { zero: view.zeros ? ZERO[view.scheme] : null };
    const { seen } = this;
    if (this.overview === null) {
      const all = whole({ height: shape[0], width: shape[1] });
      const coarse = cellsFor(shape, this.tiling, this.density);
      const multiple = Math.ceil(coarse / maps.step) * maps.step;
      this.overview = atlasOf(maps, partOf(all, shape, multiple), span, marks, this.#spare);
      this.#spare = null;
    }
    if (covers(this.overview, seen, step)) this.detail = null;
    else if (!this.detail || !covers(this.detail, seen, step) || this.detail.places) {
      const part = partOf(seen, shape, step);
      if (maps.step === 1) this.detail = atlasOf(maps, part, span, marks, this.detail);
      else this.#finerFrom(part, marks);
    }
    this.on.painted(this.overview.outside);
  }

  // Of large maps only what is seen comes, and it comes later.
  async #finerFrom(part, marks) {
    const { maps, span } = this;
    const filters = this.linked ? null
      : this.order.filter((_, place) => this.isSeen(this.boxOf(place)));
    const wanted = JSON.stringify([part, filters, marks]);
    if (this.#coming === wanted) return;
    this.#coming = wanted;
    const finer = await this.on.finer(part, filters);
    if (this.#coming === wanted) this.#coming = "";
    if (finer === null || maps !== this.maps || span !== this.span) return;
    this.detail = atlasOf(finer, part, spanOf(span, filters), marks, null);
    this.#draw();
  }

  /** Whether a tile's picture, or a part of it, is in sight. */
  isSeen(box) {
    return box.x <= this.tiling.width && box.y <= this.tiling.height
      && box.x + box.width >= 0 && box.y + box.height >= 0;
  }

  /** Moves the window; it is painted finely when the gesture rests. */
  look(window) {
    this.window = inside(window, this.world);
    const text = windowText(this.window, this.world);
    this.on.look(text, false);
    this.#draw();
    clearTimeout(this.#finer);
    this.#finer = setTimeout(() => {
      this.#paint();
      this.#draw();
      this.on.look(text, true);
    }, FINER_AFTER);
  }

  #zoom(point, factor) {
    if (!this.maps) return false;
    const { window: seen, world } = this;
    if (factor > 1 && isWhole(seen, world)) return false; // nothing to zoom out of
    const at = point === null ? middleOf(seen) : this.#toWorld(point);
    if (at === null) return false;
    this.look(zoomed(seen, at, factor, world));
    return true;
  }

  #move(x, y) {
    if (!this.maps || isWhole(this.window, this.world)) return;
    const reach = this.#reach;
    this.look(moved(this.window, x * reach.x, y * reach.y, this.world));
  }

  #zoomTo(from, to) {
    if (!this.maps) return;
    const first = this.#toWorld(from);
    if (first === null) return;
    const { x, y } = this.#reach;
    // A box that ends beyond its tile ends at the tile's edge.
    const second = { x: first.x + (to.x - from.x) * x, y: first.y + (to.y - from.y) * y };
    this.look(boxed(first, second, this.world));
  }

  #click(point) {
    const cell = this.locate(point);
    if (cell) this.on.select(cell.filter);
  }

  #setBand(band) {
    if (band === this.band) return;
    this.band = band;
    this.#drawMarks();
  }

  #hover(cell, point) {
    if (!this.maps) return;
    const before = this.hovered;
    const isSame = cell && before && cell.filter === before.filter
      && cell.x === before.x && cell.y === before.y;
    this.hovered = cell;
    if (!isSame) this.#drawMarks();
    this.on.hover(cell, point);
  }

  // At the next frame, once.
  #draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#drawNow();
    });
  }

  #drawNow() {
    const pen = this.canvas.getContext("2d");
    drawTiles(pen, this);
    drawBar(pen, this);
    this.#drawMarks();
  }

  // Only what is selected, hovered or being drawn: the tiles stay as they are.
  #drawMarks() {
    if (this.maps) drawMarks(this.marks.getContext("2d"), this);
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
    if (!this.maps) return null;
    const { tiling, scale, seen, start } = this;
    if (x < 0 || y < 0 || x >= tiling.width || y >= tiling.height) return null;
    const tile = tileAt(tiling, x / scale + start.x, y / scale + start.y);
    if (tile === null) return null;
    const [height, width] = this.view.facts.shape;
    const at = {
      x: seen.left + tile.across * (seen.right - seen.left),
      y: seen.top + tile.down * (seen.bottom - seen.top),
    };
    return {
      place: tile.place, filter: this.order[tile.place], exact: at,
      x: Math.min(Math.floor(at.x), width - 1), y: Math.min(Math.floor(at.y), height - 1),
    };
  }

  // A point of the canvas in the world that is zoomed; null where there is none.
  #toWorld(point) {
    if (this.linked) return this.locate(point)?.exact ?? null;
    const { tiling, window: seen } = this;
    return {
      x: seen.left + (point.x / tiling.width) * (seen.right - seen.left),
      y: seen.top + (point.y / tiling.height) * (seen.bottom - seen.top),
    };
  }

  // How far a pixel reaches in the world that is zoomed.
  get #reach() {
    const { tiling, window: seen, linked } = this;
    return {
      x: (seen.right - seen.left) / (linked ? tiling.tileWidth : tiling.width),
      y: (seen.bottom - seen.top) / (linked ? tiling.tileHeight : tiling.height),
    };
  }

  /** What is seen as a PNG file, with the frame, the names and the color bar. */
  async picture() {
    const both = document.createElement("canvas");
    [both.width, both.height] = [this.canvas.width, this.canvas.height];
    const pen = both.getContext("2d");
    pen.fillStyle = getComputedStyle(document.body).backgroundColor;
    pen.fillRect(0, 0, both.width, both.height);
    this.hovered = null;
    this.#drawNow();
    pen.drawImage(this.canvas, 0, 0);
    pen.drawImage(this.marks, 0, 0);
    return new Promise((give) => { both.toBlob(give, "image/png"); });
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
