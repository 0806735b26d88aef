// Gets arrays from the HTTP API: a request that is overtaken is aborted, what came is kept a while.
import { decode } from "./wall/numbers.js";

const KEPT_BYTES = 96 << 20;

/** A server's answer that is no array, in its own words. */
export class Refusal extends Error {}

/** The last arrays that came, the newest last; what is over the limit goes. */
export class ByteCache {
  #arrays = new Map();
  #bytes = 0;

  constructor(limit = KEPT_BYTES) {
    this.limit = limit;
  }

  get(url) {
    const array = this.#arrays.get(url);
    if (array) {
      this.#arrays.delete(url);
      this.#arrays.set(url, array);
    }
    return array;
  }

  set(url, array) {
    this.#bytes += array.values.byteLength - (this.#arrays.get(url)?.values.byteLength ?? 0);
    this.#arrays.delete(url);
    this.#arrays.set(url, array);
    for (const [oldest, { values }] of this.#arrays) {
      if (this.#bytes <= this.limit || oldest === url) break;
      this.#bytes -= values.byteLength;
      this.#arrays.delete(oldest);
    }
  }
}

const cache = new ByteCache();

/** An array that is here already, or undefined. */
export const here = (url) => cache.get(url);

/**
 * The address of a sample's maps: of all their values, or of large ones of as many as are seen.
 * @param {import("./session.js").WallFacts} facts
 * @param {number} sample
 * @param {number} step values each way that a cell of large maps stands for
 */
export function mapsUrl(facts, sample, step) {
  if (!facts.windows) return `${facts.url}&sample=${sample}`;
  return `${facts.windows}&sample=${sample}&step=${step}`;
}

/**
 * An array of the API, its shape and its values.
 * @param {string} url
 * @param {AbortSignal} [signal]
 * @returns {Promise<{shape: number[], values: Float32Array, digest: string, headers: Headers}>}
 */
export async function arrayOf(url, signal) {
  const cached = cache.get(url);
  if (cached) return cached;
  const answer = await fetch(url, { signal });
  if (!answer.ok) throw new Refusal(await reasonOf(answer));
  const array = {
    shape: answer.headers.get("x-shape").split(",").map(Number),
    values: decode(await answer.arrayBuffer(), answer.headers.get("x-dtype")),
    digest: answer.headers.get("x-store-digest"),
    headers: answer.headers,
  };
  cache.set(url, array);
  return array;
}

async function reasonOf(answer) {
  const problem = await answer.json().catch(() => null);
  return problem?.detail || `${answer.status} ${answer.statusText}`;
}

/** Only the last request counts: asking anew aborts the one before. */
export class Latest {
  #controller = null;

  /** The array, or null where this request was overtaken. */
  async get(url) {
    this.#controller?.abort();
    const controller = new AbortController();
    this.#controller = controller;
    try {
      const array = await arrayOf(url, controller.signal);
      return this.#controller === controller ? array : null;
    } catch (error) {
      if (this.#controller !== controller) return null;
      throw error;
    }
  }

  abort() {
    this.#controller?.abort();
    this.#controller = null;
  }
}
