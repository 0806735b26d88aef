// The number of the filter on the Filter page: each click of a button leads on from the one before,
// though Dash has not heard of that yet. Dash's own counts lose clicks that come before a redraw.
import { Controls, field } from "../feature_maps/controls.js";

const FILTER = "filter-filter";

/** The number on one open page. */
class Steps {
  #n = 1;
  #controls = new Controls({ filter: field(FILTER) }, (values) => { this.#controls.take(values); });

  /** Follows Dash's controls; the filter of another layer may be none of this one. */
  follow(filter, n) {
    this.#controls.take({ filter });
    if (n === this.#n) return;
    this.#n = n;
    window.dash_clientside.set_props(FILTER, { max: n - 1 });
    if (this.#controls.held.filter >= n) this.#controls.tell({ filter: n - 1 });
  }

  /** Goes to the filter that is some steps on, round the ends. */
  step(steps) {
    const n = this.#n;
    this.#controls.take(this.#controls.held);
    this.#controls.tell({ filter: ((((this.#controls.held.filter || 0) + steps) % n) + n) % n });
  }
}

const all = new WeakMap(); // by the field, which goes with its page

// What Dash calls. A function that gives nothing back leaves Dash's output as it is.

/**
 * Follows the layer, and what is typed.
 * @param {string} layer
 * @param {number|string} filter
 * @param {Object<string, number>} sizes how many filters each layer has
 */
export function follow(layer, filter, sizes) {
  const host = document.getElementById(FILTER);
  if (!host || !(layer in sizes)) return;
  if (!all.has(host)) all.set(host, new Steps());
  all.get(host).follow(filter, sizes[layer]);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("#filter-previous, #filter-next");
  if (button) all.get(document.getElementById(FILTER))?.step(button.id === "filter-next" ? 1 : -1);
});
