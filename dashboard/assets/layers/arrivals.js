// Arrays that are asked for some at the same time, each handed on when it is here.
import { arrayOf, here } from "../feature_maps/fetching.js";

const AT_ONCE = 4; // more would wait at the server
const SLICE = 12; // ms after which a frame may be painted, while what is here already is handed on
const coming = new Map(); // by its address: what is on its way, and who waits for it

/**
 * Asks for arrays, the first ones first.
 * @param {string[]} urls
 * @param {AbortSignal} signal nothing is handed on after it
 * @param {(at: number, array: object|null, problem: Error|null) => void} arrived says which it is
 * @param {number} [atOnce] how many are on their way at the same time
 */
export async function arrivals(urls, signal, arrived, atOnce = AT_ONCE) {
  const due = urls.map((_, at) => at);
  let since = performance.now();
  const work = async () => {
    while (due.length) {
      const at = due.shift();
      let array = here(urls[at]);
      let problem = null;
      if (!array) {
        array = await shared(urls[at], signal).catch((error) => { problem = error; });
      } else if (performance.now() - since > SLICE) {
        await new Promise((go) => { setTimeout(go); });
        since = performance.now();
      }
      if (signal.aborted) return;
      arrived(at, array ?? null, problem);
    }
  };
  await Promise.all(Array.from({ length: atOnce }, work));
}

// One request for all who want an array; it is aborted when nobody does any more.
function shared(url, signal) {
  let entry = coming.get(url);
  if (!entry) {
    const controller = new AbortController();
    entry = { controller, waiting: 0 };
    entry.array = arrayOf(url, controller.signal).finally(() => {
      if (coming.get(url) === entry) coming.delete(url);
    });
    coming.set(url, entry);
  }
  entry.waiting += 1;
  signal.addEventListener("abort", () => {
    entry.waiting -= 1;
    if (entry.waiting) return;
    if (coming.get(url) === entry) coming.delete(url);
    entry.controller.abort();
  }, { once: true });
  return entry.array;
}
