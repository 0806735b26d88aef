// What is said under the pointer: where it is, and the value there.
import { Latest } from "./fetching.js";
import { exact, general } from "./wall/numbers.js";

const WIDE = 170; // CSS pixels: nearer to the right edge it stands to the left of the pointer

/** The words under the pointer of a wall. */
export class Tooltip {
  #exact = new Latest();

  /**
   * @param {import("./wall/wall.js").Wall} wall
   * @param {HTMLElement|null} strip where the same is said beside the wall
   */
  constructor(wall, strip) {
    this.wall = wall;
    this.strip = strip;
  }

  /**
   * Says of a cell where it is and what it is; nothing for null.
   * @param {{filter: number, y: number, x: number}|null} cell
   * @param {{x: number, y: number}} [point] where the pointer is, if it moved
   * @returns {string} what is said
   */
  show(cell, point) {
    const { host, maps, view } = this.wall;
    const { facts } = view; // what is drawn; another sample may be on its way
    let tip = host.querySelector(".wall-tip");
    if (!cell) {
      tip?.remove();
      this.strip?.replaceChildren();
      return "";
    }
    if (!tip) {
      tip = document.createElement("div");
      tip.className = "wall-tip";
      host.append(tip);
    }
    const { filter, y, x } = cell;
    const { values, step, shape: [, width, n] } = maps;
    const value = values[(Math.floor(y / step) * width + Math.floor(x / step)) * n + filter];
    const words = (text) => `filter ${filter}\ny ${y}, x ${x}\n${text}`;
    this.#say(tip, words(facts.windows ? `≈ ${general(value, 3)}` : exact(value)));
    if (point) {
      const isNear = point.x > host.clientWidth - WIDE;
      tip.style.left = `${isNear ? Math.max(0, point.x - 150) : point.x + 14}px`;
      tip.style.top = `${point.y + 14}px`;
    }
    // Keys may lead out of the window, where no pointer gets.
    if (cell.isWalked) tip.scrollIntoView({ block: "nearest" });
    if (facts.windows) this.#follow(cell, tip, words);
    return tip.textContent.replaceAll("\n", ", ");
  }

  // The cell stands for several values; the stored ones of this filter follow.
  async #follow({ filter, y, x }, tip, words) {
    const { facts, sample } = this.wall.view;
    const url = `${facts.exact}&sample=${sample}&filter=${filter}`;
    const array = await this.#exact.get(url).catch(() => null); // the approximate one stays
    const { view } = this.wall;
    if (!array || view.facts !== facts || view.sample !== sample) return;
    if (array.digest !== facts.digest) return;
    this.#say(tip, words(exact(array.values[y * facts.shape[1] + x])));
  }

  #say(tip, text) {
    tip.textContent = text;
    if (this.strip) this.strip.textContent = text;
  }
}
