// Draws a wall: its tiles with their names, and on a canvas of its own what is selected and hovered.
// Reads the wall and changes nothing of it.
import { covers, sourceOf } from "./atlas.js";
import { ticks, tickTexts } from "./numbers.js";
import { INK } from "./palette.js";
import { pane } from "./tiling.js";

const FRAME = 2.5; // CSS pixels, of the selected tile's frame, which lies about it

/**
 * The tiles, their names and their axes, none of which covers a value.
 * @param {boolean} isNamed whether names and axes are drawn
 */
export function drawTiles(pen, wall, isNamed = true) {
  const { density, detail, order, overview, seen, size, tiling } = wall;
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, size.width, size.height);
  pen.imageSmoothingEnabled = false;
  const { left, top, right, bottom } = pane(tiling);
  const values = tiling.form === "bar" && valuesOf(wall);
  const fine = detail && covers(detail, seen, Infinity) ? detail : overview;
  const tiles = [];
  pen.save();
  pen.beginPath();
  pen.rect(left, top, right - left, bottom - top);
  pen.clip();
  for (let place = 0; place < order.length; place += 1) {
    const box = wall.boxOf(place);
    if (!wall.isSeen(box)) continue;
    const filter = order[place];
    const inFine = sourceOf(fine, filter, seen);
    const atlas = inFine ? fine : overview;
    const from = inFine ?? sourceOf(overview, filter, seen);
    const target = values ? barIn(box, values, wall.maps.values[filter]) : box;
    const [x, y] = [snap(target.x, density), snap(target.y, density)];
    const width = snap(target.x + target.width, density) - x;
    const height = snap(target.y + target.height, density) - y;
    pen.drawImage(atlas.canvas, from.x, from.y, from.width, from.height, x, y, width, height);
    tiles.push({ filter, box, atlas, from, x, y, width, height });
  }
  wall.forms.draw(pen, tiles, density);
  pen.restore();
  if (!isNamed) return;
  drawNames(pen, wall, tiles);
  if (values) drawValues(pen, wall, values, tiles);
  else if (tiling.form === "row") drawPlaces(pen, wall, tiles);
}

// Where a value of a layer of bars is, from 0 at the bottom of its box to 1 at the top.
function valuesOf(wall) {
  const { low, high } = wall.reach;
  return { low, high, share: (value) => (value - low) / (high - low) };
}

// From zero to the value; what is not finite fills the box, in its color.
function barIn(box, { share }, value) {
  if (!Number.isFinite(value)) return box;
  const [from, to] = [share(0), share(value)].sort((a, b) => a - b);
  const high = Math.max(1, (to - from) * box.height);
  return { ...box, y: box.y + (1 - to) * box.height, height: high };
}

const SMALL = 9; // CSS pixels high, of the letters of small tiles' names
const NARROWEST = 0.7; // of its width, to which a name is condensed; else it is left out

// Above a tile, left of a row, below a bar; at the edge of what is in sight, where its own place
// is beyond that.
function drawNames(pen, wall, inSight) {
  const { tiling, view, zeroMaps } = wall;
  const { form } = tiling;
  const { left, top, right, bottom } = pane(tiling);
  const ink = INK[view.scheme];
  const size = form === "tile" && tiling.name <= 12 ? SMALL : 11;
  pen.textBaseline = form === "row" ? "middle" : "bottom";
  pen.textAlign = { tile: "left", row: "right", bar: "center" }[form];
  let end = -Infinity; // of the name before, in a row of bars
  let row = NaN;
  for (const { filter, box } of inSight) {
    const isSelected = filter === view.filter;
    pen.font = `${isSelected ? "700 " : ""}${size}px system-ui, sans-serif`;
    pen.fillStyle = isSelected ? ink.accent : ink.text;
    const isZero = zeroMaps[filter] === 1;
    const name = view.names?.[filter] ?? `${filter}`;
    const short = isZero ? `${name}∅` : name;
    const from = Math.max(box.x, left);
    const to = Math.min(box.x + box.width, right);
    if (form === "row") {
      const y = Math.min(box.y + box.height, bottom) + Math.max(box.y, top);
      pen.fillText(short, from - 6, y / 2, tiling.left - 8);
      continue;
    }
    const wide = `${name} all 0`;
    const text = form === "tile" && isZero && pen.measureText(wide).width <= to - from
      ? wide : short;
    const { width } = pen.measureText(text);
    if (form === "tile") {
      const room = to - from + tiling.gap - 1;
      if (width * NARROWEST <= room) pen.fillText(text, from, Math.max(box.y, top) - 2, room);
      continue;
    }
    // As many as do not touch.
    if (box.y !== row) [row, end] = [box.y, -Infinity];
    const middle = (from + to) / 2;
    if (middle - width / 2 < end + 3) continue;
    end = middle + width / 2;
    const y = Math.min(box.y + box.height, bottom) + tiling.under;
    pen.fillText(text, middle, y);
  }
  pen.textAlign = "left";
}

