// The scripts that Dash loads itself, run as the browser runs them, in a page of what they touch.
import { readFileSync } from "node:fs";
import vm from "node:vm";
import { describe, expect, test, vi } from "vitest";

const ASSETS = new URL("../../dashboard/assets/", import.meta.url);
const source = (name) => readFileSync(new URL(name, ASSETS), "utf8");
const NOTHING = Symbol("no_update");

/** Runs a script; gives back the page it ran in. */
function loaded(name, globals = {}) {
  const window = { dash_clientside: { no_update: NOTHING, callback_context: {} }, ...globals };
  const page = vm.createContext({ window, URL, Date, ...globals });
  vm.runInContext(source(name), page, { filename: name });
  return window;
}

// What a script gives back was made in the page's own realm: compared by its contents.
const plain = (value) => (Array.isArray(value) ? Array.from(value) : { ...value });

describe("navigation.js", () => {
  function page(pathname, search = "", ids = []) {
    const history = { state: {}, replaceState: vi.fn() };
    const links = ["maps", "classes", "filter"].map((name) => (
      { href: `http://localhost/some/prefix/${name}?old=1` }));
    const config = JSON.stringify({ requests_pathname_prefix: "/some/prefix/" });
    const clicked = [];
    const listeners = [];
    const document = {
      querySelectorAll: () => links,
      addEventListener: (_, listener) => { listeners.push(listener); },
      getElementById: (id) => {
        if (id === "_dash-config") return { textContent: config };
        return ids.includes(id) ? { click: () => clicked.push(id) } : null;
      },
    };
    const window = loaded(
      "navigation.js", { document, history, location: { pathname, search }, URLSearchParams });
    const press = (key, more = {}) => {
      const event = { key, target: { closest: () => null }, preventDefault: vi.fn(), ...more };
      listeners.forEach((listener) => listener(event));
      return event.preventDefault.mock.calls.length > 0;
    };
    return { ...window.dash_clientside, history, clicked, press };
  }

  const FIELDS = [
    { name: "layer", key: "layer", always: true, default: "conv1" },
    { name: "filter_index", key: "filter", always: true, default: "0" },
    { name: "class_index", key: "class", always: false, default: "" },
    { name: "dead", key: "dead", always: false, default: "show" },
    { name: "statistic", key: "statistic", always: false, default: "mean" },
  ];
  const CONTROLS = [
    { name: "dead", values: ["show", "hide"] }, { name: "class_index", values: null },
    { name: "filter_index", values: null },
  ];
  const link = { fields: FIELDS, controls: CONTROLS, targets: ["filter"] };

  test("writes the link of what is shown, without another step in the history", () => {
    const { navigation, history } = page("/some/prefix/maps", "?layer=a+b%2Fc&class=3");
    const links = plain(navigation.remember(true, "7", 3, link));
    const query = "?layer=a+b%2Fc&filter=3&class=7&dead=hide";
    expect(history.replaceState).toHaveBeenCalledWith({}, "", `/some/prefix/maps${query}`);
    expect(links).toEqual(["maps", "classes", "filter", "filter"].map((name) => name + query));
  });

  test("what is usual is left out, and what no control of the page chooses stays", () => {
    const { navigation } = page("/some/prefix/maps", "?statistic=max&dead=hide&class=2&other=x");
    expect(plain(navigation.remember(undefined, null, 0, link))[0])
      .toBe("maps?layer=conv1&filter=0&statistic=max");
    expect(plain(navigation.remember(false, "", "", link))[0])
      .toBe("maps?layer=conv1&filter=0&statistic=max");
  });

  test("keeps the slash where the first page lies at the prefix itself", () => {
    const { navigation, history } = page("/some/prefix/");
    navigation.remember(false, null, 4, link);
    expect(history.replaceState)
      .toHaveBeenCalledWith({}, "", "/some/prefix/?layer=conv1&filter=4");
    const below = page("/some/prefix/maps/");
    below.navigation.remember(false, null, 4, link);
    expect(below.history.replaceState.mock.calls[0][2]).toMatch(/^\/some\/prefix\/maps\?/);
  });

  test("filters are stepped through round the ends, and no click is lost", () => {
    const { navigation: { stepFilter } } = page("/some/prefix/filter");
    const sizes = { conv1: 16, conv2: 4 };
    expect(plain(stepFilter(0, 1, "conv1", 3, sizes, 0))).toEqual([4, 15, 1]);
    expect(plain(stepFilter(null, 3, "conv1", 15, sizes, null))).toEqual([2, 15, 3]);
    expect(plain(stepFilter(1, 0, "conv1", 0, sizes, null))).toEqual([15, 15, -1]);
    expect(plain(stepFilter(2, 5, "conv1", 3, sizes, 3))).toEqual([NOTHING, 15, 3]);
    expect(plain(stepFilter(2, 5, "conv2", 9, sizes, 3))).toEqual([3, 3, 3]);
  });

  test("arrows click the buttons that are on the page, and only then keep the key", () => {
    const { press, clicked } = page("/", "", ["maps-previous", "maps-next"]);
    expect([press("ArrowLeft"), press("ArrowRight"), press("x")]).toEqual([true, true, false]);
    expect(clicked).toEqual(["maps-previous", "maps-next"]);
    expect(page("/").press("ArrowLeft")).toBe(false);
  });

  test("keys with a modifier, and in a control that has its own, are left alone", () => {
    const { press, clicked } = page("/", "", ["maps-previous", "maps-next"]);
    for (const held of ["altKey", "ctrlKey", "metaKey", "shiftKey"]) {
      expect(press("ArrowLeft", { [held]: true })).toBe(false);
    }
    const target = { closest: (which) => (which.includes("input") ? {} : null) };
    expect(press("ArrowLeft", { target })).toBe(false);
    expect(clicked).toEqual([]);
  });
});

