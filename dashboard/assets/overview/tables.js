// The tables of Overview: every filter of every layer, which is fetched, and the classes, which come
// with the page. What they are sorted by, and searched for, is in the link; see doors.js.
import { sortedRows } from "../all_filters/columns.js";
import { FilterTable, nextOrder, orderOf } from "../all_filters/filter_table.js";
import { Table, go } from "../all_filters/rows_in_sight.js";

const element = (id) => document.getElementById(id);
const setData = (id, data) => window.dash_clientside.set_props(id, { data });

const filterTable = new FilterTable({
  place: "overview-filters",
  count: "overview-count",
  label: "All filters of all layers",
  href: ([layers, numbers], row) => {
    const current = new URLSearchParams(window.location.search);
    current.delete("window"); // of another picture
    current.set("layer", layers.texts[layers.values[row]]);
    current.set("sample", current.get("sample") ?? 0);
    current.set("filter", numbers.values[row]);
    return `maps?${current}`;
  },
  keepOrder: (order) => setData("overview-sort", order),
});

/**
 * Shows the filters that a text finds, in an order.
 * @param {{url: string, digest: string, file: string}} about where they are from
 * @param {string} text
 * @param {string} order such as `best_auc.desc`
 */
export const filters = (about, text, order) => filterTable.show(about, text, order);

/** Saves the filters that are found, in their order. */
export function save(clicks) {
  if (clicks) filterTable.save();
}

let classTable = null;

/**
 * Shows how good the model is for each class, in an order; the worst first if none is asked for.
 * @param {object|null} about a list for each column; null where there are no classes
 * @param {string} order
 */
export function classes(about, order) {
  const place = element("overview-classes");
  if (!place || about === undefined) return;
  place.hidden = !about;
  if (!about) return;
  const { names, n, right, accuracy, low, high, links, tip } = about;
  const percent = (value) => (value === null ? "–" : `${(100 * value).toFixed(1)}%`);
  const numbers = (values) => Float64Array.from(values, (value) => value ?? NaN);
  const keys = {
    class: Float64Array.from(names, (_, at) => at),
    accuracy: numbers(accuracy),
    low: numbers(low),
    n: numbers(n),
  };
  if (classTable?.place !== place) {
    classTable = new Table(place, {
      label: "How good the model is for each class",
      none: "No class",
      columns: [
        {
          name: "class", header: "Class", tip: "Its wrong samples are behind the link.", width: 48,
          isText: true, text: (row) => names[row],
        },
        {
          name: "accuracy", header: "Right", tip: "The share of its samples that is right.", width: 60,
          text: (row) => percent(accuracy[row]), title: (row) => `${right[row]} of ${n[row]} right`,
        },
        {
          name: "low", header: "95%", tip, width: 84,
          text: (row) => (n[row] ? `${percent(low[row])}–${percent(high[row])}`.replaceAll("%", "") : "–"),
        },
        {
          name: "n", header: "n", tip: "Its samples.", width: 46,
          text: (row) => n[row].toLocaleString("en"),
        },
      ],
      href: (row) => `maps${links[row]}`,
      onSort: (name, isText) => {
        // Shares go up first: one looks for the worst.
        const isUpFirst = isText || name !== "n";
        setData("overview-sort-classes", nextOrder(classTable.order, name, isUpFirst));
      },
    });
  }
  classTable.order = order || "accuracy.asc";
  const [name, isDescending] = orderOf(classTable.order, classTable.columns);
  classTable.show(sortedRows(keys[name || "accuracy"], isDescending), name, isDescending);
}

/** Opens the maps of the layer of a cell's row. */
export function layerOf(click, links) {
  const row = click?.points?.[0]?.y;
  if (links?.[row]) go(`maps${links[row]}`);
}

// A digest that somebody wants.
document.addEventListener("click", ({ target }) => {
  const digest = target.closest?.("[data-copy]")?.dataset.copy;
  if (!digest) return;
  const isCopied = navigator.clipboard?.writeText(digest) ?? Promise.reject(new Error("no clipboard"));
  isCopied.then(() => { target.textContent = "Copied"; }, () => { // not over plain HTTP
    window.getSelection().selectAllChildren(target.closest(".overview-digest").querySelector("code"));
    target.textContent = "Selected";
  });
});
