// The same maps of one sample three ways, each alone on a page: the wall, one trace, subplots.
import { arrayOf } from "/assets/feature_maps/fetching.js";
import { tilingOf } from "/assets/feature_maps/wall/tiling.js";
import { Wall, cellsFor, roomIn } from "/assets/feature_maps/wall/wall.js";

const host = document.getElementById("host");
let wall = null;

const painted = () => new Promise((done) => {
  requestAnimationFrame(() => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => done(performance.now());
    port2.postMessage(0);
  });
});

async function drawWall(facts, sample) {
  const [height, width, n] = facts.shape;
  const step = facts.windows
    ? cellsFor(facts.shape, tilingOf(n, height, width, roomIn(host)), devicePixelRatio) : 1;
  const array = await arrayOf(facts.windows
    ? `${facts.windows}&sample=${sample}&step=${step}` : `${facts.url}&sample=${sample}`);
  // Nothing else is on the page that would want to know.
  wall ??= new Wall(host, new Proxy({}, { get: () => async () => null }));
  const maps = {
    values: array.values, shape: array.shape.slice(1), step, origin: { top: 0, left: 0 },
    filters: null,
  };
  const view = {
    facts, filter: 0, range: "layer", colors: "usual", norm: "linear", inverted: false,
    zoom: "linked", window: "", scheme: "light", scores: null, hidden: null, zeros: false, words: "",
  };
  wall.show(maps, view);
}

async function drawFigure(kind, facts, sample) {
  const query = new URLSearchParams({ kind, layer: facts.layer, sample });
  const answer = await fetch(`beside/figure?${query}`);
  const figure = await answer.json();
  await window.Plotly.newPlot(host, figure.data, figure.layout);
}

/** From the request for a sample's data to its first picture, in ms. */
async function first(kind, facts, sample) {
  const started = performance.now();
  await (kind === "wall" ? drawWall(facts, sample) : drawFigure(kind, facts, sample));
  return await painted() - started;
}

/** From asking for the middle half, or for all again, to its first picture, in ms. */
async function zoom(kind, half) {
  if (kind === "wall linked" || kind === "wall free") {
    wall.show(wall.maps, { ...wall.view, zoom: kind.split(" ")[1] });
    const { width, height } = wall.world;
    const [from, to] = half ? [0.25, 0.75] : [0, 1];
    const started = performance.now();
    wall.look({
      left: from * width, right: to * width, top: from * height, bottom: to * height,
    });
    return await painted() - started;
  }
  const axes = Object.keys(host._fullLayout).filter((name) => /^[xy]axis\d*$/.test(name));
  whole ??= Object.fromEntries(axes.map((name) => [name, [...host._fullLayout[name].range]]));
  const ranges = Object.fromEntries(axes.map((name) => {
    const [from, to] = whole[name];
    const cut = half ? (to - from) / 4 : 0;
    return [`${name}.range`, [from + cut, to - cut]];
  }));
  const started = performance.now();
  await window.Plotly.relayout(host, ranges);
  return await painted() - started;
}
let whole = null;

window.beside = { first, zoom };
