// What the controls of a page hold, for a module that changes some of them itself: it tells Dash,
// which calls it back a while later, with values that it may have gathered before it was told.

const ECHOED_FOR = 1000; // ms in which a field may say again what the page is past

/**
 * Where a control is that a module changes.
 * @typedef {object} Place
 * @property {string} id of the component
 * @property {string} property of it
 * @property {boolean} isField whether a person types in it: such a component sets what it was told
 *   once more, a moment later, though it was told something else since
 */

/** @returns {Place} of a field, which is typed in */
export const field = (id) => ({ id, property: "value", isField: true });
/** @returns {Place} of a choice, which is clicked */
export const choice = (id) => ({ id, property: "value", isField: false });
/** @returns {Place} of a store, which nobody sees */
export const store = (id) => ({ id, property: "data", isField: false });

/** The controls of one open page, by names. */
export class Controls {
  #places;
  #again;
  #held = null;
  #past = new Map(); // by name: the values that the page changed, and when
  #timer = 0;

  /**
   * @param {Object<string, Place>} places of the controls that the module changes
   * @param {(values: Object<string, unknown>) => void} [again] has Dash's values taken once more; where
   *   fields are among them
   */
  constructor(places, again) {
    this.#places = places;
    this.#again = again;
  }

  /** What they hold; null before Dash said it first. */
  get held() {
    return this.#held;
  }

  /**
   * Takes what Dash says of all of them. Of those that the module changes, what counts is what the
   * components hold now, and an echo counts only when it stays.
   * @param {Object<string, unknown>} values by name
   * @returns {Object<string, unknown>} what somebody else changed; all of it the first time
   */
  take(values) {
    const before = this.#held;
    const now = { ...values };
    clearTimeout(this.#timer);
    for (const [name, { id, property }] of Object.entries(this.#places)) {
      const component = window.dash_component_api.getLayout(id);
      if (component) now[name] = component.props[property];
      if (!before || !this.#isEcho(name, now[name])) continue;
      now[name] = before[name];
      this.#timer = setTimeout(() => this.#again(values), ECHOED_FOR);
    }
    this.#held = now;
    if (!before) return now;
    return Object.fromEntries(
      Object.entries(now).filter(([name, value]) => value !== before[name]));
  }

  /** Tells Dash what the module changed, unless it is what Dash has. */
  tell(news) {
    for (const [name, value] of Object.entries(news)) {
      const before = this.#held[name];
      if (value === before) continue;
      const { id, property, isField } = this.#places[name];
      if (isField) this.#past.set(name, [...this.#pastOf(name), { value: before, at: performance.now() }]);
      this.#held = { ...this.#held, [name]: value };
      window.dash_clientside.set_props(id, { [property]: value });
    }
  }

  #isEcho(name, value) {
    return value !== this.#held[name] && this.#pastOf(name).some((past) => past.value === value);
  }

  #pastOf(name) {
    const since = performance.now() - ECHOED_FOR;
    return (this.#past.get(name) ?? []).filter(({ at }) => at > since);
  }
}
