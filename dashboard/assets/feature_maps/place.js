// What reacts at a place in the input image: a click, a box or keys choose the place, and the server
// lists the filters whose units see it. Comes only when somebody is at the image, or with the link.
import { announce } from "./description.js";
import { arrayOf } from "./fetching.js";
import { session } from "./session.js";
import { general } from "./wall/numbers.js";
import { paint, spans } from "./wall/palette.js";
import { boxed, windowText } from "./wall/tiling.js";

const AT_ONCE = 12; // filters that are listed, and so many more each time
const SMALL = 40; // cells of the longer side of a listed map
const FAR = 4; // CSS pixels a pointer may move in a click
const SLOW = 300; // ms after which the layer on the wall is listed by itself
const WAYS = { ArrowLeft: [0, -1], ArrowRight: [0, 1], ArrowUp: [-1, 0], ArrowDown: [1, 0] };

const element = (id) => document.getElementById(id);
const stale = () => window.dash_clientside.stale;
const make = (name, properties, ...children) => {
  const node = Object.assign(document.createElement(name), properties);
  node.append(...children);
  return node;
};

/** A place as a link says it: "y,x", or "first y,first x,last y,last x". */
export function placeText([top, left, bottom, right]) {
  const isPoint = top === bottom && left === right;
  return (isPoint ? [top, left] : [top, left, bottom, right]).join(",");
}

/** First row, first column, last row and last column of a place; null where a link says none. */
export function placeOf(text) {
  const numbers = (text || "").split(",").map(Number);
  if (!text || numbers.some((number) => !Number.isInteger(number))) return null;
  return numbers.length === 4 ? numbers : [...numbers, ...numbers];
}

/** A share in per cent, never more than it is: of those near 1, as many digits as tell them from it. */
export function atLeast(share) {
  const percent = 100 * share;
  const decimals = percent < 99 || share >= 1 ? 0 : percent < 99.9 ? 1 : percent < 99.99 ? 2 : 3;
  const most = 10 ** decimals;
  return `${(Math.floor(percent * most + 1e-7) / most).toFixed(decimals)} %`;
}

const style = make("link", { rel: "stylesheet" });

// The style of what is added to the page, once it is.
function bringStyle() {
  if (style.isConnected) return;
  style.href = new URL("./place.css", import.meta.url).href;
  document.head.append(style);
}

const tellPlace = (text) => window.dash_clientside.set_props("maps-place", { data: text });

// Outlines a place in the image; none for null.
function mark(frame, place) {
  const [rows, columns] = session()?.view?.facts.image_shape ?? [1, 1];
  let box = frame.querySelector(".place-box");
  if (!place) {
    box?.remove();
    return;
  }
  if (!box) {
    box = make("span", { className: "place-box" });
    frame.append(box);
  }
  const [top, left, bottom, right] = place;
  Object.assign(box.style, {
    top: `${(100 * top) / rows}%`, height: `${(100 * (bottom + 1 - top)) / rows}%`,
    left: `${(100 * left) / columns}%`, width: `${(100 * (right + 1 - left)) / columns}%`,
  });
}

class Choice {
  #from = null; // where the pointer went down, in pixels of the image and of the screen
  #isDrawn = false; // whether the click that follows ends a box
  #keyed = null; // the box that keys have moved to

