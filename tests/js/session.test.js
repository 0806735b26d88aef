// @vitest-environment happy-dom
// Each fact in one place: what a control says, a key, a click and an answer that comes late agree.
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";

const tell = vi.fn();
const fetched = vi.fn();
const stale = { waits: vi.fn(), has: vi.fn(), replaced: vi.fn() };
vi.mock("../../dashboard/assets/feature_maps/hand.js", () => ({ Hand: class { follow() {} } }));
const HELD = {
  "maps-sample": "sample", "maps-filter": "filter", "maps-range": "range", "maps-ends": "ends",
  "maps-window": "window", "maps-from": "from", "maps-unit": "unit",
};
const setProps = (id, props) => {
  if (id in HELD) [controls[HELD[id]]] = Object.values(props);
  tell(id, props);
};
window.dash_clientside = { set_props: setProps, stale, graphs: { start: vi.fn() } };
window.dash_component_api = {
  getLayout: (id) => ({ props: { value: controls[HELD[id]], data: controls[HELD[id]] } }),
};
vi.mock("../../dashboard/assets/feature_maps/wall/wall.js", () => ({
  cellsFor: () => 4,
  roomIn: () => ({ width: 800, height: 500 }),
  Wall: class {
    order = [2, 0, 1];
    hovered = null;
    span = { from: [0, 0, 0], to: [1, 1, 1], scale: "sequential" };
    constructor(host, on) { Object.assign(this, { host, on }); }
    show(maps, view) { Object.assign(this, { maps, view }); }
    clear() { this.order = []; }
  },
}));
const { orderQuestion, outline, picksQuestion, session, show } =
  await import("../../dashboard/assets/feature_maps/session.js");

const FACTS = {
  store: "s", digest: "d", layer: "conv1", shape: [2, 2, 3], url: "maps?layer=conv1",
  exact: "exact?layer=conv1", windows: null, low: [0, 0, 0], high: [1, 2, 3],
  whole: ["0 to 1", "0 to 2", "0 to 3"], span: [0, 3],
  percentiles: [0, 3], signed: false, dead: [false, true, false],
  image: ["images/", ".png"], image_shape: [4, 4], rows: null, columns: null, boxes: null, grid: null,
  field_note: "", at_most: false, message: "", value_note: "",
  figures: { light: { data: [{ type: "heatmap" }], layout: {} }, dark: { data: [{}], layout: {} } },
  figure_style: { width: "9px", height: "9px" },
};
const START = {
  facts: FACTS, sample: 3, filter: 0, label: null, predicted: null, outcome: "all", group: "",
  by: "index", range: "layer",
  ends: "", colors: "usual", norm: "linear", inverted: false,
  order: "index", scores: null, dead: false, zeros: false, zoom: "linked", window: "",
  scheme: "light", from: null, unit: "",
};
const ALL = {
  list: null, n: 50, total: 50, by: "index", layer: "conv1", filter: 0, label: null,
  predicted: null, outcome: "all", group: "",
};
const PAGE = [
  "maps-wall", "maps-message", "maps-legend", "maps-range-note", "maps-position", "maps-turn-note",
];
let samples = 0; // a store of its own for each test: what came is kept
let controls;
let facts;

/** What Dash's controls say now. */
const follow = (news = {}) => {
  controls = { ...controls, ...news };
  return show(...Object.values(controls));
};
const rest = () => vi.advanceTimersByTimeAsync(2000);
const propsOf = (id) => tell.mock.calls.filter(([name]) => name === id).map(([, props]) => props);
const wall = () => session().wall;
const text = (id) => document.getElementById(id).textContent;
const press = (id) => document.getElementById(id).click();

function answer(url, { value = 1, digest = "d", status = 200 } = {}) {
  const n = url.includes("&filter=") ? 1 : 3;
  const body = new Float32Array(4 * n).fill(value).buffer;
  const headers = { "x-shape": `1,2,2,${n}`, "x-dtype": "<f4", "x-store-digest": digest };
  const problem = JSON.stringify({ detail: "too much" });
  return new Response(status === 200 ? body : problem, { status, headers });
}

