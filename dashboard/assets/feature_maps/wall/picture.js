// The picture of a wall to keep: what is seen of it, drawn anew at the size that is wanted, without
// what is selected and hovered.
import { marked, rangeWords } from "../legend.js";
import { atlasOf, partOf } from "./atlas.js";
import { drawBar } from "./bar.js";
import { drawTiles } from "./drawing.js";
import { Forms } from "./forms.js";
import { INK } from "./palette.js";
import { download } from "../../saving/download.js";
import { NoPicture, canvasOf, pngOf } from "../../saving/no_picture.js";
import { SvgForms, SvgPen } from "./svg.js";
import { BAR } from "./wall.js";

const MARGIN = 12; // CSS pixels on each side
const LINE = 18; // from one line of text to the next
const SWATCH = 12; // of the key
const FINEST = 4; // pixels to one of CSS that an SVG has room for
export { NoPicture, download };

/**
 * @param {import("./wall.js").Wall} wall
 * @param {{form: "png"|"svg", scale: number, hasLabels: boolean, scheme: string,
 *   title?: [string, string]}} wanted `hasLabels`: title, key, names and color bar; `title`: of what
 *   the wall is, and more words; layer, sample, store and range where left out
 * @returns {Promise<Blob>}
 * @throws {NoPicture} if it is too large, or its values do not come
 */
export async function pictureOf(wall, { form, scale, hasLabels, scheme, title }) {
  const isSvg = form === "svg";
  const density = isSvg ? FINEST : scale;
  const forms = isSvg ? new SvgForms() : new Forms();
  // The wall as it is, but for what a picture has otherwise.
  const scene = Object.create(wall, Object.fromEntries(Object.entries({
    view: { ...wall.view, filter: null, scheme }, density, forms, detail: null, overview: null,
    size: null, axis: null,
  }).map(([name, value]) => [name, { value, writable: true }])));
  scene.overview = await paintedFor(scene);
  const lines = hasLabels ? titleOf(scene, title) : [];
  const top = MARGIN + (lines.length ? lines.length * LINE + 6 : 0);
  const { width, height } = wall.tiling;
  scene.size = hasLabels ? { width: width + BAR, height: wall.size.height } : { width, height };
  const widest = Math.max(scene.size.width, ...lines.map(lengthOf));
  const size = { width: Math.ceil(widest) + 2 * MARGIN, height: scene.size.height + top + MARGIN };
  const make = isSvg ? asSvg : asPng;
  return make(scene, size, (pen) => drawTitle(pen, scene, lines), [MARGIN, top], hasLabels);
}

// The cells of what is seen, as fine as the picture shows them.
async function paintedFor(scene) {
  const { maps, seen, span, step, view } = scene;
  const shape = view.facts.shape;
  const multiple = Math.ceil(step / maps.step) * maps.step;
  if (maps.step === 1 || step >= maps.step) {
    return atlasOf(maps, partOf(seen, shape, multiple), span, view.zeros, null);
  }
  const part = partOf(seen, shape, step);
  const finer = await scene.on.finer(part, null);
  if (!finer) throw new NoPicture("The values for the picture did not come; try again.");
  return atlasOf(finer, part, span, view.zeros, null);
}

function titleOf({ overview, span, view }, title) {
  const { facts, sample } = view;
  const [subject, words] = title
    ?? [`${facts.layer}, sample ${sample}`, `${facts.store}. ${rangeWords(view, span)}`];
  const key = marked(overview.counts);
  return [
    { text: subject, font: "700 14px" },
    { text: words, font: "11px" },
    ...(key.length ? [{ key, font: "11px" }] : []),
  ];
}

// CSS pixels across of a line above the wall.
function lengthOf({ text = "", key = [], font }) {
  const pen = document.createElement("canvas").getContext("2d");
  pen.font = fontOf(font);
  return key.reduce((sum, { words }) => sum + pen.measureText(words).width + SWATCH + 20,
    pen.measureText(text).width);
}

const fontOf = (font) => `${font} system-ui, sans-serif`;

function drawTitle(pen, scene, lines) {
  pen.fillStyle = INK[scene.view.scheme].text;
  pen.textBaseline = "middle";
  for (const [at, { text, key = [], font }] of lines.entries()) {
    const y = MARGIN + (at + 0.5) * LINE;
    pen.font = fontOf(font);
    if (text) pen.fillText(text, MARGIN, y);
    let x = MARGIN;
    for (const { kind, words } of key) {
      const [left, low, high] = [x, y - SWATCH / 2, y + SWATCH / 2];
      scene.forms.fill(pen, kind, scene.overview.scale, [
        [left, low], [left + SWATCH, low], [left + SWATCH, high], [left, high]], scene.density);
      pen.fillStyle = INK[scene.view.scheme].text;
      pen.fillText(words, x + SWATCH + 5, y);
      x += SWATCH + 20 + pen.measureText(words).width;
    }
  }
}

function asSvg(scene, { width, height }, drawHead, [left, top], hasLabels) {
  const pen = new SvgPen();
  pen.fillStyle = INK[scene.view.scheme].ground;
  pen.fillRect(0, 0, width, height);
  drawHead(pen);
  pen.save();
  pen.translate(left, top);
  drawTiles(pen, scene, hasLabels);
  if (hasLabels) drawBar(pen, scene);
  pen.restore();
  return new Blob([pen.text(width, height)], { type: "image/svg+xml" });
}

async function asPng(scene, size, drawHead, place, hasLabels) {
  const { density } = scene;
  const canvas = ({ width, height }) => canvasOf(
    Math.round(width * density), Math.round(height * density));
  const [whole, wall] = [canvas(size), canvas(scene.size)];
  const pen = wall.getContext("2d");
  drawTiles(pen, scene, hasLabels);
  if (hasLabels) drawBar(pen, scene);
  const on = whole.getContext("2d");
  on.fillStyle = INK[scene.view.scheme].ground;
  on.fillRect(0, 0, whole.width, whole.height);
  on.drawImage(wall, ...place.map((length) => Math.round(length * density)));
  on.setTransform(density, 0, 0, density, 0, 0);
  drawHead(on);
  return pngOf(whole);
}
