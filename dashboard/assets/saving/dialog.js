// The dialog that saves a picture of what a page shows: how it shall be is asked the same way whatever
// it is of. Who saves one says how it is made.
import { download } from "./download.js";
import { NoPicture } from "./no_picture.js";

const SCALES = [1, 2, 3, 4];

const make = (tag, properties = {}, ...children) => {
  const node = Object.assign(document.createElement(tag), properties);
  node.append(...children);
  return node;
};

const choice = (name, value, words, checked) => make("label", {},
  make("input", { type: "radio", name, value, checked }), words);

/**
 * Asks how a picture shall be, and has the browser save it.
 * @param {{name: string, picture: (wanted: {form: "png"|"svg", scale: number, isForPaper: boolean})
 *   => Promise<Blob>, hasPaper?: boolean}} subject the file's name without its ending, what makes the
 *   picture, and whether it can be made in the colors of paper
 */
export function saveDialog({ name, picture, hasPaper = true }) {
  const words = make("p", { className: "message" });
  words.setAttribute("role", "status");
  const scales = make("fieldset", {},
    make("legend", { textContent: "Pixels of a PNG, to one on the screen" }),
    ...SCALES.map((scale) => choice("scale", scale, `${scale}×`, scale === 2)));
  const form = make("form", { method: "dialog" },
    make("h2", { textContent: "Save picture", id: "save-picture-title" }),
    make("fieldset", {}, make("legend", { textContent: "Format" }),
      choice("form", "png", "PNG", true), choice("form", "svg", "SVG", false)),
    scales,
    make("label", { hidden: !hasPaper },
      make("input", { type: "checkbox", name: "paper" }), "On white, for paper"),
    words,
    make("div", { className: "save-picture-buttons" },
      make("button", { type: "button", textContent: "Cancel", name: "cancel" }),
      make("button", { type: "submit", textContent: "Save picture", name: "save" })));
  const dialog = make("dialog", { className: "save-picture" }, form);
  dialog.setAttribute("aria-labelledby", "save-picture-title");
  dialog.addEventListener("close", () => dialog.remove());
  form.elements.cancel.addEventListener("click", () => dialog.close());
  form.addEventListener("change", () => { scales.disabled = form.elements.form.value === "svg"; });
  form.addEventListener("submit", async (event) => {
    event.preventDefault();
    const wanted = {
      form: form.elements.form.value,
      scale: Number(form.elements.scale.value),
      isForPaper: form.elements.paper.checked,
    };
    words.textContent = "";
    form.elements.save.disabled = true;
    try {
      download(await picture(wanted), `${name}.${wanted.form}`);
      dialog.close();
    } catch (error) {
      if (!(error instanceof NoPicture)) throw error;
      words.textContent = error.message;
    } finally {
      form.elements.save.disabled = false;
    }
  });
  document.body.append(dialog);
  dialog.showModal();
}
