// What tells cells that are outside the colors by their form, whatever colors a person sees: drawn
// on a canvas cell by cell, or written as SVG. dashboard/figures/marks.py has the forms too.
import { KINDS, fillOf } from "./palette.js";

// In a square of 1 by 1, which is repeated: strokes, and how wide they are.
export const FORMS = {
  above: { path: "M-.25.25L.25-.25M0 1L1 0M.75 1.25L1.25.75", width: 0.16 }, // rising lines
  below: { path: "M-.25.75L.25 1.25M0 0L1 1M.75-.25L1.25.25", width: 0.16 }, // falling lines
  highest: { path: "M.5.1V.9M.1.5H.9", width: 0.2 }, // a plus
  lowest: { path: "M.1.5H.9", width: 0.2 }, // a minus
  missing: { path: "M.2.2L.8.8M.2.8L.8.2", width: 0.16 }, // a cross
  zero: { path: "M.39.5H.61", width: 0.22 }, // a dot
  nonpositive: { path: "M.5.36V.64", width: 0.12 }, // a short upright dash
};
const SMALLEST = 4; // pixels of a cell that a form is seen in; smaller ones share one of them
const USUAL = 12; // pixels of a form; larger cells have several

// Black or white, whichever is seen on the color of the kind.
function inkOf(kind, scale) {
  const fill = fillOf(kind, scale);
  const [red, green, blue] = fill.startsWith("#")
    ? [1, 3, 5].map((at) => parseInt(fill.slice(at, at + 2), 16)) : fill.match(/\d+/g);
  return 0.299 * red + 0.587 * green + 0.114 * blue > 115 ? "#000" : "#fff";
}

/**
 * How long a form is, where a cell is so many pixels: a cell, a part of one, or several.
 * @param {number} cell pixels of a cell
 */
export function unitOf(cell) {
  if (cell < SMALLEST) return cell * Math.ceil(1.5 * SMALLEST / cell);
  return cell / Math.max(1, Math.round(cell / USUAL - 0.25));
}

/** Draws forms over tiles; keeps the memory for that. */
export class Forms {
  #sheet = null;

