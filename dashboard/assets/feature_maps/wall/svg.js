// A pen that writes SVG where others draw on a canvas, for what a wall's picture is drawn with: text
// stays text, and the cells of a tile are an image of just as many pixels.
import { cellsPath, patternSvg, unitOf } from "./forms.js";
import { KINDS, fillOf } from "./palette.js";

const FONT = /^(?:(\d+) )?([\d.]+)px (.*)$/;
const ANCHORS = { center: "middle", right: "end", end: "end" };
const escaped = (text) => String(text).replace(
  /[&<>"]/g, (sign) => `&#${sign.charCodeAt(0)};`);
const number = (value) => String(Number(value.toFixed(3)));

/** The part of a canvas' drawing that the drawing of a wall uses; `text` gives the file. */
export class SvgPen {
  fillStyle = "#000";
  strokeStyle = "#000";
  lineWidth = 1;
  font = "11px sans-serif";
  textAlign = "left";
  textBaseline = "alphabetic";
  #parts = [];
  #definitions = [];
  #path = "";
  #groups = 0;
  #stack = [];
  #measure = document.createElement("canvas").getContext("2d");

  /** The whole file. */
  text(width, height) {
    return '<?xml version="1.0" encoding="UTF-8"?>\n'
      + `<svg xmlns="http://www.w3.org/2000/svg" width="${width}" height="${height}"`
      + ` viewBox="0 0 ${width} ${height}"><defs>${this.#definitions.join("")}</defs>`
      + `${this.#parts.join("\n")}${"</g>".repeat(this.#groups)}</svg>\n`;
  }

  // What is drawn is counted in the units of the file, on a ground of its own.
  setTransform() {}
  clearRect() {}

  save() {
    const { fillStyle, strokeStyle, lineWidth, font, textAlign, textBaseline } = this;
    this.#stack.push([
      this.#groups, { fillStyle, strokeStyle, lineWidth, font, textAlign, textBaseline }]);
  }

  restore() {
    const [groups, styles] = this.#stack.pop();
    this.#parts.push("</g>".repeat(this.#groups - groups));
    this.#groups = groups;
    Object.assign(this, styles);
  }

  translate(x, y) { this.#group(`transform="translate(${number(x)} ${number(y)})"`); }
  rotate(angle) { this.#group(`transform="rotate(${number((angle * 180) / Math.PI)})"`); }
  clip() {
    const id = this.define((name) => `<clipPath id="${name}"><path d="${this.#path}"/></clipPath>`);
    this.#group(`clip-path="url(#${id})"`);
  }

  beginPath() { this.#path = ""; }
  closePath() { this.#path += "Z"; }
  moveTo(x, y) { this.#path += `M${number(x)} ${number(y)}`; }
  lineTo(x, y) { this.#path += `${this.#path ? "L" : "M"}${number(x)} ${number(y)}`; }
  rect(x, y, width, height) {
    this.#path += `M${number(x)} ${number(y)}h${number(width)}v${number(height)}h${number(-width)}z`;
  }

  fill() { this.add(`<path d="${this.#path}" ${this.#paint("fill", this.fillStyle)}/>`); }
  stroke() {
    this.add(`<path d="${this.#path}" fill="none" ${this.#paint("stroke", this.strokeStyle)}`
      + ` stroke-width="${this.lineWidth}"/>`);
  }

  fillRect(...box) {
    this.beginPath();
    this.rect(...box);
    this.fill();
  }

  measureText(text) {
    this.#measure.font = this.font;
    return this.#measure.measureText(text);
  }

  fillText(text, x, y, widest = Infinity) {
    const { fontBoundingBoxAscent: up, fontBoundingBoxDescent: down, width } = this.measureText(text);
    const condensed = width > widest
      ? ` textLength="${number(widest)}" lengthAdjust="spacingAndGlyphs"` : "";
    const lift = { bottom: -down, middle: (up - down) / 2, top: up }[this.textBaseline] ?? 0;
    const [, weight, size, family] = FONT.exec(this.font);
    this.add(`<text x="${number(x)}" y="${number(y + lift)}" font-size="${size}"`
      + ` font-family="${escaped(family)}"${weight ? ` font-weight="${weight}"` : ""}`
      + ` text-anchor="${ANCHORS[this.textAlign] ?? "start"}"${condensed}`
      + ` ${this.#paint("fill", this.fillStyle)}>${escaped(text)}</text>`);
  }

  drawImage(canvas, left, top, across, down, ...box) {
    const from = { x: left, y: top, width: across, height: down };
    const { x, y, width, height, view } = wholeCells(from);
    const cells = Object.assign(document.createElement("canvas"), { width, height });
    cells.getContext("2d").drawImage(canvas, x, y, width, height, 0, 0, width, height);
    this.window(box, view, `<image width="${width}" height="${height}" preserveAspectRatio="none"`
      + ` style="image-rendering:pixelated" href="${cells.toDataURL()}"/>`);
  }

  /** Something in coordinates of its own, of which a part is seen in a box. */
  window([x, y, width, height], view, content) {
    this.add(`<svg x="${number(x)}" y="${number(y)}" width="${number(width)}"`
      + ` height="${number(height)}" viewBox="${view.map(number).join(" ")}"`
      + ` preserveAspectRatio="none">${content}</svg>`);
  }

  add(markup) { this.#parts.push(markup); }

  /** Adds what others name, once for all that are alike; gives its name. */
  define(make) {
    const same = this.#definitions.findIndex((text, at) => text === make(`d${at}`));
    const at = same < 0 ? this.#definitions.length : same;
    this.#definitions[at] = make(`d${at}`);
    return `d${at}`;
  }

  #group(attribute) {
    this.#parts.push(`<g ${attribute}>`);
    this.#groups += 1;
  }

  // Colors as canvases have them, which every reader of SVG knows.
  #paint(name, color) {
    this.#measure.fillStyle = color;
    const value = this.#measure.fillStyle;
    const parts = /^rgba\((\d+), (\d+), (\d+), ([\d.]+)\)$/.exec(value);
    if (!parts) return `${name}="${value}"`;
    return `${name}="rgb(${parts.slice(1, 4).join(",")})" ${name}-opacity="${parts[4]}"`;
  }
}

/** Writes the forms of a wall as SVG; what `Forms` is to a canvas. */
export class SvgForms {
  draw(pen, tiles) {
    for (const { atlas, from, x, y, width, height } of tiles.filter((tile) => tile.atlas.kinds)) {
      const cells = wholeCells(from);
      const [across, down] = [width / from.width, height / from.height];
      const unit = [unitOf(across) / across, unitOf(down) / down];
      const kindAt = (row, column) => (
        atlas.kinds[(cells.y + row) * atlas.canvas.width + cells.x + column]);
      for (const kind of KINDS.keys()) {
        const path = kind && cellsPath(kind, kindAt, cells.height, cells.width);
        if (!path) continue;
        const id = pen.define((name) => patternSvg(name, KINDS[kind], atlas.scale, unit));
        pen.window([x, y, width, height], cells.view, `<path fill="url(#${id})" d="${path}"/>`);
      }
    }
  }

  fill(pen, kind, scale, points) {
    const id = pen.define((name) => patternSvg(name, kind, scale, [12, 12], points[0]));
    const path = points.map(([x, y]) => `${number(x)} ${number(y)}`).join("L");
    pen.add(`<path fill="url(#${id})" stroke="${fillOf(kind, scale)}" d="M${path}Z"/>`);
  }
}

// The whole cells that a part of a picture lies in, and the part as it lies in them.
function wholeCells({ x: left, y: top, width: across, height: down }) {
  const near = 1e-6; // what sums of window and zoom miss
  const [x, y] = [Math.floor(left + near), Math.floor(top + near)];
  return {
    x, y, width: Math.ceil(left + across - near) - x, height: Math.ceil(top + down - near) - y,
    view: [left - x, top - y, across, down],
  };
}
