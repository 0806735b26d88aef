// The input image, with the selected filter's map over it and a box about what a unit sees.
import { atlasOf, mapOf, spanOf } from "./wall/atlas.js";

/** The picture in an element of the page. */
export class InputPicture {
  constructor(frame) {
    const make = (name, className) => Object.assign(document.createElement(name), { className });
    this.image = make("img", "");
    this.over = make("canvas", "map-over");
    this.box = make("span", "field-box");
    this.box.hidden = true;
    frame.replaceChildren(this.image, this.over, this.box);
    this.frame = frame;
  }

  /** Shows the image of a sample. */
  show(facts, sample) {
    const note = document.getElementById("maps-field-note");
    if (note) note.textContent = facts.field_note;
    const address = facts.image.join(sample);
    if (this.image.getAttribute("src") === address) return;
    this.image.src = address;
    this.image.alt = `Input image of sample ${sample}`;
    const [height, width] = facts.image_shape;
    this.frame.style.aspectRatio = `${width} / ${height}`;
    this.over.hidden = true; // the map of another sample would lie
  }

  /** Lays one filter's map over the image, in the colors of the wall. */
  map(maps, span, filter, facts) {
    this.over.hidden = !facts.grid || !(filter < maps.shape[2]);
    if (this.over.hidden) return;
    const [height, width, n] = maps.shape;
    const part = { top: 0, left: 0, rows: height, columns: width, step: 1 };
    const map = {
      values: mapOf(maps.values, n, filter), shape: [height, width, 1], step: 1,
      origin: { top: 0, left: 0 }, filters: null,
    };
    const { canvas } = atlasOf(map, part, spanOf(span, [filter]), { zero: null }, null);
    [this.over.width, this.over.height] = [width, height];
    this.over.getContext("2d").drawImage(canvas, 0, 0);
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
