// Of arrays that are asked for, the last counts, the newest are kept, and a refusal says why.
import fc from "fast-check";
import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { ByteCache, Latest, Refusal, arrayOf, here } from "../../dashboard/assets/feature_maps/fetching.js";

const sized = (bytes) => ({ values: { byteLength: bytes } });

describe("kept", () => {
  test("behaves as a list of the newest that fit", () => {
    const act = fc.record({
      url: fc.constantFrom(..."abcdef"), bytes: fc.integer({ min: 0, max: 60 }), get: fc.boolean(),
    });
    fc.assert(fc.property(fc.array(act, { maxLength: 60 }), (acts) => {
      const kept = new ByteCache(100);
      let list = []; // [url, array], the newest last
      for (const { url, bytes, get } of acts) {
        const known = list.find(([one]) => one === url);
        if (get) {
          expect(kept.get(url)).toBe(known?.[1]);
          if (known) list = [...list.filter(([one]) => one !== url), known];
          continue;
        }
        const array = sized(bytes);
        kept.set(url, array);
        list = [...list.filter(([one]) => one !== url), [url, array]];
        const sum = () => list.reduce((all, [, one]) => all + one.values.byteLength, 0);
        while (sum() > 100) list = list.slice(1);
      }
      for (const url of "abcdef") {
        expect(kept.get(url)).toBe(list.find(([one]) => one === url)?.[1]);
      }
    }));
  });

  test("one that is larger than all there is room for is kept alone", () => {
    const kept = new ByteCache(100);
    kept.set("small", sized(10));
    kept.set("large", sized(1000));
    expect(kept.get("small")).toBeUndefined();
    expect(kept.get("large")).toEqual(sized(1000));
    kept.set("small", sized(10));
    expect(kept.get("large")).toBeUndefined();
    expect(kept.get("small")).toEqual(sized(10));
  });
});

describe("requests", () => {
  let asked; // what fetch was called with, and how its answer is given
  let unique = 0;
  const url = () => `api/${unique += 1}`; // what came is kept: each test asks for something else

  beforeEach(() => {
    asked = [];
    vi.stubGlobal("fetch", vi.fn((address, { signal }) => new Promise((give, fail) => {
      asked.push({ address, signal, give });
      signal?.addEventListener("abort", () => fail(signal.reason));
    })));
  });
  afterEach(() => vi.unstubAllGlobals());

  const answer = (values, shape = [1, values.length]) => new Response(
    Float32Array.from(values).buffer,
    { headers: { "x-shape": shape.join(","), "x-dtype": "<f4", "x-store-digest": "d1" } });

  test("an array comes with shape and the store's digest, and is not asked for again", async () => {
    const address = url();
    expect(here(address)).toBeUndefined();
    const coming = arrayOf(address);
    asked[0].give(answer([1, 2, 3, 4, 5, 6], [1, 2, 3]));
    const array = await coming;
    expect(array.shape).toEqual([1, 2, 3]);
    expect([...array.values]).toEqual([1, 2, 3, 4, 5, 6]);
    expect(array.digest).toBe("d1");
    expect(await arrayOf(address)).toBe(array);
    expect(here(address)).toBe(array);
    expect(asked.length).toBe(1);
  });

  test("asking anew aborts the one before, which then gives null", async () => {
    const latest = new Latest();
    const first = latest.get(url());
    const second = latest.get(url());
    expect(asked[0].signal.aborted).toBe(true);
    expect(asked[1].signal.aborted).toBe(false);
    expect(await first).toBeNull();
    asked[1].give(answer([7]));
    expect([...(await second).values]).toEqual([7]);
  });

  test("one that comes in spite of it is kept, but is not the answer", async () => {
    vi.stubGlobal("fetch", (address) => new Promise((give) => asked.push({ address, give })));
    const latest = new Latest();
    const [old, recent] = [url(), url()];
    const [first, second] = [latest.get(old), latest.get(recent)];
    asked[1].give(answer([2]));
    asked[0].give(answer([1]));
    expect(await first).toBeNull();
    expect([...(await second).values]).toEqual([2]);
    expect([...here(old).values]).toEqual([1]);
  });

  test("what is here already overtakes what is on its way", async () => {
    const [known, other] = [url(), url()];
    const coming = arrayOf(known);
    asked[0].give(answer([5]));
    await coming;
    const latest = new Latest();
    const first = latest.get(other);
    expect([...(await latest.get(known)).values]).toEqual([5]);
    expect(await first).toBeNull();
  });

  test("aborted by hand it gives null", async () => {
    const latest = new Latest();
    const coming = latest.get(url());
    latest.abort();
    expect(await coming).toBeNull();
  });

  test("a refusal says what the server said, and is not kept", async () => {
    const address = url();
    const coming = new Latest().get(address);
    const said = { title: "Not Found", status: 404, detail: "there is no sample 10000" };
    asked[0].give(new Response(JSON.stringify(said), { status: 404 }));
    const error = await coming.catch((one) => one);
    expect(error).toBeInstanceOf(Refusal);
    expect(error.message).toBe("there is no sample 10000");
    expect(here(address)).toBeUndefined();
  });

  test("a refusal without words says its number", async () => {
    for (const body of ["<html>", "{}", "null"]) {
      const coming = arrayOf(url());
      asked.at(-1).give(new Response(body, { status: 502, statusText: "Bad Gateway" }));
      await expect(coming).rejects.toThrow("502 Bad Gateway");
    }
  });

  test("a server that is gone is an error, unless nobody waits any more", async () => {
    vi.stubGlobal("fetch", () => new Promise((_, fail) => asked.push({ fail })));
    const latest = new Latest();
    const first = latest.get(url());
    const second = latest.get(url());
    for (const { fail } of asked) fail(new TypeError("Failed to fetch"));
    expect(await first).toBeNull();
    await expect(second).rejects.toThrow("Failed to fetch");
  });
});
