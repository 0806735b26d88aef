// The map of the page Samples: a point for each sample on a canvas, what is seen of it, and what a gesture
// on it means. Knows no page.
import { follow } from "../feature_maps/wall/gestures.js";
import { INK } from "../feature_maps/wall/palette.js";
import {
  boxed as windowAbout, isWhole, middleOf, moved, whole, windowOf, windowText, zoomed,
} from "../feature_maps/wall/tiling.js";
import { hintAt, zoomButtons } from "../feature_maps/wall/zoom_buttons.js";
import { Lasso, beside, boxed, lie, nearest, worldOf } from "./placing.js";
import { groundOf } from "./point_colors.js";
import { Scatter, orderOf, radiusOf } from "./scatter.js";

const REACH = 14; // CSS pixels from a point at which it is meant
const LOW = 320; // CSS pixels of the map at least
const HIGH = 860; // and at most
const LEAST_STEP = 2; // CSS pixels between two corners of a line that is drawn
const RESTS_AFTER = 250; // ms without a gesture after which what is seen is said to the link
const MOST_DENSITY = 2; // pixels to a CSS pixel: finer ones cost four times as much, and are not seen
export const TOOLS = { zoom: "Zoom", lasso: "Lasso", box: "Box" };
const TIPS = {
  zoom: "Drag a box to zoom in",
  lasso: "Draw around samples to select them; with Shift they are added, with Alt taken away",
  box: "Drag a box over samples to select them; with Shift they are added, with Alt taken away",
};

/**
 * The map in a page's element.
 *
 * `show` says what to show; what a person does comes back through `on`: `select(sample)`,
 * `hover(sample, point, isWalked)`, -1 for none, `look(text)` with the window when it rests,
 * `group(flags)` with 1 for each sample that was drawn around, and `growing(flags)` while it is drawn.
 */
export class SampleMap {
  view = null;
  window = null;
  size = { width: 0, height: 0 };
  density = 1;
  tool = "zoom";
  hovered = -1;
  #ranks = null; // 0 for samples that are drawn faintly
  #behind = null; // 1 for these
  #order = null;
  #place = null;
  #stroke = null; // { lasso | from, flags, way }
  #band = null;
  #frame = 0;
  #isPainted = false; // whether the points need not be painted again
  #resting = 0;
  #hinted = false;
  #isWalked = false;

