// Every visible word of a page with its color and that of its ground, both without alpha, as
// [words, color, ground]. Left out: what is disabled (WCAG exempts it), and numbers within the cells
// of a heatmap, whose ground is drawn by Plotly, as is their color.
() => {
  const parse = (color) => {
    const [red, green, blue, alpha = 1] = color.match(/[\d.]+/g).map(Number);
    const times = color.startsWith("color(") ? 255 : 1;
    return [red * times, green * times, blue * times, alpha];
  };
  const over = (top, ground) => [0, 1, 2].map(
    (at) => top[at] * top[3] + ground[at] * (1 - top[3])).concat(1);
  const above = (node) => (node ? [...above(node.parentElement), node] : []);
  const probe = document.body.appendChild(document.createElement("i"));
  probe.style.backgroundColor = "Canvas"; // where a page has no ground of its own
  const canvas = parse(getComputedStyle(probe).backgroundColor);
  probe.remove();
  const words = [];
  const add = (node, text, color) => {
    let ground = canvas;
    let opacity = 1;
    for (const outer of above(node)) {
      const style = getComputedStyle(outer);
      const isDrawn = outer instanceof SVGElement && outer.tagName !== "svg";
      if (!isDrawn) ground = over(parse(style.backgroundColor), ground);
      opacity *= Number(style.opacity);
    }
    const [red, green, blue, alpha] = parse(color);
    words.push([text, over([red, green, blue, alpha * opacity], ground), ground]
      .map((part) => (Array.isArray(part) ? part.slice(0, 3) : part)));
  };
  const left = "[disabled], [data-disabled], [aria-disabled=true], .heatmap-label, script, style";
  const walker = document.createTreeWalker(document.body, NodeFilter.SHOW_TEXT);
  while (walker.nextNode()) {
    const node = walker.currentNode.parentElement;
    const text = walker.currentNode.textContent.trim();
    const isSeen = node.checkVisibility({ checkOpacity: true, checkVisibilityCSS: true });
    if (!text || !isSeen || !node.getClientRects().length || node.closest(left)) continue;
    const style = getComputedStyle(node);
    add(node, text, node instanceof SVGElement ? style.fill : style.color);
  }
  for (const input of document.querySelectorAll("input[placeholder]")) {
    if (input.value || !input.checkVisibility()) continue;
    add(input, input.placeholder, getComputedStyle(input, "::placeholder").color);
  }
  return words;
}
