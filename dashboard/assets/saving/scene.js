// Canvases and the words around them as a picture, as they stand on the page. Words and lines are drawn
// anew at the scale that is wanted; canvases have the pixels that they have on the screen.
import { SvgPen } from "../feature_maps/wall/svg.js";
import { saveDialog } from "./dialog.js";
import { canvasOf, pngOf } from "./no_picture.js";

const MARGIN = 12; // CSS pixels on each side
const LEFT_OUT = "button, input, select, svg, .unseen, [hidden]";
const CLEAR = /^(transparent|rgba\(.*, 0\))$/;

/** Asks how a picture of an element shall be, and saves it. */
export function save({ name, scene }) {
  const host = document.getElementById(scene);
  if (!host) return;
  saveDialog({ name, picture: (wanted) => pictureOf(host, wanted), hasPaper: false });
}

async function pictureOf(host, { form, scale }) {
  const box = host.getBoundingClientRect();
  const [width, height] = [Math.ceil(box.width), Math.ceil(box.height)].map(
    (length) => length + 2 * MARGIN);
  const isSvg = form === "svg";
  const canvas = isSvg ? null : canvasOf(width * scale, height * scale);
  const pen = isSvg ? new SvgPen() : canvas.getContext("2d");
  if (!isSvg) pen.scale(scale, scale);
  pen.fillStyle = getComputedStyle(document.body).backgroundColor;
  pen.fillRect(0, 0, width, height);
  pen.imageSmoothingEnabled = false;
  const placed = ({ left, top, width: across, height: down }) => [
    left - box.left + MARGIN, top - box.top + MARGIN, across, down];
  const walker = document.createTreeWalker(host, NodeFilter.SHOW_ELEMENT | NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    if (node.parentElement.closest(LEFT_OUT)) continue;
    if (node.nodeType === Node.TEXT_NODE) drawText(pen, node, placed);
    else if (!node.matches(LEFT_OUT) && node.checkVisibility()) drawElement(pen, node, placed);
  }
  if (isSvg) return new Blob([pen.text(width, height)], { type: "image/svg+xml" });
  return pngOf(canvas);
}

function drawElement(pen, element, placed) {
  const place = placed(element.getBoundingClientRect());
  if (place[2] < 1 || place[3] < 1) return;
  if (element instanceof HTMLCanvasElement && element.width && element.height) {
    pen.drawImage(element, 0, 0, element.width, element.height, ...place);
  } else if (element instanceof HTMLImageElement && element.naturalWidth) {
    pen.drawImage(element, 0, 0, element.naturalWidth, element.naturalHeight, ...place);
  } else {
    const { backgroundColor } = getComputedStyle(element);
    if (CLEAR.test(backgroundColor)) return;
    pen.fillStyle = backgroundColor;
    pen.fillRect(...place);
  }
}

function drawText(pen, node, placed) {
  const words = node.textContent.trim();
  if (!words || !node.parentElement.checkVisibility({ visibilityProperty: true })) return;
  const range = document.createRange();
  range.selectNodeContents(node);
  const [x, y, width, height] = placed(range.getBoundingClientRect());
  const style = getComputedStyle(node.parentElement);
  pen.font = `${style.fontWeight} ${style.fontSize} ${style.fontFamily}`;
  pen.fillStyle = style.color;
  pen.textAlign = "left";
  pen.textBaseline = "middle";
  pen.fillText(words, x, y + height / 2, width + 1);
}
