// The number of the filter on the Filter page: each click of a button leads on from the one before,
// though Dash has not heard of that yet. Dash's own counts lose clicks that come before a redraw.
import { Controls, field } from "../feature_maps/controls.js";

const FILTER = "filter-filter";

/** What one open page shows; it goes with the page. */
class Session {
  #layer = null;
  #n = 1;
  #controls = new Controls({ filter: field(FILTER) }, (values) => { this.#controls.take(values); });

  /** Follows Dash's controls: a layer with `n` filters, and one of them. */
  follow(layer, filter, n) {
    this.#controls.take({ filter });
    if (layer === this.#layer) return;
    [this.#layer, this.#n] = [layer, n];
    window.dash_clientside.set_props(FILTER, { max: n - 1 });
    // The filter of another layer may be none of this one.
    if (this.#controls.held.filter >= n) this.#controls.tell({ filter: n - 1 });
  }

  /** Goes to the filter that is some steps on, round the ends. */
  step(steps) {
    const n = this.#n;
    this.#controls.take(this.#controls.held);
    const to = Math.min(this.#controls.held.filter || 0, n - 1) + steps;
    this.#controls.tell({ filter: ((to % n) + n) % n });
  }
}

const sessions = new WeakMap(); // by the field, which goes with its page

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
  if (!sessions.has(host)) sessions.set(host, new Session());
  sessions.get(host).follow(layer, filter, sizes[layer]);
}

document.addEventListener("click", (event) => {
  const button = event.target.closest?.("#filter-previous, #filter-next");
  const session = button && sessions.get(document.getElementById(FILTER));
  session?.step(button.id === "filter-next" ? 1 : -1);
});
