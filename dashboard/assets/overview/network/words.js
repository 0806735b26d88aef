// A layer of the network in words. Knows no page.

const counted = (value) => value.toLocaleString("en");

/** The size of what a layer puts out for one sample, such as `26×26×16`. */
export const shapeText = (shape) => (
  shape === null ? "" : shape.map((size) => (size === null ? "?" : size)).join("×") || "1 number");

/** How many weights a layer has, in words; empty where it is not known. */
export function parametersText(parameters) {
  if (parameters === null) return "";
  return parameters ? `${counted(parameters)} parameter${parameters === 1 ? "" : "s"}` : "no parameters";
}

/** The last part of a path, by which a person knows a layer. */
export const nameOf = (path) => path.split("/").at(-1);

/**
 * The lines in a box, the most important first.
 * @param {{model: object, values: object}} about the graph, and what is known of captured layers
 * @param {import("./graph.js").Seen} seen
 */
export function linesOf({ model, values }, { node, group }) {
  if (group >= 0) {
    const { path, members } = model.groups[group];
    const layers = members.map((at) => model.nodes[at]);
    const n = layers.filter(({ layer }) => layer in values.layers).length;
    const isKnown = layers.every(({ parameters }) => parameters !== null);
    const weights = layers.reduce((sum, { parameters }) => sum + (parameters ?? 0), 0);
    return [nameOf(path), `${layers.length} layers, ${n} captured`, isKnown && parametersText(weights)]
      .filter(Boolean);
  }
  const { path, kind, shape, parameters, layer } = model.nodes[node];
  const output = [kind, shapeText(shape)].filter(Boolean).join(" · ");
  const number = values.layers[layer];
  const value = number && `${values.title}: ${number.short}`;
  return [nameOf(path), output, value, parametersText(parameters)].filter(Boolean);
}

/** All that is known of what is seen, a part a line, with its whole path. */
export function factsOf(about, seen) {
  const { model, values } = about;
  const [, ...lines] = linesOf(about, seen);
  if (seen.group >= 0) return [model.groups[seen.group].path, ...lines];
  const { path, layer } = model.nodes[seen.node];
  const number = values.layers[layer];
  return [path, lines[0], number?.text, ...lines.slice(number ? 2 : 1)].filter(Boolean);
}
