// Where the tiles of the wall lie, in which order, and what a window of it shows. Knows no page.

const SMALLEST = 26; // CSS pixels across; below it a tile says nothing
const LARGEST = 480; // CSS pixels of the shorter side
const LOWEST = 8; // CSS pixels from top to bottom: a lower tile cannot be pointed at
const UNSAID = 0.0005; // of a window: a link has three digits, and gestures add up to a little less
const FULL_ROWS_WORTH = 0.8; // of the size of a tile, for a wall without a ragged last row
// How many times wider than high a tile is at most, and higher than wide: maps that are longer are
// stretched, or one would see a line of them.
const WIDEST = 8;
const TALLEST = 4;
// Maps of one row, as of signals: each fills a row of the wall.
const ROW = {
  lowest: 13, highest: 44, // CSS pixels
  narrowest: 240, // CSS pixels, of several columns of rows
  left: 42, // CSS pixels for the name beside it
  foot: 34, // CSS pixels for the axis below all
};
// Maps of one value, as of dense layers: each is a bar.
const BAR = {
  narrowest: 5, widest: 72, lowest: 90, highest: 420, // CSS pixels
  left: 52, // CSS pixels for the axis
  above: 10, // CSS pixels between one row of them and the next
  under: 15, // CSS pixels for the name
};

/**
 * A tiling whose tiles are as large as they can be with all of them in sight; of very many it is
 * as high as it must be.
 *
 * `form` says how a map is seen: as a tile, a row or a bar. Around the tiles is room, in CSS pixels:
 * `left` of each column, for its axis or names; `name` above each and `under` it, for names; `foot`
 * below all.
 *
 * @param {number} count how many tiles
 * @param {number} height values of a map from top to bottom
 * @param {number} width values of a map from left to right
 * @param {{width: number, height: number}} room CSS pixels there are
 */
export function tilingOf(count, height, width, room) {
  if (height === 1) return width === 1 ? barsOf(count, room) : rowsOf(count, room);
  const ratio = Math.min(WIDEST, Math.max(1 / TALLEST, width / height));
  // A wide tile that can still be read is wider than a square one, of the same area.
  const narrowest = Math.min(room.width, Math.round(SMALLEST * Math.sqrt(Math.max(1, ratio))));
  let best = null;
  for (let columns = 1; columns <= Math.max(count, 1); columns += 1) {
    const tiling = tilingWith(columns, count, ratio, room);
    if (tiling.tileWidth < narrowest) break;
    if (tiling.height > room.height) continue;
    const worth = tiling.tileWidth * (count % columns === 0 ? 1 / FULL_ROWS_WORTH : 1);
    if (best === null || worth > best.worth) best = { ...tiling, worth };
  }
  if (best !== null) return best;
  const most = Math.floor(room.width / (narrowest + gapOf(narrowest)));
  const columns = Math.max(1, Math.min(count, most));
  return tilingWith(columns, count, ratio, room);
}

const gapOf = (size) => (size < 60 ? 3 : 6);

function tilingWith(columns, count, ratio, room) {
  const rough = room.width / columns;
  const gap = gapOf(rough);
  const largest = Math.min(LARGEST * Math.max(1, ratio), tallest(ratio, room));
  const tileWidth = Math.max(1, Math.floor(Math.min(rough - gap, largest)));
  const tileHeight = Math.max(LOWEST, Math.round(tileWidth / ratio));
  const name = tileWidth < 60 ? 11 : 15; // above each tile, for its name
  return laid({ form: "tile", count, columns, tileWidth, tileHeight, gap, name });
}

// No tile is higher than the room, of those that can be seen.
const tallest = (ratio, room) => Math.max(SMALLEST, Math.floor((room.height - 15) * ratio));

function rowsOf(count, room) {
  const gap = 3; // also above each, for the frame of the selected one
  const most = Math.max(1, Math.floor(room.width / (ROW.narrowest + ROW.left)));
  const fit = Math.floor((room.height - ROW.foot) / (ROW.lowest + gap));
  const columns = Math.max(1, Math.min(most, Math.ceil(count / fit)));
  const rows = Math.max(1, Math.ceil(count / columns));
  const high = Math.floor((room.height - ROW.foot) / rows - gap);
  return laid({
    form: "row", count, columns, gap, left: ROW.left, name: gap, between: 0, foot: ROW.foot,
    tileWidth: Math.max(1, Math.floor(room.width / columns) - ROW.left - gap),
    tileHeight: Math.min(ROW.highest, Math.max(ROW.lowest, high)),
  });
}

