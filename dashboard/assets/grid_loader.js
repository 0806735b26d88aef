// The grid's script where a page that comes first has no table: fetched when a table is shown. Until
// then this stands in its place, and afterwards around it, so that a table is never made twice.
(() => {
  const link = document.getElementById("grid-script");
  if (!link) return;
  const { React } = window;
  let grid = null; // the component, when its script is here
  let coming = null;

  const load = () => {
    coming ??= new Promise((resolve, reject) => {
      const script = document.createElement("script");
      script.src = link.href;
      script.onload = () => {
        grid = window.dash_ag_grid.AgGrid;
        window.dash_ag_grid = { ...window.dash_ag_grid, AgGrid };
        resolve({ default: grid });
      };
      script.onerror = () => {
        coming = null; // the next table tries again
        reject(new Error(`${link.href} did not arrive`));
      };
      document.head.append(script);
    });
    return coming;
  };
  const Loaded = React.lazy(load);
  const AgGrid = (properties) =>
    React.createElement(React.Suspense, { fallback: null }, React.createElement(Loaded, properties));
  // Dash waits with callbacks until a component says that it is here.
  Object.defineProperty(AgGrid, "_dashprivate_isLazyComponentReady", {
    get: () => (grid ? grid._dashprivate_isLazyComponentReady : load().then(() => true)),
  });
  window.dash_ag_grid = { AgGrid };
})();