beforeEach(() => {
  vi.useFakeTimers();
  vi.stubGlobal("fetch", fetched);
  fetched.mockReset().mockImplementation(async (url) => answer(String(url)));
  tell.mockReset();
  document.body.innerHTML = PAGE.map((id) => `<div id="${id}"></div>`).join("")
    + "<button id='maps-previous'></button><button id='maps-next'></button>"
    + "<div id='maps-turn'><button id='maps-turn-on'></button>"
    + "<button id='maps-turn-last'></button></div>"
    + "<div id='maps-thumbnails'><button data-sample='3'></button>"
    + "<button data-sample='9'></button></div>"
    + "<table id='maps-filter-note'><tr><td><span data-fact='largest'></span></td></tr></table>";
  samples += 1;
  facts = { ...FACTS, url: `maps?layer=conv1&test=${samples}`, exact: `exact?test=${samples}` };
  controls = { ...START, facts };
});
afterEach(() => { vi.useRealTimers(); });

describe("a page that opens", () => {
  test("draws the sample, and tells the server nothing that the page came with", async () => {
    await follow();
    await rest();
    expect(wall().view).toMatchObject({ sample: 3, filter: 0, hidden: null, window: "" });
    for (const id of ["maps-settled", "maps-sample", "maps-filter", "maps-window",
      "maps-order-question", "maps-picks-question"]) expect(propsOf(id)).toEqual([]);
    expect(propsOf("maps-filter-name")).toEqual([{ children: "0 of conv1" }]);
    expect(text("maps-message")).toBe("");
  });

  test("waits for a layer and a sample", async () => {
    await follow({ sample: "" });
    expect(session().view).toBeNull();
    expect(fetched).not.toHaveBeenCalled();
  });

  test("says where the sample is, and asks for the thumbnails that it is on, once", async () => {
    session().pick(ALL);
    await follow({ sample: 23 });
    await rest();
    expect(text("maps-position")).toBe("50 samples");
    const [{ data }, ...more] = propsOf("maps-page");
    expect([data.samples[0], data.samples.length, data.by, more]).toEqual([20, 20, "index", []]);
  });
});

describe("a step", () => {
  beforeEach(async () => {
    session().pick(ALL);
    await follow();
    await rest();
    tell.mockClear();
    fetched.mockClear();
  });

  test("is drawn at once, and Dash and the server hear of it after the picture", async () => {
    press("maps-next");
    await vi.advanceTimersByTimeAsync(5);
    expect(wall().view.sample).toBe(4);
    expect(tell).not.toHaveBeenCalled();
    await rest();
    expect(propsOf("maps-sample")).toEqual([{ value: 4 }]);
    expect(propsOf("maps-settled")).toEqual([{ data: 4 }]);
    tell.mockClear();
    await follow({ sample: 4 }); // what comes back from Dash
    await rest();
    expect(propsOf("maps-settled")).toEqual([]);
  });

  test("asks for nothing that is here: the next sample was fetched ahead", async () => {
    press("maps-next");
    await rest();
    expect(fetched.mock.calls.map(([url]) => url)).toEqual([`${facts.url}&sample=5`]);
  });

  test("of a fast drag tells the server of the last alone, and loses none", async () => {
    for (let n = 0; n < 12; n += 1) {
      press("maps-previous");
      await vi.advanceTimersByTimeAsync(20);
    }
    await rest();
    expect(session().view.sample).toBe(41);
    expect(propsOf("maps-settled")).toEqual([{ data: 41 }]);
  });

  test("to a thumbnail marks it", async () => {
    document.querySelector("[data-sample='9']").click();
    await rest();
    const marked = document.querySelectorAll("[aria-current]");
    expect([...marked].map((thumbnail) => thumbnail.dataset.sample)).toEqual(["9"]);
  });

  test("of the filter follows the order of the tiles", async () => {
    session().stepFilter(1);
    await rest();
    expect(propsOf("maps-filter")).toEqual([{ value: 1 }]);
    expect(propsOf("maps-settled")).toEqual([]);
  });

  test("of Dash's that is old is no news", async () => {
    press("maps-next");
    await follow({ zeros: true }); // Dash still says sample 3
    await rest();
    expect(wall().view).toMatchObject({ sample: 4, zeros: true });
  });

  test("of Dash's that it gathered before it was told is no news", async () => {
    const old = Object.values(controls);
    press("maps-next");
    await rest();
    press("maps-next");
    await show(...old); // Dash was told of sample 4
    await rest();
    press("maps-next");
    await rest();
    await show(...old);
    expect([session().view.sample, controls.sample]).toEqual([6, 6]);
    await follow({ sample: 3 }); // a person goes back
    await rest();
    expect(session().view.sample).toBe(3);
  });

  test("is not undone by the field, which says later what it was told before", async () => {
    press("maps-next");
    await vi.advanceTimersByTimeAsync(50);
    press("maps-next");
    await vi.advanceTimersByTimeAsync(150);
    expect(controls.sample).toBe(5);
    await follow({ sample: 4 });
    press("maps-next");
    expect(session().view.sample).toBe(6);
    await follow({ sample: 5 });
    await rest();
    expect([session().view.sample, controls.sample]).toEqual([6, 6]);
  });

  test("that a person takes back at once in the field is taken back", async () => {
    press("maps-next");
    await vi.advanceTimersByTimeAsync(50);
    await follow({ sample: 3 });
    await rest();
    expect([session().view.sample, controls.sample]).toEqual([3, 3]);
  });
});

