// The data that lie in a snapshot's page, as elements of base64 that no browser runs.

/** The text of a block. */
function textOf(name) {
  const place = document.getElementById(`data-${name}`);
  if (!place) throw new Error(`This page holds no ${name}.`);
  return place.textContent;
}

/** The bytes of a block that was deflated. */
async function inflated(name) {
  const packed = Uint8Array.from(atob(textOf(name)), (letter) => letter.charCodeAt(0));
  const stream = new Blob([packed]).stream().pipeThrough(new DecompressionStream("deflate"));
  return new Response(stream).arrayBuffer();
}

const inflatedText = async (name) => new TextDecoder().decode(await inflated(name));

/** What a block of JSON holds. */
export const recordOf = async (name) => JSON.parse(await inflatedText(name));

let library = null;

/** Plotly, whose script runs when it is first needed: the page's policy names its digest. */
export function plotly() {
  library ??= inflatedText("plotly").then((text) => {
    document.head.append(Object.assign(document.createElement("script"), { textContent: text }));
    return window.Plotly;
  });
  return library;
}

/** The address of a picture. */
export const pictureOf = (name) => `data:image/png;base64,${textOf(name)}`;

/**
 * The maps of a sample, of all filters of a layer; NaN for those that are not in the page.
 * @param {string} name of the block
 * @param {[number, number, number]} shape y, x and filters of the layer
 * @param {number[]} filters those that are in the page, ascending
 * @returns {Promise<import("../feature_maps/wall/atlas.js").Maps>}
 */
export async function mapsOf(name, shape, filters) {
  const stored = new Float32Array(await inflated(name));
  const values = filters.length === shape[2] ? stored : spread(stored, filters, shape[2]);
  return { values, shape, step: 1, origin: { top: 0, left: 0 }, filters: null };
}

/** Values [y, x, filter] of some of n filters, at the places of these. */
export function spread(values, filters, n) {
  const all = new Float32Array((values.length / filters.length) * n).fill(NaN);
  filters.forEach((filter, place) => {
    for (let from = place, to = filter; from < values.length; from += filters.length, to += n) {
      all[to] = values[from];
    }
  });
  return all;
}
