// Pointer, wheel, fingers and keys on the wall's canvas, in the grammar of Plotly's graphs: drag a
// box to zoom, shift-drag to move, wheel to zoom, double click for all, click to select.
import { boxed, moved, whole, zoomed } from "./tiling.js";

const CLICK = 4; // CSS pixels a pointer may move in a click
const DOUBLE = 350; // ms between two clicks

/** Has a wall follow what is done on its canvas. */
export function follow(canvas, wall) {
  const fingers = new Map();
  let drag = null; // { from, last, kind }
  let pinch = null;
  let clicked = { at: -Infinity };

  const pointOf = (event) => {
    const box = canvas.getBoundingClientRect();
    return { x: event.clientX - box.left, y: event.clientY - box.top };
  };

  canvas.addEventListener("wheel", (event) => {
    if (!wall.maps) return;
    const out = event.deltaY > 0;
    if (out && wall.isWhole) return; // nothing to zoom out of: the page scrolls
    const at = wall.toWorld(pointOf(event));
    if (at === null) return;
    event.preventDefault();
    const lines = event.deltaMode === 1 ? 16 : 1;
    const factor = Math.exp(Math.max(-240, Math.min(240, event.deltaY * lines)) * 0.002);
    wall.look(zoomed(wall.window, at, factor, wall.world));
    hover(event);
  }, { passive: false });

  canvas.addEventListener("pointerdown", (event) => {
    if (!wall.maps || event.button > 1) return;
    canvas.setPointerCapture(event.pointerId);
    const point = pointOf(event);
    fingers.set(event.pointerId, point);
    if (fingers.size === 2) {
      pinch = apart(fingers);
      drag = null;
      wall.band = null;
      return;
    }
    const moves = event.shiftKey || event.button === 1 || event.pointerType === "touch";
    drag = { from: point, last: point, kind: moves ? "move" : "box", far: false };
  });

  canvas.addEventListener("pointermove", (event) => {
    if (!wall.maps) return;
    const point = pointOf(event);
    if (fingers.has(event.pointerId)) fingers.set(event.pointerId, point);
    if (pinch && fingers.size === 2) return stretch();
    if (!drag) return hover(event);
    drag.far ||= Math.hypot(point.x - drag.from.x, point.y - drag.from.y) > CLICK;
    if (!drag.far) return undefined;
    if (drag.kind === "move") {
      if (!wall.isWhole) {
        const { x, y } = wall.reach;
        wall.look(moved(wall.window, (drag.last.x - point.x) * x, (drag.last.y - point.y) * y,
          wall.world));
      }
    } else {
      wall.band = { from: drag.from, to: point };
      wall.drawMarks();
    }
    drag.last = point;
    return undefined;
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
    wall.band = null;
    if (far && kind === "box") zoomTo(from, point);
    else if (!far) click(point);
    wall.draw();
  });

  canvas.addEventListener("pointercancel", (event) => {
    fingers.delete(event.pointerId);
    drag = pinch = wall.band = null;
  });

  canvas.addEventListener("pointerleave", () => {
    if (!drag) set(null);
  });

  canvas.addEventListener("keydown", (event) => {
    const factor = { "+": 1 / 1.4, "=": 1 / 1.4, "-": 1.4 }[event.key];
    if (event.ctrlKey || event.metaKey || event.altKey) return; // the browser's own zoom
    if (!wall.maps || (!factor && event.key !== "0")) return;
    event.preventDefault();
    const { window: seen, world } = wall;
    const middle = { x: (seen.left + seen.right) / 2, y: (seen.top + seen.bottom) / 2 };
    wall.look(factor ? zoomed(seen, middle, factor, world) : whole(world));
  });

  function zoomTo(from, to) {
    const first = wall.locate(from);
    const [a, b] = [wall.toWorld(from), clamped(from, to, first)];
    if (a && b) wall.look(boxed(a, b, wall.world));
  }

  // A box that ends beyond its tile ends at the tile's edge.
  function clamped(from, to, first) {
    if (!wall.linked) return wall.toWorld(to);
    if (!first) return null;
    const { x, y } = wall.reach;
    return {
      x: first.exact.x + (to.x - from.x) * x,
      y: first.exact.y + (to.y - from.y) * y,
    };
  }

  function click(point) {
    const now = performance.now();
    const near = Math.hypot(point.x - clicked.x, point.y - clicked.y) <= 2 * CLICK;
    if (now - clicked.at < DOUBLE && near) {
      clicked = { at: -Infinity };
      wall.look(whole(wall.world));
      return;
    }
    clicked = { at: now, ...point };
    const found = wall.locate(point);
    if (found) wall.on.select(found.filter);
  }

  function stretch() {
    const next = apart(fingers);
    const at = wall.toWorld(pinch.middle);
    if (at) {
      const { x, y } = wall.reach;
      const nearer = zoomed(wall.window, at, pinch.distance / next.distance, wall.world);
      wall.look(moved(nearer, (pinch.middle.x - next.middle.x) * x,
        (pinch.middle.y - next.middle.y) * y, wall.world));
    }
    pinch = next;
  }

  function hover(event) {
    set(wall.locate(pointOf(event)), event);
  }

  function set(found, event) {
    const same = found && wall.hovered && found.filter === wall.hovered.filter
      && found.x === wall.hovered.x && found.y === wall.hovered.y;
    wall.hovered = found;
    if (!same) wall.drawMarks();
    wall.on.hover(found, event);
  }
}

function apart(fingers) {
  const [one, other] = [...fingers.values()];
  return {
    distance: Math.max(1, Math.hypot(one.x - other.x, one.y - other.y)),
    middle: { x: (one.x + other.x) / 2, y: (one.y + other.y) / 2 },
  };
}
