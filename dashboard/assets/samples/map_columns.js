// Typed columns of the HTTP API: a request that is overtaken is aborted, the last answers are kept.
import { decode } from "../all_filters/columns.js";

const KEPT = 8; // answers: of 100,000 samples each is 0.8 to 1.3 MB
const kept = new Map(); // by address and digest

/** A server's answer that is no array, in its own words; final where asking again would say the same. */
export class ColumnsError extends Error {
  constructor(message, isFinal) {
    super(message);
    this.isFinal = isFinal;
  }
}

/** Only the last request counts. */
export class Latest {
  controller = null;

  begin() {
    this.controller?.abort();
    this.controller = new AbortController();
    return this.controller;
  }
}

/**
 * The columns at an address with the digest of their store; null where the request was overtaken.
 * @param {string} url
 * @param {Latest} latest
 */
export async function columnsOf(url, latest) {
  const controller = latest.begin();
  if (kept.has(url)) return kept.get(url);
  try {
    const answer = await fetch(url, { signal: controller.signal });
    if (!answer.ok) {
      const problem = await answer.json().catch(() => null);
      const why = problem?.detail ?? `${answer.status} ${answer.statusText}`;
      throw new ColumnsError(why, answer.status >= 400 && answer.status < 500);
    }
    const columns = decode(await answer.arrayBuffer());
    const about = { ...columns, digest: answer.headers.get("x-store-digest") };
    kept.set(url, about);
    if (kept.size > KEPT) kept.delete(kept.keys().next().value);
    return latest.controller === controller ? about : null;
  } catch (error) {
    if (latest.controller !== controller) return null;
    throw error;
  }
}
