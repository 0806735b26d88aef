// All feature maps of a sample on one canvas: what is seen of them, and what a gesture on it means.
import { atlasOf, covers, partOf, spanOf } from "./atlas.js";
import { drawBar } from "./bar.js";
import { strongest, walked } from "./cursor.js";
import { drawMarks, drawTiles } from "./drawing.js";
import { Forms } from "./forms.js";
import { follow } from "./gestures.js";
import { allZero, extremes, means, spansOf } from "./palette.js";
import {
  boxed, corner, inside, isWhole, middleOf, moved, orderOf, pane, shortest, tileAt, tilingOf, whole,
  windowOf, windowText, zoomed,
} from "./tiling.js";
import { hintAt, zoomButtons } from "./zoom_buttons.js";

export const BAR = 96; // CSS pixels to the right of the tiles, for the color bar
const ABOVE = 300; // CSS pixels of a window for the header, the wall's controls and its legend
const LEAST_CELLS = 2; // a linked window is never smaller
const DEEPEST = 40; // how far the free wall zooms in
const FINER_AFTER = 90; // ms without a gesture before what is seen is painted finely
// What its pixels depend on, beside the maps.
const PAINTED = ["facts", "range", "ends", "colors", "norm", "inverted", "zeros", "scheme"];
// What is said of the wall elsewhere on the page, for people who do not see it.
const DESCRIPTIONS = ["maps-description", "maps-legend", "maps-range-note", "maps-order-note"];

