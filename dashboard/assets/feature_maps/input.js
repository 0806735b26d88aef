// The input image, with the selected filter's map over it and a box about what a unit sees.
import { atlasOf, mapOf, spanOf } from "./wall/atlas.js";
import { Forms } from "./wall/forms.js";

const FORM_PIXELS = 240; // pixels of a side of the map, where some of its cells have a form

const LINE = "<svg class=signal preserveAspectRatio=none hidden><polyline/></svg>";

/** The picture in an element of the page. */
export class InputPicture {
  #forms = new Forms();

  constructor(frame) {
    const make = (name, className) => Object.assign(document.createElement(name), { className });
    this.image = make("img", "");
    this.over = make("canvas", "map-over");
    this.box = make("span", "field-box");
    this.box.hidden = true;
    this.line = new DOMParser().parseFromString(LINE, "text/html").body.firstChild;
    frame.replaceChildren(this.image, this.over, this.line, this.box);
    this.image.addEventListener("load", () => this.#draw());
  }

  /** Shows the image of a sample; at its own address, where that is not made of the facts. */
  show(facts, sample, address = facts.image.join(sample)) {
    const note = document.getElementById("maps-field-note");
    if (note) note.textContent = facts.field_note;
    if (this.image.getAttribute("src") === address) return;
    this.image.src = address;
    this.image.alt = `Input image of sample ${sample}`;
    this.over.hidden = true; // the map of another sample would lie
  }

  // An image of one row as a line; others are seen as they are.
  #draw() {
    const { naturalWidth: width, naturalHeight: height } = this.image;
    this.line.toggleAttribute("hidden", height !== 1);
    if (height !== 1) return;
    const pen = new OffscreenCanvas(width, 1).getContext("2d");
    pen.drawImage(this.image, 0, 0);
    const { data } = pen.getImageData(0, 0, width, 1);
    const points = Array.from(
      { length: width }, (_, x) => `${x + 0.5},${255 - data[4 * x + 1]}`);
    this.line.setAttribute("viewBox", `0 -10 ${width} 275`);
    this.line.firstChild.setAttribute("points", points.join(" "));
  }

  /** Lays one filter's map over the image, in the colors and with the forms of the wall. */
  map(maps, span, filter, facts, zeros) {
    this.over.hidden = !facts.grid || !(filter < maps.shape[2]);
    if (this.over.hidden) return;
    const [height, width, n] = maps.shape;
    const part = { top: 0, left: 0, rows: height, columns: width, step: 1 };
    const map = {
      values: mapOf(maps.values, n, filter), shape: [height, width, 1], step: 1,
      origin: { top: 0, left: 0 }, filters: null,
    };
    const atlas = atlasOf(map, part, spanOf(span, [filter]), zeros, null);
    const cell = atlas.kinds ? Math.ceil(FORM_PIXELS / Math.max(height, width)) : 1;
    [this.over.width, this.over.height] = [cell * width, cell * height];
    const pen = this.over.getContext("2d");
    pen.imageSmoothingEnabled = false;
    pen.drawImage(atlas.canvas, 0, 0, cell * width, cell * height);
    const from = { x: 0, y: 0, width, height };
    const tile = { atlas, from, x: 0, y: 0, width: cell * width, height: cell * height };
    this.#forms.draw(pen, [tile], 1);
    place(this.over, facts.grid, facts.image_shape);
  }

  /** A box about what the unit at (y, x) sees; none for null. */
  outline(unit, facts) {
    const [top, left, bottom, right] = (unit && seen(unit, facts)) || [-1, -1, -1, -1];
    this.box.hidden = top < 0 || left < 0;
    if (this.box.hidden) return;
    this.box.classList.toggle("at-most", facts.at_most);
    const box = { top, left, height: bottom - top + 1, width: right - left + 1 };
    place(this.box, box, facts.image_shape);
  }
}

/** First row, first column, last row and last column that the unit at (y, x) sees, if known. */
export function seen({ y, x }, facts) {
  if (facts.boxes) return facts.boxes[y]?.[x] ?? null;
  const [down, across] = facts.rows ? [facts.rows[y], facts.columns[x]] : [null, null];
  return down && across ? [down[0], across[0], down[1], across[1]] : null;
}

// In per cent of the image, so that it holds at any size.
function place(element, { top, left, height, width }, [rows, columns]) {
  Object.assign(element.style, {
    top: `${(100 * top) / rows}%`, height: `${(100 * height) / rows}%`,
    left: `${(100 * left) / columns}%`, width: `${(100 * width) / columns}%`,
  });
}
