// What the wall's colors span, by hand: two numbers that are typed, and the ends of the color bar,
// which a pointer drags and keys move. Loaded after the first picture.
import { barBox, barOf, shareUp, valueUp } from "./wall/bar.js";
import { exact, general } from "./wall/numbers.js";
import { endsOf, isInUnits } from "./wall/palette.js";

const NAMES = { low: "Low end", high: "High end" };
const KEYS = { ArrowUp: 0.01, ArrowRight: 0.01, ArrowDown: -0.01, ArrowLeft: -0.01,
  PageUp: 0.1, PageDown: -0.1 }; // of the bar
const NEAREST = 0.005; // of the bar, from one end to the other
const FARTHEST = 2; // bars beyond the bar, that one drag goes
const AIM = 3; // CSS pixels that a pointer may move in a click
const LARGEST = 3.4028235e38; // of float32, as it is written
const NUMBER = /^-?(\d+\.?\d*|\.\d+)(e[+-]?\d+)?$/i;

/** The number that was typed; NaN for none. A comma is a point, as people write it. */
export function numberOf(text) {
  const plain = text.trim().replace("−", "-").replace(",", ".");
  const value = NUMBER.test(plain) ? Number(plain) : NaN;
  return Math.abs(value) <= LARGEST ? value : NaN;
}

/** Why two texts are no ends of colors; empty where they are. */
export function problemOf(low, high) {
  for (const [name, text] of Object.entries({ [NAMES.low]: low, [NAMES.high]: high })) {
    if (Number.isNaN(numberOf(text))) {
      return `${name}: expected a number, such as 0.5 or 2e-3; found “${text}”.`;
    }
  }
  if (Math.fround(numberOf(low)) < Math.fround(numberOf(high))) return "";
  return `Expected the low end below the high end; found ${low} and ${high}.`;
}

/**
 * The ends after one of them was moved to a place of the bar.
 * @param {object} bar see `barOf`
 * @param {"low"|"high"} which
 * @param {number} share how far up the bar, beyond it below 0 and above 1
 * @param {boolean} isMirrored whether the other is moved too, to the same distance from zero
 * @returns {[number, number]}
 */
export function movedEnds(bar, which, share, isMirrored) {
  const [low, high] = [bar.from, bar.to];
  const other = shareUp(bar, which === "low" ? high : low);
  const middle = isMirrored ? shareUp(bar, 0) : other;
  const bounded = which === "low"
    ? Math.min(share, middle - NEAREST) : Math.max(share, middle + NEAREST);
  const exactly = valueUp(bar, bounded);
  const near = rounded(exactly, bar);
  const value = (which === "low" ? near < high : near > low) ? near : exactly;
  if (isMirrored) return [-Math.abs(value), Math.abs(value)];
  return which === "low" ? [value, high] : [low, value];
}

// In as few digits as a pixel of the bar tells from each other.
function rounded(value, { first, last, isLinear }) {
  const inside = Math.min(LARGEST, Math.max(-LARGEST, value));
  if (!isLinear) return Number(inside.toPrecision(4));
  const unit = 10 ** (Math.floor(Math.log10(last - first)) - 3);
  return Number((Math.round(inside / unit) * unit).toPrecision(12));
}

const textOf = ([low, high]) => `${exact(Math.fround(low))},${exact(Math.fround(high))}`;

/** The sliders on the color bar, and the fields in the page's element. */
export class Hand {
  #drag = null; // { which, y, share, before, axis, isFar }
  #frame = 0;
  #fields = {};
  #sliders = {};

