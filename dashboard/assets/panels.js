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

  // How many maps were read before the step that is on its way, by the id of the steps' store.
  const reading = new Map();

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
    // Label and prediction of a cell of the confusion matrix that was clicked.
    confusedCell(click, drawing) {
      const { no_update } = clientside;
      const { x, y } = click?.points?.[0] ?? {};
      const [label, predicted] = [drawing?.classes?.[y], drawing?.classes?.[x]];
      return label === undefined || predicted === undefined
        ? [no_update, no_update] : [String(label), String(predicted)];
    },
    // The label of a row that a person selected, with any prediction.
    classOfRow(rows) {
      const { no_update } = clientside;
      return rows?.length ? [rows[0].id, null] : [no_update, no_update];
    },
    // The confusion matrix with a frame about the cell that is selected, or its row or column.
    confused(drawing, label, predicted, present) {
      if (!drawing) return clientside.no_update;
      const at = [label, predicted].map((index) => (
        index ? drawing.classes.indexOf(Number(index)) : null));
      const isThere = at.some((place) => place !== null) && !at.includes(-1);
      return withFrames(drawing, isThere ? [confusedFrame(drawing, ...at)] : [], present);
    },
    // Figures with their styles, a list, one after the other; nothing where there are none.
    drawings: (list) => (Array.isArray(list) ? list.flat() :
      clientside.callback_context.outputs_list.map(() => clientside.no_update)),
    // The groups of samples, A and B, after the other has its place, or with neither.
    swapGroups: (clicks, first, second) => [second, first],
    clearGroups: () => ["", ""],
    noGroups: (first) => !first,
    // Has a panel read further maps of its groups, a step after the other, from a click until all
    // are read or another click; no further where the last step read none, as of a server that has
    // no room to keep them. Not by an output: to Dash, what is read would then depend on itself.
    readMore(clicks, progress) {
      const { triggered, outputs_list: [{ id }] } = clientside.callback_context;
      const { read = 0, of = 0, step = 0 } = progress ?? {};
      const before = reading.get(id);
      const isClick = triggered.some(({ prop_id: property }) => property.endsWith("n_clicks"));
      const goesOn = read < of && (isClick ? before === undefined : before < read);
      if (goesOn) reading.set(id, read);
      else reading.delete(id);
      if (goesOn) clientside.set_props(id.replace(/-more$/, "-step"), { data: step + 1 });
      return [goesOn ? "Stop" : "Read the other maps", read < of ? {} : { display: "none" }];
    },
    // The filter of a column that was clicked.
    column(click) {
      return click?.points?.[0]?.x ?? clientside.no_update;
    },
    // The class that a page of classes begins with; none where it is the page that a class is on.
    firstClass(page, classIndex, size, before) {
      const first = (page - 1) * size;
      const own = Math.floor(Number(classIndex ?? 0) / size) * size;
      const after = first === own ? null : first;
      return after === (before ?? null) ? clientside.no_update : after;
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
    // Both groups of Contrast after they were swapped, B became the rest, or a pair was chosen: then
    // no pair is chosen any more, so that it can be again, and the best filter is shown.
    groups(_, __, pair, a, b, pairs) {
      const { no_update, callback_context: { triggered_id: id } } = clientside;
      if (id === "contrast-swap") return [b, a, no_update, no_update];
      if (id === "contrast-rest") return [no_update, "", no_update, no_update];
      if (id === "contrast-preset" && pairs[pair]) return [...pairs[pair], null, "best"];
      return [no_update, no_update, no_update, no_update];
    },
    // Layer, filter and focus of Contrast: of a row that was chosen, else of the best filter.
    focused(table, pick, layer, filter, focus) {
      const { no_update, callback_context: { triggered_id: id } } = clientside;
      const isPick = id === "contrast-pick";
      const goal = isPick ? pick : focus === "best" && table?.best;
      if (!goal) return [no_update, no_update, no_update];
      const isThere = goal.layer === layer && goal.filter === filter;
      const place = isThere ? [no_update, no_update] : [goal.layer, goal.filter];
      return [...place, isPick && focus !== "selected" ? "selected" : no_update];
    },
    // The figure with its frames. Where the axes are those that are there, its zoom stays.
    framed(drawing, classIndex, filter, against, present) {
      if (!drawing) return clientside.no_update;
      return withFrames(drawing, frames(drawing, classIndex, filter, against), present);
    },
  };

  function withFrames({ figure, axes }, shapes, present) {
    const layout = present?.layout?.meta?.axes === axes ? present.layout : figure.layout;
    const meta = { ...figure.layout.meta, axes };
    return { data: figure.data, layout: { ...layout, meta, shapes } };
  }

  function confusedFrame({ classes, color, wide }, row, column) {
    const ends = (place) => (
      place === null ? [-0.5, classes.length - 0.5] : [place - 0.5, place + 0.5]);
    const [[y0, y1], [x0, x1]] = [ends(row), ends(column)];
    const line = { color, width: classes.length > wide ? 1.5 : 3 };
    return { type: "rect", line, x0, x1, y0, y1 };
  }

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
