// The buttons that zoom the wall, and how to do it with the wheel, on the wall itself.

const NEARER = 1 / 1.4; // what a button or a key makes of the window
const HINT_FOR = 3000; // ms

/** What the keys and the buttons make of the window; Infinity is all. */
export const FACTORS = { "+": NEARER, "−": 1 / NEARER, All: Infinity };
const WORDS = { "+": "Zoom into", "−": "Zoom out of", All: "All of" };

/**
 * The buttons.
 * @param {(factor: number) => void} zoom
 * @param {string} [what] is zoomed
 */
export function zoomButtons(zoom, what = "the wall") {
  const group = document.createElement("div");
  group.className = "wall-zoom";
  group.append(...Object.entries(FACTORS).map(([text, factor]) => {
    const button = document.createElement("button");
    const words = `${WORDS[text]} ${what}`;
    Object.assign(button, { type: "button", textContent: text, title: words });
    button.setAttribute("aria-label", words);
    button.addEventListener("click", () => zoom(factor));
    return button;
  }));
  return group;
}

/** Says on the wall for a while which key makes the wheel zoom. */
export function hintAt(host) {
  const hint = document.createElement("div");
  hint.className = "wall-hint";
  hint.textContent = `${/mac/i.test(navigator.platform) ? "⌘" : "Ctrl"} + wheel zooms`;
  host.append(hint);
  setTimeout(() => hint.remove(), HINT_FOR);
}
