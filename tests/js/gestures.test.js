// Pointer, wheel, fingers and keys are said as what they mean; what that does is not theirs.
import { beforeEach, describe, expect, test, vi } from "vitest";
import { follow } from "../../dashboard/assets/feature_maps/wall/gestures.js";

const EVENTS = ["hover", "click", "zoom", "move", "band", "box", "reset", "scroll", "walk", "turn", "pick"];
const [LEFT, TOP] = [100, 40]; // of the canvas on its page
let canvas;
let on;

beforeEach(() => {
  canvas = new EventTarget();
  canvas.getBoundingClientRect = () => ({ left: LEFT, top: TOP });
  canvas.setPointerCapture = vi.fn();
  on = Object.fromEntries(EVENTS.map((name) => [name, vi.fn()]));
  follow(canvas, on);
});

function fire(type, x, y, more = {}) {
  const event = new Event(type, { cancelable: true });
  Object.assign(event, {
    clientX: LEFT + x, clientY: TOP + y, button: 0, pointerId: 1, pointerType: "mouse", ...more,
  });
  canvas.dispatchEvent(event);
  return event;
}

const calls = (...names) => Object.fromEntries(names.map((name) => [name, on[name].mock.calls]));

describe("the wheel", () => {
  test.each(["ctrlKey", "metaKey"])("with %s zooms where the pointer is, and hovers there", (held) => {
    const event = fire("wheel", 30, 20, { deltaY: -100, deltaMode: 0, [held]: true });
    const [[point, factor]] = on.zoom.mock.calls;
    expect([point, event.defaultPrevented]).toEqual([{ x: 30, y: 20 }, true]);
    expect(factor).toBeCloseTo(Math.exp(-0.2));
    expect(on.hover.mock.calls).toEqual([[{ x: 30, y: 20 }]]);
    fire("wheel", 30, 20, { deltaY: 3, deltaMode: 1, [held]: true });
    expect(on.zoom.mock.calls[1][1]).toBeCloseTo(Math.exp(0.096));
  });

  test("alone is the page's, and said to be", () => {
    expect(fire("wheel", 30, 20, { deltaY: 100, deltaMode: 0 }).defaultPrevented).toBe(false);
    expect(calls("scroll", "zoom", "hover")).toEqual({ scroll: [[]], zoom: [], hover: [] });
  });
});

describe("the pointer", () => {
  test("is hovering while nothing is pressed, and gone when it left", () => {
    fire("pointermove", 5, 6);
    fire("pointerleave", 0, 0);
    expect(on.hover.mock.calls).toEqual([[{ x: 5, y: 6 }], [null]]);
  });

  test("clicks where it hardly moves, and twice soon after each other is all again", () => {
    fire("pointerdown", 5, 6);
    fire("pointermove", 7, 8);
    fire("pointerup", 7, 8);
    const once = { click: [[{ x: 7, y: 8 }]], box: [] };
    expect(calls("click", "box", "reset")).toEqual({ ...once, reset: [] });
    fire("pointerdown", 7, 8);
    fire("pointerup", 7, 8);
    expect(calls("click", "box", "reset")).toEqual({ ...once, reset: [[]] });
  });

  test("draws a box, which is gone when it ends", () => {
    const [from, to] = [{ x: 5, y: 6 }, { x: 50, y: 60 }];
    fire("pointerdown", 5, 6);
    fire("pointermove", 50, 60);
    expect(calls("band", "box")).toEqual({ band: [[from, to]], box: [] });
    fire("pointerup", 50, 60);
    expect(on.band.mock.calls.at(-1)).toEqual([null, null]);
    expect(calls("box", "click")).toEqual({ box: [[from, to]], click: [] });
  });

  test.each([{ shiftKey: true }, { button: 1 }])(
    "moves what is seen with %o", (how) => {
      fire("pointerdown", 50, 60, how);
      fire("pointermove", 40, 65, how);
      fire("pointermove", 41, 65, how);
      fire("pointerup", 41, 65, how);
      expect(calls("move", "box", "click"))
        .toEqual({ move: [[10, -5], [-1, 0]], box: [], click: [] });
    });

  test("does nothing with the right button", () => {
    fire("pointerdown", 50, 60, { button: 2 });
    fire("pointermove", 80, 90);
    fire("pointerup", 80, 90);
    expect(calls("box", "click", "band")).toEqual({ box: [], click: [], band: [] });
  });

  test("draws no box any more where the browser takes it away", () => {
    fire("pointerdown", 5, 6);
    fire("pointermove", 50, 60);
    fire("pointercancel", 50, 60);
    fire("pointerup", 50, 60);
    expect(on.band.mock.calls.at(-1)).toEqual([null, null]);
    expect(on.box).not.toHaveBeenCalled();
  });
});

const touch = (pointerId) => ({ pointerId, pointerType: "touch" });

