// All layers of the network in words, in the model's order, for people who do not see the drawing.
import { nameOf, parametersText, shapeText } from "./words.js";

const HEADS = ["Layer", "Kind", "Output", "Parameters", "Value", "Reads"];

/** A table that is filled when it is opened; a model may have a thousand layers. */
export class LayerTable {
  #about = null;

  constructor(host) {
    this.details = document.createElement("details");
    this.details.className = "network-table";
    const summary = document.createElement("summary");
    summary.textContent = "All layers as a table";
    this.place = document.createElement("div");
    this.place.className = "sideways";
    this.details.append(summary, this.place);
    this.details.addEventListener("toggle", () => this.#fill());
    host.append(this.details);
  }

  /** Shows another network, or other values. */
  show(about) {
    this.#about = about;
    this.place.replaceChildren();
    this.#fill();
  }

  #fill() {
    if (!this.details.open || !this.#about || this.place.firstChild) return;
    const { model, values } = this.#about;
    const reads = model.nodes.map(() => []);
    for (const [from, to] of model.edges) reads[to].push(model.nodes[from].path);
    const table = document.createElement("table");
    const body = document.createElement("tbody");
    table.append(headOf(HEADS.map((text) => (text === "Value" ? values.title : text))), body);
    body.append(...model.nodes.map((layer, at) => {
      const value = values.layers[layer.layer];
      const name = document.createElement(value ? "a" : "span");
      name.textContent = layer.path;
      if (value) name.href = value.href;
      return rowOf("td", [
        name, layer.kind, shapeText(layer.shape), parametersText(layer.parameters),
        value?.text ?? "", reads[at].map(nameOf).join(", "),
      ]);
    }));
    this.place.replaceChildren(table);
  }
}

function headOf(texts) {
  const head = document.createElement("thead");
  const row = rowOf("th", texts);
  for (const cell of row.children) cell.scope = "col";
  head.append(row);
  return head;
}

function rowOf(tag, contents) {
  const row = document.createElement("tr");
  row.append(...contents.map((content) => {
    const cell = document.createElement(tag);
    cell.append(content);
    return cell;
  }));
  return row;
}
