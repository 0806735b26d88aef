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

describe("first_steps.js", () => {
  function page(localStorage) {
    const attributes = new Set();
    const listeners = [];
    const main = { focus: vi.fn() };
    const documentElement = {
      toggleAttribute: (name, isThere) => attributes[isThere ? "add" : "delete"](name),
      removeAttribute: (name) => attributes.delete(name),
    };
    const addEventListener = (_, listener) => listeners.push(listener);
    const document = { documentElement, addEventListener, querySelector: () => main };
    loaded("first_steps.js", { document, localStorage });
    return { attributes, main, click: (id) => listeners.forEach((heard) => heard({ target: { id } })) };
  }

  test("who is new sees the steps until they got it, and never again", () => {
    const kept = new Map();
    const storage = {
      getItem: (key) => kept.get(key) ?? null,
      setItem: (key, value) => kept.set(key, value),
    };
    const { attributes, main, click } = page(storage);
    click("another");
    expect([...attributes]).toEqual(["data-newcomer"]);
    click("first-steps-done");
    expect([...attributes]).toEqual([]);
    expect(main.focus).toHaveBeenCalledOnce();
    expect([...page(storage).attributes]).toEqual([]);
  });

  test("a browser that keeps nothing shows none, since they would never go", () => {
    const getItem = () => { throw new Error("no storage here"); };
    expect([...page({ getItem }).attributes]).toEqual([]);
  });
});