describe("table.js", () => {
  const { table } = loaded("table.js").dash_clientside;
  const rows = [{ filter: 0 }, { filter: 4 }, { filter: 7 }];

  test("a selected row is its filter; the one that is shown already is no news", () => {
    expect(table.selectedFilter([{ filter: 4 }], 0)).toBe(4);
    for (const none of [null, [], [{ filter: 0 }]]) expect(table.selectedFilter(none, 0)).toBe(NOTHING);
  });

  test("the row of a filter is marked and scrolled to; one that is not there is unmarked", () => {
    const [ids, scroll] = table.marked(4, rows, []);
    expect([plain(ids.ids), scroll.rowId]).toEqual([["4"], "4"]);
    expect(plain(table.marked(4, rows, [{ filter: 4 }]))).toEqual([NOTHING, NOTHING]);
    expect(plain(table.marked(9, rows, [])[0])).toEqual([]);
  });

  test("what is filtered out is counted", () => {
    expect(table.counted(rows.slice(1), rows)).toBe("2 of 3 filters");
    expect(table.counted(null, rows)).toBe("3 of 3 filters");
    expect(table.counted(null, null)).toBe("0 of 0 filters");
  });
});

describe("panels.js", () => {
  function page() {
    const observers = [];
    class IntersectionObserver {
      constructor(tell, { rootMargin }) {
        Object.assign(this, { tell, rootMargin, places: new Set() });
        observers.push(this);
      }
      observe(place) { this.places.add(place); }
      unobserve(place) { this.places.delete(place); }
    }
    const place = { id: "classes-filters" };
    const MutationObserver = class {
      observe() {}
    };
    const document = { getElementById: (id) => (id === place.id ? place : null), documentElement: {} };
    const globals = { document, IntersectionObserver, MutationObserver, Date };
    const { dash_clientside: clientside } = loaded("panels.js", globals);
    clientside.set_props = vi.fn();
    return { ...clientside.panels, clientside, observers, place };
  }

  const drawing = {
    figure: { data: [{ z: 1 }], layout: { title: "new" } },
    axes: "conv1", classes: [2, 0, 1], filters: [3, 1, 0, 2], color: "red", wide: 40,
  };
  const corners = ({ x0, x1, y0, y1 }) => [x0, x1, y0, y1];

  test("a panel is drawn wherever it is at first, and then when it comes in sight", () => {
    const { seen, clientside, observers: [first, later], place } = page();
    const context = { outputs_list: { id: "classes-filters-seen" }, triggered: [] };
    clientside.callback_context = context;
    expect(seen("conv1")).toBe(NOTHING);
    expect([first.places.has(place), later.places.has(place)]).toEqual([true, false]);
    context.triggered = [{ prop_id: "classes-class.value" }];
    seen("conv1");
    expect([first.places.has(place), later.places.has(place)]).toEqual([false, true]);
    later.tell([{ isIntersecting: false, target: place }], later);
    expect(clientside.set_props).not.toHaveBeenCalled();
    later.tell([{ isIntersecting: true, target: place }], later);
    expect(clientside.set_props.mock.calls[0][0]).toBe("classes-filters-seen");
    expect(later.places.size).toBe(0);
  });

  test("a click is of the class and filter that its row and column show, in any order", () => {
    const { cell } = page();
    const click = (x, y) => plain(cell({ points: [{ x, y }] }, drawing));
    drawing.classes.forEach((classIndex, y) => drawing.filters.forEach((filter, x) => {
      expect(click(x, y)).toEqual([String(classIndex), filter]);
    }));
    expect(plain(cell({ points: [{ x: 1, y: 0 }] }, { ...drawing, classes: null })))
      .toEqual([NOTHING, 1]);
    for (const outside of [[9, 0], [-1, 0]]) expect(click(...outside)).toEqual([NOTHING, NOTHING]);
    for (const none of [null, {}]) expect(plain(cell(none, drawing))).toEqual([NOTHING, NOTHING]);
    expect(plain(cell({ points: [{ x: 0, y: 0 }] }, null))).toEqual([NOTHING, NOTHING]);
  });

  test("frames are about the cell of the class and that of the other, wherever they are", () => {
    const { framed } = page();
    const shapes = (...selected) => framed(drawing, ...selected, null).layout.shapes;
    expect(shapes("1", 2, "2").map(corners)).toEqual([[2.5, 3.5, 1.5, 2.5], [2.5, 3.5, -0.5, 0.5]]);
    expect(shapes("1", 2, "1")).toHaveLength(1);
    expect(shapes(null, 2, "1").map(corners)).toEqual([[2.5, 3.5, -0.5, 2.5]]);
    expect(shapes("1", "", null)).toHaveLength(0);
  });

  test("where cells are narrow, frames are fine and marks at the edges lead to them", () => {
    const order = (n) => Array.from({ length: n }, (_, at) => at);
    const many = { ...drawing, classes: order(60), filters: order(70) };
    const { shapes } = page().framed(many, "5", 9, null, null).layout;
    expect(shapes.map(({ type, xref, yref }) => [type, xref, yref])).toEqual(
      [["rect", undefined, undefined], ["line", undefined, "paper"], ["line", "paper", undefined]]);
    expect(shapes[0].line.width).toBeLessThan(shapes[1].line.width);
  });

  test("zoom stays where the axes do, and goes where they change", () => {
    const { framed } = page();
    const zoomed = { data: [], layout: { meta: "conv1", xaxis: { range: [1, 2] } } };
    const kept = framed(drawing, "1", 2, null, zoomed);
    expect([kept.layout.xaxis.range, kept.data]).toEqual([[1, 2], drawing.figure.data]);
    const other = framed({ ...drawing, axes: "conv2" }, "1", 2, null, zoomed);
    expect([other.layout.xaxis, other.layout.title]).toEqual([undefined, "new"]);
    expect(framed("", "1", 2, null, zoomed)).toBe(NOTHING);
  });

  test("what stays as it is has nothing drawn again", () => {
    const { filterOf, orderClass, otherPath, strongest, column } = page();
    expect(plain(filterOf("b", 7, { a: 9, b: 4 }))).toEqual([3, 3]);
    expect(plain(filterOf("a", 7, { a: 9, b: 4 }))).toEqual([NOTHING, 8]);
    expect([orderClass("value", "3", null), orderClass("value", "3", "3")]).toEqual(["3", NOTHING]);
    expect([orderClass("index", "3", "3"), orderClass("index", "4", undefined)])
      .toEqual([null, NOTHING]);
    expect([otherPath("a", "b", ""), otherPath("a", "a", "b"), otherPath("a", null, "")])
      .toEqual(["b", "", NOTHING]);
    expect([strongest(1, 4), strongest(1, null), strongest(null, 4)])
      .toEqual([4, NOTHING, NOTHING]);
    expect([column({ points: [{ x: 0 }] }), column(null)]).toEqual([0, NOTHING]);
  });
});

