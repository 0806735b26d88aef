// Panels in the browser: drawn when they come in sight, and heatmaps of classes by filters, in which
// a click selects a cell and frames follow what is selected. Here and not on the server, so that a
// click costs no drawing of the heatmap; see dashboard/pages/classes/heatmap.py.
(() => {
  window.dash_clientside = window.dash_clientside || {};
  const clientside = window.dash_clientside;

  // Observes panels until they come as near to the window as a margin says: then they are drawn.
  const observer = (rootMargin) => new window.IntersectionObserver((entries, self) => {
    for (const { isIntersecting, target } of entries) {
      if (!isIntersecting) continue;
      self.unobserve(target);
      clientside.set_props(`${target.id}-seen`, { data: Date.now() });
    }
  }, { rootMargin });
  // The first time wherever they are, unless they are folded up; later a little before they are seen.
  const first = observer("1000000px");
  const later = observer("200px");
  // Which of the two is to observe a panel, by its id, until the panel is on the page: one that is
  // folded up may not be, nor a table whose script is still on its way.
  const absent = new Map();
  const observe = () => absent.forEach((which, id) => {
    const place = document.getElementById(id);
    if (!place) return;
    absent.delete(id);
    [first, later].forEach((other) => other.unobserve(place));
    which.observe(place);
  });
  new MutationObserver(observe).observe(document.documentElement, { subtree: true, childList: true });

  // A rectangle about a cell; about the whole column where there is no row.
  const frame = (row, column, nRows, line) => ({
    type: "rect",
    line,
    x0: column - 0.5,
    x1: column + 0.5,
    y0: row === null ? -0.5 : row - 0.5,
    y1: row === null ? nRows - 0.5 : row + 0.5,
  });

  window.dash_clientside.panels = {
    // Has a panel drawn when it is in sight, through its store.
    seen() {
      const { outputs_list: { id }, triggered } = clientside.callback_context;
      const isFirst = !triggered.some(({ prop_id: property }) => property !== ".");
      absent.set(id.replace(/-seen$/, ""), isFirst ? first : later);
      observe();
      return clientside.no_update;
    },
    // The filter after another layer was selected, and the last one there is.
    filterOf(layer, filter, sizes) {
      const last = sizes[layer] - 1;
      return [filter > last ? last : clientside.no_update, last];
    },
    strongest(clicks, filter) {
      return clicks && filter !== null ? filter : clientside.no_update;
    },
    // Class and filter of a cell that was clicked.
    cell(click, drawing) {
      const { no_update } = clientside;
      const { x, y } = click?.points?.[0] ?? {};
      const filter = drawing?.filters?.[x];
      if (filter === undefined) return [no_update, no_update];
      return [drawing.classes ? String(drawing.classes[y]) : no_update, filter];
    },
    // Figures with their styles, a list, one after the other; nothing where there are none.
    drawings: (list) => (Array.isArray(list) ? list.flat() :
      clientside.callback_context.outputs_list.map(() => clientside.no_update)),
    // The filter of a column that was clicked.
    column(click) {
      return click?.points?.[0]?.x ?? clientside.no_update;
    },
    // The layer of the other store as a link names it: empty where it has the path of this one's.
    otherPath(layer, other, before) {
      const after = other && other !== layer ? other : "";
      return after === (before ?? "") ? clientside.no_update : after;
    },
    // The class that columns are ordered by: heatmaps ordered otherwise are not drawn for each.
    orderClass(arrangement, classIndex, before) {
      const after = arrangement === "value" ? classIndex ?? null : null;
      return after === (before ?? null) ? clientside.no_update : after;
    },
    // The figure with its frames. Where the axes are those that are there, its zoom stays.
    framed(drawing, classIndex, filter, against, present) {
      if (!drawing) return clientside.no_update;
      const { figure, axes } = drawing;
      const shapes = frames(drawing, classIndex, filter, against);
      const isSame = present?.layout?.meta === axes;
      const layout = isSame ? present.layout : { ...figure.layout, meta: axes };
      return { data: figure.data, layout: { ...layout, shapes } };
    },
  };

  // What is framed: the selected cell, or its column, and the cell of the other class. Where cells
  // are narrow the frame is fine, and marks at the edges lead to it.
  function frames({ classes, filters, color, wide }, classIndex, filter, against) {
    const size = [classes ? classes.length : 1, filters.length];
    const column = filters.indexOf(Number(filter));
    const selected = [classIndex, against].map((index) => (
      classes && index ? classes.indexOf(Number(index)) : -1));
    const rows = (selected[0] < 0 ? [] : [...new Set(selected)]).filter((row) => row >= 0);
    if (filter === "" || column < 0) return [];
    const line = { color, width: Math.max(...size) > wide ? 1 : 3 };
    const mark = { type: "line", line: { color, width: 3 } };
    const marks = [];
    if (size[1] > wide) {
      marks.push({ ...mark, x0: column, x1: column, yref: "paper", y0: 1, y1: 1.06 });
    }
    if (size[0] > wide) {
      marks.push(...rows.map((row) => (
        { ...mark, y0: row, y1: row, xref: "paper", x0: 1, x1: 1.015 })));
    }
    return [...(rows.length ? rows : [null]).map((row) => frame(row, column, size[0], line)), ...marks];
  }
})();
