// What the page Samples shows: a map of all samples, which follows the page's controls.
import { Latest, columnsOf } from "./map_columns.js";
import { indicesOf, setText } from "./index_sets.js";
import { MapLegend } from "./map_legend.js";
import { placed } from "./placing.js";
import { byNumber, byOutcome, byText } from "./point_colors.js";
import { SampleMap } from "./sample_map.js";
import { describe, sampleWords } from "./sample_words.js";
import { Controls, field, store } from "../feature_maps/controls.js";
import { FACTORS } from "../feature_maps/wall/zoom_buttons.js";
import { download } from "../saving/download.js";

const LOADING_AFTER = 250; // ms before a picture that is still old is said to be
const RESTS_AFTER = 400; // ms: who holds a key down hears the last of all
const WIDE = 230; // CSS pixels: nearer to the right edge words stand to the left of the pointer
// Characters of a group in a link: an address has 8 KiB, and a link to a contrast has the group twice.
const LONGEST_GROUP = 3500;
const MAP = "samples-map";
const DESCRIPTIONS = ["samples-description", "samples-note"];
// What Dash's controls say, in the order in which they say it.
const CONTROLS = [
  "facts", "table", "pooling", "method", "color", "layer", "filter", "window", "only", "sample",
  "group", "scheme",
];

// Where the controls are that this page changes itself.
const PLACES = {
  only: store("samples-only"), sample: field("samples-sample"), window: store("samples-window"),
  group: field("samples-group"),
};

const element = (id) => document.getElementById(id);
const tell = (id, props) => window.dash_clientside.set_props(id, props);
const stale = () => window.dash_clientside.stale;
const query = (values) => new URLSearchParams(
  Object.entries(values).filter(([, value]) => value !== "" && value !== null));