describe("color_scheme.js", () => {
  test("says the scheme that is on the page, and light where none is", () => {
    let scheme = null;
    const document = { documentElement: { getAttribute: () => scheme } };
    const MutationObserver = class {
      observe() {}
    };
    const { current } = loaded("color_scheme.js", { document, MutationObserver }).dash_clientside
      .color_scheme;
    expect(current()).toBe("light");
    scheme = "dark";
    expect(current()).toBe("dark");
  });
});

describe("feature_maps.js", () => {
  test("opens every door to a function that the session's module has", () => {
    const src = "http://localhost/prefix/assets/feature_maps.js?m=1";
    const document = { currentScript: { src } };
    const doors = Object.keys(loaded("feature_maps.js", { document }).dash_clientside.feature_maps);
    const exported = [...source("feature_maps/session.js")
      .matchAll(/^export (?:(?:async )?function|const) (\w+)/gm)].map(([, name]) => name);
    expect(doors.length).toBeGreaterThan(0);
    expect(doors.filter((name) => !exported.includes(name))).toEqual([]);
  });
});

describe("retry.js", () => {
  /** A page whose server answers with these statuses, one after the other, and what was waited. */
  function page(...statuses) {
    const location = { reload: vi.fn() };
    const waits = [];
    const fetch = vi.fn(async () => ({
      status: statuses.shift(), headers: new Map([["retry-after", "2"]]),
    }));
    const setTimeout = (then, milliseconds) => { waits.push(milliseconds); then(); };
    const window = loaded("retry.js", { location, fetch, setTimeout });
    return { window, location, waits, fetch };
  }

  test("loads the page anew, once, where the session ended", async () => {
    const { window, location } = page(200, 401, 401);
    expect((await window.fetch("a")).status).toBe(200);
    expect(location.reload).not.toHaveBeenCalled();
    await window.fetch("b");
    await window.fetch("c");
    expect(location.reload).toHaveBeenCalledTimes(1);
  });

  test("asks the same again after the time that a busy server said", async () => {
    const { window, waits, fetch } = page(503, 429, 200);
    expect((await window.fetch("a", { body: "b" })).status).toBe(200);
    expect(fetch.mock.calls).toEqual([1, 2, 3].map(() => ["a", { body: "b" }]));
    expect(waits).toHaveLength(2);
    for (const wait of waits) {
      expect(wait).toBeGreaterThanOrEqual(2000);
      expect(wait).toBeLessThanOrEqual(4000);
    }
  });

  test("gives the answer of a server that stays busy", async () => {
    const { window, fetch } = page(503, 503, 503, 503, 200);
    expect((await window.fetch("a")).status).toBe(503);
    expect(fetch).toHaveBeenCalledTimes(4);
  });
});

describe("table.js of stores", () => {
  test("searches in the table, and links what can be opened", () => {
    const window = loaded("table.js");
    const { searched } = window.dash_clientside.table;
    expect(plain(searched("cat", { rowHeight: 36 }))).toEqual({ rowHeight: 36, quickFilterText: "cat" });
    expect(searched(null, {}).quickFilterText).toBe("");
    window.React = { createElement: (...all) => all };
    const { StoreLink } = window.dashAgGridComponentFunctions;
    expect(plain(StoreLink({ data: { href: "stores/a/" }, value: "a" }))[0]).toBe("a");
    expect(StoreLink({ data: {}, value: "damaged" })).toBe("damaged");
  });
});
