// @vitest-environment happy-dom
// Planes of an answer, their colors, and what is said of a row beside its pictures.
import { afterEach, describe, expect, test, vi } from "vitest";
import { arrivals } from "../../dashboard/assets/layers/arrivals.js";
import { extremesOf, shareOf } from "../../dashboard/assets/layers/planes.js";
import { notesOf, planesOf } from "../../dashboard/assets/layers/row.js";

describe("planes", () => {
  test("are cut from an answer in their order", () => {
    const planes = planesOf({ values: Float32Array.from([1, 2, 3, 4, 5, 6]), shape: [3, 1, 2] });
    expect(planes.map((plane) => [...plane])).toEqual([[1, 2], [3, 4], [5, 6]]);
  });

  test("span their finite values", () => {
    expect(extremesOf([NaN, 3, -Infinity, -1])).toEqual({ low: -1, high: 3 });
    expect(extremesOf([NaN])).toEqual({ low: 0, high: 0 });
  });

  test("of a component are cut at its ends, and half where there is none", () => {
    expect([-5, 0, 1, 9].map((score) => shareOf(score, 0, 2))).toEqual([0, 0, 0.5, 1]);
    expect(shareOf(0, undefined, undefined)).toBe(0.5);
    expect(shareOf(4, 4, 4)).toBe(0);
  });
});

describe("notes", () => {
  const facts = { has_maps: true, grid: {}, shape: [5, 5, 3] };
  const about = { basis: null, n_nonfinite: 0, step: 1, filters: [0] };
  const basis = (...shares) => ({ shares, n_samples: 60 });

  test("are none where there is nothing to know", () => {
    expect(notesOf(about, facts, "mean")).toEqual([]);
  });

  test("say how many components there are, and of how many samples", () => {
    const note = (...shares) => notesOf({ ...about, basis: basis(...shares) }, facts, "pca")[0];
    expect(note(0.5, 0.25, 0.125)).toBe(
      "Red, green and blue are 50%, 25%, 13% of the variance in 60 samples.");
    expect(note(0.9, 0.1)).toContain("are 2 components: 90%, 10%");
    expect(note(1)).toContain("is 1 component");
    expect(note()).toContain("no filter varies");
  });

  test("say what is left out, made smaller or unknown", () => {
    const words = notesOf({ ...about, n_nonfinite: 3, step: 2 }, { ...facts, grid: null }, "max");
    expect(words.join(" ")).toMatch(/NaN or infinite are left out\..*2 × 2 values.*unknown/);
    expect(notesOf(about, { ...facts, has_maps: false }, "max")[0]).toContain("keeps no maps");
  });
});

describe("arrivals", () => {
  afterEach(() => vi.unstubAllGlobals());
  const answer = (url) => new Response(new Float32Array([url.length]).buffer, {
    headers: { "x-shape": "1,1,1", "x-dtype": "<f4", "x-store-digest": "d" },
  });

  test("hand each on with its place, and ask once for what two want", async () => {
    const fetched = vi.fn(async (url) => answer(url));
    vi.stubGlobal("fetch", fetched);
    const places = [];
    const { signal } = new AbortController();
    await Promise.all([
      arrivals(["a", "bb", "ccc"], signal, (at, array) => places.push([at, array.values[0]])),
      arrivals(["a", "bb"], signal, () => {}),
    ]);
    expect(places.sort()).toEqual([[0, 1], [1, 2], [2, 3]]);
    expect(fetched).toHaveBeenCalledTimes(3);
  });

  test("hand nothing on that was overtaken, and abort what nobody wants", async () => {
    let aborted = false;
    vi.stubGlobal("fetch", (_, { signal }) => new Promise((_go, stop) => {
      signal.addEventListener("abort", () => { aborted = true; stop(new Error("aborted")); });
    }));
    const arrived = vi.fn();
    const controller = new AbortController();
    const done = arrivals(["overtaken"], controller.signal, arrived);
    controller.abort();
    await done;
    expect(aborted).toBe(true);
    expect(arrived).not.toHaveBeenCalled();
  });
});
