// What the Feature maps page asks of the browser. Dash calls these; ids are those of ids.py.
import * as caption from "./caption.js";
import { Refusal, Latest, arrayOf, here } from "./fetching.js";
import { InputPicture } from "./input.js";
import { neighbour } from "./order.js";
import { tilingOf } from "./tiling.js";
import { Wall, cellsFor, roomIn } from "./wall.js";

const SETTLED_AFTER = 120; // ms without another change in a fast drag before the server hears of it
const AFTER_PAINT = 30; // ms
const LARGE_AFTER = 50; // ms without another change in a fast drag before a large window is asked for
const LATEST_AFTER = 1000; // ms until Dash hears of a step whose picture has not come
const LOADING_AFTER = 250; // ms before a picture that is still old is said to be
const AHEAD_BYTES = 2 << 20; // of a sample's maps: larger ones are not fetched ahead

const element = (id) => document.getElementById(id);
const tell = (id, props) => window.dash_clientside.set_props(id, props);

const walls = new WeakMap(); // by their element, which goes with its page
const latest = new Latest();
const parts = new Latest();
let ahead = null;
let slow = 0; // the timer that says that something is on its way
let now = null; // what is shown, or is on its way: { host, facts, sample, filter, … }
let said = null; // what Dash said of it last
let picks = null; // which samples a step goes through
let direction = 1;

/** The wall of the page that is open; undefined before it is drawn. */
export const wallHere = () => walls.get(element("maps-wall"));

// A function that gives nothing back leaves Dash's output as it is.

/** Draws the wall as Dash's controls say; nothing else needs the server for the next sample. */
export async function show(
  facts, sample, filter, range, order, scores, dead, zeros, zoom, window, scheme,
) {
  const host = element("maps-wall");
  if (!host || !facts || !Number.isInteger(sample)) return;
  const asked = { host, facts, sample, filter, range, order, scores, dead, zeros, zoom, window,
    scheme };
  const same = said && said.host === host;
  if (!same) settled = { host, sample }; // the page came with it
  const changed = Object.keys(asked).filter((name) => !same || asked[name] !== said[name]);
  said = asked;
  // Only what changed: a sample that was stepped to here may be on its way to Dash still.
  const news = Object.fromEntries(changed.map((name) => [name, asked[name]]));
  if (now && now.host === host && changed.every((name) => now[name] === news[name])) return;
  now = same ? { ...now, ...news } : { ...asked };
  // A window is one of a layer and of a kind of zoom: another shows all.
  if (same && now.window && ("zoom" in news || "facts" in news) && !("window" in news)) {
    now = { ...now, window: "" };
    said = { ...said, window: "" };
    tell("maps-window", { data: "" });
  }
  await refresh();
}

/** Shows another sample or filter at once, and tells Dash after it is painted. */
function change(news) {
  if (!now || !now.host.isConnected) return;
  now = { ...now, ...news };
  refresh();
}

async function refresh() {
  const asked = now;
  const { host, facts, sample } = now;
  const quick = performance.now() - changedAt < SETTLED_AFTER;
  changedAt = performance.now();
  clearTimeout(settling);
  clearTimeout(slow);
  say(facts.message);
  host.hidden = Boolean(facts.message);
  if (facts.message) {
    input(host)?.show(facts, sample);
    forget(host);
    settle(quick);
    return;
  }
  slow = setTimeout(() => host.classList.add("waiting"), LOADING_AFTER);
  settling = setTimeout(tellDash, LATEST_AFTER); // a picture that is late, or never comes
  const step = overviewStep(host, facts);
  const url = overviewUrl(facts, sample, step);
  // The server makes a window to its end though nobody waits for it any more: one at a time.
  if (facts.windows && quick && !here(url)) {
    await new Promise((go) => { setTimeout(go, LARGE_AFTER); });
    if (asked !== now) return;
  }
  input(host)?.show(facts, sample);
  const array = here(url) ?? await latest.get(url).catch((error) => {
    say(error instanceof Refusal ? error.message : "The server does not answer; is it running?");
    return null;
  });
  if (asked !== now || !host.isConnected) return;
  clearTimeout(slow);
  host.classList.toggle("waiting", array === null); // what is there is of another sample
  if (array && array.digest !== facts.digest) {
    say("The store was replaced since this page was opened: reload the page.");
  } else if (array) {
    draw(array, step);
    fetchAhead(array.values.byteLength);
  }
  clearTimeout(settling);
  settle(quick);
}

