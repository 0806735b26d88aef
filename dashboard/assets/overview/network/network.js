// The network of the page Overview: what is folded, what is seen of it, what its colors are.
import * as dagre from "../../vendor/dagre.js";
import { Controls, store } from "../../feature_maps/controls.js";
import { follow } from "../../feature_maps/wall/gestures.js";
import { colorAt } from "../../feature_maps/wall/palette.js";
import { FACTORS, hintAt, zoomButtons } from "../../feature_maps/wall/zoom_buttons.js";
import { draw } from "./canvas.js";
import { groupsOf, inside, seenOf } from "./graph.js";
import { BOX, layoutOf } from "./layout.js";
import { Nodes } from "./nodes.js";
import { openOf, openText } from "./open_parts.js";
import { LayerTable } from "./table.js";
import { first, moved, showing, whole, zoomed } from "./view.js";
import { factsOf } from "./words.js";

const NARROW = 560; // CSS pixels of the box below which the network runs down
const BESIDE = 76; // CSS pixels of the box beside rows
const LOW = 190; // CSS pixels of the box at least
const HIGH = 480; // and at most
const MOST = 4000; // layers that are drawn
const WAITS = "overview-network-facts";

const stale = () => window.dash_clientside.stale;

function create(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

const roomIn = (width) => (width < NARROW ? 0 : width - BESIDE);

/** The network of one open page; it goes with the page. */
class Session {
  #scene = null; // what is drawn, see canvas.js; with `open` and `places`
  #view = null;
  #size = { width: 0, height: 0 };
  #marked = -1;
  #isMoved = false; // whether a person chose what is seen
  #frame = 0;
  #controls = new Controls({ open: store("overview-network-open") });
  #drawing = {}; // the values, the open parts and the scheme that are drawn
  #graph = null;

  constructor(host) {
    this.host = host;
    this.box = create("div", "network-box");
    this.canvas = create("canvas", "");
    this.canvas.setAttribute("aria-hidden", "true");
    this.tip = create("div", "wall-tip");
    this.tip.hidden = true;
    this.status = create("div", "network-status");
    this.status.setAttribute("role", "status");
    this.legend = create("div", "network-legend");
    this.message = create("div", "message");
    const buttons = zoomButtons((factor) => this.#zoom(this.#middle(), factor), "the network");
    this.folds = create("div", "network-folds");
    this.box.append(this.canvas);
    this.nodes = new Nodes(this.box, {
      mark: (at, isFocus) => this.#mark(at, isFocus),
      toggle: (group) => this.#toggle(group),
      select: (at) => { this.status.textContent = this.#factsOf(at); },
      zoom: (sign) => this.#zoom(this.#middle(), FACTORS[sign]),
    });
    this.box.append(this.tip);
    host.append(this.legend, this.message, this.box, buttons, this.folds, this.status);
    this.table = new LayerTable(host);
    this.hasHinted = false;
    for (const [text, opens] of [["Unfold all", true], ["Fold all", false]]) {
      const button = create("button", "", text);
      button.type = "button";
      button.addEventListener("click", () => this.#open(
        new Set(opens ? this.#graph.groups.keys() : []), -1));
      this.folds.append(button);
    }
    follow(this.box, {
      hover: () => {}, click: () => {}, band: () => {}, box: () => {}, walk: () => {}, turn: () => {},
      pick: () => {},
      zoom: (point, factor) => this.#zoom(point, factor),
      move: (x, y) => this.#look(moved(this.#view, x, y, this.#scene.layout, this.#size)),
      reset: () => { if (this.#marked < 0) this.#zoom(this.#middle(), Infinity); },
      scroll: () => {
        if (!this.hasHinted) hintAt(this.host);
        this.hasHinted = true;
      },
    }, true);
    new ResizeObserver(() => this.#scene && this.#fit()).observe(host);
  }

  /** Follows Dash's controls. */
  async follow(controls) {
    this.#controls.take(controls);
    await this.#refresh();
  }

  async #refresh() {
    const { values } = this.#controls.held;
    this.host.hidden = !values;
    if (!values) return;
    if (this.#graph?.digest !== values.digest) {
      this.#graph = null;
      const graph = await this.#fetch(values);
      if (!graph || this.#controls.held.values !== values) return;
      this.#graph = graph;
    }
    const before = this.#drawing;
    const { open, scheme } = this.#controls.held;
    this.#drawing = { values, open, scheme };
    if (this.#graph.nodes.length > MOST) {
      this.message.textContent = `The model has ${this.#graph.nodes.length.toLocaleString("en")} `
        + `layers; up to ${MOST.toLocaleString("en")} are drawn. The table below has all of them.`;
      this.box.hidden = true;
      this.table.show({ model: this.#graph, values });
      return;
    }
    const isOther = before.open !== open || !this.#scene || this.#scene.model !== this.#graph;
    if (isOther) this.#build(openOf(open, this.#graph.groups.length), -1);
    else this.#scene.values = values;
    if (before.values !== values) {
      this.nodes.describe(this.#scene);
      this.table.show(this.#scene);
    }
    if (before.values !== values || before.scheme !== scheme) this.#explain();
    this.#draw();
  }

  async #fetch({ url, digest }) {
    stale().waits(WAITS);
    const answer = await fetch(url).catch(() => null);
    if (!answer?.ok) {
      const about = await answer?.json().catch(() => null);
      const why = about?.detail ?? "the server does not answer";
      stale().waits(WAITS, why, () => this.#refresh());
      return null;
    }
    stale().has(WAITS);
    if (answer.headers.get("x-store-digest") !== digest) {
      stale().replaced();
      return null;
    }
    const { nodes, edges } = await answer.json();
    edges.sort(([a, b], [c, d]) => a - c || b - d);
    return { digest, nodes, edges, ...groupsOf({ nodes, edges }) };
  }

  // Lays out what is seen where some parts are open; `node` is the layer that then has the Tab.
  #build(open, node) {
    const model = this.#graph;
    const { seen, edges, places } = seenOf(model, open);
    const room = roomIn(this.host.clientWidth);
    const layout = layoutOf(seen.length, edges, dagre, room);
    this.#scene = { model, values: this.#drawing.values, seen, edges, places, layout, open, room };
    this.nodes.show(this.#scene, node < 0 ? 0 : places[node]);
    this.#marked = -1;
    this.#tip();
    const [unfold, fold] = this.folds.children;
    this.folds.hidden = !model.groups.length;
    unfold.disabled = open.size === model.groups.length;
    fold.disabled = !open.size;
    this.message.textContent = layout.isPlain
      ? "A part of this network is too large to be untangled: edges cross layers there." : "";
    this.#fit();
    this.host.dataset.drawn = `${seen.length} ${edges.length}`;
  }

  // As large as the page has room for; laid out anew where rows are of another length.
  #fit() {
    const { host, canvas } = this;
    const width = host.clientWidth;
    if (!width) return;
    if (roomIn(width) !== this.#scene.room) {
      this.#isMoved = false;
      this.#build(this.#scene.open, -1);
      return;
    }
    const wanted = this.#scene.layout.height * Math.min(1, width / this.#scene.layout.width) + 40;
    const height = Math.round(Math.max(LOW, Math.min(HIGH, 0.7 * window.innerHeight, wanted)));
    this.#size = { width, height };
    const density = window.devicePixelRatio || 1;
    [canvas.width, canvas.height] = [width, height].map((length) => Math.round(length * density));
    this.box.style.height = `${height}px`;
    if (!this.#isMoved || !this.#view) this.#view = first(this.#scene.layout, this.#size);
    this.#draw();
  }

  #middle() {
    return { x: this.#size.width / 2, y: this.#size.height / 2 };
  }

  #zoom(point, factor) {
    if (this.#scene) this.#look(zoomed(this.#view, point, factor, this.#scene.layout, this.#size));
  }

  #look(view) {
    this.#view = view;
    this.#isMoved = true;
    this.#tip();
    this.#draw();
  }

  #draw() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      const { canvas, host } = this;
      if (!host.isConnected || !this.#scene) return;
      this.nodes.place(this.#view);
      draw(canvas.getContext("2d"), this.#scene, this.#view, {
        ...this.#size, density: window.devicePixelRatio || 1, scheme: this.#drawing.scheme,
        marked: this.#marked,
      });
    });
  }

  #mark(at, isFocus = false) {
    if (at === this.#marked && !isFocus) return;
    this.#marked = at;
    const { layout } = this.#scene;
    if (isFocus && at >= 0) {
      // Who comes by keyboard sees where they are.
      const { scale } = this.#view;
      const near = scale < 0.5 && this.box.querySelector(":focus-visible");
      const view = near ? { ...this.#view, scale: 0.8 } : this.#view;
      this.#view = showing(view, { ...layout.boxes[at], ...BOX }, layout, this.#size);
    }
    this.#tip();
    this.#draw();
  }

  // All that is known of the marked one, beside it.
  #tip() {
    const { tip } = this;
    tip.hidden = this.#marked < 0;
    if (tip.hidden) return;
    const box = this.#scene.seen[this.#marked];
    const what = box.group >= 0 ? "\nopens" : "";
    tip.textContent = factsOf(this.#scene, box).join("\n") + what;
    const { x, y } = this.#scene.layout.boxes[this.#marked];
    const { scale } = this.#view;
    const top = this.#view.y + (y + BOX.height) * scale + 6;
    const left = Math.min(this.#view.x + x * scale, this.#size.width - tip.offsetWidth - 4);
    const isLow = top + tip.offsetHeight > this.#size.height;
    tip.style.left = `${Math.max(4, left)}px`;
    tip.style.top = `${isLow ? this.#view.y + y * scale - tip.offsetHeight - 6 : top}px`;
  }

  // What a layer that is not captured is, and what it stands between.
  #factsOf(at) {
    const { seen, edges, model } = this.#scene;
    const name = ({ node, group }) => (group < 0 ? model.nodes[node].path : model.groups[group].path);
    const names = (list) => list.map((other) => name(seen[other])).join(", ");
    const before = names(edges.filter(([, to]) => to === at).map(([from]) => from));
    const after = names(edges.filter(([from]) => from === at).map(([, to]) => to));
    return [factsOf(this.#scene, seen[at]).join(", "), "not captured", before && `reads ${before}`,
      after && `read by ${after}`].filter(Boolean).join("; ") + ".";
  }

  #toggle(group) {
    const { open, model } = this.#scene;
    const next = new Set(open);
    if (next.has(group)) inside(model.groups, group).forEach((at) => next.delete(at));
    else next.add(group);
    this.#open(next, model.groups[group].members[0]);
  }

  // Opens parts, and keeps the layer that a person looks at where it is.
  #open(open, node) {
    const { places, layout } = this.#scene;
    const before = node < 0 ? null : layout.boxes[places[node]];
    this.#build(open, node);
    const after = node < 0 ? null : this.#scene.layout.boxes[this.#scene.places[node]];
    const { scale, x, y } = this.#view;
    if (after) {
      this.#look(showing(
        { scale, x: x + (before.x - after.x) * scale, y: y + (before.y - after.y) * scale },
        { ...after, ...BOX }, this.#scene.layout, this.#size,
      ));
    } else {
      this.#look(open.size ? first(this.#scene.layout, this.#size) : whole(this.#scene.layout, this.#size));
    }
    const text = openText(open, this.#graph.groups.length);
    this.#drawing.open = text;
    this.#controls.tell({ open: text });
  }

  #explain() {
    const { title, ends, layers } = this.#drawing.values;
    const bar = create("span", "network-bar");
    const steps = Array.from({ length: 11 }, (_, at) => colorAt("sequential", at / 10));
    bar.style.backgroundImage = `linear-gradient(to right, ${steps.join(", ")})`;
    const parts = [create("span", "", title)];
    if (ends.length) parts.push(create("span", "", ends[0]), bar, create("span", "", ends[1]));
    if (Object.values(layers).some(({ share }) => share === null)) {
      parts.push(create("i", "network-unknown"), create("span", "", "not known"));
    }
    this.legend.replaceChildren(...parts);
  }
}

const sessions = new WeakMap(); // by the element, which goes with its page

/** Draws what Dash's controls say. */
export async function show(values, open, scheme) {
  const host = document.getElementById("overview-network");
  if (!host) return;
  if (!sessions.has(host)) sessions.set(host, new Session(host));
  await sessions.get(host).follow({ values, open, scheme });
}
