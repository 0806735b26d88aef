// A table of all filters of all layers, on any page: typed columns that are fetched, then sorted,
// searched and saved in the browser. What it is sorted by, and searched for, is the page's to keep.
import { bandWords, csvOf, decode, keysOf, matches, short, sortedRows, verdict } from "./columns.js";
import { Table } from "./rows_in_sight.js";
import { download } from "../saving/download.js";

const LOADING_AFTER = 150; // ms: what comes sooner is not said to be on its way
const WIDTHS = { layer: 150, filter: 62, health: 140, best_class: 96 };
const COST_LEVEL = 0.05; // of q, as fmcore has it
const stale = () => window.dash_clientside.stale;

/** The column that a text such as `apoz.desc` names, and whether it is sorted downwards. */
export function orderOf(text, columns) {
  const [, name = "", how = ""] = /^(.*)\.(asc|desc)$/.exec(text || "") ?? [];
  return columns.some((column) => column.name === name) ? [name, how === "desc"] : ["", false];
}

/** What a heading makes of an order: numbers go down first, texts up; the third press ends it. */
export function nextOrder(before, name, isText) {
  const [first, second] = isText ? ["asc", "desc"] : ["desc", "asc"];
  if (before === `${name}.${first}`) return `${name}.${second}`;
  return before === `${name}.${second}` ? "" : `${name}.${first}`;
}

/**
 * @typedef {object} Where
 * @property {string} url of the columns
 * @property {string} digest of the store that they are of
 * @property {string} file the name of their CSV
 */

export class FilterTable {
  #kept = null; // columns, by the address and the digest of what they are of
  #filled = null; // the table on the page with what it is made of

  /**
   * @param {object} about
   * @param {string} about.place the id of what it fills
   * @param {string} about.count the id of what says how many filters there are
   * @param {string} about.label what it is
   * @param {Object<string, number>} [about.widths] of columns, in pixels
   * @param {string[]} [about.visible] names of the columns that it has, in their order; without it all
   * @param {function(object[], number): string} about.href of a row
   * @param {function(string)} about.keepOrder remembers what it is sorted by
   * @param {function(object[], number)} [about.pick] a row was chosen; without it its link is followed
   * @param {function(object[], number): boolean} [about.isSelected] whether a row is marked
   * @param {function(object[]): Float64Array} [about.usual] what rows are sorted by, downwards, where
   *   no column is chosen; without it they stay as they are
   */
  constructor(about) {
    this.about = about;
  }

  /**
   * Shows the filters that a text finds, in an order.
   * @param {Where} where
   * @param {string} text
   * @param {string} order such as `best_auc.desc`
   */
  async show(where, text, order) {
    const { place: id } = this.about;
    const place = document.getElementById(id);
    if (!place || !where) return;
    this.wanted = where;
    try {
      const data = await this.#columnsOf(where);
      // Another page, or this one anew, or other columns.
      if (!place.isConnected || place !== document.getElementById(id) || this.wanted !== where) return;
      stale().has(id);
      if (this.#filled?.place !== place || this.#filled.data !== data) {
        this.#filled = { place, where, data, table: this.#tableOf(place, data) };
      }
      this.#sift(text || "", order || "");
    } catch (error) {
      if (this.wanted !== where) return;
      stale().waits(id, error.message, () => this.show(where, text, order));
    }
  }

  /** Draws the rows in sight again, since another one is selected. */
  refresh() {
    this.#filled?.table.refresh();
  }

  /** Saves the filters that are found, in their order. */
  save() {
    if (!this.#filled) return;
    const { data, rows, where } = this.#filled;
    const blob = new Blob([csvOf(data.columns, rows)], { type: "text/csv;charset=utf-8" });
    download(blob, where.file);
  }

  async #columnsOf({ url, digest }) {
    if (this.#kept?.digest === digest && this.#kept.url === url) return this.#kept;
    const { place } = this.about;
    const slow = setTimeout(() => stale().waits(place), LOADING_AFTER);
    const answer = await fetch(url); // of a server that is gone stale.js waits
    const bytes = answer.ok && await answer.arrayBuffer();
    clearTimeout(slow);
    if (!answer.ok) {
      const problem = await answer.json().catch(() => null);
      throw new Error(problem?.detail ?? `${answer.status} ${answer.statusText}`);
    }
    if (answer.headers.get("x-store-digest") !== digest) stale().replaced();
    this.#kept = { ...decode(bytes), url, digest };
    return this.#kept;
  }

  #tableOf(place, { columns }) {
    const { label, widths = {}, visible, href, pick, isSelected, keepOrder } = this.about;
    const inSight = visible
      ? visible.map((name) => columns.find((column) => column.name === name)).filter(Boolean)
      : columns.filter((column) => !column.hidden);
    return new Table(place, {
      label,
      none: "No filter matches",
      columns: inSight.map((column) => (
        tableColumn(column, { ...WIDTHS, ...widths }, columns))),
      href: (row) => href(columns, row),
      pick: pick && ((row) => pick(columns, row)),
      isSelected: isSelected && ((row) => isSelected(columns, row)),
      onSort: (name, isText) => {
        const order = nextOrder(this.#filled.order, name, isText || name === "filter");
        this.#sift(this.#filled.text, order); // at once; the link follows
        keepOrder(order);
      },
    });
  }

  /** Sorts and searches what is on the page; each only where it is another than before. */
  #sift(text, order) {
    const filled = this.#filled;
    const { data, table } = filled;
    const [name, isDescending] = orderOf(order, data.columns);
    if (filled.order !== order) {
      const column = data.columns.find((candidate) => candidate.name === name);
      const { usual } = this.about;
      filled.sorted = column || !usual
        ? sortedRows(column ? keysOf(column) : data.columns[0].values, isDescending)
        : sortedRows(usual(data.columns), true);
    }
    if (filled.text !== text) filled.flags = matches(data.n, data.columns, text);
    if (filled.order === order && filled.text === text) return;
    Object.assign(filled, { order, text });
    filled.rows = filled.sorted.filter((row) => filled.flags[row]);
    table.show(filled.rows, name, isDescending);
    const [n, all] = [filled.rows.length, data.n].map((count) => count.toLocaleString("en"));
    window.dash_clientside.set_props(this.about.count, { children: `${n} of ${all} filters` });
  }
}

function tableColumn(column, widths, columns) {
  const { name, header, tip, texts, values, within } = column;
  const text = texts ? (row) => texts[values[row]] ?? "–" : (row) => short(values[row]);
  const beside = (row) => {
    const words = verdict(column, row);
    return words && ` ${words} (chance: ${bandWords(column, row)})`;
  };
  // What belongs to a cost.
  const [low, high, q] = ["low", "high", "q"].map((end) => (
    columns.find((candidate) => candidate.name === `${name}_${end}`)?.values));
  const title = (row) => {
    if (!Number.isFinite(values[row])) return "no value";
    if (!q) return `${values[row]}${beside(row)}`;
    return `${values[row]} points, 95% interval ${short(low[row])} to ${short(high[row])}, `
      + `q ${short(q[row])}`;
  };
  return {
    name,
    header,
    tip,
    text,
    width: widths[name] ?? 80,
    isText: Boolean(texts),
    title: within || q ? title : undefined,
    isGray: q ? (row) => q[row] >= COST_LEVEL : within && ((row) => within[row] === 1),
  };
}
