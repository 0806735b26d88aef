// Which parts of a network are open, as a link says it: their numbers, neighbors as a range. Knows no page.

const LONGEST = 255; // what a link takes of it
const ALL = "all";

/** The numbers of a text such as `0-3.7`; what is none of them is left out. */
export function openOf(text, size) {
  const every = Array.from({ length: size }, (_, at) => at);
  if (text === ALL) return new Set(every);
  const ranges = String(text ?? "").split(".").map((part) => /^(\d{1,6})(?:-(\d{1,6}))?$/.exec(part));
  const bounds = ranges.filter(Boolean).map(([, low, high]) => [Number(low), Number(high ?? low)]);
  return new Set(every.filter((at) => bounds.some(([low, high]) => low <= at && at <= high)));
}

/** The text of some numbers; of more than a link takes, the first ones. */
export function openText(open, size) {
  if (open.size && open.size === size) return ALL;
  const ranges = [];
  for (const at of [...open].sort((a, b) => a - b)) {
    if (ranges.at(-1)?.[1] === at - 1) ranges.at(-1)[1] = at;
    else ranges.push([at, at]);
  }
  const parts = ranges.map(([low, high]) => (low === high ? `${low}` : `${low}-${high}`));
  while (parts.join(".").length > LONGEST) parts.pop();
  return parts.join(".");
}