  /** @param {import("./session.js").Session} session */
  constructor(session) {
    this.session = session;
    for (const which of ["high", "low"]) this.#sliders[which] = this.#slider(which);
    session.host.append(...Object.values(this.#sliders));
    const place = document.getElementById("maps-hand");
    if (place) this.#form(place);
    this.follow();
  }

  /** Puts the ends and the numbers where the wall has them. */
  follow() {
    const { session: { view, wall } } = this;
    const bar = barOf(wall);
    const { x, top, height } = barBox(wall);
    const ends = this.#ends();
    const isOwn = isInUnits(wall.view.range);
    for (const [at, which] of ["low", "high"].entries()) {
      const slider = this.#sliders[which];
      const y = top + height * (1 - shareUp(bar, which === "low" ? bar.from : bar.to));
      slider.style.transform = `translate(${x - 10}px, ${y - (at ? 23 : 1)}px)`;
      slider.hidden = !wall.order.length;
      const [least, most] = this.#limits(which);
      const news = {
        "aria-valuemin": least, "aria-valuemax": most, "aria-valuenow": ends[at],
        "aria-valuetext": isOwn ? general(ends[at]) : "each tile has its own",
      };
      for (const [name, value] of Object.entries(news)) {
        if (slider.getAttribute(name) !== `${value}`) slider.setAttribute(name, value);
      }
    }
    if (!this.#fields.low || this.#fields.form.contains(document.activeElement)) return;
    const texts = view.range === "hand" ? view.ends.split(",") : isOwn ? ends.map(exact) : ["", ""];
    [this.#fields.low.value, this.#fields.high.value] = texts;
    this.#fields.back.hidden = view.range !== "hand";
    this.#say("");
  }

  // The ends in units; of tiles that have each their own those of the layer.
  #ends() {
    const { span, view } = this.session.wall;
    if (isInUnits(view.range)) return [span.from[0], span.to[0]];
    const [low, high] = view.facts.span;
    const reach = Math.max(-low, high) || 1;
    return span.isAboutZero ? [-reach, reach] : [low, high > low ? high : low + 1];
  }

  #limits(which) {
    const [low, high] = this.#ends();
    const [least, most] = this.session.wall.view.facts.span;
    return which === "low" ? [Math.min(least, low), high] : [low, Math.max(most, high)];
  }

  #slider(which) {
    const slider = document.createElement("div");
    slider.className = `wall-end wall-end-${which}`;
    slider.tabIndex = 0;
    slider.title = "Drag to set what colors span; double-click for what they did before";
    for (const [name, value] of Object.entries({
      role: "slider", "aria-label": `${NAMES[which]} of the colors`, "aria-orientation": "vertical",
    })) slider.setAttribute(name, value);
    slider.addEventListener("pointerdown", (event) => this.#start(event, which));
    slider.addEventListener("pointermove", (event) => this.#move(event));
    for (const type of ["pointerup", "pointercancel"]) {
      slider.addEventListener(type, () => this.#stop());
    }
    slider.addEventListener("dblclick", () => this.session.unspan());
    slider.addEventListener("keydown", (event) => this.#press(event, which));
    return slider;
  }

  #bar() {
    const { axis, span } = this.session.wall;
    return { ...barOf(this.session.wall), ...axis, isLinear: !span.spacing };
  }

  // Zero is the middle of colors that go both ways, and stays it.
  #isMirrored({ from, to }) {
    return Boolean(this.session.wall.span.isAboutZero) && from === -to;
  }

  #start(event, which) {
    if (event.button) return;
    event.target.setPointerCapture(event.pointerId);
    const { range, ends } = this.session.view;
    this.#drag = { which, y: event.clientY, at: event.clientY, before: { range, ends }, bar: null };
  }

  #move({ clientY }) {
    const drag = this.#drag;
    if (!drag || (!drag.bar && Math.abs(clientY - drag.y) < AIM)) return;
    if (!drag.bar) {
      if (!isInUnits(this.session.view.range)) this.session.span(textOf(this.#ends()));
      drag.bar = this.#bar();
      drag.isMirrored = this.#isMirrored(drag.bar);
    }
    drag.at = clientY;
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#follow();
    });
  }

  // What is dragged follows the pointer; the bar stays, so that the pointer stays on the end.
  #follow() {
    if (!this.#drag?.bar) return;
    const { which, y, at, bar, isMirrored } = this.#drag;
    const { wall } = this.session;
    const share = shareUp(bar, which === "low" ? bar.from : bar.to);
    const moved = share + (y - at) / barBox(wall).height;
    const near = Math.min(1 + FARTHEST, Math.max(-FARTHEST, moved));
    const ends = movedEnds(bar, which, near, isMirrored);
    wall.axis = { first: Math.min(bar.first, ends[0]), last: Math.max(bar.last, ends[1]) };
    this.session.span(textOf(ends));
  }

  #stop() {
    if (this.#drag?.bar) {
      this.#follow();
      this.#leave();
    }
    this.#drag = null;
  }

  // The bar spans its colors again.
  #leave(news = {}) {
    this.session.wall.axis = null;
    this.session.change(news);
  }

  #press(event, which) {
    const { key } = event;
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (key === "Escape") {
      if (this.#drag) this.#leave(this.#drag.before);
      else this.session.unspan();
      this.#drag = null;
    } else if (key in KEYS || key === "Home" || key === "End") {
      if (!isInUnits(this.session.view.range)) this.session.span(textOf(this.#ends()));
      const bar = this.#bar();
      const share = shareUp(bar, which === "low" ? bar.from : bar.to);
      const limit = shareUp(bar, this.#limits(which)[Number(key === "End")]);
      // A logarithm has no place for a limit of zero: as far as one goes at once.
      const goal = key in KEYS ? share + KEYS[key] : Number.isFinite(limit) ? limit : 0;
      this.session.span(textOf(movedEnds(bar, which, goal, this.#isMirrored(bar))));
    } else return;
    event.preventDefault();
    event.stopPropagation();
  }

  #form(place) {
    const form = document.createElement("div");
    const field = (which) => {
      const input = Object.assign(document.createElement("input"), {
        inputMode: "text", placeholder: "each its own", autocomplete: "off",
      });
      input.setAttribute("aria-describedby", "maps-hand-message");
      input.addEventListener("input", () => this.#read());
      input.addEventListener("blur", () => setTimeout(() => this.session.wall && this.follow()));
      const label = document.createElement("label");
      label.append(NAMES[which], input);
      return [label, input];
    };
    const [[low, lowField], [high, highField]] = ["low", "high"].map(field);
    const back = Object.assign(document.createElement("button"), {
      type: "button", textContent: "Back to what it was before",
    });
    back.addEventListener("click", () => this.session.unspan());
    const message = Object.assign(document.createElement("div"), { id: "maps-hand-message" });
    message.setAttribute("role", "status");
    form.append(low, high, back, message);
    place.replaceChildren(form);
    this.#fields = { form, low: lowField, high: highField, back, message };
  }

  #read() {
    const { low, high, back } = this.#fields;
    const both = [low, high].map((field, at) => (
      field.value || isInUnits(this.session.view.range) ? field.value : `${this.#ends()[at]}`));
    const problem = problemOf(...both);
    this.#say(problem);
    if (problem) return;
    const ends = both.map((text) => String(numberOf(text))).join(",");
    if (endsOf(ends)) this.session.span(ends);
    back.hidden = false;
  }

  #say(problem) {
    const { message, ...fields } = this.#fields;
    if (message.textContent !== problem) message.textContent = problem;
    for (const which of ["low", "high"]) fields[which].toggleAttribute("aria-invalid", Boolean(problem));
  }
}
