// What is said of a wall: the value under the pointer, and the legend below.
import { Latest } from "./fetching.js";
import { exact } from "./numbers.js";

const exactly = new Latest();

/** Says of the value under the pointer where it is and what it is; nothing for null. */
export function tell(wall, found, event) {
  const { host } = wall;
  const { facts, sample } = wall.view; // what is drawn; another sample may be on its way
  let tip = host.querySelector(".wall-tip");
  if (!found) {
    tip?.remove();
    return;
  }
  if (!tip) {
    tip = document.createElement("div");
    tip.className = "wall-tip";
    host.append(tip);
  }
  const { filter, y, x } = found;
  const { values, step: each, shape: [, width, n] } = wall.maps;
  const value = values[(Math.floor(y / each) * width + Math.floor(x / each)) * n + filter];
  const words = (text) => `filter ${filter}\ny ${y}, x ${x}\n${text}`;
  tip.textContent = words(facts.windows ? `≈ ${Number(value.toPrecision(3))}` : exact(value));
  if (event) {
    const box = host.getBoundingClientRect();
    const left = event.clientX - box.left;
    tip.style.left = `${left > box.width - 170 ? left - 150 : left + 14}px`;
    tip.style.top = `${event.clientY - box.top + 14}px`;
  }
  if (!facts.windows) return;
  // The cell stands for several values; the stored ones of this filter follow.
  exactly.get(`${facts.exact}&sample=${sample}&filter=${filter}`).then((array) => {
    const there = wall.view.facts === facts && wall.view.sample === sample;
    if (!array || !there || array.digest !== facts.digest) return;
    tip.textContent = words(exact(array.values[y * facts.shape[1] + x]));
  }).catch(() => {}); // the approximate one stays
}

/** Says below the wall how many filters there are, and what colours mean that are no values. */
export function explain(wall, place, { above, below }) {
  const { facts, zeros } = wall.view;
  const colours = wall.legend;
  const parts = [];
  if (above) parts.push([colours.above, `${above.toLocaleString("en")} cells above the range`]);
  if (below) parts.push([colours.below, `${below.toLocaleString("en")} below it`]);
  if (zeros) parts.push([colours.zero, "exactly zero"]);
  if (facts.has_missing) parts.push([colours.missing, "not a number"]);
  const hidden = facts.shape[2] - wall.order.length;
  const count = document.createElement("span");
  count.textContent = `${wall.order.length} of ${facts.shape[2]} filters`
    + (hidden ? `, ${hidden} dead hidden` : "");
  place?.replaceChildren(count, ...parts.map(([colour, words]) => {
    const item = document.createElement("span");
    const chip = document.createElement("i");
    chip.style.background = colour;
    item.append(chip, words);
    return item;
  }));
}
