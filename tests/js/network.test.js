// A network is folded without a cycle, laid out with no box over another, and seen where it is held.
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import {
  groupsOf, inside, prefixesOf, seenOf,
} from "../../dashboard/assets/overview/network/graph.js";
import { BOX, layoutOf, ranksOf } from "../../dashboard/assets/overview/network/layout.js";
import { openOf, openText } from "../../dashboard/assets/overview/network/open_parts.js";
import {
  first, moved, showing, whole, zoomed,
} from "../../dashboard/assets/overview/network/view.js";
import { factsOf, linesOf } from "../../dashboard/assets/overview/network/words.js";
import * as dagre from "../../dashboard/vendor/dagre.esm.js";

const layer = (path, more = {}) => (
  { path, kind: "Conv2D", shape: [8, 8, 4], parameters: 40, layer: "", ...more });
const chain = (n) => Array.from({ length: n - 1 }, (_, at) => [at, at + 1]);
const modelOf = (paths, edges) => {
  const graph = { nodes: paths.map((path) => layer(path)), edges };
  return { ...graph, ...groupsOf(graph) };
};
// Random graphs: each node reads some of those before it; paths lie in parts, some within others.
const graphs = fc.integer({ min: 2, max: 30 }).chain((size) => fc.record({
  paths: fc.array(
    fc.constantFrom("conv", "a/conv", "a/b/conv", "c/conv", "block1_conv", "block2_add", "a/block3_x"),
    { minLength: size, maxLength: size },
  ).map((names) => names.map((name, at) => `${name}${at}`)),
  edges: fc.uniqueArray(
    fc.tuple(fc.nat(size - 1), fc.nat(size - 1)).filter(([from, to]) => from < to),
    { maxLength: 3 * size, selector: String },
  ).map((edges) => edges.sort(([a, b], [c, d]) => a - c || b - d)),
})).map(({ paths, edges }) => modelOf(paths, edges));
const opened = graphs.chain((model) => fc.tuple(
  fc.constant(model),
  fc.subarray([...model.groups.keys()]).map((groups) => new Set(groups)),
));

describe("folding", () => {
  test.each([
    ["conv1", []],
    ["outer/inner/conv1", ["outer", "outer/inner"]],
    ["conv2_block1_1_conv", ["conv2_block1"]],
    ["conv2_block1_0_bn", ["conv2_block1"]],
    ["block4b_se_reduce", ["block4b"]],
    ["convnext_tiny_stage_0_block_2_depthwise_conv", ["convnext_tiny_stage_0_block_2"]],
    ["outer/block_1_expand#2", ["outer#2", "outer/block_1#2"]],
    ["block1", []],
    ["max_pooling2d_1", []],
  ])("%s lies in %j", (path, prefixes) => expect(prefixesOf(path)).toEqual(prefixes));

  test("blocks that repeat become one node each, and what they read and give is what theirs do", () => {
    const model = modelOf(
      ["image", "block1_conv", "block1_bn", "block1_add", "block2_conv", "block2_add", "dense"],
      [[0, 1], [0, 3], [1, 2], [2, 3], [3, 4], [3, 5], [4, 5], [5, 6]],
    );
    const { seen, edges } = seenOf(model, new Set());
    expect(seen.map(({ key }) => key)).toEqual(["n0", "g0", "g1", "n6"]);
    expect(edges).toEqual([[0, 1], [1, 2], [2, 3]]);
    expect(seenOf(model, new Set([0, 1])).edges).toEqual(model.edges);
  });

  test("a part whose way leads out and back in is not folded: it would read itself", () => {
    const model = modelOf(["block1_a", "between", "block1_b"], chain(3));
    expect(model.groups).toEqual([]);
  });

  test("parts that are each no detour, but are for each other, are not both folded", () => {
    const model = modelOf(["block1_a", "block2_a", "block1_b", "block2_b"], [[0, 3], [1, 2]]);
    expect(model.groups).toHaveLength(2);
    expect(seenOf(model, new Set()).seen.length).toBeGreaterThan(2);
  });

  test("every edge leads forward, each layer is in one place, and edges are those between places", () => {
    fc.assert(fc.property(opened, ([model, open]) => {
      const { seen, edges, places } = seenOf(model, open);
      expect(new Set(places).size).toBe(seen.length);
      expect(edges.every(([from, to]) => from < to)).toBe(true);
      const wanted = new Set(model.edges.map((edge) => edge.map((at) => places[at]))
        .filter(([from, to]) => from !== to).map(String));
      expect(new Set(edges.map(String))).toEqual(wanted);
      expect(edges).toHaveLength(wanted.size);
      seen.forEach(({ node }, at) => { if (node >= 0) expect(places[node]).toBe(at); });
    }));
  });

  test("with all open, it is the model", () => {
    fc.assert(fc.property(graphs, (model) => {
      const { seen, edges } = seenOf(model, new Set(model.groups.keys()));
      const named = edges.map((edge) => edge.map((at) => seen[at].node));
      expect(named.map(String).sort()).toEqual(model.edges.map(String).sort());
    }));
  });

  test("parts within a part fold with it", () => {
    const { groups } = modelOf(["a/b/x", "a/b/y", "a/z", "c/x", "c/y"], chain(5));
    expect(groups.map(({ path }) => path)).toEqual(["a", "a/b", "c"]);
    expect(inside(groups, 0)).toEqual([0, 1]);
  });
});

