// What the colors of a map mean: classes that can be clicked, or a bar with its ends.
import { colorAt } from "../feature_maps/wall/palette.js";
import { general } from "../feature_maps/wall/numbers.js";

const MOST = 120; // classes that are listed; hovering names the rest
const STEPS = 11;

function create(tag, className, text = "") {
  const node = document.createElement(tag);
  node.className = className;
  node.textContent = text;
  return node;
}

/** The legend in a page's element; `onChange` hears of the codes that are meant, none for all. */
export class MapLegend {
  #key = null;

  constructor(host, onChange) {
    this.host = host;
    this.onChange = onChange;
  }

  /**
   * @param {import("./point_colors.js").Coloring} coloring
   * @param {Set<number>|null} only the codes that are meant; null for all
   * @param {string} title
   */
  show(coloring, only, title) {
    if (this.#key !== coloring) {
      this.#key = coloring;
      const head = create("span", "samples-legend-title", title);
      this.host.replaceChildren(head, ...(coloring.span ? barOf(coloring.span) : this.#entries(coloring)));
    }
    for (const button of this.host.querySelectorAll("[data-code]")) {
      const isMeant = only === null || only.has(Number(button.dataset.code));
      button.setAttribute("aria-pressed", String(only !== null && isMeant));
      button.classList.toggle("samples-faint", !isMeant);
    }
    this.only = only;
  }

  /** Says of no color what it means. */
  clear() {
    this.#key = null;
    this.host.replaceChildren();
  }

  #entries({ entries }) {
    const buttons = entries.slice(0, MOST).map(({ code, name, color, n, isCross }) => {
      const button = create("button", "samples-entry");
      button.type = "button";
      button.dataset.code = code;
      const mark = create("i", isCross ? "samples-cross" : "", isCross ? "✕" : "");
      if (isCross) mark.style.color = color;
      else mark.style.background = color;
      mark.setAttribute("aria-hidden", "true");
      button.append(mark, create("span", "samples-entry-name", name),
        create("small", "", n.toLocaleString("en")));
      button.title = `Only ${name}; with others that are pressed, these too`;
      button.addEventListener("click", () => this.#toggle(code, entries));
      return button;
    });
    const rest = entries.length - MOST;
    return rest > 0 ? [...buttons, create("span", "", `and ${rest} more: hovering names them`)] : buttons;
  }

  #toggle(code, entries) {
    const codes = new Set(this.only ?? []);
    if (!codes.delete(code)) codes.add(code);
    this.onChange(codes.size === entries.length ? [] : [...codes].sort((a, b) => a - b));
  }
}

function barOf({ scale, from, to, missing }) {
  const bar = create("span", "samples-bar");
  const colors = Array.from({ length: STEPS }, (_, at) => colorAt(scale, at / (STEPS - 1)));
  bar.style.backgroundImage = `linear-gradient(to right, ${colors.join(", ")})`;
  const parts = [create("span", "", general(from)), bar, create("span", "", general(to))];
  if (missing) parts.push(create("span", "", `${missing.toLocaleString("en")} not known (gray)`));
  return parts;
}
