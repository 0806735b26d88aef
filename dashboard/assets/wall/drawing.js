// Draws a wall: its tiles with their names, and on a canvas of its own what is selected and hovered.
import { covers, sourceOf } from "./atlas.js";
import { INK } from "./palette.js";

const NAMED_FROM = 24; // CSS pixels across: smaller tiles have no room for a name

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
    const there = sourceOf(fine, filter, seen);
    const atlas = there ? fine : overview;
    const from = there ?? sourceOf(overview, filter, seen);
    const [x, y] = [snap(box.x, density), snap(box.y, density)];
    pen.drawImage(
      atlas.canvas, from.x, from.y, from.width, from.height, x, y,
      snap(box.x + box.width, density) - x, snap(box.y + box.height, density) - y);
    drawName(pen, wall, filter, box);
  }
  pen.restore();
}

function drawName(pen, wall, filter, box) {
  const isChosen = filter === wall.view.filter;
  const ink = INK[wall.view.scheme];
  if (box.width < NAMED_FROM) return;
  const isZero = wall.zeroMaps[filter] === 1;
  const size = wall.tiling.name > 12 ? 11 : 9;
  pen.font = `${isChosen ? "700 " : ""}${size}px system-ui, sans-serif`;
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
  pen.fillStyle = isChosen ? ink.accent : ink.text;
  pen.fillText(text, y > box.y ? x + 2 : x, y + 1);
}

/** The selected tile's frame, the hovered cell in every tile, a box being drawn. */
export function drawMarks(pen, wall) {
  const { band, density, size, tiling, view, hovered } = wall;
  const ink = INK[view.scheme];
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, size.width, size.height);
  const chosen = wall.order.indexOf(view.filter);
  if (chosen >= 0) {
    const box = wall.boxOf(chosen);
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

// To whole pixels of the screen, so that cells have sharp edges.
const snap = (value, density) => Math.round(value * density) / density;
