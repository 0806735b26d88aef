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
  searched(text, options) {
    return { ...options, quickFilterText: text || "" };
  },
  counted(matching, rows) {
    const all = (rows || []).length;
    const n = matching ? matching.length : all;
    return `${n.toLocaleString("en")} of ${all.toLocaleString("en")} filters`;
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

// A store's name; a store that cannot be opened has no link.
window.dashAgGridComponentFunctions = window.dashAgGridComponentFunctions || {};
window.dashAgGridComponentFunctions.StoreLink = ({ data, value }) =>
  data.href ? window.React.createElement("a", { href: data.href }, value) : value;
