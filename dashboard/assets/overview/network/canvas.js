// Draws a network on a canvas, at any scale: as much of each layer's words as there is room for.
import { INK, colorAt } from "../../feature_maps/wall/palette.js";
import { BOX } from "./layout.js";
import { linesOf } from "./words.js";

const FONT = 12; // CSS pixels, whatever the scale
const LINE = 15;
const PADDING = 7;
const BAR = 13; // of the color, in the units of the drawing
const ROUND = 6;
const BACK = 9; // around the layers of an open part
const fonts = {
  name: `600 ${FONT}px system-ui, sans-serif`, rest: `${FONT}px system-ui, sans-serif`,
};
const widths = new Map(); // of texts, by font and text
const KEPT_WIDTHS = 20_000;

/**
 * Draws what is in sight.
 * @param {CanvasRenderingContext2D} pen
 * @param {{model: object, values: object, seen: import("./graph.js").Seen[],
 *   edges: [number, number][], layout: import("./layout.js").Layout}} scene
 * @param {import("./view.js").View} view
 * @param {{width: number, height: number, density: number, scheme: string, marked: number}} how
 *   `marked` is the node that is pointed at, -1 for none
 */
export function draw(pen, scene, view, { width, height, density, scheme, marked }) {
  const { seen, edges, layout } = scene;
  const ink = INK[scheme === "dark" ? "dark" : "light"];
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, width, height);
  const place = ({ x, y }) => [view.x + x * view.scale, view.y + y * view.scale];
  const [across, down] = [BOX.width * view.scale, BOX.height * view.scale];
  const isIn = ([x, y]) => (
    x < width + BACK && y < height + BACK && x + across > -BACK && y + down > -BACK);
  const inSight = seen.map((_, at) => at).filter((at) => isIn(place(layout.boxes[at])));
  drawBacks(pen, scene, inSight.map((at) => [at, place(layout.boxes[at])]), view, ink);
  drawEdges(pen, scene, view, { width, height }, ink, marked);
  const hatch = hatching(pen, ink, density);
  for (const at of inSight) {
    const [x, y] = place(layout.boxes[at]);
    drawBox(pen, scene, seen[at], { x, y, across, down }, view.scale, { ink, hatch });
  }
  if (marked >= 0 && inSight.includes(marked)) {
    const [x, y] = place(layout.boxes[marked]);
    pen.strokeStyle = ink.accent;
    pen.lineWidth = 2;
    outline(pen, x, y, across, down, ROUND * view.scale);
    pen.stroke();
  }
  return { nodes: inSight.length, edges: edges.length };
}

const outline = (pen, x, y, width, height, radius) => {
  pen.beginPath();
  pen.roundRect(x, y, width, height, radius);
};

// A ground below the layers of a part that is open, so that they are seen to belong together.
function drawBacks(pen, { model, seen }, places, { scale }, ink) {
  pen.fillStyle = ink.text;
  pen.globalAlpha = 0.07;
  for (const [at, [x, y]] of places) {
    if (seen[at].node < 0 || model.within[seen[at].node] < 0) continue;
    const edge = BACK * scale;
    pen.fillRect(x - edge, y - edge, BOX.width * scale + 2 * edge, BOX.height * scale + 2 * edge);
  }
  pen.globalAlpha = 1;
}

function drawEdges(pen, { edges, layout }, { x, y, scale }, { width, height }, ink, marked) {
  const ways = [new Path2D(), new Path2D()];
  const heads = [new Path2D(), new Path2D()];
  const size = Math.min(7, 14 * scale);
  edges.forEach(([from, to], at) => {
    const line = layout.lines[at].map(([u, v]) => [x + u * scale, y + v * scale]);
    if (isOutside(line, width, height)) return;
    const which = from === marked || to === marked ? 1 : 0;
    const way = ways[which];
    way.moveTo(...line[0]);
    for (let place = 1; place < line.length - 1; place += 1) {
      way.arcTo(...line[place], ...line[place + 1], radiusAt(line, place, 10 * scale));
    }
    const [end, before] = [line.at(-1), line.at(-2)];
    way.lineTo(...end);
    const angle = Math.atan2(end[1] - before[1], end[0] - before[0]);
    const wing = (turn) => [
      end[0] - size * Math.cos(angle + turn), end[1] - size * Math.sin(angle + turn)];
    heads[which].moveTo(...end);
    heads[which].lineTo(...wing(0.45));
    heads[which].lineTo(...wing(-0.45));
    heads[which].closePath();
  });
  [ink.text, ink.accent].forEach((color, which) => {
    pen.strokeStyle = pen.fillStyle = color;
    pen.globalAlpha = which ? 1 : 0.55;
    pen.lineWidth = which ? 2 : Math.max(0.75, Math.min(1.25, scale * 1.5));
    pen.stroke(ways[which]);
    pen.fill(heads[which]);
  });
  pen.globalAlpha = 1;
}