  constructor(host, on, descriptions) {
    this.host = host;
    this.on = on;
    this.canvas = document.createElement("canvas");
    this.canvas.tabIndex = 0;
    // Its keys are its own: a screen reader lets them through.
    this.canvas.setAttribute("role", "application");
    this.canvas.setAttribute("aria-describedby", descriptions.join(" "));
    this.marks = document.createElement("canvas");
    this.marks.className = "wall-marks";
    this.scatter = new Scatter(this.canvas);
    const zoom = zoomButtons((factor) => this.zoomBy(factor), "the map");
    host.replaceChildren(this.#tools(), this.canvas, this.marks, zoom);
    follow(this.canvas, {
      hover: (point) => this.#hover(point),
      click: (point) => this.#click(point),
      zoom: (point, factor) => this.zoomBy(factor, point),
      move: (x, y) => this.#move(x, y),
      band: (from, to) => {
        this.#band = from && { from, to };
        this.#draw();
      },
      box: (from, to) => this.#zoomTo(from, to),
      reset: () => this.zoomBy(Infinity),
      scroll: () => {
        if (!this.#hinted) hintAt(host);
        this.#hinted = true;
      },
      walk: (x, y) => this.#walk([x, y]),
      turn: (steps) => this.#turn(steps),
      pick: () => this.hovered >= 0 && this.on.select(this.hovered),
      strokes: () => this.tool !== "zoom",
      stroke: (point, event) => this.#goOn(point, event),
      stroked: (isGivenUp) => this.#end(isGivenUp),
    });
    new ResizeObserver(() => this.view && host.clientWidth && this.#layOut()).observe(host);
  }

  /**
   * Draws samples.
   * @param {object} view
   * @param {object} view.points see `placed`
   * @param {import("./point_colors.js").Coloring} view.coloring
   * @param {Set<number>|null} view.only codes that are meant; null for all
   * @param {Uint8Array|null} view.group 1 for samples that are meant; null for all
   * @param {number} view.sample the selected one
   * @param {number[]} view.near those nearest to it
   * @param {string} view.window as a link says it
   * @param {string} view.scheme
   * @param {string} view.words what it is, in a sentence
   */
  show(view) {
    const before = this.view;
    this.view = view;
    if (before?.points !== view.points || before.window !== view.window) {
      this.window = windowOf(view.window, view.points.world);
    }
    if (before?.points !== view.points) this.hovered = -1;
    this.canvas.setAttribute("aria-label", view.words);
    const isSame = before
      && ["points", "coloring", "only", "group"].every((name) => before[name] === view[name]);
    if (!isSame) this.#rank();
    this.#layOut();
  }

  /** Zooms about a point of the canvas, or the middle; a factor below 1 is nearer, Infinity is all. */
  zoomBy(factor, point = null) {
    if (!this.view) return;
    const { world } = this.view.points;
    if (factor === Infinity) this.#look(whole(world));
    else {
      const at = point ? worldOf(point, this.#place) : middleOf(this.window);
      this.#look(zoomed(this.window, at, factor, world));
    }
  }

  /** Where a sample is drawn, in CSS pixels of the canvas. */
  placeOf(sample) {
    const { x, y } = this.view.points;
    const { scale, left, top } = this.#place;
    return { x: x[sample] * scale + left, y: y[sample] * scale + top };
  }

  choose(tool) {
    this.tool = tool;
    this.host.dataset.tool = tool;
    for (const button of this.host.querySelectorAll("[data-tool-name]")) {
      button.setAttribute("aria-pressed", String(button.dataset.toolName === tool));
    }
  }

  #tools() {
    const group = document.createElement("div");
    group.className = "samples-tools";
    group.setAttribute("role", "group");
    group.setAttribute("aria-label", "What dragging does");
    group.append(...Object.entries(TOOLS).map(([name, text]) => {
      const button = document.createElement("button");
      Object.assign(button, { type: "button", textContent: text, title: TIPS[name] });
      button.dataset.toolName = name;
      button.setAttribute("aria-pressed", String(name === this.tool));
      button.addEventListener("click", () => this.choose(name));
      return button;
    }));
    return group;
  }

  // Which samples are meant, and which lie above.
  #rank(flags = this.view.group) {
    const { points, coloring, only } = this.view;
    const { codes } = coloring;
    const [ranks, behind] = [new Uint8Array(points.n).fill(1), new Uint8Array(points.n)];
    for (let i = 0; i < ranks.length; i += 1) {
      if ((flags && !flags[i]) || (only && !only.has(codes[i]))) [ranks[i], behind[i]] = [0, 1];
    }
    [this.#ranks, this.#behind] = [ranks, behind];
    this.#order = orderOf(ranks, coloring.isOrdered ? codes : null);
    this.#isPainted = false;
  }

  // As large as the page has room for. Points that lie where they lay are not painted again.
  #layOut() {
    const { host, view: { points: { world } } } = this;
    const width = host.clientWidth;
    if (!width) return;
    const wanted = Math.min(HIGH, 0.72 * window.innerHeight, (width * world.height) / world.width);
    const height = Math.round(Math.max(LOW, wanted));
    this.density = Math.min(MOST_DENSITY, window.devicePixelRatio || 1);
    this.size = { width, height };
    let isCleared = false;
    for (const canvas of [this.canvas, this.marks]) {
      const [across, down] = [width, height].map((length) => Math.round(length * this.density));
      if (canvas.width !== across || canvas.height !== down) {
        isCleared = true;
        [canvas.width, canvas.height] = [across, down];
        canvas.style.height = `${height}px`;
      }
    }
    const place = lie(this.window, this.size);
    const isSame = this.#place && Object.keys(place).every((name) => place[name] === this.#place[name]);
    this.#place = place;
    if (!isSame || isCleared) this.#isPainted = false;
    this.#draw();
  }

  #look(seen) {
    const { world } = this.view.points;
    this.window = seen;
    this.#place = lie(seen, this.size);
    this.#isPainted = false;
    this.#draw();
    clearTimeout(this.#resting);
    this.#resting = setTimeout(() => {
      const text = windowText(this.window, world);
      if (!this.host.isConnected || text === this.view.window) return;
      this.view = { ...this.view, window: text };
      this.on.look(text);
    }, RESTS_AFTER);
  }