function barsOf(count, room) {
  const gap = 1;
  const most = Math.max(1, Math.floor((room.width - BAR.left) / (BAR.narrowest + gap)));
  const rows = Math.max(1, Math.ceil(count / most));
  const columns = Math.max(1, Math.ceil(count / rows));
  const wide = Math.floor((room.width - BAR.left) / columns - gap);
  const high = Math.floor(room.height / rows - BAR.above - BAR.under);
  return laid({
    form: "bar", count, columns, gap, edge: BAR.left, name: BAR.above, under: BAR.under, between: 0,
    tileWidth: Math.min(BAR.widest, Math.max(1, wide)),
    tileHeight: Math.min(BAR.highest, Math.max(BAR.lowest, high)),
  });
}

/**
 * Tiles in rows and columns.
 * @param {object} tiling its sizes in CSS pixels: `gap` between columns and `between` rows, `edge`
 *   left of all of them, and those that `tilingOf` names
 */
function laid(tiling) {
  const { count, columns, gap } = tiling;
  const { left = 0, edge = 0, name = 0, under = 0, foot = 0, between = gap } = tiling;
  const rows = Math.max(1, Math.ceil(count / columns));
  const across = left + tiling.tileWidth + gap;
  const down = name + tiling.tileHeight + under + between;
  return {
    ...tiling, left, edge, name, under, foot, rows, across, down,
    width: edge + columns * across - gap, height: rows * down - between + foot,
  };
}

/** The left upper corner of a tile's picture, by its place in the order. */
export function corner(tiling, place) {
  const { columns, across, down, edge, left, name } = tiling;
  return {
    x: edge + (place % columns) * across + left,
    y: Math.floor(place / columns) * down + name,
  };
}

/** Where tiles are seen, in CSS pixels of the wall: what a zoom moves past its edges is cut. */
export const pane = ({ width, height, left, edge, name, under, foot }) => (
  { left: edge + left, top: name, right: width, bottom: height - under - foot });

/** Which tile lies at a point of the wall, and where in it (0 to 1); null between tiles. */
export function tileAt(tiling, x, y) {
  const column = Math.floor((x - tiling.edge) / tiling.across);
  const row = Math.floor(y / tiling.down);
  const place = row * tiling.columns + column;
  if (column < 0 || column >= tiling.columns || row < 0 || place >= tiling.count) return null;
  const at = corner(tiling, place);
  const [across, down] = [(x - at.x) / tiling.tileWidth, (y - at.y) / tiling.tileHeight];
  if (across < 0 || across >= 1 || down < 0 || down >= 1) return null;
  return { place, across, down };
}

// A window is what is seen of a world: of a tile's cells where zoom is linked, of the wall where
// it is free.

/** The window that shows all of a world. */
export const whole = (world) => ({ top: 0, left: 0, bottom: world.height, right: world.width });

/** Whether a window shows all, as far as a link says it. */
export function isWhole(window, world) {
  return window.top < UNSAID && window.left < UNSAID
    && window.bottom > world.height - UNSAID && window.right > world.width - UNSAID;
}

// A side of one value has nothing to zoom, and stays whole: of a signal only the time is zoomed.
const isZoomed = (length) => length > 1;

/** The shorter side of what is seen, of those of a world that can be zoomed. */
export function shortest({ height, width }, world) {
  return Math.min(
    isZoomed(world.height) ? height : Infinity, isZoomed(world.width) ? width : Infinity);
}

/** The window moved into its world, and made smaller where it is larger. */
export function inside(window, world) {
  const height = isZoomed(world.height)
    ? Math.min(window.bottom - window.top, world.height) : world.height;
  const width = isZoomed(world.width)
    ? Math.min(window.right - window.left, world.width) : world.width;
  const top = Math.min(Math.max(window.top, 0), world.height - height);
  const left = Math.min(Math.max(window.left, 0), world.width - width);
  return { top, left, bottom: top + height, right: left + width };
}

