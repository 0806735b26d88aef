// Pointer, wheel, fingers and keys on a canvas as what they mean, in the grammar of Plotly's
// graphs: drag a box, shift-drag to move, double click for all. The wheel and a single finger are
// the page's, which scrolls; Control or Command and the wheel zoom, as two fingers do. Knows no wall.

const REACH = { box: 4, move: 4, stroke: 4, tap: 12 }; // CSS pixels a pointer, a finger may move in a click
const DOUBLE = 350; // ms between two clicks
const STRIDE = 40; // CSS pixels that a key moves what is seen
const WAYS = { ArrowLeft: [-1, 0], ArrowRight: [1, 0], ArrowUp: [0, -1], ArrowDown: [0, 1] };
const TURNS = { PageUp: -1, PageDown: 1 };

/**
 * Says what is done on a canvas. Points and distances are in CSS pixels from its corner.
 * @param {HTMLCanvasElement} canvas
 * @param {object} on what hears of it: `hover(point)`, null where the pointer left; `click(point)`;
 *   `zoom(point, factor)`, below 1 nearer; `move(x, y)`; `band(from, to)` while a box is drawn, null
 *   and null when it is not; `box(from, to)` when it is; `reset()`; `scroll()` where the wheel
 *   scrolls the page; and of a keyboard that came here by itself `walk(x, y)` by cells, `turn(steps)`
 *   by tiles, and `pick()`. Where `strokes()` is true, dragging and a finger draw a line instead:
 *   `stroke(point, event)` at each of its points, `stroked()` at its end, `stroked(true)` where it is
 *   given up
 * @param {boolean} [hasLinks] whether it holds links: then dragging moves, and a click is theirs
 */
export function follow(canvas, on, hasLinks = false) {
  const fingers = new Map();
  let drag = null; // { from, last, kind, far }
  let pinch = null;
  let clicked = { at: -Infinity };
  let isKeyed = false; // whether the focus came from the keyboard: a click's leaves keys to the page

  const pointOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  canvas.addEventListener("wheel", (event) => {
    if (!event.ctrlKey && !event.metaKey) {
      on.scroll();
      return;
    }
    event.preventDefault(); // never the browser's own zoom: a trackpad's pinch comes as this too
    const lines = event.deltaMode === 1 ? 16 : 1;
    const factor = Math.exp(Math.max(-240, Math.min(240, event.deltaY * lines)) * 0.002);
    on.zoom(pointOf(event), factor);
    on.hover(pointOf(event));
  }, { passive: false });

  // One finger scrolls the page, as style.css says; of two the browser keeps out.
  for (const type of ["touchstart", "touchmove"]) {
    canvas.addEventListener(type, (event) => {
      if (event.touches.length > 1 && event.cancelable) event.preventDefault();
    }, { passive: false });
  }

  canvas.addEventListener("pointerdown", (event) => {
    isKeyed = false;
    if (event.button > (hasLinks ? 0 : 1)) return;
    if (!hasLinks) canvas.setPointerCapture(event.pointerId);
    const point = pointOf(event);
    fingers.set(event.pointerId, point);
    if (fingers.size === 2) {
      pinch = apart(fingers);
      giveUp();
      return;
    }
    if (on.strokes?.() && event.button === 0) {
      const reach = REACH[event.pointerType === "touch" ? "tap" : "stroke"];
      drag = { from: point, last: point, kind: "stroke", far: false, id: event.pointerId, reach };
      return;
    }
    const moves = hasLinks || event.shiftKey || event.button === 1;
    const kind = event.pointerType === "touch" ? "tap" : moves ? "move" : "box";
    drag = { from: point, last: point, kind, far: false, id: event.pointerId };
  });

  canvas.addEventListener("pointermove", (event) => {
    // A page that a key scrolls moves under a pointer that rests.
    if (isKeyed && event.movementX === 0 && event.movementY === 0) return;
    const point = pointOf(event);
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, point);
    if (pinch && fingers.size === 2) stretch();
    else if (drag) pull(point, event);
    else if (!pinch) on.hover(point);
  });

  canvas.addEventListener("pointerup", (event) => {
    const point = pointOf(event);
    fingers.delete(event.pointerId);
    if (pinch) {
      if (!fingers.size) pinch = null;
      return;
    }
    if (!drag) return;
    const { from, far, kind } = drag;
    drag = null;
    on.band(null, null);
    if (far && kind === "stroke") on.stroked(false);
    else if (far && kind === "box") on.box(from, point);
    else if (!far) click(point, event.pointerType === "touch" ? "tap" : kind);
  });

  canvas.addEventListener("pointercancel", (event) => {
    fingers.delete(event.pointerId);
    pinch = null;
    giveUp();
  });

  canvas.addEventListener("pointerleave", (event) => {
    // A finger that is lifted leaves: what it tapped stays.
    if (!drag && event.pointerType !== "touch") on.hover(null);
  });

  canvas.addEventListener("focus", () => { isKeyed = !fingers.size; });

  canvas.addEventListener("blur", () => {
    if (isKeyed) on.hover(null);
    isKeyed = false;
  });

  canvas.addEventListener("keydown", (event) => {
    if (!isKeyed || event.ctrlKey || event.metaKey || event.altKey) return;
    const way = WAYS[event.key];
    if (way && event.shiftKey) on.move(way[0] * STRIDE, way[1] * STRIDE);
    else if (way) on.walk(...way);
    else if (TURNS[event.key]) on.turn(TURNS[event.key]);
    else if (event.key === "Enter") on.pick();
    else return;
    event.preventDefault();
  });

  function giveUp() {
    if (drag?.kind === "stroke" && drag.far) on.stroked(true);
    drag = null;
    on.band(null, null);
  }

  function pull(point, event) {
    const isFirst = !drag.far;
    const reach = drag.reach ?? REACH[drag.kind];
    drag.far ||= Math.hypot(point.x - drag.from.x, point.y - drag.from.y) > reach;
    if (!drag.far) return;
    if (hasLinks) canvas.setPointerCapture(drag.id); // from here on, no link hears of it
    if (drag.kind === "move") on.move(drag.last.x - point.x, drag.last.y - point.y);
    else if (drag.kind === "box") on.band(drag.from, point);
    else if (drag.kind === "stroke") {
      if (isFirst) on.stroke(drag.from, event);
      on.stroke(point, event);
    }
    drag.last = point;
  }

  function click(point, kind) {
    const now = performance.now();
    const near = Math.hypot(point.x - clicked.x, point.y - clicked.y) <= 2 * REACH[kind];
    if (now - clicked.at < DOUBLE && near) {
      clicked = { at: -Infinity };
      on.reset();
      return;
    }
    clicked = { at: now, ...point };
    if (kind === "tap") on.hover(point);
    on.click(point);
  }

  function stretch() {
    const next = apart(fingers);
    on.zoom(pinch.middle, pinch.distance / next.distance);
    on.move(pinch.middle.x - next.middle.x, pinch.middle.y - next.middle.y);
    pinch = next;
  }
}

function apart(fingers) {
  const [first, second] = [...fingers.values()];
  return {
    distance: Math.max(1, Math.hypot(first.x - second.x, first.y - second.y)),
    middle: { x: (first.x + second.x) / 2, y: (first.y + second.y) / 2 },
  };
}
