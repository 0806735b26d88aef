// A graph of Plotly as a picture: drawn anew, larger, or as SVG, and in the colors of paper.
import { INK } from "../feature_maps/wall/palette.js";
import { saveDialog } from "./dialog.js";
import { refuseLarge } from "./no_picture.js";

const PAPER = INK.light;

/** Asks how a picture of a graph shall be, and saves it. */
export function saveGraph(graph) {
  saveDialog({
    name: graph.layout.meta?.file ?? graph.closest("[id]")?.id ?? "graph",
    picture: (wanted) => pictureOf(graph, wanted),
  });
}

async function pictureOf(graph, { form, scale, isForPaper }) {
  const { width, height } = graph._fullLayout;
  if (form === "png") refuseLarge(width * scale, height * scale);
  const { data, layout } = graph;
  const figure = { data, layout: isForPaper ? onPaper(layout) : grounded(layout) };
  const url = await window.Plotly.toImage(
    figure, { format: form, width, height, scale: form === "png" ? scale : 1 });
  const body = url.slice(url.indexOf(",") + 1);
  if (form === "svg") return new Blob([decodeURIComponent(body)], { type: "image/svg+xml" });
  const bytes = Uint8Array.from(atob(body), (letter) => letter.charCodeAt(0));
  return new Blob([bytes], { type: "image/png" });
}

// Graphs are clear on the page; a file has the page's ground.
function grounded(layout) {
  const ground = getComputedStyle(document.body).backgroundColor;
  return { ...layout, paper_bgcolor: ground };
}

function onPaper(layout) {
  const axes = Object.keys(layout).filter((name) => /^[xy]axis\d*$/.test(name));
  return {
    ...layout,
    paper_bgcolor: PAPER.ground,
    plot_bgcolor: PAPER.ground,
    font: { ...layout.font, color: PAPER.text },
    ...Object.fromEntries(axes.map((name) => [name, {
      ...layout[name], tickfont: { ...layout[name].tickfont, color: PAPER.text },
    }])),
  };
}