/**
 * The wall in a page's element.
 *
 * `show` says what to show; what a person does comes back through `on`: `select(cell)`,
 * `look(text, isResting)` with the window, at each move and when it rests, and
 * `hover(cell, point)` with the filter, y and x under the pointer, or `isWalked` by keys, and where
 * that is, null where there is none. `painted(counts)` says how many cells there are of each of
 * palette.js' `KINDS`. What is to be seen finer than the maps that are here is asked for with
 * `finer(part, filters)`, which gives maps, or null where it was overtaken.
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
  axis = null; // the `first` and `last` value of the color bar while an end of it is dragged
  forms = new Forms(); // of cells outside the colors
  #point = null; // where pointer or keys are, in CSS pixels
  #hinted = false;
  #spare = null; // an overview whose memory may be used again
  #coming = ""; // the part that was asked for and is not here yet
  #finer = 0;
  #frame = 0;

  constructor(host, on, descriptions = DESCRIPTIONS) {
    this.host = host;
    this.on = on;
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    // Its keys are its own: a screen reader lets them through.
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-describedby", descriptions.join(" "));
    this.marks = document.createElement("canvas");
    this.marks.className = "wall-marks";
    const buttons = zoomButtons((factor) => this.zoomBy(factor));
    host.replaceChildren(this.canvas, this.marks, buttons);
    follow(this.canvas, {
      hover: (point) => this.#hover(point && this.locate(point), point),
      click: (point) => this.#click(point),
      zoom: (point, factor) => this.#zoom(point, factor),
      move: (x, y) => this.#move(x, y),
      band: (from, to) => this.#setBand(from && { from, to }),
      box: (from, to) => this.#zoomTo(from, to),
      reset: () => this.zoomBy(Infinity),
      scroll: () => this.#hint(),
      walk: (x, y) => this.#walk(x, y),
      turn: (tiles) => this.#turn(tiles),
      pick: () => this.hovered && this.on.select(this.hovered),
    });
    // Hidden, an element has no width.
    new ResizeObserver(() => this.maps && host.clientWidth && this.#layOut()).observe(host);
  }

  /**
   * Draws maps.
   * @param {import("./atlas.js").Maps} maps of all filters
   * @param {object} view the session's, but for `scores`: null, "mean" or number[]; and with
   *   `hidden`: boolean[]|null, `words`, and `unit`: {y, x} or null. Of a wall of kernels also `names`
   *   of the tiles, if not their numbers; `title` and `colorsAt` of the color bar, if not those of
   *   activations; and `stretch`, see `roomIn`
   */
  show(maps, view) {
    const before = this.view;
    const isPainted = before && maps === this.maps
      && PAINTED.every((name) => before[name] === view[name]);
    if (maps !== this.maps) this.zeroMaps = allZero(maps.values, maps.shape[2]);
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
      this.span = spansOf(view, maps.values);
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
    const world = { height, width };
    if (this.linked) return { ...world, least: Math.min(LEAST_CELLS, shortest(world, world)) };
    return { height: 1000, width: 1000, least: 1000 / DEEPEST };
  }

  #layOut() {
    const { host, order } = this;
    const [height, width] = this.view.facts.shape;
    this.tiling = tilingOf(order.length, height, width, roomIn(host, this.view.stretch));
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

  /** What the lengths of bars span: zero, the layer's activations, and what is shown now. */
  get reach() {
    const { maps, view } = this;
    const here = extremes(maps.values, 1);
    const low = Math.min(0, view.facts.span[0], here.low[0]);
    const high = Math.max(0, view.facts.span[1], here.high[0]);
    return { low, high: high > low ? high : 1 };
  }

  /** How much the free wall is magnified. */
  get scale() {
    return this.linked ? 1 : 1000 / (this.window.right - this.window.left);
  }

  #paint() {
    const { maps, span, view, step } = this;
    const shape = view.facts.shape;
    const { zeros } = view;
    const { seen } = this;
    if (this.overview === null) {
      const all = whole({ height: shape[0], width: shape[1] });
      const coarse = cellsFor(shape, this.tiling, this.density);
      const multiple = Math.ceil(coarse / maps.step) * maps.step;
      this.overview = atlasOf(maps, partOf(all, shape, multiple), span, zeros, this.#spare);
      this.#spare = null;
    }
    if (covers(this.overview, seen, step)) this.detail = null;
    else if (!this.detail || !covers(this.detail, seen, step) || this.detail.places) {
      const part = partOf(seen, shape, step);
      if (maps.step === 1) this.detail = atlasOf(maps, part, span, zeros, this.detail);
      else this.#finerFrom(part, zeros);
    }
    this.on.painted(this.overview.counts);
  }

  // Of large maps only what is seen comes, and it comes later.
  async #finerFrom(part, zeros) {
    const { maps, span } = this;
    const filters = this.linked ? null
      : this.order.filter((_, place) => this.isSeen(this.boxOf(place)));
    const wanted = JSON.stringify([part, filters, zeros]);
    if (this.#coming === wanted) return;
    this.#coming = wanted;
    const finer = await this.on.finer(part, filters);
    if (this.#coming === wanted) this.#coming = "";
    if (finer === null || maps !== this.maps || span !== this.span) return;
    this.detail = atlasOf(finer, part, spanOf(span, filters), zeros, null);
    this.#draw();
  }

  /** Whether a tile's picture, or a part of it, is in sight. */
  isSeen(box) {
    const { left, top, right, bottom } = pane(this.tiling);
    return box.x < right && box.y < bottom && box.x + box.width > left && box.y + box.height > top;
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
    if (!this.maps) return;
    const { window: seen, world } = this;
    if (factor > 1 && isWhole(seen, world)) return; // nothing to zoom out of
    // Beside the tiles no place in them is meant.
    const at = (point && this.#toWorld(point)) ?? middleOf(seen);
    this.look(zoomed(seen, at, factor, world));
  }

  /**
   * Zooms about where pointer or keys are on the wall, and about the middle where they are not.
   * @param {number} factor of the window: below 1 is nearer, Infinity shows all
   */
  zoomBy(factor) {
    if (!this.maps) return;
    const { hovered } = this;
    if (factor === Infinity) this.look(whole(this.world));
    else this.#zoom(this.#point, factor);
    if (hovered?.isWalked) this.#aim(hovered);
    else if (this.#point) this.#hover(this.locate(this.#point), this.#point);
  }

  // Who turned the wheel to zoom knows how after once; who scrolls is not told at every turn.
  #hint() {
    if (!this.#hinted) hintAt(this.host);
    this.#hinted = true;
  }

  #walk(x, y) {
    const { hovered, step, tiling, view } = this;
    if (!hovered) this.#enter();
    else this.#aim(walked(hovered, [x * step, y * step], tiling, view.facts.shape));
  }

  // To the same cell of another tile.
  #turn(tiles) {
    const { hovered, order } = this;
    const place = hovered && hovered.place + tiles;
    if (!hovered) this.#enter();
    else if (order[place] !== undefined) this.#aim({ ...hovered, place });
  }

  // Keys begin where the selected filter responds most.
  #enter() {
    const { maps, order, view } = this;
    if (!order.length) return;
    const place = Math.max(0, order.indexOf(view.filter));
    this.#aim({ place, ...strongest(maps, order[place]) });
  }

  // Has the cell in sight, and says of it what is said of a hovered one.
  #aim({ place, y, x }) {
    const { tiling } = this;
    const room = this.linked ? this.boxOf(place)
      : { x: 0, y: 0, width: tiling.width, height: tiling.height };
    const cell = this.cellBox(place, { y, x });
    const beyond = (from, size) => Math.min(0, cell[from] - room[from])
      + Math.max(0, cell[from] + cell[size] - room[from] - room[size]);
    const [across, down] = [beyond("x", "width"), beyond("y", "height")];
    if (Math.abs(across) + Math.abs(down) > 0.5) this.#move(across, down);
    const { x: left, y: top, width, height } = this.cellBox(place, { y, x });
    const point = { x: left + width / 2, y: top + height / 2 };
    this.#hover({ place, filter: this.order[place], y, x, isWalked: true }, point);
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
    if (cell) this.on.select(cell);
  }

  #setBand(band) {
    if (band === this.band) return;
    this.band = band;
    this.#drawMarks();
  }

  #hover(cell, point) {
    if (!this.maps) return;
    this.#point = point;
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
    const { left, top, right, bottom } = pane(tiling);
    if (x < left || y < top || x >= right || y >= bottom) return null;
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
}

// A quarter of a pixel may be missing before a cell stands for one value more.
const stepFor = (values, pixels) => Math.max(1, Math.ceil(values / pixels - 0.25));

/** How many values each way a device pixel of a whole tile stands for, at least 1. */
export const cellsFor = ([, width], tiling, density) =>
  stepFor(width, tiling.tileWidth * density);

/**
 * The room for tiles in an element of the page: what a window has below the wall's controls.
 * @param {number} stretch how many windows high a wall may be
 */
export const roomIn = (host, stretch = 1) => ({
  width: Math.max(160, host.clientWidth - BAR),
  height: stretch * Math.max(300, window.innerHeight * 0.62, window.innerHeight - ABOVE),
});