describe("pages of thumbnails", () => {
  test("are turned by buttons, and back to the sample's by a step", async () => {
    await follow();
    session().pick(ALL);
    expect([text("maps-turn-note"), propsOf("maps-page").at(-1).data.samples[0]])
      .toEqual(["1–20 of 50", 0]);
    press("maps-turn-on");
    expect(propsOf("maps-from")).toEqual([{ data: 20 }]);
    expect([text("maps-turn-note"), propsOf("maps-page").at(-1).data.samples[0]])
      .toEqual(["21–40 of 50", 20]);
    press("maps-turn-last");
    press("maps-turn-on");
    expect(text("maps-turn-note")).toBe("41–50 of 50");
    await follow({ from: 40 }); // what comes back is no news
    press("maps-next");
    await rest();
    expect(propsOf("maps-from").at(-1)).toEqual({ data: null });
    expect(text("maps-turn-note")).toBe("1–20 of 50");
  });

  test("a link opens at its page, which the first answer leaves", async () => {
    await follow({ from: 40 });
    session().pick(ALL);
    expect(text("maps-turn-note")).toBe("41–50 of 50");
    session().pick({ ...ALL, outcome: "wrong", list: [5, 6], n: 2 });
    await rest();
    expect([document.getElementById("maps-turn").hidden, session().view.from]).toEqual([true, null]);
  });
});

describe("samples that were picked anew", () => {
  test("begin with their first, where the one that is shown is none of them", async () => {
    session().pick(ALL);
    await follow();
    session().pick({ ...ALL, list: [7, 8], n: 2, label: 1 });
    await rest();
    expect(propsOf("maps-sample")).toEqual([{ value: 7 }]);
    expect(text("maps-position")).toBe("1 of 2 that match, of 50 samples");
  });
});

