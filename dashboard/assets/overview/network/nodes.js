// What a person points at, clicks and walks to in the network: a real link over each captured layer
// on the canvas, a button over each other one and over each part that can be opened or folded. One Tab
// leads into the drawing; arrows lead on along the edges.
import { BOX } from "./layout.js";
import { factsOf, nameOf } from "./words.js";

const TAB = 18; // units of the handle that folds an open part

/**
 * The links of a drawing.
 */
export class Nodes {
  #scene = null;
  #elements = [];
  #at = 0; // the one that has the Tab

  /**
   * @param {HTMLElement} host
   * @param {{mark: (at: number) => void, toggle: (group: number) => void,
   *   select: (at: number) => void, zoom: (sign: string) => void}} on what hears of it
   */
  constructor(host, on) {
    this.on = on;
    this.list = document.createElement("ul");
    this.list.className = "network-nodes";
    this.list.setAttribute("aria-label", "Layers of the network: arrow keys follow the edges");
    host.append(this.list);
    this.list.addEventListener("pointerover", ({ target }) => on.mark(this.#indexOf(target)));
    this.list.addEventListener("pointerleave", () => on.mark(this.#indexOf(document.activeElement)));
    this.list.addEventListener("focusin", ({ target }) => {
      this.#rest(this.#indexOf(target));
      on.mark(this.#at, true);
    });
    this.list.addEventListener("focusout", () => on.mark(-1));
    this.list.addEventListener("click", (event) => this.#click(event));
    this.list.addEventListener("keydown", (event) => this.#key(event));
  }

  /** Makes them anew; who has the focus keeps it, or what folds over it gets it. */
  show(scene, at) {
    const hasFocus = this.list.contains(document.activeElement);
    this.#scene = scene;
    const { seen, layout } = scene;
    this.#elements = seen.map((box, place) => this.#element(box, layout.boxes[place]));
    this.#elements.forEach((element, place) => { element.dataset.at = place; });
    this.list.replaceChildren(...this.#elements.map((element) => {
      const item = document.createElement("li");
      item.append(element);
      return item;
    }), ...this.#handles());
    this.#rest(Math.min(Math.max(at, 0), seen.length - 1));
    if (hasFocus) this.#elements[this.#at]?.focus({ preventScroll: true });
  }

  /** Says what the layers are colored by now. */
  describe(scene) {
    this.#scene = scene;
    this.#elements.forEach((element, at) => {
      element.setAttribute("aria-label", factsOf(scene, scene.seen[at]).join(", "));
    });
  }

  /** Puts them where the drawing is. */
  place({ x, y, scale }) {
    this.list.style.transform = `translate(${x}px, ${y}px) scale(${scale})`;
  }

  #element(box, { x, y }) {
    const { model, values } = this.#scene;
    const captured = box.node >= 0 && values.layers[model.nodes[box.node].layer];
    const element = document.createElement(captured ? "a" : "button");
    if (captured) Object.assign(element, { href: captured.href, draggable: false });
    else element.type = "button";
    if (box.group >= 0) element.setAttribute("aria-expanded", "false");
    element.tabIndex = -1;
    element.setAttribute("aria-label", factsOf(this.#scene, box).join(", "));
    Object.assign(element.style, {
      left: `${x}px`, top: `${y}px`, width: `${BOX.width}px`, height: `${BOX.height}px`,
    });
    return element;
  }

  // A handle above the first layer of each open part; of parts within each other, one above the other.
  #handles() {
    const { model, open, places, layout } = this.#scene;
    const above = new Map();
    return [...open].reverse().filter((group) => {
      for (let at = model.groups[group].parent; at >= 0; at = model.groups[at].parent) {
        if (!open.has(at)) return false;
      }
      return true;
    }).map((group) => {
      const at = places[model.groups[group].members[0]];
      const n = above.get(at) ?? 0;
      above.set(at, n + 1);
      const { x, y } = layout.boxes[at];
      const button = document.createElement("button");
      const name = nameOf(model.groups[group].path);
      Object.assign(button, { type: "button", className: "network-fold", tabIndex: -1 });
      button.textContent = `− ${name}`;
      button.setAttribute("aria-label", `Fold ${model.groups[group].path}`);
      button.setAttribute("aria-expanded", "true");
      button.dataset.group = group;
      Object.assign(button.style, {
        left: `${x}px`, top: `${y - 4 - TAB * (n + 1)}px`, maxWidth: `${BOX.width}px`,
      });
      const item = document.createElement("li");
      item.append(button);
      return item;
    });
  }

  #indexOf(target) {
    const at = target?.closest?.("[data-at]")?.dataset.at;
    return at === undefined || !this.list.contains(target) ? -1 : Number(at);
  }

  #rest(at) {
    if (at < 0) return;
    this.#elements[this.#at]?.setAttribute("tabindex", "-1");
    this.#at = at;
    this.#elements[at]?.setAttribute("tabindex", "0");
  }

  #click(event) {
    const { target } = event;
    const fold = target.closest("[data-group]")?.dataset.group;
    if (fold !== undefined) {
      this.on.toggle(Number(fold));
      return;
    }
    const at = this.#indexOf(target);
    if (at < 0) return;
    const link = target.closest("a");
    if (link) follow(event, link);
    else if (this.#scene.seen[at].group >= 0) this.on.toggle(this.#scene.seen[at].group);
    else this.on.select(at);
  }

  #key(event) {
    if (event.ctrlKey || event.metaKey || event.altKey || event.shiftKey) return;
    const zoom = { "+": "+", "=": "+", "-": "−", 0: "All" }[event.key];
    const { edges, seen, model } = this.#scene;
    const last = seen.length - 1;
    const next = {
      ArrowRight: () => edges.find(([from]) => from === this.#at)?.[1],
      ArrowLeft: () => edges.find(([, to]) => to === this.#at)?.[0],
      ArrowDown: () => Math.min(last, this.#at + 1),
      ArrowUp: () => Math.max(0, this.#at - 1),
      Home: () => 0,
      End: () => last,
    }[event.key];
    const within = seen[this.#at]?.node >= 0 ? model.within[seen[this.#at].node] : -1;
    if (zoom) this.on.zoom(zoom);
    else if (next) this.#elements[next() ?? this.#at].focus({ preventScroll: true });
    else if (event.key === "Backspace" && within >= 0) this.on.toggle(within);
    else return;
    event.preventDefault();
    event.stopPropagation();
  }
}

// Within the application, as dcc.Link goes; with a modifier as the browser would.
function follow(event, link) {
  if (event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) return;
  event.preventDefault();
  window.history.pushState({}, "", link.href);
  window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  window.scrollTo(0, 0);
}
