// Pointer, wheel, fingers and keys are said as what they mean; what that does is not theirs.
import { beforeEach, describe, expect, test, vi } from "vitest";
import { follow } from "../../dashboard/assets/feature_maps/wall/gestures.js";

const EVENTS = ["hover", "click", "zoom", "move", "band", "box", "reset"];
const [LEFT, TOP] = [100, 40]; // of the canvas on its page
let canvas;
let on;

beforeEach(() => {
  canvas = new EventTarget();
  canvas.getBoundingClientRect = () => ({ left: LEFT, top: TOP });
  canvas.setPointerCapture = vi.fn();
  on = Object.fromEntries(EVENTS.map((name) => [name, vi.fn(() => true)]));
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
  test("zooms where the pointer is, nearer when it is turned away; then it hovers there", () => {
    const event = fire("wheel", 30, 20, { deltaY: -100, deltaMode: 0 });
    const [[point, factor]] = on.zoom.mock.calls;
    expect([point, event.defaultPrevented]).toEqual([{ x: 30, y: 20 }, true]);
    expect(factor).toBeCloseTo(Math.exp(-0.2));
    expect(on.hover.mock.calls).toEqual([[{ x: 30, y: 20 }]]);
    fire("wheel", 30, 20, { deltaY: 3, deltaMode: 1 });
    expect(on.zoom.mock.calls[1][1]).toBeCloseTo(Math.exp(0.096));
  });

  test("scrolls the page where there is nothing to zoom", () => {
    on.zoom.mockReturnValue(false);
    expect(fire("wheel", 30, 20, { deltaY: 100, deltaMode: 0 }).defaultPrevented).toBe(false);
    expect(on.hover).not.toHaveBeenCalled();
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

  test.each([{ shiftKey: true }, { button: 1 }, { pointerType: "touch" }])(
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

test("two fingers zoom about the middle between them, and move it", () => {
  const touch = (pointerId) => ({ pointerId, pointerType: "touch" });
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
  test("zoom about the middle, and show all", () => {
    expect(fire("keydown", 0, 0, { key: "+" }).defaultPrevented).toBe(true);
    fire("keydown", 0, 0, { key: "-" });
    fire("keydown", 0, 0, { key: "0" });
    expect(on.zoom.mock.calls).toEqual([[null, 1 / 1.4], [null, 1.4]]);
    expect(on.reset).toHaveBeenCalledTimes(1);
  });

  test("that are not the wall's, or the browser's own, are left alone", () => {
    for (const more of [{ key: "x" }, { key: "+", ctrlKey: true }, { key: "0", metaKey: true }]) {
      expect(fire("keydown", 0, 0, more).defaultPrevented).toBe(false);
    }
    expect(calls("zoom", "reset")).toEqual({ zoom: [], reset: [] });
  });
});
