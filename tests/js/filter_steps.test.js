// @vitest-environment happy-dom
// Each click on the Filter page leads on from the one before, whatever the field says meanwhile.
import { beforeEach, expect, test, vi } from "vitest";
import { follow } from "../../dashboard/assets/filter/filter_steps.js";

const SIZES = { conv1: 16, conv2: 4 };
let held;

const say = (value, layer = "conv1") => {
  held.value = value;
  follow(layer, value, SIZES);
};
const press = (which, times = 1) => {
  for (let n = 0; n < times; n += 1) document.getElementById(`filter-${which}`).click();
  return held.value;
};

beforeEach(() => {
  vi.useFakeTimers();
  held = {};
  document.body.innerHTML = "<input id=filter-filter>"
    + "<button id=filter-previous></button><button id=filter-next></button>";
  window.dash_component_api = { getLayout: () => ({ props: held }) };
  window.dash_clientside = { set_props: (id, props) => { Object.assign(held, props); } };
  say(3);
});

test("they go round the ends, and none is lost", () => {
  expect([press("next"), press("next", 2), press("previous", 5), press("previous", 2)])
    .toEqual([4, 6, 1, 15]);
  expect(press("next", 3)).toBe(2);
});

test("the filter of another layer is one of it", () => {
  say(9);
  expect(held.max).toBe(15);
  say(9, "conv2");
  expect([held.value, held.max, press("next")]).toEqual([3, 3, 0]);
});

test("what the field says again is no place to go on from, what a person types is", () => {
  press("next", 2);
  say(4); // the first step, which the field sets once more
  expect(press("next")).toBe(6);
  say(12);
  expect(press("next")).toBe(13);
  say(3); // a person is as quick as the field
  vi.advanceTimersByTime(2000);
  expect(press("previous")).toBe(2);
});

test("a number that is typed and no filter's leads on from the last filter", () => {
  say(40);
  expect([press("next"), press("previous")]).toEqual([0, 15]);
});

test("where the page is gone there is nothing to do", () => {
  const button = document.getElementById("filter-next");
  document.getElementById("filter-filter").remove();
  button.click();
  follow("conv1", 5, SIZES);
  expect(held.value).toBe(3);
});
