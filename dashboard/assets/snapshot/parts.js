// Parts that the pages of a snapshot are made of. Names of a store are text and never markup.
import { plotly } from "./inside.js";

/** An element with properties, attributes by `attributes`, and children. */
export function make(name, properties = {}, ...children) {
  const { attributes = {}, ...others } = properties;
  const element = Object.assign(document.createElement(name), others);
  for (const [attribute, value] of Object.entries(attributes)) element.setAttribute(attribute, value);
  element.append(...children);
  return element;
}

/**
 * A choice, with its caption.
 * @param {string} id
 * @param {string} caption
 * @param {(value: string) => void} choose
 */
export function select(id, caption, choose) {
  const field = make("select", { id });
  field.addEventListener("change", () => choose(field.value));
  return make("label", { className: "snapshot-choice" }, make("span", {}, caption), field);
}

/** Gives a choice its options, [value, words], and the one that is selected. */
export function options(id, pairs, value) {
  const field = document.getElementById(id);
  const key = JSON.stringify(pairs);
  if (field.dataset.options !== key) {
    field.replaceChildren(...pairs.map(([of, words]) => make("option", { value: of }, words)));
    field.dataset.options = key;
  }
  field.value = `${value}`;
}

/** A box with a title. */
export const card = (title, ...children) => (
  make("div", { className: "snapshot-card" }, ...(title ? [make("h2", {}, title)] : []), ...children));

/** A table of texts. */
export function table({ head, rows }) {
  const line = (name, texts) => make("tr", {}, ...texts.map((text) => make(name, {}, text)));
  return make("div", { className: "sideways" }, make("table", { className: "snapshot-table" },
    make("thead", {}, line("th", head)), make("tbody", {}, ...rows.map((row) => line("td", row)))));
}

/** Names with what they stand for. */
export const facts = (pairs) => make("dl", {}, ...Object.entries(pairs)
  .flatMap(([name, words]) => [make("dt", {}, name), make("dd", {}, words)]));

/** Whether the system is light or dark. */
export const scheme = () => (
  window.matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");

/**
 * Draws a figure of the dashboard's in an element, or says there why there is none.
 * @param {HTMLElement} place
 * @param {{figures: object|null, style: object, note: string, words: string}} drawing
 * @param {object} config Plotly's
 */
export async function draw(place, { figures, style }, config) {
  const Plotly = await plotly();
  place.hidden = !figures;
  if (!figures) {
    Plotly.purge(place);
    return;
  }
  Object.assign(place.style, style);
  const { data, layout } = figures[scheme()];
  await Plotly.react(place, data, { ...layout, autosize: true }, config);
}
