// Draws a wall: its tiles with their names, the color bar, and on a canvas of its own what is
// selected and hovered. Reads the wall and changes nothing of it.
import { covers, sourceOf } from "./atlas.js";
import { ticks } from "./numbers.js";
import { ABOVE, BELOW, INK, colorAt } from "./palette.js";

const NAMED_FROM = 24; // CSS pixels across: smaller tiles have no room for a name
const THICK = 12; // CSS pixels across, of the color bar
const TITLES = {
  layer: "activation", percentile: "activation",
  filter: "share of the filter's range", map: "share of the map's range",
};

/** The tiles and their names. */
export function drawTiles(pen, wall) {
  const { density, detail, order, overview, seen, size, tiling } = wall;
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, size.width, size.height);
  pen.imageSmoothingEnabled = false;
  pen.save();
  pen.beginPath();
  pen.rect(0, 0, tiling.width, tiling.height);
  pen.clip();
  const fine = detail && covers(detail, seen, Infinity) ? detail : overview;
  pen.textBaseline = "bottom";
  for (let place = 0; place < order.length; place += 1) {
    const box = wall.boxOf(place);
    if (!wall.isSeen(box)) continue;
    const filter = order[place];
    const inFine = sourceOf(fine, filter, seen);
    const atlas = inFine ? fine : overview;
    const from = inFine ?? sourceOf(overview, filter, seen);
    const [x, y] = [snap(box.x, density), snap(box.y, density)];
    pen.drawImage(
      atlas.canvas, from.x, from.y, from.width, from.height, x, y,
      snap(box.x + box.width, density) - x, snap(box.y + box.height, density) - y);
    drawName(pen, wall, filter, box);
  }
  pen.restore();
}

function drawName(pen, wall, filter, box) {
  const isSelected = filter === wall.view.filter;
  const ink = INK[wall.view.scheme];
  if (box.width < NAMED_FROM) return;
  const isZero = wall.zeroMaps[filter] === 1;
  const size = wall.tiling.name > 12 ? 11 : 9;
  pen.font = `${isSelected ? "700 " : ""}${size}px system-ui, sans-serif`;
  const wide = `${filter} all 0`;
  const short = isZero ? `${filter}∅` : `${filter}`;
  const text = isZero && pen.measureText(wide).width <= box.width ? wide : short;
  // Sticky: while a tile is in sight its name is, at the edge where need be.
  const x = Math.max(box.x, 0);
  const y = Math.min(Math.max(box.y - 1, size + 3), box.y + box.height);
  if (y > box.y) {
    pen.fillStyle = ink.chip;
    pen.fillRect(x, y - size - 2, pen.measureText(text).width + 4, size + 3);
  }
  pen.fillStyle = isSelected ? ink.accent : ink.text;
  pen.fillText(text, y > box.y ? x + 2 : x, y + 1);
}

/** The selected tile's frame, the hovered cell in every tile, a box being drawn. */
export function drawMarks(pen, wall) {
  const { band, density, size, tiling, view, hovered } = wall;
  const ink = INK[view.scheme];
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, size.width, size.height);
  const selected = wall.order.indexOf(view.filter);
  if (selected >= 0) {
    const box = wall.boxOf(selected);
    pen.lineWidth = 2.5;
    pen.strokeStyle = ink.accent;
    pen.strokeRect(box.x - 1, box.y - 1, box.width + 2, box.height + 2);
  }
  if (hovered) drawCells(pen, wall);
  if (band) {
    const { from, to } = band;
    pen.fillStyle = "rgb(128 128 128 / 25%)";
    pen.strokeStyle = ink.text;
    pen.lineWidth = 1;
    const box = [from.x, from.y, to.x - from.x, to.y - from.y];
    pen.fillRect(...box);
    pen.strokeRect(...box);
  }
  pen.clearRect(tiling.width + 4, 0, size.width, size.height);
}

// The same cell in every tile, because that is what filters are compared by.
function drawCells(pen, wall) {
  const { hovered } = wall;
  const places = wall.linked ? wall.order.keys() : [hovered.place];
  pen.lineWidth = 1;
  for (const place of places) {
    const { x, y, width, height } = wall.cellBox(place, hovered);
    const cell = [x, y, Math.max(width, 3), Math.max(height, 3)];
    pen.strokeStyle = "#000";
    pen.strokeRect(cell[0] - 1, cell[1] - 1, cell[2] + 2, cell[3] + 2);
    pen.strokeStyle = "#fff";
    pen.strokeRect(...cell);
  }
}

/** The color bar to the right of the tiles, in the units of the activation. */
export function drawBar(pen, wall) {
  const { tiling, span, view } = wall;
  const { range } = view;
  const inUnits = range === "layer" || range === "percentile";
  const [low, high] = inUnits
    ? [span.from[0], span.to[0]] : [span.scale === "diverging" ? -1 : 0, 1];
  const x = tiling.width + 12;
  const [top, height] = [16, Math.min(Math.max(tiling.height - 32, 80), 420)];
  for (let row = 0; row < height; row += 1) {
    pen.fillStyle = colorAt(span.scale, 1 - row / (height - 1));
    pen.fillRect(x, top + row, THICK, 1.5);
  }
  pen.fillStyle = ABOVE;
  triangle(pen, x, top - 3, -1);
  pen.fillStyle = BELOW;
  triangle(pen, x, top + height + 3, 1);
  pen.fillStyle = INK[view.scheme].text;
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "middle";
  for (const value of ticks(low, high, 5)) {
    const y = top + height * (1 - (value - low) / (high - low));
    pen.fillRect(x + THICK, y - 0.5, 4, 1);
    const text = inUnits ? String(Number(value.toPrecision(4))) : `${Math.round(value * 100)}%`;
    pen.fillText(text, x + THICK + 7, y);
  }
  pen.save();
  pen.translate(x + THICK + 56, top + height / 2);
  pen.rotate(-Math.PI / 2);
  pen.textAlign = "center";
  pen.fillText(TITLES[range], 0, 0);
  pen.restore();
}

function triangle(pen, x, y, way) {
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x + THICK, y);
  pen.lineTo(x + THICK / 2, y + way * 7);
  pen.fill();
}

// To whole pixels of the screen, so that cells have sharp edges.
const snap = (value, density) => Math.round(value * density) / density;