describe("navigation.js", () => {
  function page(pathname, search = "", ids = []) {
    const location = { pathname, search };
    const goTo = (_, __, address) => {
      [location.pathname, location.search] = address.split(/(?=\?)/);
    };
    const history = { state: {}, replaceState: vi.fn(goTo), pushState: vi.fn(goTo) };
    const links = ["maps", "classes", "filter"].map((name) => (
      { href: `http://localhost/some/prefix/${name}?old=1` }));
    const config = JSON.stringify({ requests_pathname_prefix: "/some/prefix/" });
    const clicked = [];
    const listeners = [];
    const ofWindow = {};
    const document = {
      documentElement: { toggleAttribute: () => {} },
      querySelector: () => null,
      querySelectorAll: () => links,
      addEventListener: (type, listener) => { listeners.push([type, listener]); },
      getElementById: (id) => {
        if (id === "_dash-config") return { textContent: config };
        return ids.includes(id) ? { click: () => clicked.push(id) } : null;
      },
    };
    const window = loaded(
      "navigation.js", {
        document, history, location, URLSearchParams,
        addEventListener: (name, listener) => { ofWindow[name] = listener; },
        dash_component_api: { getLayout: () => ({ props: { pathname, search } }) },
      });
    window.dash_clientside.set_props = vi.fn();
    /** Goes back to an address; whether Dash's own listeners hear of it. */
    const back = (to) => {
      goTo(null, null, to);
      const event = { stopImmediatePropagation: vi.fn() };
      ofWindow.popstate(event);
      return event.stopImmediatePropagation.mock.calls.length === 0;
    };
    const fire = (type, event) => listeners
      .forEach(([heard, listener]) => heard === type && listener(event));
    // A control that is found by one of these in what the script looks for.
    const control = (...selectors) => {
      const matches = (which) => selectors.some((selector) => which.includes(selector));
      return { matches, closest: (which) => (matches(which) ? {} : null) };
    };
    const press = (key, more = {}) => {
      const [preventDefault, stopPropagation] = [vi.fn(), vi.fn()];
      fire("keydown", { key, target: control(), preventDefault, stopPropagation, ...more });
      expect(stopPropagation.mock.calls).toEqual(preventDefault.mock.calls);
      return preventDefault.mock.calls.length > 0;
    };
    const point = (target = control()) => fire("pointerdown", { target });
    return { ...window.dash_clientside, back, document, history, clicked, press, fire, point, control };
  }

  const FIELDS = [
    { name: "layer", key: "layer", always: true, default: "conv1", choice: true },
    { name: "filter_index", key: "filter", always: true, default: "0", choice: true },
    { name: "class_index", key: "class", always: false, default: "", choice: true },
    { name: "dead", key: "dead", always: false, default: "show", choice: true },
    { name: "window", key: "window", always: false, default: "", choice: false },
    { name: "statistic", key: "statistic", always: false, default: "mean", choice: true },
  ];
  const CONTROLS = [
    { name: "dead", values: ["show", "hide"] }, { name: "class_index", values: null },
    { name: "filter_index", values: null },
  ];
  const title = { fields: { filter_index: "filter ", class_index: "class " }, rest: "Maps · mnist" };
  const link = { page: "maps", fields: FIELDS, controls: CONTROLS, targets: ["filter"], title };

  test("a page that is being left leaves the address of the next one alone", () => {
    const { navigation, history } = page("/some/prefix/classes", "?layer=a&class=3");
    expect(plain(navigation.remember(true, "7", 3, link))).toEqual(Array(4).fill(NOTHING));
    expect(history.replaceState).not.toHaveBeenCalled();
  });

  test("writes the link of what is shown, without another step in the history", () => {
    const { navigation, history } = page("/some/prefix/maps", "?layer=a+b%2Fc&class=3");
    const links = plain(navigation.remember(true, "7", 3, link));
    const query = "?layer=a+b%2Fc&filter=3&class=7&dead=hide";
    expect(history.replaceState).toHaveBeenCalledWith({}, "", `/some/prefix/maps${query}`);
    expect(links).toEqual(["maps", "classes", "filter", "filter"].map((name) => name + query));
  });

  test("a choice by a click or by Enter is a step of the history, once", () => {
    for (const choose of [({ point }) => point(), ({ press }) => press("Enter")]) {
      const { navigation, history, ...person } = page("/some/prefix/maps", "?layer=conv1&filter=3");
      choose(person);
      navigation.remember(true, null, 3, link);
      expect([history.pushState, history.replaceState].map((method) => method.mock.calls.length))
        .toEqual([1, 0]);
      navigation.remember(true, null, 2, link); // what follows from it
      expect(history.pushState).toHaveBeenCalledTimes(1);
    }
  });

  test("what is gone through one by one is none, nor a zoom", () => {
    const { navigation, history, press, point, control } =
      page("/some/prefix/maps", "?layer=conv1&filter=3");
    press("ArrowDown");
    navigation.remember(false, null, 4, link);
    point(control("one-by-one"));
    navigation.remember(false, null, 5, link);
    point();
    const zoomed = { ...link, controls: [{ name: "window", values: null }] };
    navigation.remember("1,1,2,2", zoomed);
    expect([history.pushState, history.replaceState].map((method) => method.mock.calls.length))
      .toEqual([0, 3]);
  });

  test("Back is heard though Dash knows no other address, and not within the page", () => {
    const { navigation, set_props: tell, back, point } =
      page("/some/prefix/maps", "?layer=conv1&filter=3");
    navigation.remember(false, null, 3, link);
    point();
    navigation.remember(false, null, 4, link);
    expect(back("/some/prefix/maps?layer=conv1&filter=4")).toBe(false); // to a place on the page
    expect(tell).not.toHaveBeenCalled();
    expect(back("/some/prefix/maps?layer=conv1&filter=3")).toBe(true);
    expect(tell).toHaveBeenCalledTimes(1);
  });

  test("the title names what is shown, without what is none", () => {
    const { navigation, document } = page("/some/prefix/maps");
    navigation.remember(false, null, 4, link);
    expect(document.title).toBe("filter 4 · Maps · mnist");
    navigation.remember(false, "7", 4, link);
    expect(document.title).toBe("filter 4 · class 7 · Maps · mnist");
  });

  test("what is usual is left out, and what no control of the page chooses stays", () => {
    const { navigation } = page("/some/prefix/maps", "?statistic=max&dead=hide&class=2&other=x");
    expect(plain(navigation.remember(undefined, null, 0, link))[0])
      .toBe("maps?layer=conv1&filter=0&statistic=max");
    expect(plain(navigation.remember(false, "", "", link))[0])
      .toBe("maps?layer=conv1&filter=0&statistic=max");
  });

  test("an address at the prefix itself gets the name of the page that it opened", () => {
    const { navigation, history } = page("/some/prefix/");
    navigation.remember(false, null, 4, link);
    expect(history.replaceState)
      .toHaveBeenCalledWith({}, "", "/some/prefix/maps?layer=conv1&filter=4");
    const below = page("/some/prefix/maps/");
    below.navigation.remember(false, null, 4, link);
    expect(below.history.replaceState.mock.calls[0][2]).toMatch(/^\/some\/prefix\/maps\?/);
  });

  test("arrows click the buttons that are on the page, and only then keep the key", () => {
    const { press, clicked } = page("/", "", ["maps-previous", "maps-next"]);
    expect([press("ArrowLeft"), press("ArrowRight"), press("x")]).toEqual([true, true, false]);
    expect(clicked).toEqual(["maps-previous", "maps-next"]);
    expect(page("/").press("ArrowLeft")).toBe(false);
  });

  test("keys with a modifier are left alone", () => {
    const { press, clicked } = page("/", "", ["maps-previous", "maps-next"]);
    for (const held of ["altKey", "ctrlKey", "metaKey", "shiftKey"]) {
      expect(press("ArrowLeft", { [held]: true })).toBe(false);
    }
    expect(clicked).toEqual([]);
  });

  test("a control has its keys where Tab led to it, and the page where a click did", () => {
    const { press, fire, control } = page("/", "", ["maps-previous", "help-open"]);
    const target = control("[role=slider]");
    expect([press("ArrowLeft", { target }), press("?", { target })]).toEqual([false, true]);
    fire("pointerdown", { target });
    expect(press("ArrowLeft", { target })).toBe(true);
    press("Tab");
    expect(press("ArrowLeft", { target })).toBe(false);
  });

  test("what is typed in and what is open keep all keys; a drop-down that was clicked does not", () => {
    const { press, fire, control } = page("/", "", ["maps-previous", "help-open"]);
    const both = (target) => [press("ArrowLeft", { target }), press("?", { target })];
    const [field, menu] = [control("textarea"), control("[role=menu]")];
    expect([both(field), both(menu)]).toEqual([[false, false], [false, false]]);
    fire("pointerdown", { target: field });
    expect([both(field), both(menu)]).toEqual([[false, false], [false, false]]);
    expect(both(control("textarea", "[aria-haspopup]"))).toEqual([false, false]); // it is open
    const closed = { matches: () => true, closest: () => null };
    expect(both(closed)).toEqual([true, true]);
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

describe("select.js", () => {
  const functions = () => {
    const document = { addEventListener: () => {} };
    return loaded("select.js", { document, setTimeout }).dashMantineFunctions;
  };
  const matches = (search, ...names) => functions()
    .matching({ options: names.map((label) => ({ label })), search }).map(({ label }) => label);

  test("the best match is first: the name, its start, the start of a part, else anywhere", () => {
    expect(matches("cat", "bobcat", "a/cat", "cattle", "cat", "dog"))
      .toEqual(["cat", "cattle", "a/cat", "bobcat"]);
    expect(matches("  ", "b", "a")).toEqual(["b", "a"]);
    expect(matches("zebra", "b", "a")).toEqual([]);
  });

  test("words match in any order, also where the label is cut", () => {
    expect(matches("Conv BLOCK2", "block1/conv", "block2/conv")).toEqual(["block2/conv"]);
    const options = [{ label: "out…conv", whole: "outer/block2/conv" }, { label: "b" }];
    expect(functions().matching({ options, search: "block2" })).toEqual([options[0]]);
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

  test("a click on the confusion matrix is of label and prediction, in any order", () => {
    const { confusedCell } = page();
    const click = (x, y) => plain(confusedCell({ points: [{ x, y }] }, drawing));
    drawing.classes.forEach((label, y) => drawing.classes.forEach((predicted, x) => {
      expect(click(x, y)).toEqual([String(label), String(predicted)]);
    }));
    expect(click(3, 0)).toEqual([NOTHING, NOTHING]);
    expect(plain(confusedCell(null, drawing))).toEqual([NOTHING, NOTHING]);
    expect(plain(confusedCell({ points: [{ x: 0, y: 0 }] }, null))).toEqual([NOTHING, NOTHING]);
  });

  test("a frame is about the cell of label and prediction, a whole row or column of one", () => {
    const { confused } = page();
    const shapes = (...selected) => confused(drawing, ...selected, null).layout.shapes.map(corners);
    expect(shapes("1", "2")).toEqual([[-0.5, 0.5, 1.5, 2.5]]);
    expect(shapes("1", null)).toEqual([[-0.5, 2.5, 1.5, 2.5]]);
    expect(shapes(null, "0")).toEqual([[0.5, 1.5, -0.5, 2.5]]);
    expect(shapes(null, null)).toEqual([]);
    expect(shapes("7", "2")).toEqual([]); // of many classes not all are there
    expect(confused(null, "1", "2", null)).toBe(NOTHING);
  });

  test("a row of the table of classes selects its label with any prediction", () => {
    const { classOfRow } = page();
    expect(plain(classOfRow([{ id: "3" }]))).toEqual(["3", null]);
    for (const none of [null, []]) expect(plain(classOfRow(none))).toEqual([NOTHING, NOTHING]);
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
    const zoomed = { data: [], layout: { meta: { axes: "conv1" }, xaxis: { range: [1, 2] } } };
    const kept = framed(drawing, "1", 2, null, zoomed);
    expect([kept.layout.xaxis.range, kept.data]).toEqual([[1, 2], drawing.figure.data]);
    const other = framed({ ...drawing, axes: "conv2" }, "1", 2, null, zoomed);
    expect([other.layout.xaxis, other.layout.title]).toEqual([undefined, "new"]);
    expect(framed("", "1", 2, null, zoomed)).toBe(NOTHING);
  });

  test("maps are read step by step, until all are, none came, or a click stops it", () => {
    const { readMore, clientside } = page();
    const act = (prop, progress) => {
      const outputs = [{ id: "classes-groups-more" }];
      clientside.callback_context = {
        outputs_list: outputs, triggered: [{ prop_id: `classes-groups-${prop}` }],
      };
      clientside.set_props.mockClear();
      const [words] = readMore(1, progress);
      return [words, ...clientside.set_props.mock.calls.flat()];
    };
    const next = (data) => ["Stop", "classes-groups-step", { data }];
    const idle = ["Read the other maps"];
    const click = "more.n_clicks";
    const arrival = "progress.data";
    expect(act(arrival, { read: 5, of: 20, step: 0 })).toEqual(idle);
    expect(act(click, { read: 5, of: 20, step: 0 })).toEqual(next(1));
    expect(act(arrival, { read: 10, of: 20, step: 1 })).toEqual(next(2));
    expect(act(click, { read: 10, of: 20, step: 1 })).toEqual(idle);
    expect(act(arrival, { read: 15, of: 20, step: 2 })).toEqual(idle);
    expect(act(click, { read: 15, of: 20, step: 2 })).toEqual(next(3));
    expect(act(arrival, { read: 15, of: 20, step: 3 })).toEqual(idle);
    expect(act(click, { read: 15, of: 20, step: 3 })).toEqual(next(4));
    expect(act(arrival, { read: 20, of: 20, step: 4 })).toEqual(idle);
    expect(act(arrival, undefined)).toEqual(idle);
  });

  test("groups swap their places, are cleared, and are there as soon as A is", () => {
    const { swapGroups, clearGroups, noGroups } = page();
    expect(plain(swapGroups(1, "a", "b"))).toEqual(["b", "a"]);
    expect(plain(clearGroups(1, "a", "b"))).toEqual(["", ""]);
    expect([noGroups("a", ""), noGroups("", "b"), noGroups(null, null)]).toEqual([false, true, true]);
  });

  test("what stays as it is has nothing drawn again", () => {
    const { filterOf, firstClass, orderClass, otherPath, strongest, column } = page();
    expect([firstClass(1, null, 10, null), firstClass(5, "42", 10, 10), firstClass(2, "42", 10, null)])
      .toEqual([NOTHING, null, 10]);
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

describe("doors.js", () => {
  const src = "http://localhost/prefix/assets/doors.js?m=1";
  const doors = loaded("doors.js", { document: { currentScript: { src } } }).dash_clientside;
  const modules = Object.fromEntries(
    [...source("doors.js").matchAll(/^ {4}(\w+): \{\n {6}module: "(.+)",$/gm)]
      .map(([, namespace, module]) => [namespace, module]));

  test.each(Object.keys(modules))("opens every door of %s to a function of its module", (namespace) => {
    const exported = [...source(modules[namespace])
      .matchAll(/^export (?:(?:async )?function|const) (\w+)/gm)].map(([, name]) => name);
    const names = Object.keys(doors[namespace]);
    expect(names.length).toBeGreaterThan(0);
    expect(names.filter((name) => !exported.includes(name))).toEqual([]);
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

describe("the order of a table", () => {
  test("is that of its sorted column; before there are columns it stays", () => {
    const { table } = loaded("table.js").dash_clientside;
    const columns = [{ colId: "filter", sort: null }, { colId: "auc", sort: "desc" }];
    expect([table.order(columns, ""), table.order(columns, "auc.desc"), table.order([], "auc.desc")])
      .toEqual(["auc.desc", NOTHING, NOTHING]);
    expect(table.order([{ colId: "filter" }], "auc.desc")).toBe("");
  });
});

describe("table.js of stores", () => {
  test("writes what is searched and another order into the link", () => {
    const history = { state: null, replaceState: vi.fn() };
    const globals = { history, location: { pathname: "/" }, URLSearchParams };
    const { stores } = loaded("table.js", globals).dash_clientside.table;
    const usual = [{ colId: "created", sort: "desc" }];
    const options = { quickFilterText: "" };
    expect(plain(stores("cat", usual, options, "created.desc"))).toEqual({ quickFilterText: "cat" });
    expect(history.replaceState).toHaveBeenLastCalledWith(null, "", "?find=cat");
    expect(stores("", [{ colId: "name", sort: "asc" }], options, "created.desc")).toBe(NOTHING);
    expect(history.replaceState).toHaveBeenLastCalledWith(null, "", "?sort=name.asc");
    stores("", null, options, "created.desc");
    expect(history.replaceState).toHaveBeenLastCalledWith(null, "", "/");
  });

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

describe("plotly_loader.js", () => {
  function page(layout) {
    const grid = { setAttribute: vi.fn() };
    const elements = { "first-layout": { textContent: layout }, "grid-script": grid };
    const document = { getElementById: (id) => elements[id] ?? null };
    const React = { lazy: (load) => load, createElement: (...parts) => parts };
    const window = loaded("plotly_loader.js", { document, React, setTimeout: vi.fn() });
    const Graph = { _dashprivate_isLazyComponentReady: "Plotly is here" };
    window.dash_core_components = { Graph, Link: "link" };
    return { Graph, grid, graphs: window.dash_clientside.graphs, library: window.dash_core_components };
  }

  test("a graph waits for the wall's first picture where there is a wall", async () => {
    const { Graph, graphs, grid, library } = page('{"id": "maps-wall"}');
    expect([library.Graph === Graph, library.Link]).toEqual([false, "link"]);
    const ready = library.Graph._dashprivate_isLazyComponentReady;
    const [, , [load]] = library.Graph({ id: "one" });
    const component = load();
    expect(grid.setAttribute).not.toHaveBeenCalled();
    graphs.start();
    expect(await ready).toBe(true);
    expect((await component).default).toBe(Graph);
    expect(library.Graph._dashprivate_isLazyComponentReady).toBe("Plotly is here");
    expect(grid.setAttribute).toHaveBeenCalledWith("rel", "prefetch");
  });

  test("a graph waits for nothing where there is no wall", () => {
    const { Graph, library } = page('{"id": "classes-heatmap"}');
    expect(library.Graph).toBe(Graph);
  });
});