// No more of a corner is round than half of the shorter way to it.
function radiusAt(line, at, most) {
  const long = (a, b) => Math.hypot(a[0] - b[0], a[1] - b[1]);
  return Math.min(most, long(line[at - 1], line[at]) / 2, long(line[at], line[at + 1]) / 2);
}

function isOutside(line, width, height) {
  const [us, vs] = [line.map(([u]) => u), line.map(([, v]) => v)];
  return Math.max(...us) < 0 || Math.min(...us) > width || Math.max(...vs) < 0
    || Math.min(...vs) > height;
}

function drawBox(pen, scene, box, { x, y, across, down }, scale, { ink, hatch }) {
  const radius = ROUND * scale;
  const line = Math.max(0.5, Math.min(1, scale));
  pen.lineWidth = line;
  pen.strokeStyle = ink.text;
  if (box.group >= 0) { // as a stack of sheets
    pen.fillStyle = ink.ground;
    for (const step of [6, 3]) {
      outline(pen, x + step * scale, y - step * scale, across, down, radius);
      pen.fill();
      pen.stroke();
    }
  }
  outline(pen, x, y, across, down, radius);
  pen.fillStyle = ink.ground;
  pen.fill();
  const colors = colorsOf(scene, box, hatch);
  const room = Math.floor((down - PADDING) / LINE);
  if (colors.length) {
    pen.save();
    pen.clip();
    // Where there is no room for words, the color is all of the box.
    const wide = room ? BAR * scale : across;
    colors.forEach((color, at) => {
      pen.fillStyle = color;
      pen.fillRect(x, y + (at * down) / colors.length, wide, down / colors.length + 0.5);
    });
    pen.restore();
    if (room) {
      pen.beginPath();
      pen.moveTo(x + BAR * scale, y);
      pen.lineTo(x + BAR * scale, y + down);
      pen.stroke();
    }
  }
  outline(pen, x, y, across, down, radius);
  pen.stroke();
  if (!room) return;
  const left = x + (colors.length ? BAR * scale : 0) + PADDING;
  const lines = linesOf(scene, box).slice(0, room);
  const top = y + (down - lines.length * LINE) / 2 + LINE * 0.76;
  pen.fillStyle = ink.text;
  lines.forEach((text, at) => {
    pen.font = at ? fonts.rest : fonts.name;
    pen.fillText(fitted(pen, text, x + across - PADDING + 2 - left, at === 0), left, top + at * LINE);
  });
}

// The colors of the captured layers that a box stands for.
function colorsOf({ model, values }, { node, group }, hatch) {
  const layers = (group >= 0 ? model.groups[group].members : [node])
    .map((at) => values.layers[model.nodes[at].layer]).filter(Boolean);
  return layers.map(({ share }) => (share === null ? hatch : colorAt("sequential", share)));
}

/** Text that fits; of a name the end stays, which tells it from others, of other words the beginning. */
function fitted(pen, text, width, isName) {
  const key = `${isName} ${text}`;
  if (widths.size > KEPT_WIDTHS) widths.clear();
  if (!widths.has(key)) widths.set(key, pen.measureText(text).width);
  const whole = widths.get(key);
  if (whole <= width) return text;
  const letters = Math.floor((text.length * width) / whole) - 2;
  if (letters < 1) return "";
  return isName ? `…${text.slice(-letters)}` : `${text.slice(0, letters)}…`;
}

// Lines on the ground of the page: no color that could be a value.
function hatching(pen, ink, density) {
  const size = Math.round(6 * density);
  const stamp = new OffscreenCanvas(size, size);
  const own = stamp.getContext("2d");
  own.fillStyle = ink.ground;
  own.fillRect(0, 0, size, size);
  own.strokeStyle = ink.text;
  own.lineWidth = 1.2 * density;
  for (const step of [-size, 0, size]) {
    own.moveTo(step - 1, size + 1);
    own.lineTo(step + size + 1, -1);
  }
  own.stroke();
  const pattern = pen.createPattern(stamp, "repeat");
  pattern.setTransform(new DOMMatrix([1 / density, 0, 0, 1 / density, 0, 0]));
  return pattern;
}