describe("colors by hand", () => {
  test("start with what is seen, are told when a gesture rests, and go back", async () => {
    await follow();
    await rest();
    await follow({ range: "percentile" });
    await follow({ range: "hand" });
    await rest();
    expect(propsOf("maps-ends")).toEqual([{ data: "0,1" }]); // what the wall's colors spanned
    session().span("0.25,2");
    session().span("0.25,1.5");
    expect(wall().view).toMatchObject({ range: "hand", ends: "0.25,1.5" });
    await rest();
    expect(propsOf("maps-ends").slice(1)).toEqual([{ data: "0.25,1.5" }]);
    session().unspan();
    await rest();
    expect(propsOf("maps-range")).toEqual([{ value: "percentile" }]);
    expect([session().view.range, session().view.ends]).toEqual(["percentile", ""]);
  });

  test("stay as typed in other samples and layers", async () => {
    await follow({ range: "hand", ends: "0.25,2" });
    await follow({ sample: 4, facts: { ...facts, layer: "conv2", url: `${facts.url}d` } });
    await rest();
    expect(session().view).toMatchObject({ range: "hand", ends: "0.25,2" });
    expect([propsOf("maps-ends"), propsOf("maps-range")]).toEqual([[], []]);
  });
});

describe("the window", () => {
  test("is told when a gesture rests, and stays through steps", async () => {
    session().pick(ALL);
    await follow();
    await rest();
    wall().on.look("1,1,2,2", false);
    expect(propsOf("maps-window")).toEqual([]);
    press("maps-next");
    await rest();
    expect(wall().view.window).toBe("1,1,2,2");
    wall().on.look("1,1,2,2", true);
    wall().on.look("1,1,2,2", true);
    expect(propsOf("maps-window")).toEqual([{ data: "1,1,2,2" }]);
  });

  test("of another layer, or kind of zoom, shows all", async () => {
    await follow({ window: "1,1,2,2" });
    await follow({ zoom: "free" });
    await rest();
    expect([wall().view.window, propsOf("maps-window")]).toEqual(["", [{ data: "" }]]);
  });

  test("stays in a layer of the same size, and shows all in one that has no such part", async () => {
    await follow({ window: "0,0,1,1" });
    await follow({ facts: { ...facts, layer: "conv2", url: `${facts.url}b` } });
    await rest();
    expect([wall().view.window, propsOf("maps-window")]).toEqual(["0,0,1,1", []]);
    await follow({ facts: { ...facts, layer: "conv3", url: `${facts.url}c`, shape: [3, 3, 3] } });
    await rest();
    expect([session().view.window, propsOf("maps-window")]).toEqual(["", [{ data: "" }]]);
  });

  test("of the layer before is not that of the one that is on its way", async () => {
    await follow();
    await rest();
    const { on } = wall();
    follow({ facts: { ...facts, layer: "conv2", url: `${facts.url}b` } });
    on.look("1,1,2,2", true);
    expect([session().view.window, propsOf("maps-window")]).toEqual(["", []]);
    await rest();
  });
});

describe("what does not come", () => {
  test("is said in the server's words", async () => {
    fetched.mockImplementation(async (url) => answer(String(url), { status: 422 }));
    await follow();
    await rest();
    expect(stale.waits).toHaveBeenLastCalledWith("maps-wall", "too much", expect.any(Function));
  });

  test("is said to be of another store, if it is", async () => {
    fetched.mockImplementation(async (url) => answer(String(url), { digest: "other" }));
    await follow();
    await rest();
    expect(stale.replaced).toHaveBeenCalled();
    expect(wall()).toBeNull();
  });

  test("leaves nothing of the layer before, where a layer has no maps", async () => {
    await follow();
    await rest();
    await follow({ facts: { ...facts, layer: "conv2", message: "no maps" } });
    await rest();
    expect([text("maps-message"), session().host.hidden]).toEqual(["no maps", true]);
    expect(wall().order).toEqual([]);
    expect(propsOf("maps-enlarged").at(-1)).toEqual({ style: { display: "none" } });
    expect(document.querySelector("[data-fact]").textContent).toBe("");
  });

  test("overtaken by another sample is not drawn", async () => {
    let late;
    fetched.mockImplementationOnce(() => new Promise((go) => { late = go; }));
    const first = follow();
    await follow({ sample: 9 });
    late(answer("", { value: 5 }));
    await first;
    await rest();
    expect(wall().view.sample).toBe(9);
  });
});