describe("the layout", () => {
  const laid = fc.tuple(opened, fc.constantFrom(0, 300, 900, 4000)).map(([[model, open], room]) => {
    const { seen, edges } = seenOf(model, open);
    return { size: seen.length, edges, layout: layoutOf(seen.length, edges, dagre, room) };
  });

  test("no box lies over another, all lie in the drawing, and edges lead from box to box", () => {
    fc.assert(fc.property(laid, ({ size, edges, layout }) => {
      expect(layout.boxes).toHaveLength(size);
      layout.boxes.forEach(({ x, y }, at) => {
        expect(Math.min(x, y)).toBeGreaterThanOrEqual(-0.01);
        expect(x + BOX.width).toBeLessThanOrEqual(layout.width + 0.01);
        expect(y + BOX.height).toBeLessThanOrEqual(layout.height + 0.01);
        layout.boxes.slice(0, at).forEach((other) => expect(
          Math.abs(other.x - x) > BOX.width - 0.01 || Math.abs(other.y - y) > BOX.height - 0.01,
        ).toBe(true));
      });
      edges.forEach(([from, to], at) => {
        const line = layout.lines[at];
        expect(line.flat().every(Number.isFinite)).toBe(true);
        for (const [node, point] of [[from, line[0]], [to, line.at(-1)]]) {
          const { x, y } = layout.boxes[node];
          expect(point[0]).toBeGreaterThanOrEqual(x - 0.01);
          expect(point[0]).toBeLessThanOrEqual(x + BOX.width + 0.01);
          expect(point[1]).toBeGreaterThanOrEqual(y - 0.01);
          expect(point[1]).toBeLessThanOrEqual(y + BOX.height + 0.01);
        }
      });
    }));
  }, 60_000);

  test("a chain stands in rows no longer than there is room, in the order of reading", () => {
    const { boxes, width } = layoutOf(40, chain(40), dagre, 900);
    expect(width).toBeLessThan(960);
    boxes.slice(1).forEach(({ x, y }, at) => {
      expect(y > boxes[at].y || (y === boxes[at].y && x > boxes[at].x)).toBe(true);
    });
    expect(new Set(boxes.map(({ y }) => y)).size).toBeGreaterThan(5);
  });

  test("where there is no room for rows, it runs down", () => {
    const { boxes, width } = layoutOf(9, chain(9), dagre, 0);
    expect(new Set(boxes.map(({ x }) => x)).size).toBe(1);
    expect(width).toBe(BOX.width);
  });

  test("a node is behind all that it reads, and an input next to what reads it", () => {
    const edges = [[0, 2], [2, 3], [3, 4], [1, 4]];
    expect([...ranksOf(5, edges)]).toEqual([0, 2, 1, 2, 3]);
  });

  test("what is too large to be untangled is still laid out, and said to be plain", () => {
    const size = 700;
    const edges = chain(size).concat(Array.from({ length: size - 3 }, (_, at) => [at, at + 3]));
    const { boxes, isPlain } = layoutOf(size, edges, dagre, 900);
    expect([boxes.length, isPlain]).toEqual([size, true]);
  });

  test("of no layer nothing is laid out, and one layer is a box", () => {
    expect(layoutOf(0, [], dagre, 900).boxes).toEqual([]);
    expect(layoutOf(1, [], dagre, 900).boxes).toHaveLength(1);
  });

  test("the library is the one that the server says it is", () => {
    expect(dagre.version).toBe("3.1.3");
  });
});

