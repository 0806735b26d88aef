// Tables: what is selected in them, searched in them, and saved from them. Here and not on the
// server, so that a row and the filter's number never overtake each other.
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.table = {
  // The filter of a row that a person selected.
  selectedFilter(rows, filter) {
    const isOld = !rows || !rows.length || rows[0].filter === filter;
    return isOld ? window.dash_clientside.no_update : rows[0].filter;
  },
  // The row of a filter that was selected elsewhere; the table scrolls to it.
  marked(filter, rows, selected) {
    const { no_update } = window.dash_clientside;
    if (selected && selected.length && selected[0].filter === filter) return [no_update, no_update];
    if (!rows?.some((row) => row.filter === filter)) return [[], no_update];
    return [{ ids: [String(filter)] }, { rowId: String(filter), rowPosition: "middle" }];
  },
  // The column that a table is sorted by, and how; empty for none.
  orderOf(columns) {
    const { colId, sort } = columns?.find((column) => column.sort) ?? {};
    return sort ? `${colId}.${sort}` : "";
  },
  // That of a table of filters; what it was before there are columns.
  order(columns, before) {
    const { no_update, table } = window.dash_clientside;
    const after = table.orderOf(columns);
    return !columns?.length || after === (before ?? "") ? no_update : after;
  },
  // Stores that a text finds; text and order are in the link, an order that is the usual one not.
  stores(text, columns, options, usual) {
    const { no_update, table } = window.dash_clientside;
    const query = new URLSearchParams();
    if (text) query.set("find", text);
    const order = table.orderOf(columns) || usual;
    if (order !== usual) query.set("sort", order);
    const { pathname } = window.location;
    window.history.replaceState(window.history.state, "", query.size ? `?${query}` : pathname);
    const quickFilterText = text || "";
    return quickFilterText === options.quickFilterText ? no_update : { ...options, quickFilterText };
  },
  searched(text, options) {
    return { ...options, quickFilterText: text || "" };
  },
  counted(matching, rows) {
    const all = (rows || []).length;
    const n = matching ? matching.length : all;
    const noun = all && !("filter" in rows[0]) ? "classes" : "filters";
    return `${n.toLocaleString("en")} of ${all.toLocaleString("en")} ${noun}`;
  },
  saved(clicks) {
    return clicks ? true : window.dash_clientside.no_update;
  },
};

// What the grid calls: after a sort it would stay scrolled, and hide the row that came first.
window.dashAgGridFunctions = window.dashAgGridFunctions || {};
window.dashAgGridFunctions.toFirstRow = ({ api }) => {
  if (api.getDisplayedRowCount()) api.ensureIndexVisible(0, "top");
};
// Enter in a cell with a link follows it, since Tab goes from grid to grid, not into cells.
window.dashAgGridFunctions.followLink = ({ event }) => {
  if (event.key === "Enter") event.target.querySelector("a")?.click();
};

// A share with four decimals, so that a column of them lines up; what is not all is not called 1.
window.dashAgGridFunctions.shareText = (value) => {
  if (value === null || value === undefined) return "–";
  return value < 1 && value >= 0.99995 ? "0.9999+" : value.toFixed(4);
};

// A number of four digits that a narrow cell holds whole: 0.00002346 it would cut.
window.dashAgGridFunctions.numberText = (value) => {
  if (value === null || value === undefined) return "–";
  const size = Math.abs(value);
  if (!size || (size >= 1e-3 && size < 1e6)) {
    return Number(value.toPrecision(4)).toLocaleString("en", { maximumFractionDigits: 6 });
  }
  const [digits, exponent] = value.toExponential(3).split("e");
  return `${Number(digits)}e${Number(exponent)}`;
};

// A cost with what belongs to it, for the tip of its cell.
window.dashAgGridFunctions.intervalText = (value, ...ends) => {
  if (value === null || value === undefined) return "no value";
  const [low, high, q] = ends.map(window.dashAgGridFunctions.numberText);
  return `${value} points, 95% interval ${low} to ${high}, q ${q}`;
};

// A store's name; a store that cannot be opened has no link.
window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {};
window.dashAgGridComponentFunctions.StoreLink = ({ data, value }) =>
  data.href ? window.React.createElement("a", { href: data.href }, value) : value;