  #move(x, y) {
    if (!this.view || isWhole(this.window, this.view.points.world)) return;
    const { scale } = this.#place;
    this.#look(moved(this.window, x / scale, y / scale, this.view.points.world));
  }

  #zoomTo(from, to) {
    if (!this.view) return;
    this.#look(windowAbout(worldOf(from, this.#place), worldOf(to, this.#place), this.view.points.world));
  }

  #hover(point) {
    if (!this.view) return;
    const sample = point ? this.#at(point) : -1;
    this.#isWalked = false;
    this.#mark(sample, point);
  }

  #at(point) {
    const { scale } = this.#place;
    return nearest(this.view.points, worldOf(point, this.#place), REACH / scale, this.#behind);
  }

  #mark(sample, point) {
    if (sample !== this.hovered) {
      this.hovered = sample;
      this.#draw();
    }
    this.on.hover(sample, point, this.#isWalked);
  }

  #click(point) {
    if (!this.view) return;
    const sample = this.#at(point);
    if (sample >= 0) this.on.select(sample);
  }

  // To the nearest sample that way, from the selected one at first.
  #walk(way) {
    if (!this.view) return;
    if (this.hovered < 0) this.#aim(this.view.sample);
    else this.#aim(beside(this.view.points, this.hovered, way, this.#behind));
  }

  // To the next sample that is meant, by its index: so every one is reached.
  #turn(steps) {
    if (!this.view) return;
    const { n, x } = this.view.points;
    let sample = this.hovered < 0 ? this.view.sample - steps : this.hovered;
    for (let at = 0; at < n; at += 1) {
      sample = (((sample + steps) % n) + n) % n;
      if (this.#ranks[sample] && x[sample] === x[sample]) break;
    }
    this.#aim(sample);
  }

  #aim(sample) {
    if (sample < 0) return;
    const { width, height } = this.size;
    const { x, y } = this.placeOf(sample);
    const beyond = (at, room) => Math.min(0, at - REACH) + Math.max(0, at + REACH - room);
    const [across, down] = [beyond(x, width), beyond(y, height)];
    if (across || down) this.#move(across, down);
    this.#isWalked = true;
    this.#mark(sample, this.placeOf(sample));
  }

  #goOn(point, event) {
    if (!this.view) return;
    const at = worldOf(point, this.#place);
    const { points, group } = this.view;
    const before = this.#stroke?.to;
    const step = before && Math.hypot(at.x - before.x, at.y - before.y) * this.#place.scale;
    if (step < LEAST_STEP) return;
    if (!this.#stroke) {
      const way = event.shiftKey ? "add" : event.altKey ? "drop" : "set";
      this.#stroke = { way, lasso: new Lasso(points), from: at, to: at, flags: null };
      this.on.hover(-1, null, false);
    }
    const stroke = this.#stroke;
    stroke.to = at;
    if (this.tool === "lasso") stroke.lasso.add(at);
    const inside = this.tool === "lasso" ? stroke.lasso.inside : boxed(points, stroke.from, at);
    stroke.flags = joined(inside, group, stroke.way);
    stroke.isNew = true;
    this.#draw();
  }

  #end(isGivenUp) {
    const stroke = this.#stroke;
    this.#stroke = null;
    if (!stroke) return;
    if (isGivenUp || !stroke.flags) {
      this.#rank();
      this.#draw();
      return;
    }
    this.on.group(stroke.flags);
  }

  // At the next frame, once.
  #draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      if (this.view && this.host.isConnected) this.#drawNow();
    });
  }

  #drawNow() {
    if (this.#stroke?.isNew) {
      this.#stroke.isNew = false;
      this.#rank(this.#stroke.flags);
      this.on.growing(this.#stroke.flags);
    }
    if (!this.#isPainted) this.paint();
    this.#drawMarks();
  }

  /** Paints the points. */
  paint() {
    const { density, size, view: { points, coloring, scheme } } = this;
    const all = lie(whole(points.world), size);
    const scene = { ...coloring, x: points.x, y: points.y, ranks: this.#ranks, order: this.#order };
    const radius = radiusOf(points.n, this.#place.scale, all.scale);
    this.scatter.draw(scene, this.#place, { radius, density, ground: groundOf(scheme) });
    this.#isPainted = true;
  }

  // Only what is selected, hovered or being drawn: the points stay as they are.
  #drawMarks() {
    const { density, marks, view, size } = this;
    const pen = marks.getContext("2d");
    const ink = INK[view.scheme];
    pen.setTransform(density, 0, 0, density, 0, 0);
    pen.clearRect(0, 0, size.width, size.height);
    const ring = (sample, radius, color, width) => {
      const { x, y } = this.placeOf(sample);
      if (!(x > -REACH && y > -REACH && x < size.width + REACH && y < size.height + REACH)) return;
      for (const [stroke, wide] of [[ink.ground, width + 2], [color, width]]) {
        pen.beginPath();
        pen.arc(x, y, radius, 0, 2 * Math.PI);
        pen.strokeStyle = stroke;
        pen.lineWidth = wide;
        pen.stroke();
      }
    };
    for (const sample of view.near) ring(sample, 6, ink.text, 1.25);
    if (view.sample >= 0) ring(view.sample, 9, ink.accent, 2.5);
    if (this.hovered >= 0) ring(this.hovered, 7, ink.text, 2);
    pen.strokeStyle = ink.text;
    pen.lineWidth = 1.5;
    pen.setLineDash([5, 4]);
    const box = this.#band ?? (this.#stroke && this.tool === "box" && this.#corners());
    if (box) {
      const { from, to } = box;
      pen.strokeRect(from.x, from.y, to.x - from.x, to.y - from.y);
    } else if (this.#stroke) {
      const { scale, left, top } = this.#place;
      pen.beginPath();
      for (const { x, y } of this.#stroke.lasso.corners) pen.lineTo(x * scale + left, y * scale + top);
      pen.closePath();
      pen.stroke();
      pen.globalAlpha = 0.08;
      pen.fillStyle = ink.text;
      pen.fill("evenodd");
      pen.globalAlpha = 1;
    }
    pen.setLineDash([]);
  }

  #corners() {
    const { scale, left, top } = this.#place;
    const onCanvas = ({ x, y }) => ({ x: x * scale + left, y: y * scale + top });
    return { from: onCanvas(this.#stroke.from), to: onCanvas(this.#stroke.to) };
  }
}

function joined(inside, group, way) {
  if (way === "set") return inside;
  const before = group ?? new Uint8Array(inside.length);
  return inside.map((flag, i) => (way === "add" ? flag | before[i] : before[i] & (1 - flag)));
}