// Of a layer without maps nothing of the one before may stay.
function forget(host) {
  const wall = walls.get(host);
  if (wall) wall.order = [];
  const picture = input(host);
  if (picture) picture.over.hidden = true;
  element("maps-legend")?.replaceChildren();
}

// All values of a sample; of large maps as many as the screen has pixels for.
function overviewUrl(facts, sample, step) {
  if (!facts.windows) return `${facts.url}&sample=${sample}`;
  return `${facts.windows}&sample=${sample}&step=${step}`;
}

function overviewStep(host, facts) {
  if (!facts.windows) return 1;
  const tiling = tilingOf(facts.shape[2], facts.shape[0], facts.shape[1], roomIn(host));
  return cellsFor(facts.shape, tiling, window.devicePixelRatio || 1);
}

/** A finer part of large maps, of some filters or all; null where another was asked for since. */
async function finer({ top, left, rows, columns, step }, filters) {
  const { facts, sample } = wallHere().view;
  const [height, width] = facts.shape;
  const window = `&y=${top}:${Math.min(top + rows * step, height)}`
    + `&x=${left}:${Math.min(left + columns * step, width)}`;
  const some = filters ? `&filter=${filters.join(",")}` : "";
  try {
    const array = await parts.get(
      `${facts.windows}&sample=${sample}&step=${step}${window}${some}`);
    if (!array || array.digest !== facts.digest) return null;
    return {
      values: array.values, shape: array.shape.slice(1), step, origin: { top, left }, filters,
    };
  } catch {
    return null; // what is seen stays as it is; the next gesture asks again
  }
}

function draw(array, step) {
  const { host, facts, sample, filter, range, order, scores } = now;
  const { dead, zeros, zoom, window, scheme } = now;
  let wall = walls.get(host);
  if (!wall) {
    wall = new Wall(host, {
      select: (chosen) => change({ filter: chosen }),
      looked: (text) => {
        // In place: the request that may be under way is still what is wanted.
        const { view } = walls.get(host);
        if (view.facts === now.facts && view.zoom === now.zoom) now.window = text;
      },
      window: (text) => {
        if (text === said.window || !host.isConnected) return;
        said = { ...said, window: text };
        tell("maps-window", { data: text });
      },
      hover: (found, event) => hovered(wall, found, event),
      finer,
    });
    walls.set(host, wall);
    host.addEventListener("painted", ({ detail }) =>
      caption.explain(wall, element("maps-legend"), detail));
  }
  // An array is one object while it is kept, so that the wall knows what it has painted already.
  array.maps ??= {
    values: array.values, shape: array.shape.slice(1), step,
    origin: { top: 0, left: 0 }, filters: null,
  };
  wall.show(array.maps, {
    facts, sample, filter, range, zoom, window, scheme,
    scores: order === "index" ? null : scores ?? (order === "mean" ? "mean" : null),
    hidden: dead === true ? facts.dead : null,
    zeros: Boolean(zeros),
    words: `Feature maps of ${facts.shape[2]} filters of ${facts.layer}, sample ${sample}`,
  });
  if (!wall.order.length) say("Every filter of this layer is dead; show dead filters to see them.");
  input(host)?.map(array.maps, wall.span, filter, facts);
  hovered(wall, wall.hovered);
  requestAnimationFrame(() => {
    host.dataset.drawn = `${facts.layer} ${sample} ${filter}`;
  });
}

// Dash and the server are told after the picture, and of a fast drag once: of the sample, the
// address, the enlarged map and the words need it, and their work would hold the picture up.
let settling = 0;
let changedAt = -Infinity;
let settled = null; // what the server was told last
function settle(quick) {
  settling = setTimeout(tellDash, quick ? SETTLED_AFTER : AFTER_PAINT);
}

