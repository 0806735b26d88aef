// The wall of kernels as a picture; the one of feature maps has a dialog with more to choose.
import { pictureOf } from "../feature_maps/wall/picture.js";
import { session } from "../kernels/kernel_wall.js";
import { fileName } from "../feature_maps/file_name.js";
import { saveDialog } from "./dialog.js";

/** Asks how a picture of the wall shall be, and saves it. */
export function save({ name }) {
  const { wall } = session() ?? {};
  if (!wall?.order.length) return;
  const { facts, scheme, words } = wall.view;
  const note = document.getElementById("kernels-note").textContent;
  saveDialog({
    name: fileName(name, facts.layer, "kernels"),
    picture: ({ form, scale, isForPaper }) => pictureOf(wall, {
      form, scale, hasLabels: true, scheme: isForPaper ? "light" : scheme, title: [words, `${name}. ${note}`],
    }),
  });
}
