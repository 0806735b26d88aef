// Draws a hundred thousand points: small stamps, painted into the pixels of one picture. A canvas without
// a graphics card draws as many sprites in 20 to 30 times as long, and WebGL is no quicker there.

const PHASES = 4; // places within a pixel, each way, that a point is drawn at
const FINE = 4; // samples each way by which the edge of a stamp is weighed
const MARGIN = 32; // pixels around the picture for stamps at its edge
const REACH = MARGIN / 2; // and the farthest pixel of a stamp
export const FORMS = { disk: 0, cross: 1 };
const LEAST = 1.3; // CSS pixels of a point's radius
const MOST = 6;
// Of 256: what a pixel is covered by less is not seen, and by more as if it were all of it.
const [THIN, THICK] = [28, 228];

/** The radius of a point in CSS pixels: fewer points, and those seen from nearer, are larger. */
export function radiusOf(n, scale, whole) {
  const base = Math.min(3.5, Math.max(LEAST, 240 / Math.sqrt(Math.max(n, 1))));
  return Math.min(MOST, base * Math.sqrt(Math.max(1, scale / whole)));
}

/**
 * In which order points are drawn: by rank, then by color, else by index; the last lies above.
 * @param {Uint8Array} ranks from 0
 * @param {Uint16Array|null} codes null where colors have no order
 * @returns {Uint32Array}
 */
export function orderOf(ranks, codes) {
  const n = ranks.length;
  const most = codes ? codes.reduce((most, code) => Math.max(most, code), 0) + 1 : 1;
  const keys = new Uint32Array(n);
  let last = 0;
  for (let i = 0; i < n; i += 1) {
    keys[i] = ranks[i] * most + (codes ? codes[i] : 0);
    if (keys[i] > last) last = keys[i];
  }
  const starts = new Uint32Array(last + 2);
  for (let i = 0; i < n; i += 1) starts[keys[i] + 1] += 1;
  for (let key = 1; key < starts.length; key += 1) starts[key] += starts[key - 1];
  const order = new Uint32Array(n);
  for (let i = 0; i < n; i += 1) {
    order[starts[keys[i]]] = i;
    starts[keys[i]] += 1;
  }
  return order;
}

// How far a point of the plane lies within a form of a radius: above 0 it is in it.
const WITHIN = [
  (x, y, radius) => radius - Math.hypot(x, y),
  (x, y, radius) => Math.min(
    1.25 * radius - Math.max(Math.abs(x), Math.abs(y)),
    Math.max(0.75, 0.42 * radius) - Math.min(Math.abs(x - y), Math.abs(x + y)) * Math.SQRT1_2),
];

/**
 * The pixels of a form at each phase, one phase after the other: how far each is from the point's own
 * pixel in a picture that is so many pixels wide, how much of it is covered from 0 to 256, and whether it
 * is rim; `starts` says where each phase begins.
 */
function stampsOf(form, radius, rim, width) {
  const within = WITHIN[form];
  const reach = Math.ceil(1.3 * radius + rim + 1);
  const [starts, steps, covers, rims] = [[0], [], [], []];
  for (let phase = 0; phase < PHASES * PHASES; phase += 1) {
    const [middleX, middleY] = [phase % PHASES, Math.floor(phase / PHASES)]
      .map((step) => (step + 0.5) / PHASES);
    for (let y = -reach; y <= reach; y += 1) {
      for (let x = -reach; x <= reach; x += 1) {
        let [core, all] = [0, 0];
        for (let fine = 0; fine < FINE * FINE; fine += 1) {
          const across = x + ((fine % FINE) + 0.5) / FINE - middleX;
          const down = y + (Math.floor(fine / FINE) + 0.5) / FINE - middleY;
          const inner = within(across, down, radius);
          if (inner > 0) core += 1;
          if (inner > -rim) all += 1;
        }
        const cover = Math.round((256 * all) / (FINE * FINE));
        if (cover < THIN) continue;
        steps.push(y * width + x);
        covers.push(cover > THICK ? 256 : cover);
        rims.push(Number(2 * core < all));
      }
    }
    starts.push(steps.length);
  }
  return {
    starts: Int32Array.from(starts), steps: Int32Array.from(steps), covers: Int32Array.from(covers),
    rims: Uint8Array.from(rims),
  };
}

/**
 * What is drawn of points.
 * @typedef {object} Scene
 * @property {Float32Array} x in the world
 * @property {Float32Array} y
 * @property {Uint16Array} codes of each point: which color and form
 * @property {Int32Array} cores the color of each code, as `pixelOf` makes it
 * @property {Int32Array} rims of its edge
 * @property {Uint8Array} forms of each code, of `FORMS`
 * @property {Int32Array} faint the color of each code where it is not meant
 * @property {Uint8Array} ranks of each point: 0 is faint
 * @property {Uint32Array} order see `orderOf`
 * @property {number} rim CSS pixels of the edge
 */

