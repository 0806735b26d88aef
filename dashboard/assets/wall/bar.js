// The colour bar beside the tiles, in the units of the activation.
import { ABOVE, BELOW, INK, colourAt } from "./palette.js";
import { ticks } from "./numbers.js";

const THICK = 12;
const TITLES = {
  layer: "activation", percentile: "activation",
  filter: "share of the filter's range", map: "share of the map's range",
};

/** Draws the bar of a wall to the right of its tiles. */
export function drawBar(pen, wall) {
  const { tiling, span, view } = wall;
  const { range } = view;
  const own = range === "layer" || range === "percentile";
  const [low, high] = own ? [span.from[0], span.to[0]] : [span.scale === "diverging" ? -1 : 0, 1];
  const x = tiling.width + 12;
  const [top, height] = [16, Math.min(Math.max(tiling.height - 32, 80), 420)];
  for (let row = 0; row < height; row += 1) {
    pen.fillStyle = colourAt(span.scale, 1 - row / (height - 1));
    pen.fillRect(x, top + row, THICK, 1.5);
  }
  pen.fillStyle = ABOVE;
  triangle(pen, x, top - 3, -1);
  pen.fillStyle = BELOW;
  triangle(pen, x, top + height + 3, 1);
  pen.fillStyle = INK[view.scheme].text;
  pen.font = "11px system-ui, sans-serif";
  pen.textBaseline = "middle";
  for (const value of ticks(low, high, 5)) {
    const y = top + height * (1 - (value - low) / (high - low));
    pen.fillRect(x + THICK, y - 0.5, 4, 1);
    pen.fillText(own ? short(value) : `${Math.round(value * 100)}%`, x + THICK + 7, y);
  }
  pen.save();
  pen.translate(x + THICK + 56, top + height / 2);
  pen.rotate(-Math.PI / 2);
  pen.textAlign = "center";
  pen.fillText(TITLES[range], 0, 0);
  pen.restore();
}

function triangle(pen, x, y, way) {
  pen.beginPath();
  pen.moveTo(x, y);
  pen.lineTo(x + THICK, y);
  pen.lineTo(x + THICK / 2, y + way * 7);
  pen.fill();
}

const short = (value) => String(Number(value.toPrecision(4)));