describe("the enlarged map", () => {
  test("is of the values that are here, and drawn once", async () => {
    await follow();
    await rest();
    const [{ figure, style }, ...more] = propsOf("maps-enlarged");
    expect(more).toEqual([]);
    expect(style).toBe(facts.figure_style);
    expect(figure.data[0]).toMatchObject({ type: "heatmap", zmin: 0, zmax: 3 });
    expect(figure.data[0].z.map((row) => [...row])).toEqual([[1, 1], [1, 1]]);
    expect(document.querySelector("[data-fact]").textContent).toBe("1 at y 0, x 0");
    await follow({ dead: true });
    await rest();
    expect(propsOf("maps-enlarged")).toHaveLength(1);
    await follow({ range: "filter" });
    await rest();
    expect(propsOf("maps-enlarged")[1].figure.data[0].zmax).toBe(1);
  });

  test("of large maps is of the stored values, which are asked for", async () => {
    await follow({ facts: { ...facts, windows: `windows?test=${samples}` } });
    await rest();
    const urls = fetched.mock.calls.map(([url]) => url);
    expect(urls).toContain(`windows?test=${samples}&sample=3&step=4`);
    expect(urls).toContain(`exact?test=${samples}&sample=3&filter=0`);
    expect(propsOf("maps-enlarged")).toHaveLength(1);
  });

  test("waits for a filter that there is", async () => {
    await follow({ filter: "" });
    await rest();
    await follow({ filter: 3 });
    await rest();
    expect([propsOf("maps-enlarged"), propsOf("maps-filter-name")]).toEqual([[], []]);
  });
});

describe("what the server is asked", () => {
  const view = { ...START, facts: FACTS };

  test("to order filters has the sample only where the order depends on it", () => {
    expect(orderQuestion(view)).toEqual({ filter_order: "index" });
    expect(orderQuestion({ ...view, order: "similar", filter: 2 }))
      .toEqual({ filter_order: "similar", layer: "conv1", filter_index: 2 });
    expect(orderQuestion({ ...view, order: "class", label: "7" }))
      .toEqual({ filter_order: "class", layer: "conv1", class_index: "7" });
    expect(orderQuestion({ ...view, order: "class" }))
      .toEqual({ filter_order: "class", layer: "conv1", sample: 3 });
    expect(orderQuestion({ ...view, order: "mean" }))
      .toEqual({ filter_order: "mean", layer: "conv1" });
    expect(orderQuestion({ ...view, order: "mean", facts: { ...FACTS, windows: "w" } }))
      .toEqual({ filter_order: "mean", layer: "conv1", sample: 3 });
  });

  test("to pick samples has the filter only where they are ordered by its response", () => {
    const question = {
      class_index: "7", predicted: null, outcome: "wrong", group: "", picked: "sure",
    };
    const wanted = { ...view, label: "7", outcome: "wrong", by: "sure" };
    expect(picksQuestion(wanted)).toEqual(question);
    expect(picksQuestion({ ...wanted, by: "response" }))
      .toEqual({ ...question, picked: "response", layer: "conv1", filter_index: 0 });
  });

  test("is asked when it is another question, and after a step when it rests", async () => {
    session().pick(ALL);
    await follow({ order: "class" });
    await rest();
    expect(propsOf("maps-order-question")).toEqual([]);
    press("maps-next");
    await rest();
    expect(propsOf("maps-order-question"))
      .toEqual([{ data: { filter_order: "class", layer: "conv1", sample: 4 } }]);
    await follow({ sample: 4, outcome: "wrong" });
    expect(propsOf("maps-picks-question"))
      .toEqual([{ data: {
        class_index: null, predicted: null, outcome: "wrong", group: "", picked: "index",
      } }]);
    expect(propsOf("maps-order-question")).toHaveLength(1);
    await rest();
  });
});

test("where another page is open there is no session, and nothing to do", async () => {
  document.body.innerHTML = "";
  expect(session()).toBeNull();
  await follow();
  outline({ points: [{ x: 1, y: 1 }] });
  expect(fetched).not.toHaveBeenCalled();
});
