// What a snapshot shows, in the part of its address after "#": a link that somebody keeps opens to
// the same. Knows no page.

const RANGES = ["layer", "filter", "map", "percentile"];

const choice = (choices) => (text) => (choices.includes(text) ? text : undefined);
const whole = (text, choices) => {
  const number = /^\d{1,9}$/.test(text) ? Number(text) : undefined;
  return choices.includes(number) ? number : undefined;
};
const range = (n) => Array.from({ length: n }, (_, at) => at);

// Each has what it is when nothing is said, and reads a text of a link: undefined for none that the
// page holds.
const FIELDS = {
  page: { usual: ({ here }) => here[0], read: (text, { here }) => choice(here)(text) },
  layer: {
    usual: ({ layers }) => layers[0].path,
    read: (text, { layers }) => choice(layers.map(({ path }) => path))(text),
  },
  filter: {
    usual: (about, { layer }) => layerOf(about, layer).filters[0],
    read: (text, about, { layer }) => whole(text, layerOf(about, layer).filters),
  },
  sample: {
    usual: ({ samples }) => samples[0]?.sample ?? null,
    // A page without maps holds none, and hands it on to the page that does.
    read: (text, { samples }) => whole(
      text, samples.length ? samples.map(({ sample }) => sample) : [Number(text)]),
  },
  class: { usual: () => null, read: (text, { classes }) => whole(text, range(classes.length)) },
  statistic: { usual: () => 0, read: (text, { statistics }) => whole(text, range(statistics.length)) },
  range: { usual: () => "layer", read: choice(RANGES) },
  zoom: { usual: () => "linked", read: choice(["linked", "free"]) },
  order: { usual: () => "index", read: choice(["index", "mean"]) },
  zeros: { usual: () => "plain", read: choice(["plain", "mark"]) },
  window: { usual: () => "", read: (text) => (/^[\d.,]{0,60}$/.test(text) ? text : undefined) },
};

/** A layer of the page, by its path. */
export const layerOf = ({ layers }, path) => layers.find((layer) => layer.path === path);

/**
 * What a link says.
 * @param {string} hash with or without "#"
 * @param {object} about what the page holds
 * @returns {{state: object, problems: string[]}} what of it the page does not hold, in words
 */
export function stateOf(hash, about) {
  const texts = new URLSearchParams(hash.replace(/^#/, ""));
  const state = {};
  const problems = [];
  for (const [name, { usual, read }] of Object.entries(FIELDS)) {
    const text = texts.get(name);
    const value = text === null ? undefined : read(text, about, state);
    state[name] = value === undefined ? usual(about, state) : value;
    if (text !== null && value === undefined) {
      problems.push(`The link asks for ${name} ${text.slice(0, 80)}, which is not in this snapshot: `
        + `it shows ${state[name] ?? "all"}.`);
    }
  }
  return { state, problems };
}

/** The part of a link after "#", without what is as usual. */
export function hashOf(state, about) {
  const texts = Object.entries(FIELDS)
    .filter(([name, { usual }]) => state[name] !== usual(about, state))
    .map(([name]) => [name, `${state[name]}`]);
  return new URLSearchParams(texts).toString();
}

/** The state after something else was chosen: of another layer a filter that it has. */
export function changed(state, news, about) {
  const next = { ...state, ...news };
  if (!layerOf(about, next.layer).filters.includes(next.filter)) {
    next.filter = FIELDS.filter.usual(about, next);
  }
  return next;
}