/** What one open page shows; it goes with the page. */
class Session {
  map = null;
  #controls = new Controls(PLACES, (values) => {
    if (this.host.isConnected) this.follow(values);
  });
  #points = null; // { url, placed, about }
  #columns = null; // those that every color but a filter's is of
  #color = null; // { key, coloring, column }
  #near = null; // { sample, near }
  #group = { text: "", flags: null, n: 0 };
  #asked = { points: new Latest(), columns: new Latest(), filter: new Latest() };
  #only = { text: "", codes: null };
  #slow = 0;
  #speaking = 0;

  constructor(host) {
    this.host = host;
    this.legend = new MapLegend(element("samples-legend"), (codes) => {
      tell("samples-only", { data: codes.join(".") });
    });
  }

  /** What Dash's controls say; null before they did. */
  get controls() {
    return this.#controls.held;
  }

  /** Follows Dash's controls, by their names. */
  async follow(controls) {
    const isFirst = !this.controls;
    const news = this.#controls.take(controls);
    element("samples-filter-choice").hidden = controls.color !== "filter";
    const isOther = ["table", "pooling", "method"].some((name) => name in news);
    // A window is one of a map, and classes that are shown are of a color: another shows all.
    if (!isFirst && isOther && !("window" in news)) this.#look("");
    if (!isFirst && "color" in news && !("only" in news)) this.#controls.tell({ only: "" });
    await this.#refresh();
  }

  async #refresh() {
    const { controls, host } = this;
    const { facts } = controls;
    clearTimeout(this.#slow);
    this.#slow = setTimeout(() => stale().waits(MAP), LOADING_AFTER);
    try {
      const parts = await Promise.all([this.#pointsOf(controls), this.#columnOf(controls)]);
      if (this.controls !== controls || !host.isConnected || parts.includes(null)) return;
      clearTimeout(this.#slow);
      const [points, { column, columns }] = parts;
      if (points.digest !== facts.digest || columns.digest !== facts.digest) {
        stale().has(MAP);
        stale().replaced();
        return;
      }
      if (!controls.group) this.#group = { text: "", flags: null, n: 0 };
      stale().has(MAP);
      this.#say("samples-message", "");
      host.hidden = false;
      this.#points = points;
      this.#columns = columns;
      this.#paint(column);
      this.#show();
    } catch (error) {
      if (this.controls !== controls || !host.isConnected) return;
      clearTimeout(this.#slow);
      if (error.isFinal) { // asking again would say the same
        stale().has(MAP);
        this.#say("samples-message", error.message);
        host.hidden = true;
        this.legend.clear();
        for (const id of DESCRIPTIONS) this.#say(id, "");
      } else stale().waits(MAP, error.message, () => this.#refresh());
    }
  }

  async #pointsOf({ facts, table, pooling, method }) {
    const { of, layer } = facts.tables[table];
    const by = of === "layer" ? pooling : "";
    const url = `${facts.api}/points?${query({ of, layer, by, method })}`;
    if (this.#points?.url === url) return this.#points;
    const about = await columnsOf(url, this.#asked.points);
    if (!about) return null;
    const [x, y] = about.columns;
    return { url, digest: about.digest, about, placed: placed(x.values, y.values) };
  }

  async #columnOf({ facts, color, layer, filter, pooling }) {
    const url = `${facts.api}/samplecolumns`;
    const columns = this.#columns?.digest === facts.digest
      ? this.#columns : await columnsOf(url, this.#asked.columns);
    if (!columns) return null;
    if (color !== "filter") {
      const name = color === "outcome" ? "right" : color;
      return { columns, column: columns.columns.find((column) => column.name === name) ?? null };
    }
    const own = await columnsOf(`${url}?${query({ layer, filter, by: pooling })}`, this.#asked.filter);
    return own && { columns, column: own.columns[0] };
  }

  /** Marks the samples that are near to one. */
  mark(near) {
    this.#near = near;
    if (this.map) this.#show();
  }

  /**
   * Takes which samples the group of the link has, unless it was drawn here.
   * @param {{expression: string, text: string|null}|null} set
   */
  async read(set) {
    if (!set || set.expression === this.#group.text) return;
    const flags = set.text === null ? null : new Uint8Array(set.total);
    const indices = flags ? await indicesOf(set.text) : [];
    for (const index of indices) flags[index] = 1;
    if (this.controls && set.expression !== this.controls.group) return; // it is another by now
    this.#group = { text: set.expression, flags, n: indices.length };
    if (this.map) this.#show();
  }

  #paint(column) {
    const { color, scheme } = this.controls;
    if (this.#color?.column === column && this.#color.scheme === scheme) return;
    const { n } = this.#points.placed;
    let coloring = null;
    if (!column) coloring = byText({ values: new Int32Array(n), texts: ["samples"] }, scheme);
    else if (column.texts) coloring = byText(column, scheme);
    else if (color === "outcome") coloring = byOutcome(column, scheme);
    else coloring = byNumber(column, scheme);
    this.#color = { column, scheme, coloring };
  }

  #show() {
    const { sample, window: seen, scheme, only } = this.controls;
    const { coloring, column } = this.#color;
    const [points, about] = [this.#points.placed, this.#points.about];
    if (only !== this.#only.text || coloring !== this.#only.coloring) {
      const codes = (only || "").split(".").filter(Boolean).map(Number)
        .filter((code) => coloring.entries.some((entry) => entry.code === code));
      this.#only = { text: only, coloring, codes: codes.length ? new Set(codes) : null };
    }
    this.map ??= this.#newMap();
    const words = `Map of ${points.n.toLocaleString("en")} samples by the ${about.table}`;
    const near = this.#near?.sample === sample ? this.#near.near : [];
    this.map.show({
      points, coloring, only: this.#only.codes, group: this.#group.flags, sample, near,
      window: seen ?? "", scheme, words,
    });
    this.legend.show(coloring, this.#only.codes, column?.header ?? "");
    const [x, y] = about.columns;
    this.#say("samples-note", `${about.words} To the right: ${x.header}; up: ${y.header}.`);
    this.#say("samples-description", describe(about, coloring, column, this.#group));
    this.#preview(this.map.hovered, null);
    requestAnimationFrame(() => {
      this.host.dataset.drawn = [this.#points.url.split("?")[1], this.controls.color, sample,
        this.#group.flags ? this.#group.n : "all"].join(" ");
    });
  }

  #newMap() {
    return new SampleMap(this.host, {
      select: (sample) => this.#select(sample),
      hover: (sample, point, isWalked) => this.#preview(sample, point, isWalked),
      look: (text) => this.#look(text),
      growing: (flags) => this.#say("samples-announcement", `${counted(flags)} samples`),
      group: (flags) => this.#take(flags),
    }, DESCRIPTIONS);
  }

  #select(sample) {
    this.#controls.tell({ sample });
    this.#show();
  }

  #look(text) {
    if (this.host.isConnected) this.#controls.tell({ window: text });
  }

  // Makes what was drawn around the group of the link, where it is short enough for one.
  async #take(flags) {
    const indices = indicesOfFlags(flags);
    const { n } = this.#points.placed;
    const text = indices.length && indices.length < n ? await setText(indices) : "";
    const isLong = encodeURIComponent(text).length > LONGEST_GROUP;
    const expression = isLong ? this.controls.group : text;
    this.#group = { text: expression, flags: text ? flags : null, n: indices.length };
    element("samples-too-many").hidden = !isLong;
    this.#say("samples-too-many-words", isLong
      ? `${indices.length.toLocaleString("en")} samples that are spread so widely do not fit into a link. `
        + "Save them, and name the file where commands and Python take a group: @file.csv."
      : "");
    this.#controls.tell({ group: expression });
    this.#show();
  }

  /** Shows all samples again. */
  all() {
    this.#controls.tell({ group: "" });
  }

  /** Saves the samples of the group, an index a line. */
  save() {
    const { flags } = this.#group;
    const rows = flags ? [...indicesOfFlags(flags)] : [];
    const blob = new Blob([`${rows.join("\n")}\n`], { type: "text/csv;charset=utf-8" });
    download(blob, this.controls.facts.file);
  }

  #preview(sample, point, isWalked = false) {
    let tip = this.host.querySelector(".wall-tip");
    if (sample < 0) {
      tip?.remove();
      return;
    }
    if (!tip) {
      tip = document.createElement("div");
      tip.className = "wall-tip samples-tip";
      tip.append(document.createElement("img"), document.createElement("span"));
      this.host.append(tip);
    }
    const { facts } = this.controls;
    const [image, words] = tip.children;
    const url = facts.image.join(sample);
    if (image.getAttribute("src") !== url) {
      Object.assign(image, { src: url, alt: "" });
      image.style.aspectRatio = facts.ratio;
    }
    const lines = sampleWords(sample, this.#columns, this.#color.column);
    words.textContent = lines.join("\n");
    if (point) {
      const isNear = point.x > this.host.clientWidth - WIDE;
      tip.style.left = `${isNear ? Math.max(0, point.x - WIDE + 10) : point.x + 16}px`;
      const low = Math.max(0, this.host.clientHeight - tip.offsetHeight - 8);
      tip.style.top = `${Math.min(low, this.map.canvas.offsetTop + point.y + 16)}px`;
    }
    if (!isWalked) return;
    clearTimeout(this.#speaking);
    this.#speaking = setTimeout(() => this.#say("samples-announcement", lines.join(", ")), RESTS_AFTER);
  }

  #say(id, text) {
    const place = element(id);
    if (place && place.textContent !== text) place.textContent = text;
  }
}

const counted = (flags) => flags.reduce((sum, flag) => sum + flag, 0).toLocaleString("en");

function indicesOfFlags(flags) {
  const indices = [];
  for (let i = 0; i < flags.length; i += 1) if (flags[i]) indices.push(i);
  return Uint32Array.from(indices);
}

const sessions = new WeakMap(); // by the map's element, which goes with its page

/** The session of the page that is open; undefined where it is another page. */
export function session() {
  const host = element(MAP);
  if (host && !sessions.has(host)) sessions.set(host, new Session(host));
  return host ? sessions.get(host) : undefined;
}

// What Dash calls. A function that gives nothing back leaves Dash's output as it is.

/** Shows what Dash's controls say. */
export async function show(...values) {
  const controls = Object.fromEntries(CONTROLS.map((name, at) => [name, values[at]]));
  if (controls.facts) await session()?.follow(controls);
}

/** Marks the samples that are near to the selected one. */
export const mark = (near) => { session()?.mark(near); };

/** Takes which samples the group of the link has. */
export const read = async (set) => { await session()?.read(set); };

/** Saves the samples of the group. */
export const save = (...clicks) => { if (clicks.some(Boolean)) session()?.save(); };

/** Shows all samples again. */
export const all = (clicks) => {
  if (!clicks) return;
  element("samples-too-many").hidden = true;
  session()?.all();
};

/** Zooms the map, for keys: "+", "−" or "All". */
export const zoom = (sign) => { session()?.map?.zoomBy(FACTORS[sign]); };
