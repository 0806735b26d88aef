// Lays out and moves a network as the page Overview does; see network_drawing.py.
import * as dagre from "./assets/vendor/dagre.js";
import { draw } from "./assets/overview/network/canvas.js";
import { groupsOf, seenOf } from "./assets/overview/network/graph.js";
import { layoutOf } from "./assets/overview/network/layout.js";
import { Nodes } from "./assets/overview/network/nodes.js";
const size = { width: 900, height: 480 };
const canvas = document.querySelector("canvas");
Object.assign(canvas, size);
const nothing = () => {};
const nodes = new Nodes(document.getElementById("host"), {
  mark: nothing, toggle: nothing, select: nothing, zoom: nothing });
window.measure = async (graph, isWhole, frames, repeats) => {
  const times = [];
  let scene = null;
  for (let turn = 0; turn < repeats; turn += 1) {
    const start = performance.now();
    const model = { ...graph, ...groupsOf(graph) };
    const open = new Set(isWhole ? model.groups.keys() : []);
    const { seen, edges, places } = seenOf(model, open);
    const layout = layoutOf(seen.length, edges, dagre, 824);
    times.push(performance.now() - start);
    const layers = Object.fromEntries(graph.nodes.filter(({ layer }) => layer).map(({ layer }, at) => (
      [layer, { share: (at % 10) / 10, text: "", short: "", href: "" }])));
    scene = { model, values: { title: "", layers }, seen, edges, places, layout, open };
  }
  nodes.show(scene, 0);
  const gaps = { pan: [], zoom: [] };
  for (const kind of ["pan", "zoom"]) {
    let last = 0;
    for (let at = 0; at < frames; at += 1) {
      const now = await new Promise(requestAnimationFrame);
      if (last) gaps[kind].push(now - last);
      last = now;
      const scale = kind === "pan" ? 0.8 : 0.1 * 1.02 ** at;
      const view = kind === "pan" ? { x: 12 - at, y: 12 - 6 * at, scale }
        : { x: 450 - 500 * scale, y: 240 - 300 * scale, scale };
      nodes.place(view);
      draw(canvas.getContext("2d"), scene, view, { ...size, density: 1, scheme: "light", marked: -1 });
    }
  }
  return { boxes: scene.seen.length, ms: Math.min(...times), ...gaps };
};
