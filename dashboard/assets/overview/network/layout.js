// Where the nodes of a network stand and its edges run. A network is mostly a chain: it is cut where
// all ways pass one node, so that each piece is small, and alike pieces are laid out once, by a
// library. The pieces stand in rows, as words do. Knows no page.

export const BOX = { width: 168, height: 56 };
const GAP = { within: 18, ranks: 34, rows: 40 };
const MARGIN = 26; // beside rows, where edges lead to the next one
const LARGEST = 300; // nodes of a piece that is untangled: more would take seconds

/**
 * @typedef {object} Layout
 * @property {{x: number, y: number}[]} boxes the upper left corner of each node
 * @property {[number, number][][]} lines points of each edge
 * @property {number} width
 * @property {number} height
 * @property {boolean} isPlain whether a piece was too large to be untangled: edges cross there
 */

/**
 * Lays out a graph.
 * @param {number} size how many nodes
 * @param {[number, number][]} edges from smaller to larger indices
 * @param {{Graph: Function, layout: Function}} dagre the library
 * @param {number} room what a row may take; 0 where the network runs down, in one column
 * @returns {Layout}
 */
export function layoutOf(size, edges, dagre, room) {
  // u runs along the network and v across, so that one way is enough to reckon.
  const box = room ? { u: BOX.width, v: BOX.height } : { u: BOX.height, v: BOX.width };
  const ranks = ranksOf(size, edges);
  const pieces = size ? piecesOf(edges, ranks) : [];
  const kept = new Map();
  for (const piece of pieces) {
    const place = new Map(piece.nodes.map((node, at) => [node, at]));
    const inner = piece.edges.map((edge) => edge.map((node) => place.get(node)));
    const steps = piece.nodes.map((node) => ranks[node] - ranks[piece.nodes[0]]);
    const alike = JSON.stringify([inner, piece.nodes.length > LARGEST && steps]);
    const make = piece.nodes.length > LARGEST ? plain : untangled;
    if (!kept.has(alike)) kept.set(alike, make(steps, inner, box, dagre));
    piece.drawn = kept.get(alike);
    piece.start = place.get(piece.from);
    piece.end = place.get(piece.to);
  }
  const { boxes, lines, width, height } = placed(edges, inRows(pieces, box, room || Infinity), box);
  const isPlain = pieces.some(({ nodes }) => nodes.length > LARGEST);
  if (room) {
    return {
      boxes: boxes.map(([u, v]) => ({ x: u, y: v })), lines, width, height, isPlain,
    };
  }
  return {
    boxes: boxes.map(([u, v]) => ({ x: v, y: u })),
    lines: lines.map((line) => line.map(([u, v]) => [v, u])),
    width: height, height: width, isPlain,
  };
}

/** How long the longest way to each node is; an input is as near to what reads it as it can be. */
export function ranksOf(size, edges) {
  const ranks = new Int32Array(size);
  const nearest = new Int32Array(size).fill(-1); // of nodes that read nothing
  const reads = new Uint8Array(size);
  for (const [from, to] of [...edges].sort(([a], [b]) => a - b)) {
    ranks[to] = Math.max(ranks[to], ranks[from] + 1);
    reads[to] = 1;
  }
  for (const [from, to] of edges) {
    if (reads[from]) continue;
    nearest[from] = nearest[from] < 0 ? ranks[to] - 1 : Math.min(nearest[from], ranks[to] - 1);
  }
  return ranks.map((rank, at) => Math.max(rank, nearest[at]));
}

// Pieces between nodes that all ways pass: `from`, the last node of the piece before, undefined for
// the first one, and `to`, the first of the next.
function piecesOf(edges, ranks) {
  const last = ranks.reduce((most, rank) => Math.max(most, rank), 0);
  const byRank = Array.from({ length: last + 1 }, () => []);
  ranks.forEach((rank, at) => byRank[rank].push(at));
  const passing = new Int32Array(last + 2); // how many edges pass each rank
  for (const [from, to] of edges) {
    passing[ranks[from] + 1] += 1;
    passing[ranks[to]] -= 1;
  }
  for (let rank = 1; rank <= last; rank += 1) passing[rank] += passing[rank - 1];
  const cuts = byRank.flatMap((nodes, rank) => (
    rank && rank < last && nodes.length === 1 && !passing[rank] ? [rank] : []));
  const bounds = [0, ...cuts, last];
  const pieces = bounds.slice(1).map((to, at) => ({
    nodes: byRank.slice(bounds[at], to + 1).flat(),
    edges: [],
    from: at ? byRank[bounds[at]][0] : undefined,
    to: byRank[to][0],
  }));
  const pieceOf = byRank.map((_, rank) => Math.max(0, bounds.findLastIndex((bound) => bound <= rank)));
  for (const edge of edges) {
    pieces[Math.min(pieceOf[ranks[edge[0]]], pieces.length - 1)].edges.push(edge);
  }
  return pieces;
}