/**
 * The window after a zoom about a point that stays where it is.
 * @param {{x: number, y: number}} at in the world
 * @param {number} factor of its size: below 1 zooms in
 * @param {{width: number, height: number, least: number}} world `least`: the smallest side
 */
export function zoomed(window, at, factor, world) {
  const [height, width] = [window.bottom - window.top, window.right - window.left];
  const bounded = Math.max(factor, world.least / shortest({ height, width }, world));
  return inside({
    top: at.y - (at.y - window.top) * bounded,
    left: at.x - (at.x - window.left) * bounded,
    bottom: at.y + (window.bottom - at.y) * bounded,
    right: at.x + (window.right - at.x) * bounded,
  }, world);
}

/** The window moved by a distance in the world. */
export function moved(window, x, y, world) {
  return inside({
    top: window.top + y, left: window.left + x, bottom: window.bottom + y, right: window.right + x,
  }, world);
}

/**
 * The window about a box that was drawn, with the proportions of the world; a box that was drawn
 * beyond the world ends at its edge.
 */
export function boxed(first, second, world) {
  const within = (most) => (one) => Math.min(Math.max(one, 0), most);
  const [top, bottom] = [first.y, second.y].map(within(world.height)).sort((a, b) => a - b);
  const [left, right] = [first.x, second.x].map(within(world.width)).sort((a, b) => a - b);
  const share = Math.max(
    isZoomed(world.height) ? (bottom - top) / world.height : 0,
    isZoomed(world.width) ? (right - left) / world.width : 0,
    world.least / shortest(world, world));
  const [height, width] = [share * world.height, share * world.width];
  const [y, x] = [(top + bottom) / 2, (left + right) / 2];
  return inside({
    top: y - height / 2, left: x - width / 2, bottom: y + height / 2, right: x + width / 2,
  }, world);
}

/** A window as a link says it: "top,left,bottom,right"; empty for all. */
export function windowText(window, world) {
  if (isWhole(window, world)) return "";
  return [window.top, window.left, window.bottom, window.right]
    .map((one) => String(Number(one.toFixed(3)))).join(",");
}

/** The window that a link says, no smaller than `least`; all of the world where it says none. */
export function windowOf(text, world) {
  const parts = (text || "").split(",").map(Number);
  if (parts.length !== 4 || parts.some((one) => !Number.isFinite(one))) return whole(world);
  const [top, left, bottom, right] = parts.map((one) => Number(one.toFixed(3))); // as links say it
  if (!(bottom > top && right > left)) return whole(world);
  const window = inside({ top, left, bottom, right }, world);
  return zoomed(window, middleOf(window), 1, world);
}

/**
 * A window of a map as one of another map that is as large, or as many times larger or smaller each
 * way; empty, for all, where cells of one do not lie in whole cells of the other.
 * @param {string} text as a link says it
 * @param {number[]} before height and width of the map that it is of
 * @param {number[]} after of the other
 */
export function windowIn(text, before, after) {
  const [times, other] = [0, 1].map((side) => after[side] / before[side]);
  if (!text || times !== other || !(Number.isInteger(times) || Number.isInteger(1 / times))) return "";
  return text.split(",").map((end) => String(Number((end * times).toFixed(3)))).join(",");
}

/** The point in the middle of a window. */
export const middleOf = ({ top, left, bottom, right }) => (
  { x: (left + right) / 2, y: (top + bottom) / 2 });

/**
 * Indices of filters in the order their tiles lie.
 * @param {number} count how many filters
 * @param {ArrayLike<number|null>|null} scores of each filter, largest first, with those that have
 *   none (null, NaN) last; null for the filters' own order
 * @param {boolean[]|null} hidden filters that are left out
 */
export function orderOf(count, scores, hidden) {
  const order = Array.from({ length: count }, (_, f) => f);
  if (scores !== null) {
    const none = (f) => scores[f] === null || Number.isNaN(scores[f]);
    // Two infinities differ by NaN, which is as good as 0: the index decides.
    order.sort((a, b) => none(a) - none(b) || scores[b] - scores[a] || a - b);
  }
  return hidden === null ? order : order.filter((f) => !hidden[f]);
}
