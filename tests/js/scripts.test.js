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

describe("address.js", () => {
  function page(pathname) {
    const history = { state: {}, replaceState: vi.fn() };
    const links = ["maps", "classes", "filter"].map((name) => (
      { href: `http://localhost/some/prefix/${name}?old=1` }));
    const config = JSON.stringify({ requests_pathname_prefix: "/some/prefix/" });
    const document = {
      querySelectorAll: () => links,
      addEventListener: () => {},
      getElementById: (id) => (id === "_dash-config" ? { textContent: config } : null),
    };
    const window = loaded("address.js", { document, history, location: { pathname, search: "" } });
    return { remember: window.dash_clientside.address.remember, history };
  }

  test("writes the link of what is shown, without another step in the history", () => {
    const { remember, history } = page("/some/prefix/maps");
    const found = plain(remember("?layer=conv1&filter=3"));
    expect(history.replaceState)
      .toHaveBeenCalledWith({}, "", "/some/prefix/maps?layer=conv1&filter=3");
    for (const [at, name] of ["maps", "classes", "filter"].entries()) {
      expect(found[at]).toMatch(new RegExp(`(^|/)${name}\\?layer=conv1&filter=3$`));
    }
  });

  test("keeps the slash where the first page lies at the prefix itself", () => {
    const { remember, history } = page("/some/prefix/");
    remember("?layer=conv1");
    expect(history.replaceState).toHaveBeenCalledWith({}, "", "/some/prefix/?layer=conv1");
    expect(plain(page("/some/prefix/maps/").remember("?a"))[0]).toMatch(/maps\?a$/);
  });

  test("leaves all as it is where there is nothing to say", () => {
    const { remember, history } = page("/some/prefix/maps");
    expect(plain(remember(""))).toEqual([NOTHING, NOTHING, NOTHING]);
    expect(history.replaceState).not.toHaveBeenCalled();
  });
});

describe("keys.js", () => {
  function page(ids) {
    const clicked = [];
    let press;
    loaded("keys.js", {
      document: {
        addEventListener: (_, listener) => { press = listener; },
        getElementById: (id) => (ids.includes(id) ? { click: () => clicked.push(id) } : null),
      },
    });
    return {
      clicked,
      press: (key, more = {}) => {
        const event = {
          key, target: { closest: () => null }, preventDefault: vi.fn(), ...more,
        };
        press(event);
        return event.preventDefault.mock.calls.length > 0;
      },
    };
  }

  test("arrows click the buttons that are on the page, and only then keep the key", () => {
    const { press, clicked } = page(["maps-previous", "maps-next"]);
    expect([press("ArrowLeft"), press("ArrowRight"), press("x")]).toEqual([true, true, false]);
    expect(clicked).toEqual(["maps-previous", "maps-next"]);
    expect(page([]).press("ArrowLeft")).toBe(false);
  });

  test("keys with a modifier, and in a control that has its own, are left alone", () => {
    const { press, clicked } = page(["maps-previous", "maps-next"]);
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

  test("a chosen row is its filter; the one that is shown already is not told again", () => {
    expect(table.selected([{ filter: 4 }], 0)).toBe(4);
    for (const none of [null, [], [{ filter: 0 }]]) expect(table.selected(none, 0)).toBe(NOTHING);
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

describe("scheme.js", () => {
  test("says the scheme that is on the page, and light where none is", () => {
    let scheme = null;
    const document = { documentElement: { getAttribute: () => scheme } };
    const MutationObserver = class {
      observe() {}
    };
    const { current } = loaded("scheme.js", { document, MutationObserver }).dash_clientside.scheme;
    expect(current()).toBe("light");
    scheme = "dark";
    expect(current()).toBe("dark");
  });
});

describe("wall.js", () => {
  test("opens every door to a function that wall/page.js has", () => {
    const document = { currentScript: { src: "http://localhost/prefix/assets/wall.js?m=1" } };
    const doors = Object.keys(loaded("wall.js", { document }).dash_clientside.wall);
    const there = [...source("wall/page.js").matchAll(/^export (?:async )?function (\w+)/gm)]
      .map(([, name]) => name);
    expect(doors.length).toBeGreaterThan(0);
    expect(doors.filter((name) => !there.includes(name))).toEqual([]);
  });
});

describe("refused.js", () => {
  /** A page whose server answers with these statuses, one after the other, and what was waited. */
  function page(...statuses) {
    const location = { reload: vi.fn() };
    const waits = [];
    const fetch = vi.fn(async () => ({
      status: statuses.shift(), headers: new Map([["retry-after", "2"]]),
    }));
    const setTimeout = (then, milliseconds) => { waits.push(milliseconds); then(); };
    const window = loaded("refused.js", { location, fetch, setTimeout });
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