describe("what is seen", () => {
  const drawing = { width: 1000, height: 2000 };
  const box = { width: 800, height: 400 };

  test("is all of a small network, and the legible beginning of a large one", () => {
    expect(first({ width: 700, height: 300 }, box).scale).toBe(1);
    const { scale, y } = first({ width: 900, height: 9000 }, box);
    expect(scale).toBeGreaterThan(0.7);
    expect(y).toBeGreaterThanOrEqual(0);
  });

  test("is zoomed about a point, which stays where it is", () => {
    const view = { x: -100, y: -200, scale: 0.8 };
    const point = { x: 300, y: 200 };
    const next = zoomed(view, point, 0.5, drawing, box);
    expect((point.x - next.x) / next.scale).toBeCloseTo((point.x - view.x) / view.scale);
    expect(next.scale).toBeCloseTo(1.6);
    expect(zoomed(view, point, Infinity, drawing, box)).toEqual(whole(drawing, box));
  });

  test("never leaves the network, however it is moved", () => {
    const far = fc.integer({ min: -9999, max: 9999 });
    fc.assert(fc.property(far, far, (x, y) => {
      const view = moved(whole(drawing, box), x, y, drawing, box);
      expect(view.x).toBeLessThan(box.width);
      expect(view.x + drawing.width * view.scale).toBeGreaterThan(0);
      expect(view.y).toBeLessThan(box.height);
      expect(view.y + drawing.height * view.scale).toBeGreaterThan(0);
    }));
  });

  test("is moved as little as can be for what has the focus to be in sight", () => {
    const view = { x: 0, y: 0, scale: 1 };
    expect(showing(view, { x: 100, y: 100, ...BOX }, drawing, box)).toEqual(view);
    const { y } = showing(view, { x: 100, y: 900, ...BOX }, drawing, box);
    expect(900 + y + BOX.height).toBeLessThanOrEqual(box.height);
  });
});

describe("which parts are open, in a link", () => {
  test("comes back as it was, neighbors as a range", () => {
    expect(openText(new Set([0, 1, 2, 7]), 9)).toBe("0-2.7");
    fc.assert(fc.property(fc.uniqueArray(fc.nat(59)), (open) => {
      expect(openOf(openText(new Set(open), 60), 60)).toEqual(new Set([...open].sort((a, b) => a - b)));
    }));
    expect(openOf("all", 3)).toEqual(new Set([0, 1, 2]));
  });

  test("is nothing where a link says anything else", () => {
    for (const text of ["", null, "no", "7", "-1", "1e9", "3-"]) expect(openOf(text, 3).size).toBe(0);
  });

  test("is no longer than a link takes", () => {
    const odd = new Set(Array.from({ length: 400 }, (_, at) => 2 * at));
    expect(openText(odd, 1000).length).toBeLessThanOrEqual(255);
  });
});

describe("words", () => {
  const values = {
    title: "Dead filters", layers: { conv: { short: "25%", text: "1 of 4 filters dead (25%)" } },
  };
  const model = modelOf(["a/conv", "a/pool"], [[0, 1]]);
  model.nodes[0].layer = "conv";
  Object.assign(model.nodes[1], { kind: "MaxPooling2D", shape: [null, 4], parameters: 0 });
  const about = { model, values };

  test("a box has name, kind and output, the number of a captured layer, parameters", () => {
    expect(linesOf(about, { node: 0, group: -1 }))
      .toEqual(["conv", "Conv2D · 8×8×4", "Dead filters: 25%", "40 parameters"]);
    expect(factsOf(about, { node: 1, group: -1 }))
      .toEqual(["a/pool", "MaxPooling2D · ?×4", "no parameters"]);
    expect(factsOf(about, { node: 0, group: -1 })).toContain("1 of 4 filters dead (25%)");
  });

  test("what is not known is left out, and a name that has a comma stays whole", () => {
    const unknown = { nodes: [layer("x, y", { shape: null, parameters: null })], groups: [] };
    expect(factsOf({ model: unknown, values }, { node: 0, group: -1 })).toEqual(["x, y", "Conv2D"]);
  });
});
