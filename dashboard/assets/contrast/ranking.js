// The table of Contrast: every filter by how well it tells two groups apart. A row selects its filter
// on the page; what it is sorted by, and searched for, is in the link; see doors.js.
import { FilterTable } from "../all_filters/filter_table.js";

const setData = (id, data) => window.dash_clientside.set_props(id, { data });
let selected = "";

const nameOf = ([layers, numbers], row) => ({
  layer: layers.texts[layers.values[row]],
  filter: numbers.values[row],
});
const key = ({ layer, filter }) => `${filter} ${layer}`;

const table = new FilterTable({
  place: "contrast-filters",
  count: "contrast-count",
  label: "All filters of all layers by how well they tell the groups apart",
  visible: ["layer", "filter", "auc", "q", "effect", "mean_a", "mean_b", "health"],
  widths: { layer: 76, filter: 50, auc: 66, q: 82, effect: 64, mean_a: 68, mean_b: 68, health: 68 },
  usual: (columns) => {
    const { values } = columns.find(({ name }) => name === "auc");
    return values.map((auc) => Math.abs(auc - 0.5));
  },
  // The page with the filter selected, for who opens it beside this one.
  href: (columns, row) => {
    const current = new URLSearchParams(window.location.search);
    const { layer, filter } = nameOf(columns, row);
    current.set("layer", layer);
    current.set("sample", current.get("sample") ?? 0);
    current.set("filter", filter);
    current.set("focus", "selected");
    return `contrast?${current}`;
  },
  pick: (columns, row) => setData("contrast-pick", nameOf(columns, row)),
  isSelected: (columns, row) => key(nameOf(columns, row)) === selected,
  keepOrder: (order) => setData("contrast-sort", order),
});

/**
 * Shows the filters that a text finds, in an order.
 * @param {{url: string, digest: string, file: string}|null} about where they are from; null where
 *   there is nothing to contrast
 * @param {string} text
 * @param {string} order such as `auc.desc`
 */
export const ranking = (about, text, order) => about && table.show(about, text, order);

/** Marks the row of the selected filter. */
export function mark(layer, filter) {
  selected = key({ layer, filter });
  table.refresh();
}

/** Saves the filters that are found, in their order. */
export function save(clicks) {
  if (clicks) table.save();
}

// A card of one of the first filters is a link; a plain click selects on the page.
document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-contrast-filter]");
  const isPlain = !(event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey);
  if (!link || !isPlain) return;
  event.preventDefault();
  const { contrastLayer: layer, contrastFilter: filter } = link.dataset;
  setData("contrast-pick", { layer, filter: Number(filter) });
});
