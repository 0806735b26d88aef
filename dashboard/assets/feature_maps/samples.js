// Which samples a step goes through, and where one of them stands among them. Knows no page.

const PAGE = 20; // thumbnails that are seen at once
// What a person picks samples by.
const CHOICES = ["label", "predicted", "outcome", "group", "by"];

/**
 * The samples that match, as the server chose them.
 * @typedef {object} Picks
 * @property {number[]|null} list all of them, in their order; null for all by index
 * @property {number} n how many match
 * @property {number} total how many there are
 * @property {string} by what they are ordered by
 * @property {string} layer of the filter that they are ordered by the response of
 * @property {number} filter
 * @property {string|null} label the class that is asked for
 * @property {string|null} predicted the class that they are predicted to be
 * @property {string} outcome
 * @property {string} group the expression of the group that they are of
 */

/** The neighbor of an item in a list, `steps` on, round its ends; the first where it is not. */
export function neighbor(list, item, steps) {
  if (!list.length) return null;
  const place = list.indexOf(item);
  return place < 0 ? list[0] : list[round(place + steps, list.length)];
}

/** The sample that is some steps from another, round the ends; null where none matches. */
export function stepped(picks, sample, steps) {
  if (!picks?.n) return null;
  return picks.list === null
    ? round(sample + steps, picks.total) : neighbor(picks.list, sample, steps);
}

/**
 * The first sample of a selection that a person just made, where another is to be shown: the sample
 * is not in it, or the order is another one. Null where it stays, as when a link was opened: it may
 * show a sample beside a selection that it is not in.
 * @param {Picks|null} before the selection before it
 * @param {Picks} picks
 * @param {number} sample that is shown
 */
export function arrival(before, picks, sample) {
  const isMade = before && CHOICES.some((name) => before[name] !== picks[name]);
  if (!isMade || picks.list === null || !picks.n) return null;
  return before.by !== picks.by || !picks.list.includes(sample) ? picks.list[0] : null;
}

/**
 * A page of thumbnails: the place of its first sample among all, and its samples.
 * @param {Picks} picks
 * @param {number} sample whose page it is; the first page if it is on none
 * @param {number|null} from a place on another page; null for that of the sample
 */
export function pageOf({ list, n }, sample, from) {
  const place = from ?? (list === null ? sample : list.indexOf(sample));
  const first = pageAt(Math.min(place, n - 1));
  if (list !== null) return { first, samples: list.slice(first, first + PAGE) };
  const length = Math.max(0, Math.min(PAGE, n - first));
  return { first, samples: Array.from({ length }, (_, at) => first + at) };
}

/** Where the page begins that is some pages on; that at an end where there is none. */
export function turned({ n }, first, pages) {
  return Math.max(0, Math.min(first + pages * PAGE, pageAt(n - 1)));
}

const pageAt = (place) => Math.floor(Math.max(place, 0) / PAGE) * PAGE;

/** Which samples of how many a page of thumbnails shows, in words; empty where it shows all. */
export function pageText({ n }, { first, samples }) {
  if (n <= PAGE) return "";
  return `${count(first + 1)}–${count(first + samples.length)} of ${count(n)}`;
}

/** Where a sample stands among those that match, in words. */
export function positionText({ list, n, total }, sample) {
  if (!n) return `0 of ${count(total)} samples match; choose others.`;
  if (list === null) return `${count(total)} samples`;
  const matching = `${count(n)} that match, of ${count(total)} samples`;
  const place = list.indexOf(sample);
  return place < 0 ? `Not among the ${matching}` : `${count(place + 1)} of ${matching}`;
}

const count = (n) => n.toLocaleString("en");
const round = (place, n) => ((place % n) + n) % n;
