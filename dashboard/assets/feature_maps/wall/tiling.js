// Where the tiles of the wall lie, in which order, and what a window of it shows. Knows no page.

const SMALLEST = 26; // CSS pixels across; below it a tile says nothing
const LARGEST = 220;
const LOWEST = 8; // CSS pixels from top to bottom: a lower tile cannot be pointed at
const FULL_ROWS_WORTH = 0.8; // of the size of a tile, for a wall without a ragged last row

/**
 * A tiling whose tiles are as large as they can be with all of them in sight; of very many it is
 * as high as it must be.
 *
 * @param {number} count how many tiles
 * @param {number} height values of a map from top to bottom
 * @param {number} width values of a map from left to right
 * @param {{width: number, height: number}} room CSS pixels there are
 */
export function tilingOf(count, height, width, room) {
  let best = null;
  for (let columns = 1; columns <= Math.max(count, 1); columns += 1) {
    const tiling = tilingWith(columns, count, height, width, room);
    if (tiling.tileWidth < SMALLEST) break;
    if (tiling.height > room.height) continue;
    const worth = tiling.tileWidth * (count % columns === 0 ? 1 / FULL_ROWS_WORTH : 1);
    if (best === null || worth > best.worth) best = { ...tiling, worth };
  }
  if (best !== null) return best;
  const most = Math.floor(room.width / (SMALLEST + gapOf(SMALLEST)));
  const columns = Math.max(1, Math.min(count, most));
  return tilingWith(columns, count, height, width, room);
}

const gapOf = (size) => (size < 60 ? 3 : 6);

function tilingWith(columns, count, height, width, room) {
  const rough = room.width / columns;
  const gap = gapOf(rough);
  const tileWidth = Math.max(1, Math.min(LARGEST, Math.floor(rough - gap), tallest(height, width)));
  const exact = Math.round((tileWidth * height) / width);
  const tileHeight = Math.max(LOWEST, Math.min(2 * LARGEST, exact));
  const name = tileWidth < 60 ? 11 : 15; // above each tile, for its name
  const rows = Math.max(1, Math.ceil(count / columns));
  return {
    count, columns, rows, tileWidth, tileHeight, gap, name,
    width: columns * (tileWidth + gap) - gap,
    height: rows * (tileHeight + name + gap) - gap,
  };
}

// Maps that are higher than wide, as of spectra, keep their proportions while that can be seen.
const tallest = (height, width) => Math.max(SMALLEST, Math.floor((2 * LARGEST * width) / height));

/** The left upper corner of a tile's picture, by its place in the order. */
export function corner(tiling, place) {
  return {
    x: (place % tiling.columns) * (tiling.tileWidth + tiling.gap),
    y: Math.floor(place / tiling.columns) * (tiling.tileHeight + tiling.name + tiling.gap)
      + tiling.name,
  };
}

/** Which tile lies at a point of the wall, and where in it (0 to 1); null between tiles. */
export function tileAt(tiling, x, y) {
  const column = Math.floor(x / (tiling.tileWidth + tiling.gap));
  const row = Math.floor(y / (tiling.tileHeight + tiling.name + tiling.gap));
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

/** Whether a window shows all. */
export function isWhole(window, world) {
  return window.top <= 0 && window.left <= 0
    && window.bottom >= world.height && window.right >= world.width;
}

/** The window moved into its world, and made smaller where it is larger. */
export function inside(window, world) {
  const height = Math.min(window.bottom - window.top, world.height);
  const width = Math.min(window.right - window.left, world.width);
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
  const bounded = Math.max(factor, world.least / Math.min(height, width));
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
    (bottom - top) / world.height, (right - left) / world.width,
    world.least / Math.min(world.height, world.width));
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
