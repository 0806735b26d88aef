// Pointer, wheel, fingers and keys on a canvas as what they mean, in the grammar of Plotly's
// graphs: drag a box, shift-drag to move, wheel to zoom, double click for all. Knows no wall.

const CLICK = 4; // CSS pixels a pointer may move in a click
const DOUBLE = 350; // ms between two clicks
const KEYS = { "+": 1 / 1.4, "=": 1 / 1.4, "-": 1.4 };

/**
 * Says what is done on a canvas. Points and distances are in CSS pixels from its corner.
 * @param {HTMLCanvasElement} canvas
 * @param {object} on what hears of it: `hover(point)`, null where the pointer left; `click(point)`;
 *   `zoom(point, factor)`, below 1 nearer, about the middle for null, gives whether there was
 *   anything to zoom; `move(x, y)`; `band(from, to)` while a box is drawn, null and null when it is
 *   not; `box(from, to)` when it is; `reset()`
 */
export function follow(canvas, on) {
  const fingers = new Map();
  let drag = null; // { from, last, kind, far }
  let pinch = null;
  let clicked = { at: -Infinity };

  const pointOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  canvas.addEventListener("wheel", (event) => {
    const lines = event.deltaMode === 1 ? 16 : 1;
    const factor = Math.exp(Math.max(-240, Math.min(240, event.deltaY * lines)) * 0.002);
    if (!on.zoom(pointOf(event), factor)) return; // the page scrolls
    event.preventDefault();
    on.hover(pointOf(event));
  }, { passive: false });

  canvas.addEventListener("pointerdown", (event) => {
    if (event.button > 1) return;
    canvas.setPointerCapture(event.pointerId);
    const point = pointOf(event);
    fingers.set(event.pointerId, point);
    if (fingers.size === 2) {
      pinch = apart(fingers);
      drag = null;
      on.band(null, null);
      return;
    }
    const moves = event.shiftKey || event.button === 1 || event.pointerType === "touch";
    drag = { from: point, last: point, kind: moves ? "move" : "box", far: false };
  });

  canvas.addEventListener("pointermove", (event) => {
    const point = pointOf(event);
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, point);
    if (pinch && fingers.size === 2) stretch();
    else if (drag) pull(point);
    else on.hover(point);
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
    if (far && kind === "box") on.box(from, point);
    else if (!far) click(point);
  });

  canvas.addEventListener("pointercancel", (event) => {
    fingers.delete(event.pointerId);
    drag = pinch = null;
    on.band(null, null);
  });

  canvas.addEventListener("pointerleave", () => {
    if (!drag) on.hover(null);
  });

  canvas.addEventListener("keydown", (event) => {
    if (event.ctrlKey || event.metaKey || event.altKey) return; // the browser's own zoom
    const factor = KEYS[event.key];
    if (factor) on.zoom(null, factor);
    else if (event.key === "0") on.reset();
    else return;
    event.preventDefault();
  });

  function pull(point) {
    drag.far ||= Math.hypot(point.x - drag.from.x, point.y - drag.from.y) > CLICK;
    if (!drag.far) return;
    if (drag.kind === "move") on.move(drag.last.x - point.x, drag.last.y - point.y);
    else on.band(drag.from, point);
    drag.last = point;
  }

  function click(point) {
    const now = performance.now();
    const near = Math.hypot(point.x - clicked.x, point.y - clicked.y) <= 2 * CLICK;
    if (now - clicked.at < DOUBLE && near) {
      clicked = { at: -Infinity };
      on.reset();
      return;
    }
    clicked = { at: now, ...point };
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