// The axis of values, left of each row of bars.
function drawValues(pen, wall, { low, high, share }, inSight) {
  const { tiling, view } = wall;
  const { left, top, right, bottom } = pane(tiling);
  const ink = INK[view.scheme];
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "middle";
  pen.textAlign = "right";
  let row = NaN;
  for (const { box } of inSight) {
    if (box.y === row) continue;
    row = box.y;
    const values = ticks(low, high, Math.max(2, box.height / 60));
    const texts = tickTexts(values);
    for (const [at, value] of values.entries()) {
      const y = box.y + (1 - share(value)) * box.height;
      if (y < top - 1 || y > bottom + 1) continue;
      pen.fillStyle = ink.text;
      pen.fillRect(left - 4, y - 0.5, 4, 1);
      pen.fillText(texts[at], left - 7, y);
      if (value === 0) pen.fillRect(left, y - 0.5, right - left, 1);
    }
  }
  pen.textAlign = "left";
}

// The axis of the places of a row, below each column of them.
function drawPlaces(pen, wall, inSight) {
  const { tiling, view } = wall;
  const { left, right, bottom } = pane(tiling);
  pen.fillStyle = INK[view.scheme].text;
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "top";
  pen.textAlign = "center";
  const y = Math.min(bottom, Math.max(...inSight.map(({ box }) => box.y + box.height)) + 4);
  const columns = new Map(inSight.map(({ filter, box }) => [box.x, { filter, box }]));
  for (const { filter, box } of columns.values()) {
    const [first, last] = [Math.max(box.x, left), Math.min(box.x + box.width, right)];
    const place = wall.order.indexOf(filter);
    const cell = wall.cellBox(place, { x: 0, y: 0 });
    const at = (x) => cell.x + (x + 0.5) * cell.width;
    const seen = [first, last].map((pixel) => (pixel - cell.x) / cell.width);
    const all = ticks(Math.max(seen[0] - 0.5, 0), seen[1] - 0.5, Math.max(2, (last - first) / 70));
    for (const x of all.filter(Number.isInteger)) {
      pen.fillRect(at(x) - 0.5, y, 1, 4);
      pen.fillText(`${x}`, at(x), y + 6);
    }
    pen.fillText(view.axis ?? "x", (first + last) / 2, y + 19);
  }
  pen.textAlign = "left";
}

/** The selected tile's frame, the hovered cell in every tile, a box being drawn. */
export function drawMarks(pen, wall) {
  const { band, density, size, tiling, view, hovered } = wall;
  const ink = INK[view.scheme];
  const { left, top, right, bottom } = pane(tiling);
  pen.setTransform(density, 0, 0, density, 0, 0);
  pen.clearRect(0, 0, size.width, size.height);
  pen.save();
  pen.beginPath();
  pen.rect(left - FRAME, top - FRAME, right - left + 2 * FRAME, bottom - top + 2 * FRAME);
  pen.clip();
  const selected = wall.order.indexOf(view.filter);
  if (selected >= 0) {
    const box = wall.boxOf(selected);
    pen.lineWidth = FRAME;
    pen.strokeStyle = ink.accent;
    pen.strokeRect(box.x - FRAME / 2, box.y - FRAME / 2, box.width + FRAME, box.height + FRAME);
    if (view.unit && tiling.form !== "bar") drawUnit(pen, wall, selected, box);
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
  pen.restore();
}

// The selected value in its tile; of a zoomed tile it may be out of sight.
function drawUnit(pen, wall, place, box) {
  const { x, y, width, height } = wall.cellBox(place, wall.view.unit);
  pen.save();
  pen.beginPath();
  pen.rect(box.x, box.y, box.width, box.height);
  pen.clip();
  pen.strokeRect(x, y, Math.max(width, 3), Math.max(height, 3));
  pen.restore();
}

// The same cell in every tile, because that is what filters are compared by.
function drawCells(pen, wall) {
  const { hovered } = wall;
  // Of bars it would be all of them.
  const isCompared = wall.linked && wall.tiling.form !== "bar";
  const places = isCompared ? wall.order.keys() : [hovered.place];
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
