// @vitest-environment happy-dom
// Which state a panel is in, as answers come, fail, are late or of another store.
import { readFileSync } from "node:fs";
import { URL as FileURL } from "node:url"; // the page's own knows no files
import { afterEach, beforeEach, expect, test, vi } from "vitest";

const source = readFileSync(new FileURL("../../dashboard/assets/stale.js", import.meta.url), "utf8");
const STORE = "api/v1/stores/tiny";
let sent;
let asked; // what the server answers, by the end of an address

const answer = (body, { status = 200, digest = "own" } = {}) => (
  new Response(JSON.stringify(body), {
    status, headers: { "content-type": "application/json", "x-store-digest": digest },
  }));
const callback = (id, more = {}) => window.fetch("/_dash-update-component?endId=1", {
  method: "POST",
  body: JSON.stringify({ output: `${id}.children`, outputs: [{ id }], inputs: [], ...more }),
});
const panel = (id) => document.querySelector(`[data-fills~="${id}"]`);
const words = (id) => panel(id).querySelector(".panel-state").textContent;
const strip = () => document.getElementById("current").textContent;
const press = (place, name) => [...place.querySelectorAll("button")]
  .find((button) => button.textContent === name).click();
const turn = (ms = 0) => vi.advanceTimersByTimeAsync(ms);

beforeEach(() => {
  vi.useFakeTimers();
  document.body.innerHTML = `
    <script id="_dash-config">{"requests_pathname_prefix": "/"}</script>
    <div id="current" data-probe="${STORE}" data-digest="own"></div>
    <header class="frame"><h1><a href="/stores">All</a></h1></header>
    ${["one", "two"].map((id) => `<div data-fills="${id} ${id}-note">
      <div class="panel-state"></div></div>`).join("")}`;
  asked = { component: () => answer({}), tiny: () => answer({ digest: "own" }) };
  window.dash_clientside = {};
  sent = vi.fn(async (address) => {
    const [, reply] = Object.entries(asked).find(([end]) => String(address).split("?")[0].endsWith(end));
    return reply();
  });
  window.fetch = sent;
  (0, eval)(source);
});
afterEach(() => {
  delete document.documentElement.dataset.condition;
  vi.useRealTimers();
});

test("a panel is on its way until its answer is there, and the others stay current", async () => {
  let come;
  asked.component = () => new Promise((go) => { come = go; });
  const late = callback("one");
  await turn();
  expect([panel("one").dataset.current, words("one")]).toEqual(["busy", "Loading…"]);
  expect(panel("one").getAttribute("aria-busy")).toBe("true");
  expect(panel("two").dataset.current).toBeUndefined();
  come(answer({ response: 1 }));
  expect(await (await late).json()).toEqual({ response: 1 });
  expect([panel("one").dataset.current, words("one"), strip()]).toEqual([undefined, "", ""]);
});

test("a server that is gone marks all, and is asked again ever more rarely until it is back", async () => {
  const gone = () => { throw new TypeError("refused"); };
  Object.assign(asked, { component: gone, tiny: gone });
  const held = callback("one");
  await turn();
  expect(document.documentElement.dataset.condition).toBe("gone");
  expect(strip()).toMatch(/^The server does not answer/);
  expect(words("one")).toMatch(/not what you selected/);
  expect(words("two")).toBe("Not current: the server does not answer.");
  const before = sent.mock.calls.length;
  await turn(60_000);
  expect(sent.mock.calls.length - before).toBeLessThanOrEqual(7);
  asked.tiny = () => answer({ digest: "own" });
  asked.component = () => answer({ response: 2 });
  await turn(15_000);
  expect(await (await held).json()).toEqual({ response: 2 });
  expect([strip(), words("one"), words("two")]).toEqual(["", "", ""]);
});

test("of two requests of a panel the later one counts, and the other ends with nothing", async () => {
  asked.component = () => { throw new TypeError("refused"); };
  asked.tiny = asked.component;
  const first = callback("one");
  await turn();
  asked.component = () => answer({ response: "second" });
  const second = callback("one");
  expect((await first).status).toBe(204);
  expect(await (await second).json()).toEqual({ response: "second" });
});

test("an answer of another store marks all and changes nothing", async () => {
  asked.component = () => answer({ response: "new" }, { digest: "other" });
  expect((await callback("one")).status).toBe(204);
  expect(document.documentElement.dataset.condition).toBe("replaced");
  expect(words("two")).toBe("Not current: the store was replaced.");
  expect(strip()).toMatch(/Show the new one$/);
});

test("a second store beside the first is noticed when it is replaced", async () => {
  const ask = () => callback("one", { inputs: [{ id: "compare-with", value: "b" }] });
  for (const [digest, status] of [["b1, own", 200], ["b1, own", 200], ["b2, own", 204]]) {
    asked.component = () => answer({}, { digest });
    expect((await ask()).status).toBe(status);
  }
  expect(strip()).toMatch(/^The store was replaced/);
});

test("a store that is gone is said in the server's words, with the way to the others", async () => {
  asked.component = () => answer({ error: "no" }, { status: 404 });
  asked.tiny = () => answer({ detail: "no store 'tiny'" }, { status: 404 });
  callback("one");
  await turn();
  expect(strip()).toMatch(/^This store cannot be read any more.*\(no store 'tiny'\)/);
  expect(document.querySelector("#current a").textContent).toBe("All stores");
});

test("an answer that fails alone is said on its panel alone, until it is asked for again", async () => {
  asked.component = () => answer({ error: "internal error" }, { status: 500 });
  const held = callback("one");
  await turn();
  expect(words("one")).toBe("Not current: the server could not answer: internal error.Ask again");
  expect([words("two"), strip()]).toEqual(["", ""]);
  asked.component = () => answer({ response: 3 });
  press(panel("one"), "Ask again");
  expect(await (await held).json()).toEqual({ response: 3 });
  expect(words("one")).toBe("");
});

test("a session that ended, and files of the page, go their own way", async () => {
  asked.component = () => answer({}, { status: 401 });
  expect((await callback("one")).status).toBe(401);
  asked["style.css"] = () => answer({}, { status: 404 });
  expect((await window.fetch("/assets/style.css")).status).toBe(404);
  expect([words("one"), strip()]).toEqual(["", ""]);
});

test("arrays are held too, and end with who gives them up", async () => {
  asked.maps = () => { throw new TypeError("refused"); };
  asked.tiny = asked.maps;
  const controller = new AbortController();
  const held = window.fetch(`${STORE}/maps`, { signal: controller.signal });
  await turn();
  expect(strip()).toMatch(/^The server does not answer/);
  asked.maps = () => { throw new DOMException("given up", "AbortError"); };
  controller.abort();
  await expect(held).rejects.toThrow("given up");
});

test("a part of the page says itself what it waits for, and why", () => {
  const again = vi.fn();
  const { stale } = window.dash_clientside;
  stale.waits("one");
  expect(words("one")).toBe("Loading…");
  stale.waits("one", "too large", again);
  expect(words("one")).toMatch(/too large/);
  press(panel("one"), "Ask again");
  expect(again).toHaveBeenCalled();
  stale.has("one");
  expect(words("one")).toBe("");
});