  constructor(frame) {
    this.frame = frame;
    frame.addEventListener("pointerdown", (event) => {
      this.#isDrawn = false;
      if (event.button || event.pointerType === "touch") return;
      event.preventDefault(); // no picture is dragged away
      this.#from = { pixel: this.#pixel(event), x: event.clientX, y: event.clientY };
      frame.setPointerCapture(event.pointerId);
    });
    frame.addEventListener("pointermove", (event) => {
      const from = this.#from;
      if (!from) return;
      this.#isDrawn ||= Math.hypot(event.clientX - from.x, event.clientY - from.y) > FAR;
      if (this.#isDrawn) mark(frame, this.#box(event));
    });
    frame.addEventListener("pointerup", (event) => {
      if (this.#from && this.#isDrawn) tellPlace(placeText(this.#box(event)));
      this.#from = null;
    });
    frame.addEventListener("pointercancel", () => { this.#from = null; });
    frame.addEventListener("keydown", (event) => this.press(event));
  }

  click(event) {
    if (!this.#isDrawn) tellPlace(placeText([...this.#pixel(event), ...this.#pixel(event)]));
    this.#isDrawn = false;
  }

  get #shape() {
    return session()?.view?.facts.image_shape ?? [1, 1];
  }

  #pixel({ clientX, clientY }) {
    const { left, top, width, height } = this.frame.getBoundingClientRect();
    const [rows, columns] = this.#shape;
    const within = (share, size) => Math.min(Math.max(Math.floor(share * size), 0), size - 1);
    return [within((clientY - top) / height, rows), within((clientX - left) / width, columns)];
  }

  #box(event) {
    const [first, second] = [this.#from.pixel, this.#pixel(event)];
    return [0, 1].map((at) => Math.min(first[at], second[at]))
      .concat([0, 1].map((at) => Math.max(first[at], second[at])));
  }

  // Arrows move the place, with shift the far corner of a box; Enter asks, Escape asks no more.
  press(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.defaultPrevented) return;
    const way = WAYS[event.key];
    if (way) this.#move(way, event.shiftKey);
    else if (event.key === "Enter" || event.key === " ") tellPlace(placeText(this.#at));
    else if (event.key === "Escape") tellPlace("");
    else return;
    event.preventDefault();
  }

  get #at() {
    const middle = this.#shape.map((size) => Math.floor(size / 2));
    return this.#keyed ?? placeOf(this.frame.dataset.place) ?? [...middle, ...middle];
  }

  #move(way, isBox) {
    const [top, left, bottom, right] = this.#at;
    const moved = [bottom, right].map((at, axis) => {
      const step = Math.max(1, Math.round(this.#shape[axis] / 56));
      return Math.min(Math.max(at + way[axis] * step, 0), this.#shape[axis] - 1);
    });
    const from = isBox ? [Math.min(top, moved[0]), Math.min(left, moved[1])] : moved;
    this.#keyed = [...from, ...moved];
    mark(this.frame, this.#keyed);
    announce(`pixel y ${moved[0]}, x ${moved[1]} of the image; Enter asks what reacts here`);
  }
}

// What choosing of a place is under way in a frame.
const frames = new WeakMap();

/** Has an image be asked from, with the first pointer, focus or key over it, which is not lost. */
export function attend(frame, event) {
  bringStyle();
  if (!frames.has(frame)) frames.set(frame, new Choice(frame));
  if (event.type === "click") frames.get(frame).click(event);
  if (event.type === "keydown") frames.get(frame).press(event); // came before its own listener
}

let asking = null; // aborts what is asked for

/**
 * Lists what reacts at a place; nothing for an empty one. What Dash calls.
 * @param {string} place as a link says it
 * @param {number} sample
 * @param {string} among "all" layers, or "one"
 * @param {string} layer on the wall
 */
export async function show(place, sample, among, layer) {
  const [frame, box, list] = ["maps-input", "maps-reactions", "maps-reactions-list"].map(element);
  if (!box || !list) return;
  bringStyle();
  asking?.abort();
  asking = new AbortController();
  const { signal } = asking;
  box.hidden = !place;
  frame.dataset.place = place;
  mark(frame, placeOf(place));
  if (!place) {
    list.replaceChildren();
    stale().has("maps-reactions-list");
    return;
  }
  stale().waits("maps-reactions-list");
  const { digest, exact } = await facts();
  const store = exact.replace(/\/maps\?.*/, "");
  const alone = `&layer=${encodeURIComponent(layer)}`;
  const ask = (which) => answerOf(
    `${store}/places?sample=${sample}&at=${place}${which}`, signal, digest);
  const draw = (answer, isPart) => fill(list, answer, { store, sample, signal, isPart });
  try {
    const whole = ask(among === "one" ? alone : "");
    const slow = new Promise((go) => { setTimeout(go, SLOW, null); });
    if (among === "all" && !(await Promise.race([whole, slow]))) {
      const part = await ask(alone);
      if (!signal.aborted) draw(part, true);
    }
    const answer = await whole;
    if (signal.aborted || !list.isConnected) return;
    draw(answer, false);
    stale().has("maps-reactions-list");
    announce(summaryOf(answer));
  } catch (error) {
    if (signal.aborted) return;
    list.replaceChildren();
    stale().waits("maps-reactions-list", error.message, () => show(place, sample, among, layer));
  }
}

// What the page knows of its layer, which may be on its way still.
async function facts() {
  while (!session()?.view) await new Promise((go) => { setTimeout(go, 20); });
  return session().view.facts;
}

async function answerOf(url, signal, digest) {
  const answer = await fetch(url, { signal });
  const body = await answer.json();
  if (!answer.ok) throw new Error(body.detail ?? `${answer.status} ${answer.statusText}`);
  if (answer.headers.get("x-store-digest") !== digest) stale().replaced();
  return body;
}

const summaryOf = ({ omissions, place, rows: [first] }) => (first
  ? `What reacts at ${place}: first filter ${first.filter} of ${first.layer}, ${wordsOf(first)}`
  : `Nothing is listed at ${place}${omissions.length ? `: ${omissions[0].reason}` : ""}`);

const wordsOf = ({ value, share }) => `${general(value, 4)}, above ${atLeast(share)}`;

function fill(list, answer, context) {
  const { n_filters: count, n_left_out: out, notes, omissions, place, rows } = answer;
  const items = make("ol", {});
  const more = make("button", { type: "button", textContent: "Show more" });
  let n = 0;
  const add = () => {
    for (const row of rows.slice(n, n + AT_ONCE)) {
      if (row.sees_all && !rows[n - 1]?.sees_all) {
        const text = "These see the whole image, wherever you click:";
        items.append(make("li", { className: "reactions-heading", textContent: text }));
      }
      items.append(itemOf(row, context));
      n += 1;
    }
    more.hidden = n >= rows.length;
  };
  more.addEventListener("click", add);
  add();
  const about = [
    `${count.toLocaleString("en")} filters compared by the largest value of the units that see a `
      + "pixel of the place, each with its own values over the test set.",
    out ? `${out.toLocaleString("en")} dead or constant ones are left out.` : "",
    ...notes,
    ...omissions.slice(0, 5).map(({ layer, reason }) => `${layer} is left out: ${reason}.`),
    omissions.length > 5 ? `${omissions.length - 5} more layers are left out.` : "",
  ].filter(Boolean);
  const close = make("button", { type: "button", textContent: "Close" });
  close.addEventListener("click", () => tellPlace(""));
  list.replaceChildren(
    make("p", { className: "reactions-place" }, close,
      make("b", { textContent: `What reacts at ${place} of sample ${context.sample}` }),
      context.isPart ? " on the wall’s layer; other layers are on their way" : ""),
    make("p", { textContent: rows.length
      ? "value, and the share of its values over the test set it is above" : summaryOf(answer) }),
    items, more,
    make("details", { open: !rows.length }, make("summary", { textContent: "What is compared" }),
      ...about.map((textContent) => make("p", { textContent }))));
}

function itemOf(row, context) {
  const canvas = make("canvas", { width: 1, height: 1 });
  const button = make("button", { type: "button", className: "reaction" },
    canvas,
    make("span", {},
      make("b", { textContent: `${row.layer} · filter ${row.filter}` }),
      make("small", { textContent: wordsOf(row) })));
  button.title = `Shows filter ${row.filter} of ${row.layer} at y ${row.y}, x ${row.x}`;
  button.addEventListener("click", () => session()?.go({
    layer: row.layer, filter: row.filter, unit: `${row.y},${row.x}`, window: windowOf(row),
  }));
  drawMap(canvas, row, context);
  return make("li", {}, button);
}

/** The window of a row's map about the units that see the place, as a link says it. */
export function windowOf({ shape: [height, width], units: [top, left, bottom, right] }) {
  const world = { height, width, least: Math.min(2, height, width) };
  return windowText(
    boxed({ y: top - 1, x: left - 1 }, { y: bottom + 2, x: right + 2 }, world), world);
}

// The map of a listed filter, in colors that span the filter's range.
async function drawMap(canvas, row, { store, sample, signal }) {
  const step = Math.ceil(Math.max(...row.shape) / SMALL);
  const query = `layer=${encodeURIComponent(row.layer)}&sample=${sample}&filter=${row.filter}`;
  const array = await arrayOf(`${store}/windows?${query}&step=${step}`, signal).catch(() => null);
  if (!array || signal.aborted) return;
  const [, rows, columns] = array.shape;
  const pixels = new Uint32Array(rows * columns);
  const [low, high] = row.range;
  const part = { top: 0, left: 0, rows, columns, step: 1 };
  paint(array.values, [rows, columns, 1], part, spans([low], [high], low < 0), 1, pixels, false);
  [canvas.width, canvas.height] = [columns, rows];
  const data = new ImageData(new Uint8ClampedArray(pixels.buffer), columns, rows);
  canvas.getContext("2d").putImageData(data, 0, 0);
}