  /**
   * Draws the forms of all tiles that have some, on a canvas that has the tiles.
   * @param {CanvasRenderingContext2D} pen
   * @param {{atlas: import("./atlas.js").Atlas, from: object, x: number, y: number,
   *   width: number, height: number}[]} tiles where each is drawn, and from where of its atlas
   * @param {number} density pixels of the canvas to one that tiles are counted in
   */
  draw(pen, tiles, density) {
    const marked = tiles.filter(({ atlas }) => atlas.kinds);
    if (!marked.length) return;
    const { width, height } = pen.canvas;
    if (this.#sheet?.width !== width || this.#sheet.height !== height) {
      this.#sheet = new OffscreenCanvas(width, height);
    }
    const sheet = this.#sheet.getContext("2d");
    sheet.imageSmoothingEnabled = false;
    for (const kind of KINDS.keys()) {
      const present = marked.filter(({ atlas }) => atlas.counts[kind]);
      if (!present.length) continue;
      sheet.setTransform(1, 0, 0, 1, 0, 0);
      sheet.clearRect(0, 0, width, height);
      sheet.setTransform(density, 0, 0, density, 0, 0);
      for (const tile of present) drawKind(sheet, tile, kind, density);
      pen.save();
      pen.setTransform(1, 0, 0, 1, 0, 0);
      pen.drawImage(this.#sheet, 0, 0);
      pen.restore();
    }
  }

  /** Fills a polygon with the color and the form of a kind. */
  fill(pen, kind, scale, points, density) {
    pen.beginPath();
    for (const [x, y] of points) pen.lineTo(x, y);
    pen.fillStyle = fillOf(kind, scale);
    pen.fill();
    const size = USUAL * density;
    pen.fillStyle = pen.createPattern(stamp(kind, scale, size, size), "repeat");
    pen.fillStyle.setTransform(new DOMMatrix([1 / density, 0, 0, 1 / density, ...points[0]]));
    pen.fill();
    pen.closePath();
    pen.strokeStyle = fillOf(kind, scale);
    pen.lineWidth = 1;
    pen.stroke(); // where the form ends at the edge, the edge stays
  }
}

// The cells of one kind, and on them alone its form.
function drawKind(sheet, { atlas, from, x, y, width, height }, kind, density) {
  sheet.globalCompositeOperation = "source-over";
  sheet.drawImage(
    maskOf(atlas, kind), from.x, from.y, from.width, from.height, x, y, width, height);
  const [across, down] = [width / from.width, height / from.height];
  const unit = { x: unitOf(across), y: unitOf(down) };
  const tile = stamp(KINDS[kind], atlas.scale, unit.x * density, unit.y * density);
  const pattern = sheet.createPattern(tile, "repeat");
  pattern.setTransform(new DOMMatrix([
    unit.x / tile.width, 0, 0, unit.y / tile.height,
    x - (from.x % 1) * across, y - (from.y % 1) * down]));
  sheet.globalCompositeOperation = "source-atop";
  sheet.fillStyle = pattern;
  sheet.fillRect(x, y, width, height);
}

// The cells of a kind in the picture of an atlas, all others clear; kept with the atlas.
function maskOf(atlas, kind) {
  atlas.masks ??= [];
  if (!atlas.masks[kind]) {
    const { canvas, image, kinds } = atlas;
    const mask = new ImageData(canvas.width, canvas.height);
    const [to, from] = [mask, image].map(({ data }) => new Uint32Array(data.buffer));
    for (let at = 0; at < kinds.length; at += 1) if (kinds[at] === kind) to[at] = from[at];
    atlas.masks[kind] = new OffscreenCanvas(canvas.width, canvas.height);
    atlas.masks[kind].getContext("2d").putImageData(mask, 0, 0);
  }
  return atlas.masks[kind];
}

// One form on a canvas of about so many pixels.
function stamp(kind, scale, width, height) {
  const canvas = new OffscreenCanvas(Math.max(1, Math.round(width)), Math.max(1, Math.round(height)));
  const pen = canvas.getContext("2d");
  const thinnest = 1 / Math.min(canvas.width, canvas.height);
  pen.scale(canvas.width, canvas.height);
  pen.lineWidth = Math.max(FORMS[kind].width, thinnest);
  pen.strokeStyle = inkOf(kind, scale);
  pen.stroke(new Path2D(FORMS[kind].path));
  return canvas;
}

/** A pattern of SVG with the color and the form of a kind, repeated after so many units. */
export function patternSvg(id, kind, scale, [across, down], [x, y] = [0, 0]) {
  const { path, width } = FORMS[kind];
  return `<pattern id="${id}" width="1" height="1" patternUnits="userSpaceOnUse"`
    + ` patternTransform="translate(${x} ${y}) scale(${across} ${down})">`
    + `<path fill="${fillOf(kind, scale)}" d="M0 0h1v1h-1z"/>`
    + `<path shape-rendering="auto" fill="none" stroke="${inkOf(kind, scale)}"`
    + ` stroke-width="${width}" d="${path}"/>`
    + "</pattern>";
}

/**
 * The cells of a kind as a path of SVG, in cells; empty where there is none.
 * @param {(y: number, x: number) => number} kindAt the kind of a cell
 */
export function cellsPath(kind, kindAt, rows, columns) {
  const runs = [];
  for (let y = 0; y < rows; y += 1) {
    for (let x = 0; x < columns; x += 1) {
      const start = x;
      while (x < columns && kindAt(y, x) === kind) x += 1;
      if (x > start) runs.push(`M${start} ${y}h${x - start}v1h${start - x}z`);
    }
  }
  return runs.join("");
}

const asUrl = (svg) => `data:image/svg+xml,${encodeURIComponent(svg)}`;

/**
 * A picture with the marked cells of one map, all else clear, as an address; empty for none.
 * @param {{counts: number[], kinds: Uint8Array|null}} painted
 * @param {number} rows
 * @param {number} columns
 * @param {string} scale
 * @param {number} cell how many pixels a cell has about
 */
export function overlayUrl({ counts, kinds }, rows, columns, scale, cell) {
  if (kinds === null) return "";
  const unit = unitOf(cell) / cell;
  const present = [...KINDS.keys()].filter((kind) => counts[kind]);
  const patterns = present.map((kind) => patternSvg(KINDS[kind], KINDS[kind], scale, [unit, unit]));
  const paths = present.map((kind) => `<path fill="url(#${KINDS[kind]})" d="${
    cellsPath(kind, (y, x) => kinds[y * columns + x], rows, columns)}"/>`);
  return asUrl(`<svg xmlns="http://www.w3.org/2000/svg" width="${8 * columns}" height="${8 * rows}"`
    + ` viewBox="0 0 ${columns} ${rows}" preserveAspectRatio="none" shape-rendering="crispEdges">`
    + `<defs>${patterns.join("")}</defs>${paths.join("")}</svg>`);
}

/** A small square with the color and the form of a kind, for a legend, as an address. */
export const swatchUrl = (kind, scale) => asUrl(
  '<svg xmlns="http://www.w3.org/2000/svg" width="14" height="14"><defs>'
  + `${patternSvg("p", kind, scale, [14, 14])}</defs><path fill="url(#p)" d="M0 0h14v14H0z"/></svg>`);
