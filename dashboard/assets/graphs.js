// The button of a graph's tool bar that saves it, and those beside walls, open one dialog, which asks how
// the picture shall be. Plotly alone would save a PNG at once, by a name that says nothing.
(() => {
  const { src } = document.currentScript;
  const load = (module) => import(new URL(module, src));
  document.addEventListener("click", (event) => {
    const graph = event.target.closest?.('.modebar-btn[data-title^="Download plot"]')
      ?.closest(".js-plotly-plot");
    const button = event.target.closest?.("[data-save]");
    if (!graph && !button) return;
    event.stopPropagation();
    const opened = graph
      ? load("saving/graph.js").then(({ saveGraph }) => saveGraph(graph))
      : load(`saving/${button.dataset.save}.js`).then(({ save }) => save(button.dataset));
    opened.catch(() => {}); // of a server that is gone, stale.js says so
  }, true);
})();
