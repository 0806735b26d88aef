// Where the points of a map lie, which of them is near, and which a line goes around. A point lies in a
// world whose longer side is 1000, y down; what has no place lies at NaN, and is found by nothing. Knows
// no page.

const SIDE = 1000;
const EDGE = 0.03; // of the longer side that stays free around all points
const DEEPEST = 400; // how far a window zooms in

/**
 * Points of two coordinates in a world with the same scale both ways.
 * @param {Float32Array} x to the right
 * @param {Float32Array} y up
 * @returns {{n: number, missing: number, x: Float32Array, y: Float32Array,
 *   world: {width: number, height: number, least: number}}} `missing`: how many have no place
 */
export function placed(x, y) {
  const n = x.length;
  const ends = { left: Infinity, right: -Infinity, bottom: Infinity, top: -Infinity };
  let missing = 0;
  for (let i = 0; i < n; i += 1) {
    if (!Number.isFinite(x[i] + y[i])) {
      missing += 1;
      continue;
    }
    if (x[i] < ends.left) ends.left = x[i];
    if (x[i] > ends.right) ends.right = x[i];
    if (y[i] < ends.bottom) ends.bottom = y[i];
    if (y[i] > ends.top) ends.top = y[i];
  }
  if (missing === n) Object.assign(ends, { left: 0, right: 0, bottom: 0, top: 0 });
  const [width, height] = [ends.right - ends.left, ends.top - ends.bottom];
  const scale = (SIDE * (1 - 2 * EDGE)) / (Math.max(width, height) || 1);
  // A map of points in a row is no line: it keeps a tenth of the side.
  const room = (length) => Math.max(SIDE / 10, length * scale + 2 * EDGE * SIDE);
  const world = { width: room(width), height: room(height), least: SIDE / DEEPEST };
  const [middleX, middleY] = [(ends.left + ends.right) / 2, (ends.bottom + ends.top) / 2];
  const at = { x: new Float32Array(n), y: new Float32Array(n) };
  for (let i = 0; i < n; i += 1) {
    const isSomewhere = Number.isFinite(x[i] + y[i]);
    at.x[i] = isSomewhere ? world.width / 2 + (x[i] - middleX) * scale : NaN;
    at.y[i] = isSomewhere ? world.height / 2 - (y[i] - middleY) * scale : NaN;
  }
  return { n, missing, ...at, world };
}

/**
 * How a window of a world lies on a canvas: all of it is seen, in its middle, with the same scale both
 * ways; a point (x, y) is at (x * scale + left, y * scale + top).
 */
export function lie(window, { width, height }) {
  const [wide, high] = [window.right - window.left, window.bottom - window.top];
  const scale = Math.min(width / wide, height / high);
  return {
    scale,
    left: width / 2 - ((window.left + window.right) / 2) * scale,
    top: height / 2 - ((window.top + window.bottom) / 2) * scale,
  };
}

/** The point of the world at a point of the canvas. */
export const worldOf = ({ x, y }, { scale, left, top }) => (
  { x: (x - left) / scale, y: (y - top) / scale });

/**
 * The nearest point; of those as near the first.
 * @param {{x: Float32Array, y: Float32Array}} points
 * @param {{x: number, y: number}} at
 * @param {number} reach how far away it may be
 * @param {Uint8Array|null} [behind] 1 for points that give way to all others
 * @returns {number} its index, -1 for none
 */
export function nearest({ x, y }, at, reach, behind = null) {
  let [first, second] = [-1, -1];
  let [near, far] = [reach * reach, reach * reach];
  for (let i = 0; i < x.length; i += 1) {
    const across = x[i] - at.x;
    const down = y[i] - at.y;
    const distance = across * across + down * down;
    if (behind?.[i]) {
      if (distance < far) [second, far] = [i, distance];
    } else if (distance < near) [first, near] = [i, distance];
  }
  return first < 0 ? second : first;
}

/**
 * The nearest point to one side of another: within 45° of that way.
 * @param {{x: Float32Array, y: Float32Array}} points
 * @param {number} from the index of the other
 * @param {[number, number]} way such as [1, 0], to the right; y is down
 * @param {Uint8Array|null} [behind] 1 for points that are passed over
 * @returns {number} its index, -1 for none
 */
export function beside({ x, y }, from, [wayX, wayY], behind = null) {
  let [best, near] = [-1, Infinity];
  for (let i = 0; i < x.length; i += 1) {
    const across = x[i] - x[from];
    const down = y[i] - y[from];
    const along = across * wayX + down * wayY;
    const aside = Math.abs(across * wayY - down * wayX);
    const distance = across * across + down * down;
    if (along > 0 && aside <= along && distance < near && !behind?.[i]) [best, near] = [i, distance];
  }
  return best;
}

/**
 * What lies within a line that is being drawn, by the even-odd rule: a ray to the right crosses the
 * closed line an odd number of times. Each corner costs one look at all points, however many there are.
 */
export class Lasso {
  corners = [];

  constructor(points) {
    this.points = points;
    this.inside = new Uint8Array(points.x.length);
  }

  /** Goes on to a corner; the line is closed from there to where it began. */
  add({ x, y }) {
    const { corners } = this;
    const [first, last] = [corners[0], corners.at(-1)];
    corners.push({ x, y });
    if (!first) return;
    this.#cross(last, first); // what closed the line before
    this.#cross(last, { x, y });
    this.#cross({ x, y }, first);
  }

  // Turns those over whose ray crosses an edge, which has its upper end and not its lower one.
  #cross(from, to) {
    const [a, b] = from.y < to.y ? [from, to] : [to, from];
    const { inside, points: { x, y } } = this;
    const slope = (b.x - a.x) / (b.y - a.y);
    for (let i = 0; i < y.length; i += 1) {
      if (y[i] >= a.y && y[i] < b.y && x[i] < a.x + (y[i] - a.y) * slope) inside[i] ^= 1;
    }
  }
}

/** Which points lie in a box between two corners, 1 for each, its edges included. */
export function boxed({ x, y }, first, second) {
  const [left, right] = [Math.min(first.x, second.x), Math.max(first.x, second.x)];
  const [top, bottom] = [Math.min(first.y, second.y), Math.max(first.y, second.y)];
  return Uint8Array.from(x, (across, i) => Number(
    across >= left && across <= right && y[i] >= top && y[i] <= bottom));
}