// One stamp over what is there: red and blue at once, then green.
function paint(pixels, base, { starts, steps, covers, rims }, phase, core, edge) {
  const end = starts[phase + 1];
  for (let k = starts[phase]; k < end; k += 1) {
    const pixel = base + steps[k];
    const cover = covers[k];
    const color = rims[k] ? edge : core;
    if (cover === 256) pixels[pixel] = color;
    else {
      const before = pixels[pixel];
      const rest = 256 - cover;
      const redBlue = (Math.imul(color & 0xff00ff, cover) + Math.imul(before & 0xff00ff, rest) | 0) >>> 8;
      const green = Math.imul((color >>> 8) & 255, cover) + Math.imul((before >>> 8) & 255, rest) | 0;
      pixels[pixel] = -0x1000000 | (redBlue & 0xff00ff) | (green & 0xff00);
    }
  }
}

/** Draws points on a canvas, and keeps the memory for it. */
export class Scatter {
  #picture = null;
  #points = null;
  #stamps = new Map();

  constructor(canvas) {
    this.canvas = canvas;
  }

  /**
   * Draws what lies on the canvas.
   * @param {Scene} scene
   * @param {{scale: number, left: number, top: number}} place see `lie`
   * @param {{radius: number, density: number, ground: number}} how
   */
  draw(scene, place, { radius, density, ground }) {
    const { canvas } = this;
    const picture = this.#pictureFor(canvas.width, canvas.height);
    const { pixels, width, height } = picture;
    pixels.fill(ground);
    const stamps = [FORMS.disk, FORMS.cross].map((form) => (
      this.#stampsFor(form, (radius - scene.rim / 2) * density, scene.rim * density, width)));
    const { cores, rims, forms, faint } = scene;
    const { x, y, codes, firstMeant } = this.#inOrder(scene);
    const scale = place.scale * density;
    const left = place.left * density + MARGIN;
    const top = place.top * density + MARGIN;
    const [right, bottom] = [width - REACH - 1, height - REACH - 1];
    for (let i = 0; i < x.length; i += 1) {
      const u = x[i] * scale + left;
      const v = y[i] * scale + top;
      if (!(u >= REACH && v >= REACH && u < right && v < bottom)) continue;
      const column = u | 0;
      const row = v | 0;
      const phase = (((v - row) * PHASES) | 0) * PHASES + (((u - column) * PHASES) | 0);
      const code = codes[i];
      const isFaint = i < firstMeant;
      const core = isFaint ? faint[code] : cores[code];
      const edge = isFaint ? core : rims[code];
      paint(pixels, row * width + column, stamps[forms[code]], phase, core, edge);
    }
    canvas.getContext("2d").putImageData(
      picture.image, -MARGIN, -MARGIN, MARGIN, MARGIN, canvas.width, canvas.height);
  }

  // Points in the order in which they are drawn, so that memory is read from front to back each time.
  #inOrder({ x, y, codes, ranks, order }) {
    if (this.#points?.order !== order || this.#points.of !== x) {
      const n = order.length;
      const sorted = {
        order, of: x, firstMeant: n,
        x: new Float32Array(n), y: new Float32Array(n), codes: new Uint16Array(n),
      };
      for (let at = n - 1; at >= 0; at -= 1) {
        const i = order[at];
        sorted.x[at] = x[i];
        sorted.y[at] = y[i];
        sorted.codes[at] = codes[i];
        if (ranks[i]) sorted.firstMeant = at;
      }
      this.#points = sorted;
    }
    return this.#points;
  }

  #pictureFor(across, down) {
    const [width, height] = [across + 2 * MARGIN, down + 2 * MARGIN];
    if (this.#picture?.width !== width || this.#picture.height !== height) {
      const image = new ImageData(width, height);
      // Signed: a pixel that is opaque is above what an unsigned one is quick with.
      this.#picture = { image, width, height, pixels: new Int32Array(image.data.buffer) };
      this.#stamps.clear();
    }
    return this.#picture;
  }

  #stampsFor(form, radius, rim, width) {
    const round = Math.min((REACH - 2 - rim) / 1.3, Math.round(4 * radius) / 4);
    const key = `${form} ${round} ${rim}`;
    if (this.#stamps.size > 64) this.#stamps.clear();
    if (!this.#stamps.has(key)) this.#stamps.set(key, stampsOf(form, round, rim, width));
    return this.#stamps.get(key);
  }
}