describe("a finger", () => {
  const tap = (x, y) => {
    fire("pointerdown", x, y, touch(1));
    fire("pointerup", x + 9, y, touch(1));
    fire("pointerleave", x + 9, y, touch(1));
  };

  test("taps: what is there is said and stays, and selected; twice is all again", () => {
    tap(5, 6);
    expect(calls("hover", "click", "reset"))
      .toEqual({ hover: [[{ x: 14, y: 6 }]], click: [[{ x: 14, y: 6 }]], reset: [] });
    tap(15, 6);
    expect(on.reset).toHaveBeenCalledTimes(1);
  });

  test("that moves is the page's", () => {
    fire("pointerdown", 50, 60, touch(1));
    fire("pointermove", 50, 90, touch(1));
    fire("pointercancel", 50, 90, touch(1));
    expect(calls("move", "box", "click", "hover")).toEqual({ move: [], box: [], click: [], hover: [] });
    expect(on.band.mock.calls.every(([from]) => from === null)).toBe(true);
  });

  test.each(["touchstart", "touchmove"])("alone scrolls at %s, which two of them may not", (type) => {
    const [alone, both] = [1, 2].map((length) => fire(type, 0, 0, { touches: { length } }));
    expect([alone.defaultPrevented, both.defaultPrevented]).toEqual([false, true]);
  });
});

test("two fingers zoom about the middle between them, and move it", () => {
  fire("pointerdown", 10, 10, touch(1));
  fire("pointerdown", 30, 10, touch(2));
  fire("pointermove", 50, 10, touch(2));
  expect(on.zoom.mock.calls).toEqual([[{ x: 20, y: 10 }, 0.5]]);
  expect(on.move.mock.calls).toEqual([[-10, 0]]);
  fire("pointerup", 10, 10, touch(1));
  fire("pointerup", 50, 10, touch(2));
  expect(calls("click", "box")).toEqual({ click: [], box: [] });
});

describe("keys", () => {
  const press = (key, more) => fire("keydown", 0, 0, { key, ...more }).defaultPrevented;

  test("are the canvas's where they came to it: cells, tiles, what is seen, and the choice", () => {
    fire("focus", 0, 0);
    for (const key of ["ArrowLeft", "ArrowDown", "PageDown", "PageUp", "Enter"]) {
      expect(press(key)).toBe(true);
    }
    press("ArrowRight", { shiftKey: true });
    expect(calls("walk", "turn", "pick", "move"))
      .toEqual({ walk: [[-1, 0], [0, 1]], turn: [[1], [-1]], pick: [[]], move: [[40, 0]] });
  });

  test("that are not the canvas's, or the browser's own, are left alone", () => {
    fire("focus", 0, 0);
    for (const [key, more] of [["x"], ["+"], ["ArrowLeft", { ctrlKey: true }]]) {
      expect(press(key, more)).toBe(false);
    }
  });

  test("are the page's after a click", () => {
    fire("pointerdown", 5, 6);
    fire("focus", 5, 6);
    fire("pointerup", 5, 6);
    expect([press("ArrowLeft"), press("PageDown")]).toEqual([false, false]);
  });

  test("leave the cell that they went to when they go, and keep it where the page only moves", () => {
    fire("focus", 0, 0);
    fire("pointermove", 5, 6, { movementX: 0, movementY: 0 });
    expect(on.hover).not.toHaveBeenCalled();
    fire("blur", 0, 0);
    expect(on.hover.mock.calls).toEqual([[null]]);
    fire("pointermove", 5, 6, { movementX: 0, movementY: 0 });
    expect(on.hover).toHaveBeenCalledTimes(2);
  });
});

describe("where lines are drawn", () => {
  beforeEach(() => {
    canvas = new EventTarget();
    canvas.getBoundingClientRect = () => ({ left: LEFT, top: TOP });
    canvas.setPointerCapture = vi.fn();
    on = Object.fromEntries([...EVENTS, "stroke", "stroked"].map((name) => [name, vi.fn()]));
    follow(canvas, { ...on, strokes: () => true });
  });
  const points = () => on.stroke.mock.calls.map(([{ x, y }]) => [x, y]);

  test.each(["mouse", "touch"])("a %s draws from where it began", (pointerType) => {
    fire("pointerdown", 5, 6, { pointerType });
    fire("pointermove", 30, 6, { pointerType, shiftKey: true });
    fire("pointermove", 30, 40, { pointerType });
    fire("pointerup", 30, 40, { pointerType });
    expect(points()).toEqual([[5, 6], [30, 6], [30, 40]]);
    expect(on.stroke.mock.calls[0][1].shiftKey).toBe(true);
    expect(on.stroked.mock.calls).toEqual([[false]]);
    expect(calls("move", "box", "click")).toEqual({ move: [], box: [], click: [] });
  });

  test("a second finger gives the line up, and zooms", () => {
    const finger = (pointerId) => ({ pointerId, pointerType: "touch" });
    fire("pointerdown", 5, 6, finger(1));
    fire("pointermove", 30, 6, finger(1));
    fire("pointerdown", 60, 6, finger(2));
    expect(on.stroked.mock.calls).toEqual([[true]]);
    fire("pointermove", 90, 6, finger(2));
    expect(on.zoom).toHaveBeenCalled();
  });

  test("a click stays a click", () => {
    fire("pointerdown", 5, 6);
    fire("pointerup", 5, 6);
    expect(calls("stroke", "stroked", "click")).toEqual({
      stroke: [], stroked: [], click: [[{ x: 5, y: 6 }]],
    });
  });
});
