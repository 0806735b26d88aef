// Plotly's script, which is as large as all others together, and what else graphs are made of: where a
// page comes with a wall, both are asked for when the wall has its first picture. Until then a graph
// waits as one whose script is on its way.
(() => {
  const LATEST = 10_000; // ms after which graphs are made though the wall has no picture
  const hasWall = document.getElementById("first-layout")?.textContent.includes('"maps-wall"');
  let hasStarted = !hasWall;
  let go = null;
  const started = new Promise((resolve) => { go = resolve; });
  const start = () => {
    hasStarted = true;
    go();
    // The grid's script comes last: a page with a table may be next.
    document.getElementById("grid-script")?.setAttribute("rel", "prefetch");
  };
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.graphs = { start };
  if (!hasWall) {
    start();
    return;
  }
  setTimeout(start, LATEST);

  const waiting = (Graph) => {
    const { React } = window;
    const Late = React.lazy(() => started.then(() => ({ default: Graph })));
    const Waiting = (properties) => React.createElement(
      React.Suspense, { fallback: null }, React.createElement(Late, properties));
    // Dash waits with callbacks until a component says that it is here.
    Object.defineProperty(Waiting, "_dashprivate_isLazyComponentReady", {
      get: () => (hasStarted ? Graph._dashprivate_isLazyComponentReady : started.then(() => true)),
    });
    return Waiting;
  };
  let library;
  Object.defineProperty(window, "dash_core_components", {
    configurable: true,
    get: () => library,
    set(components) {
      const { Graph } = components;
      library = Graph
        ? Object.create(components, { Graph: { value: waiting(Graph), enumerable: true } })
        : components;
    },
  });
})();
