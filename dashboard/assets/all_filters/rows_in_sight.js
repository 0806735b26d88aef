// A table of many rows, of which only those in sight are elements; a grid to who does not see it.

const HEIGHT = 30; // pixels of a row; style.css has it too
const SPARE = 6; // rows above and below those in sight
const MOST = 100; // rows at once, should the style that bounds the table be late

const make = (name, properties, ...children) => {
  const element = Object.assign(document.createElement(name), properties);
  element.append(...children);
  return element;
};
const have = (element, attributes) => {
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  return element;
};

/** Goes to an address of the dashboard, as dcc.Link does. */
export function go(href) {
  window.history.pushState({}, "", href);
  window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
  window.scrollTo(0, 0);
}

/**
 * @typedef {object} TableColumn
 * @property {string} name
 * @property {string} header
 * @property {string} tip
 * @property {number} width pixels, at least
 * @property {boolean} isText whether it stands on the left, and is sorted from A first
 * @property {function(number): string} text of a row
 * @property {function(number): string} [title] its tip
 * @property {function(number): boolean} [isGray]
 */

export class Table {
  #rows = []; // in the order in which they are seen
  #at = 0; // the place of the row that has the keys
  #frame = 0;

  /**
   * @param {HTMLElement} place what it fills
   * @param {object} about
   * @param {string} about.label what it is
   * @param {string} about.none what it says without a row
   * @param {TableColumn[]} about.columns the first of them has the link of the row
   * @param {function(number): string} about.href of a row
   * @param {function(number)} [about.pick] a row was chosen; without it its link is followed
   * @param {function(number): boolean} [about.isSelected]
   * @param {function(string, boolean)} about.onSort a heading was pressed: a column, whether it is text
   */
  constructor(place, { label, none, columns, href, pick, isSelected, onSort }) {
    this.place = place;
    this.none = none;
    this.columns = columns;
    this.href = href;
    this.pick = pick ?? ((row) => go(href(row)));
    this.isSelected = isSelected;
    this.heads = columns.map(({ name, header, tip, isText }) => {
      const button = make("button", { type: "button", textContent: header, title: tip });
      button.addEventListener("click", () => onSort(name, isText));
      return have(make("div", { className: isText ? "" : "number" }, button), {
        role: "columnheader",
      });
    });
    const head = have(make("div", { className: "row" }, ...this.heads), {
      role: "row", "aria-rowindex": 1,
    });
    this.body = have(make("div", { className: "rows" }), { role: "rowgroup" });
    this.grid = have(make("div", { className: "grid" },
      have(make("div", { className: "heads" }, head), { role: "rowgroup" }), this.body), {
      role: "grid", tabindex: 0, "aria-label": label, "aria-colcount": columns.length,
    });
    this.grid.style.setProperty("--columns",
      columns.map(({ width }) => `minmax(${width}px, ${width}fr)`).join(" "));
    this.grid.style.setProperty("--width",
      `${columns.reduce((sum, { width }) => sum + width, 0)}px`);
    this.grid.addEventListener("scroll", () => this.#later());
    this.grid.addEventListener("keydown", (event) => this.#press(event));
    this.body.addEventListener("click", (event) => this.#click(event));
    new ResizeObserver(() => this.#later()).observe(this.grid);
    place.replaceChildren(this.grid);
  }

  /**
   * Shows rows in an order.
   * @param {ArrayLike<number>} rows
   * @param {string} name of the column that they are sorted by; empty for none
   * @param {boolean} isDescending
   */
  show(rows, name, isDescending) {
    this.#rows = rows;
    this.#at = 0;
    this.columns.forEach((column, index) => {
      const order = column.name !== name ? "none" : isDescending ? "descending" : "ascending";
      this.heads[index].setAttribute("aria-sort", order);
    });
    this.grid.setAttribute("aria-rowcount", rows.length + 1);
    this.body.style.height = `${Math.max(rows.length, 1) * HEIGHT}px`;
    this.grid.scrollTop = 0;
    this.#draw();
    this.place.dataset.rows = rows.length;
  }

  /** Draws the rows in sight again. */
  refresh() {
    this.#draw();
  }

  #later() {
    this.#frame ||= requestAnimationFrame(() => {
      this.#frame = 0;
      this.#draw();
    });
  }

  #draw() {
    if (!this.#rows.length) {
      const cell = have(make("div", { textContent: this.none }), { role: "gridcell" });
      this.body.replaceChildren(have(make("div", { className: "row none" }, cell), { role: "row" }));
      this.grid.removeAttribute("aria-activedescendant");
      return;
    }
    const first = Math.max(0, Math.floor(this.grid.scrollTop / HEIGHT) - SPARE);
    const n = Math.min(MOST, Math.ceil(this.grid.clientHeight / HEIGHT) + 2 * SPARE);
    const last = Math.min(this.#rows.length, first + n);
    const rows = [];
    for (let at = first; at < last; at += 1) rows.push(this.#row(at));
    this.body.replaceChildren(...rows);
    if (this.#at >= first && this.#at < last) {
      this.grid.setAttribute("aria-activedescendant", this.#idOf(this.#at));
    } else {
      this.grid.removeAttribute("aria-activedescendant");
    }
  }

  #row(at) {
    const row = this.#rows[at];
    const cells = this.columns.map(({ text, title, isText, isGray }, index) => {
      const words = text(row);
      const cell = have(make("div", { className: isText ? "" : "number" }), { role: "gridcell" });
      if (index) cell.textContent = words;
      else cell.append(make("a", { href: this.href(row), textContent: words, tabIndex: -1 }));
      if (isGray?.(row)) cell.classList.add("gray");
      cell.title = title?.(row) ?? words;
      return cell;
    });
    const line = have(make("div", { className: "row", id: this.#idOf(at) }, ...cells), {
      role: "row", "aria-rowindex": at + 2,
    });
    line.style.top = `${at * HEIGHT}px`;
    line.classList.toggle("current-row", at === this.#at);
    if (this.isSelected) line.setAttribute("aria-selected", this.isSelected(row));
    return line;
  }

  #idOf(at) {
    return `${this.place.id}-${at}`;
  }

  #press(event) {
    if (event.target !== this.grid || event.altKey || event.ctrlKey || event.metaKey) return;
    const page = Math.max(1, Math.floor(this.body.parentElement.clientHeight / HEIGHT) - 2);
    const last = this.#rows.length - 1;
    const places = {
      ArrowDown: this.#at + 1,
      ArrowUp: this.#at - 1,
      PageDown: this.#at + page,
      PageUp: this.#at - page,
      Home: 0,
      End: last,
    };
    if (event.key === "Enter" && last >= 0) this.pick(this.#rows[this.#at]);
    else if (event.key in places) this.#move(Math.min(last, Math.max(0, places[event.key])));
    else return;
    event.preventDefault();
  }

  #move(at) {
    this.#at = at;
    const head = this.heads[0].parentElement.offsetHeight;
    const { scrollTop, clientHeight } = this.grid;
    const top = at * HEIGHT;
    if (top < scrollTop) this.grid.scrollTop = top;
    else if (top + HEIGHT > scrollTop + clientHeight - head) {
      this.grid.scrollTop = top + HEIGHT - clientHeight + head;
    }
    this.#draw();
  }

  // A row is its link; with a modifier only the link itself is, as the browser has it.
  #click(event) {
    const line = event.target.closest("[aria-rowindex]");
    const isPlain = !(event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
    if (!line || !isPlain || String(window.getSelection())) return;
    event.preventDefault();
    this.pick(this.#rows[line.getAttribute("aria-rowindex") - 2]);
  }
}
