// The graph of a model, and what of it is seen: parts that belong together by their paths are folded
// into one node each until they are opened. Knows no page and no place.

// A name that says which of several alike blocks a layer is of: `conv2_block1_1_conv`, `block4b_add`.
const BLOCK = /^((?:.*_)?(?:block|stage|unit|cell|module|expanded_conv)_?\d+[a-z]?)_./i;

/**
 * @typedef {object} Layer a node of the API's answer; `parameters`, `shape` and its sizes may be null
 * @property {string} path
 * @property {string} kind
 * @property {(number|null)[]|null} shape
 * @property {number|null} parameters
 * @property {string} layer the captured layer that it is; empty for none
 */

/**
 * A part that can be folded.
 * @typedef {object} Group
 * @property {string} path that the paths of its layers begin with
 * @property {number} parent the group that it lies in; -1 for none
 * @property {number[]} members its layers, in the model's order, also those of groups within it
 */

/**
 * Something that is drawn: a layer, or a folded group of them.
 * @typedef {object} Seen
 * @property {string} key tells it from others, whatever is folded
 * @property {number} node a layer; -1 for a group
 * @property {number} group the folded group; -1 for a layer
 */

/** The groups that a layer lies in by its path, the outermost first, as prefixes of the path. */
export function prefixesOf(path) {
  const parts = path.replace(/#\d+$/, "").split("/");
  const call = path.slice(parts.join("/").length); // each call is folded apart from others
  const prefixes = parts.slice(0, -1).map((_, at) => parts.slice(0, at + 1).join("/") + call);
  const block = BLOCK.exec(parts.at(-1));
  if (block) prefixes.push([...parts.slice(0, -1), block[1]].join("/") + call);
  return prefixes;
}

/**
 * The groups of a model's layers. Only such that are no detour: what leaves a group never comes back.
 * @param {{nodes: Layer[], edges: [number, number][]}} graph
 * @returns {{groups: Group[], within: number[]}} and the innermost group of each layer; -1 for none
 */
export function groupsOf({ nodes, edges }) {
  const members = new Map();
  nodes.forEach(({ path }, at) => {
    for (const prefix of prefixesOf(path)) {
      if (!members.has(prefix)) members.set(prefix, []);
      members.get(prefix).push(at);
    }
  });
  const parts = [...members].filter(([, of]) => of.length > 1 && of.length < nodes.length);
  const fit = parts.filter(([, of]) => !isDetour(of, nodes.length, edges));
  const index = new Map(fit.map(([path], at) => [path, at]));
  const within = nodes.map(() => -1);
  const groups = fit.map(([path, of]) => ({ path, parent: -1, members: of }));
  nodes.forEach(({ path }, at) => {
    const chain = prefixesOf(path).map((prefix) => index.get(prefix)).filter((group) => group >= 0);
    chain.forEach((group, depth) => { groups[group].parent = depth ? chain[depth - 1] : -1; });
    within[at] = chain.at(-1) ?? -1;
  });
  return { groups, within };
}

// Whether a way leads out of some layers and back into them. Edges lead from smaller indices to
// larger ones, so one pass in their order follows every way.
function isDetour(of, size, edges) {
  const inside = new Uint8Array(size);
  for (const at of of) inside[at] = 1;
  const left = new Uint8Array(size); // outside, and behind something inside
  for (const [from, to] of edges) {
    if (!inside[from] && !left[from]) continue;
    if (!inside[to]) left[to] = 1;
    else if (left[from]) return true;
  }
  return false;
}

/**
 * What is seen of a graph where some groups are open.
 * @param {{nodes: Layer[], edges: [number, number][], groups: Group[], within: number[]}} model
 *   edges sorted by where they come from
 * @param {Set<number>} open
 * @returns {{seen: Seen[], edges: [number, number][], places: number[]}} edges as indices of `seen`,
 *   in whose order each leads forward; and where of `seen` each layer is
 */
export function seenOf(model, open) {
  const { nodes, edges, groups, within } = model;
  const isOpen = new Set(open);
  for (;;) {
    const keys = nodes.map((_, at) => {
      let folded = -1;
      for (let group = within[at]; group >= 0; group = groups[group].parent) {
        if (!isOpen.has(group)) folded = group;
      }
      return folded;
    });
    const sorted = inOrder(nodes.length, edges, keys);
    if (sorted.seen) return sorted;
    // Two groups that are each no detour, but one for each other: they cannot both be folded.
    sorted.stuck.forEach((group) => isOpen.add(group));
  }
}

// Folded groups in an order in which every edge leads forward, or the groups that have none.
function inOrder(size, edges, folded) {
  const order = new Map(); // of keys, by their first layer
  const keyOf = (at) => (folded[at] >= 0 ? size + folded[at] : at);
  for (let at = 0; at < size; at += 1) if (!order.has(keyOf(at))) order.set(keyOf(at), order.size);
  const keys = [...order.keys()];
  const next = keys.map(() => new Set());
  const before = new Uint32Array(keys.length);
  for (const [from, to] of edges) {
    const [a, b] = [order.get(keyOf(from)), order.get(keyOf(to))];
    if (a !== b && !next[a].has(b)) {
      next[a].add(b);
      before[b] += 1;
    }
  }
  const ready = keys.map((_, at) => at).filter((at) => !before[at]);
  const sorted = [];
  for (let at = 0; at < ready.length; at += 1) {
    sorted.push(ready[at]);
    for (const to of next[ready[at]]) if (!(before[to] -= 1)) ready.push(to);
  }
  if (sorted.length < keys.length) {
    const stuck = keys.filter((key, at) => before[at] && key >= size).map((key) => key - size);
    return { stuck };
  }
  const placeOf = new Uint32Array(keys.length);
  sorted.forEach((at, place) => { placeOf[at] = place; });
  const seen = sorted.map((at) => {
    const [node, group] = keys[at] < size ? [keys[at], -1] : [-1, keys[at] - size];
    return { key: group < 0 ? `n${node}` : `g${group}`, node, group };
  });
  const pairs = sorted.flatMap((at, place) => [...next[at]].map((to) => [place, placeOf[to]]));
  const places = Array.from({ length: size }, (_, at) => placeOf[order.get(keyOf(at))]);
  return { seen, edges: pairs, places };
}

/** The groups that lie in a group, and it itself, which fold with it. */
export function inside(groups, group) {
  return groups.flatMap((_, at) => {
    for (let of = at; of >= 0; of = groups[of].parent) if (of === group) return [at];
    return [];
  });
}
