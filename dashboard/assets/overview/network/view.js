// What is seen of the drawing: a point of it at a place of the box, at a scale. Knows no page.

const NEAREST = 2.5;
const FARTHEST = 0.02; // of whatever is drawn, some of it is seen
const LEGIBLE = 0.72; // at this scale a box has room for two lines
const KEPT = 40; // CSS pixels of the drawing that stay in the box
const EDGE = 12;

/**
 * Where the drawing is: its point (0, 0) is at (x, y) of the box.
 * @typedef {{x: number, y: number, scale: number}} View
 */

/** All of a drawing, not enlarged. */
export function whole(drawing, box) {
  const scale = scaleOfWhole(drawing, box);
  const rest = (length, room) => Math.max(EDGE, (room - length * scale) / 2);
  return { scale, x: rest(drawing.width, box.width), y: rest(drawing.height, box.height) };
}

const scaleOfWhole = ({ width, height }, box) => Math.max(FARTHEST, Math.min(1,
  (box.width - 2 * EDGE) / Math.max(1, width), (box.height - 2 * EDGE) / Math.max(1, height)));

/** What is seen at first: all of it where that can be read, else its beginning at a scale at which it can. */
export function first(drawing, box) {
  const fit = whole(drawing, box);
  if (fit.scale >= LEGIBLE) return fit;
  const across = (box.width - 2 * EDGE) / Math.max(1, drawing.width);
  const scale = Math.min(1, Math.max(LEGIBLE, across));
  return { scale, x: Math.max(EDGE, (box.width - drawing.width * scale) / 2), y: EDGE };
}

/** Zoomed about a point of the box; a factor below 1 is nearer, infinity is all. */
export function zoomed(view, point, factor, drawing, box) {
  if (factor === Infinity) return whole(drawing, box);
  const least = Math.min(scaleOfWhole(drawing, box), view.scale);
  const scale = Math.min(NEAREST, Math.max(least, view.scale / factor));
  const rate = scale / view.scale;
  return held({
    scale, x: point.x - (point.x - view.x) * rate, y: point.y - (point.y - view.y) * rate,
  }, drawing, box);
}

/** Moved by CSS pixels. */
export function moved(view, x, y, drawing, box) {
  return held({ ...view, x: view.x - x, y: view.y - y }, drawing, box);
}

/** With a rectangle of the drawing in sight; as little as can be is moved. */
export function showing(view, { x, y, width, height }, drawing, box) {
  const near = (at, length, from, room) => {
    const start = from + at * view.scale;
    const end = start + length * view.scale;
    if (start < EDGE) return from + EDGE - start;
    return end > room - EDGE ? from - (end - room + EDGE) : from;
  };
  return held({
    ...view, x: near(x, width, view.x, box.width), y: near(y, height, view.y, box.height),
  }, drawing, box);
}

// Some of the drawing stays in the box.
function held(view, drawing, box) {
  const bound = (at, length, room) => Math.max(KEPT - length * view.scale, Math.min(room - KEPT, at));
  return {
    ...view, x: bound(view.x, drawing.width, box.width), y: bound(view.y, drawing.height, box.height),
  };
}