function tellDash() {
  const { host, sample, filter } = now;
  if (!host.isConnected) return;
  const before = said;
  said = { ...said, sample, filter }; // so that what comes back is no news
  if (sample !== before.sample) tell("maps-sample", { value: sample });
  if (filter !== before.filter) tell("maps-filter", { value: filter });
  if (settled.sample === sample) return;
  settled = { host, sample };
  tell("maps-settled", { data: sample });
}

function input(host) {
  const frame = host && element("maps-input");
  return frame ? InputPicture.of(frame) : null;
}

function fetchAhead(bytes) {
  const { host, facts, sample } = now;
  ahead?.abort();
  const next = stepped(direction);
  if (bytes > AHEAD_BYTES || next === null || next === sample) return;
  ahead = new AbortController();
  // Only a favour to the next step.
  arrayOf(overviewUrl(facts, next, overviewStep(host, facts)), ahead.signal).catch(() => {});
}

function hovered(wall, found, event) {
  caption.tell(wall, found, event);
  input(wall.host)?.outline(found, wall.view.facts);
}

function say(text) {
  const place = element("maps-message");
  if (place) place.textContent = text;
}

// Steps through the samples that match; of all of them by index there is no list.
function stepped(steps) {
  if (!now || !picks?.n) return null;
  const { list, total } = picks;
  if (list === null) return (((now.sample + steps) % total) + total) % total;
  return neighbour(list, now.sample, steps);
}

/** The first sample of a selection that was just made, where the one that is shown is not in it. */
export function arrive(chosen, sample) {
  const another = picks && chosen && picks.by !== chosen.by;
  picks = chosen;
  if (!chosen?.made || chosen.list === null || !chosen.n) return undefined;
  return another || !chosen.list.includes(sample) ? chosen.list[0] : undefined;
}

/** Which page of thumbnails a sample is on. */
export function turn(chosen, sample, page) {
  if (!chosen || !Number.isInteger(sample)) return undefined;
  const place = chosen.list === null ? sample : chosen.list.indexOf(sample);
  const found = Math.floor(Math.max(place, 0) / chosen.page);
  return found === page ? undefined : found;
}

/** Marks the thumbnail of the sample that is shown. */
export function mark(_, sample) {
  for (const one of document.querySelectorAll("#maps-thumbnails [data-sample]")) {
    if (Number(one.dataset.sample) === sample) one.setAttribute("aria-current", "true");
    else one.removeAttribute("aria-current");
  }
}

/** Outlines in the input what a unit of the enlarged map sees. */
export function outline(hover) {
  const point = hover?.points?.[0];
  const found = point ? { y: point.y, x: point.x } : null;
  if (now) input(element("maps-wall"))?.outline(found, now.facts);
}

/** How strongly the map lies over the input, in per cent. */
export function fade(percent) {
  element("maps-input")?.style.setProperty("--map-opacity", percent / 100);
}

/** Saves what is seen: a picture, or the values of the filters that are shown. */
export async function save(clicked) {
  const wall = wallHere();
  if (!wall?.order.length) return;
  const { facts, sample } = wall.view;
  const form = clicked.split("-").pop();
  const link = document.createElement("a");
  if (form === "png") {
    link.href = URL.createObjectURL(await wall.picture());
    link.download = `${facts.store}.${facts.layer.replaceAll("/", ".")}.${sample}.png`;
    setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
  } else {
    const all = wall.order.length === facts.shape[2];
    link.href = `${facts.exact}&sample=${sample}&format=${form}`
      + (all ? "" : `&filter=${[...wall.order].sort((a, b) => a - b).join(",")}`);
    link.download = "";
  }
  link.click();
}

/** The filter that is some tiles on, for keys. */
export function nextFilter(steps) {
  const wall = wallHere();
  if (wall?.order.length) {
    change({ filter: neighbour(wall.order, now.filter, steps) });
  }
}

document.addEventListener("click", (event) => {
  const one = event.target.closest?.("#maps-thumbnails [data-sample], #maps-previous, #maps-next");
  if (!one) return;
  const steps = { "maps-previous": -1, "maps-next": 1 }[one.id];
  const sample = steps ? stepped(steps) : Number(one.dataset.sample);
  if (steps) direction = steps;
  if (sample !== null) change({ sample });
});
