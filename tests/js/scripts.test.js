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

  test("a query that the server wrote is a link too; without one all stays as it is", () => {
    const { address, history } = page("/some/prefix/maps");
    expect(plain(address.remember(""))).toEqual([NOTHING, NOTHING, NOTHING]);
    expect(history.replaceState).not.toHaveBeenCalled();
    expect(plain(address.remember("?a"))).toEqual(["maps?a", "classes?a", "filter?a"]);
    expect(history.replaceState).toHaveBeenCalledWith({}, "", "/some/prefix/maps?a");
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
