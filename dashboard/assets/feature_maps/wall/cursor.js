// Where keys lead on the wall: from cell to cell and from tile to tile. Knows no page.

/**
 * The cell beside another, over the edge of a tile in the tile beside it; at the wall's edge it stays.
 * @param {{place: number, y: number, x: number}} cell
 * @param {[number, number]} way across and down, in values
 * @param {{columns: number, count: number}} tiling
 * @param {[number, number]} shape of a map, height and width
 */
export function walked({ place, y, x }, [across, down], { columns, count }, [height, width]) {
  const [toX, toY] = [x + across, y + down];
  const isLeft = toX < 0;
  const isAbove = toY < 0;
  if (isLeft || toX >= width) {
    const beside = place + Math.sign(across);
    const isThere = isLeft ? place % columns > 0 : beside % columns > 0 && beside < count;
    if (isThere) return { place: beside, y, x: isLeft ? width - 1 : 0 };
  }
  if (isAbove || toY >= height) {
    const beside = place + Math.sign(down) * columns;
    if (beside >= 0 && beside < count) return { place: beside, y: isAbove ? height - 1 : 0, x };
  }
  const within = (value, most) => Math.min(Math.max(value, 0), most - 1);
  return { place, y: within(toY, height), x: within(toX, width) };
}

/**
 * The cell of a filter with the largest finite value, y and x counted in values.
 * @param {import("./atlas.js").Maps} maps
 * @param {number} filter
 */
export function strongest({ values, shape: [, width, n], step }, filter) {
  let cell = 0;
  let largest = -Infinity;
  for (let at = filter; at < values.length; at += n) {
    if (!Number.isFinite(values[at]) || values[at] <= largest) continue;
    largest = values[at];
    cell = (at - filter) / n;
  }
  return { y: Math.floor(cell / width) * step, x: (cell % width) * step };
}
