// In which order the wall shows the filters. Knows no page.

/**
 * Indices of filters in the order they are shown.
 * @param {number} count how many filters
 * @param {ArrayLike<number|null>|null} scores of each filter, largest first, with those that have
 *   none (null, NaN) last; null for the filters' own order
 * @param {boolean[]|null} hidden filters that are left out
 */
export function shownOrder(count, scores, hidden) {
  const order = Array.from({ length: count }, (_, f) => f);
  if (scores !== null) {
    const none = (f) => scores[f] === null || Number.isNaN(scores[f]);
    // Two infinities differ by NaN, which is as good as 0: the index decides.
    order.sort((a, b) => none(a) - none(b) || scores[b] - scores[a] || a - b);
  }
  return hidden === null ? order : order.filter((f) => !hidden[f]);
}

/** The neighbour of an item in a list, `steps` on, round its ends; the first where it is not. */
export function neighbour(list, item, steps) {
  if (!list.length) return null;
  const place = list.indexOf(item);
  if (place < 0) return list[0];
  return list[(((place + steps) % list.length) + list.length) % list.length];
}