function untangled(steps, edges, box, dagre) {
  const graph = new dagre.Graph();
  graph.setGraph({ rankdir: "LR", nodesep: GAP.within, ranksep: GAP.ranks, edgesep: 10 });
  graph.setDefaultEdgeLabel(() => ({}));
  steps.forEach((_, at) => graph.setNode(String(at), { width: box.u, height: box.v }));
  edges.forEach(([from, to]) => graph.setEdge(String(from), String(to)));
  dagre.layout(graph);
  const boxes = steps.map((_, at) => {
    const { x, y } = graph.node(String(at));
    return [x - box.u / 2, y - box.v / 2];
  });
  const bends = edges.map(([from, to]) => (
    graph.edge(String(from), String(to)).points.slice(1, -1).map(({ x, y }) => [x, y])));
  return { boxes, lines: joined(boxes, edges, bends, box) };
}

// Ranks in columns, nodes in their order, edges straight.
function plain(steps, edges, box) {
  const taken = new Map();
  const boxes = steps.map((step) => {
    const place = taken.get(step) ?? 0;
    taken.set(step, place + 1);
    return [step * (box.u + GAP.ranks), place * (box.v + GAP.within)];
  });
  return { boxes, lines: joined(boxes, edges, edges.map(() => []), box) };
}

// Edges from the middle of a node's end to the middle of the next one's beginning.
function joined(boxes, edges, bends, box) {
  return edges.map(([from, to], at) => {
    const [u, v] = boxes[from];
    // Bends under the nodes at its ends would have it run back.
    const between = bends[at].filter(([x]) => x > u + box.u && x < boxes[to][0]);
    return [[u + box.u, v + box.v / 2], ...between, [boxes[to][0], boxes[to][1] + box.v / 2]];
  });
}

// Pieces one behind the other; where a row has no room for one, another begins. What is in a row is
// moved by `shift`; `isCut` where the node that a piece begins with is the last of the row above.
function inRows(pieces, box, room) {
  const rows = [];
  let row = null;
  for (const piece of pieces) {
    const { boxes } = piece.drawn;
    const isJoint = piece.start !== undefined;
    const [u, v] = isJoint ? boxes[piece.start] : [0, boxes[0][1]];
    const begin = isJoint ? u + box.u : Math.min(...boxes.map(([x]) => x));
    const span = Math.max(...boxes.map(([x]) => x)) + box.u - begin;
    const isNew = !row || (isJoint && row.end + span > row.most);
    if (isNew) {
      row = { parts: [], end: 0, level: 0, most: room };
      rows.push(row);
    }
    const shift = [row.end - begin, row.level - v];
    row.parts.push({ piece, shift, isCut: isNew && isJoint });
    row.end += span;
    // Where one piece is longer than a row, the node behind it is not alone in the next one.
    if (row.end > row.most) row.most = row.end + box.u + GAP.ranks;
    row.level = boxes[piece.end][1] + shift[1];
  }
  return rows;
}

function placed(edges, rows, box) {
  const boxes = [];
  const lineOf = new Map();
  const cut = []; // edges into another row
  const width = MARGIN + Math.max(0, ...rows.map(({ end }) => end));
  let height = 0;
  for (const [at, { parts }] of rows.entries()) {
    const levels = parts.flatMap(({ piece: { drawn }, shift }) => [
      ...drawn.boxes.flatMap(([, v]) => [v + shift[1], v + shift[1] + box.v]),
      ...drawn.lines.flat().map(([, v]) => v + shift[1]),
    ]);
    const [low, high] = [Math.min(...levels), Math.max(...levels)];
    const down = height - low + (at ? GAP.rows : 0);
    for (const { piece, shift, isCut } of parts) {
      const move = ([u, v]) => [MARGIN + u + shift[0], v + shift[1] + down];
      piece.nodes.forEach((node, place) => {
        if (!isCut || node !== piece.from) boxes[node] = move(piece.drawn.boxes[place]);
      });
      piece.edges.forEach((edge, place) => {
        lineOf.set(edge, piece.drawn.lines[place].map(move));
        if (isCut && edge[0] === piece.from) cut.push({ edge, top: height + GAP.rows / 2 });
      });
    }
    height = high + down;
  }
  for (const { edge, top } of cut) {
    const [u, v] = boxes[edge[0]];
    const [[, level], ...rest] = lineOf.get(edge);
    const [end, middle] = [u + box.u, v + box.v / 2];
    const [right, left] = [width + MARGIN / 2, MARGIN / 2];
    lineOf.set(edge, [[end, middle], [right, middle], [right, top], [left, top], [left, level], ...rest]);
  }
  return { boxes, lines: edges.map((edge) => lineOf.get(edge)), width: width + MARGIN, height };
}
