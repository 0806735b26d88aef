// @vitest-environment happy-dom
// A place in the image as a link says it, and what is said of a share.
import { expect, test } from "vitest";
import { atLeast, placeOf, placeText, windowOf } from "../../dashboard/assets/feature_maps/place.js";

test("a link says a pixel or a box, and is read back as what it was made of", () => {
  expect(placeText([3, 4, 3, 4])).toBe("3,4");
  expect(placeText([3, 4, 5, 4])).toBe("3,4,5,4");
  for (const place of [[0, 0, 0, 0], [3, 4, 5, 9]]) expect(placeOf(placeText(place))).toEqual(place);
  for (const text of ["", "a", "1,b", null]) expect(placeOf(text)).toBeNull();
});

test("a share is never said to be more than it is", () => {
  expect(atLeast(0.98999)).toBe("98 %");
  expect(atLeast(0.9979)).toBe("99.7 %");
  expect(atLeast(0.99999999)).toBe("99.999 %");
  expect(atLeast(1)).toBe("100 %");
  for (let share = 0; share <= 1; share += 0.000137) {
    expect(parseFloat(atLeast(share))).toBeLessThanOrEqual(100 * share + 1e-6);
  }
});

test("the window holds all units that see the place, and all of a small map is no window", () => {
  const text = windowOf({ shape: [26, 26], units: [5, 12, 7, 14] });
  const [top, left, bottom, right] = text.split(",").map(Number);
  expect(top).toBeLessThanOrEqual(5);
  expect(left).toBeLessThanOrEqual(12);
  expect(bottom).toBeGreaterThanOrEqual(8);
  expect(right).toBeGreaterThanOrEqual(15);
  expect(windowOf({ shape: [7, 7], units: [0, 0, 6, 6] })).toBe("");
  expect(windowOf({ shape: [1, 1], units: [0, 0, 0, 0] })).toBe("");
});
