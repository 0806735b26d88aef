// The doors between Dash and modules: Dash's callbacks run these, the modules in the folders beside
// this file do the work. Modules load on their own; a callback that comes before them waits.
(() => {
  // For each namespace of callbacks: the module; the functions of it that are called with the
  // values of a callback; those that are called with the id of what was clicked; whether it is
  // loaded before the page is busy, and not only when it is called first; whether it is not loaded
  // while the first value is empty.
  const DOORS = {
    feature_maps: {
      module: "feature_maps/session.js",
      called: [
        "show", "pick", "mark", "outline", "fade", "savePicture", "nextFilter", "zoom", "choose",
      ],
      clicked: ["save"],
      isEarly: true,
    },
    overview: {
      module: "overview/tables.js",
      called: ["filters", "classes", "save", "layerOf"],
    },
    network: {
      module: "overview/network/network.js",
      called: ["show"],
    },
    layers: {
      module: "layers/layer_rows.js",
      called: ["show", "pick", "zoom"],
    },
    kernels: {
      module: "kernels/kernel_wall.js",
      called: ["show", "nextFilter", "zoom"],
    },
    filter: {
      module: "filter/filter_steps.js",
      called: ["follow"],
    },
    contrast: {
      module: "contrast/ranking.js",
      called: ["ranking", "mark", "save"],
    },
    samples: {
      module: "samples/samples_page.js",
      called: ["show", "mark", "read", "save", "all", "zoom"],
    },
    places: {
      module: "feature_maps/place.js",
      called: ["show"],
      isOptional: true,
    },
  };
  const { src } = document.currentScript;
  const loads = new Map();
  window.dash_clientside = window.dash_clientside || {};
  for (const [namespace, door] of Object.entries(DOORS)) {
    const { module, called, clicked = [], isEarly, isOptional } = door;
    let loading = null;
    const load = () => {
      loading ??= import(new URL(module, src)).catch((error) => {
        loading = null; // the next callback tries again
        throw error;
      });
      return loading;
    };
    loads.set(namespace, load);
    if (isEarly) load().catch(() => {});
    const call = async (name, values) => {
      const { no_update } = window.dash_clientside;
      if (isOptional && !loading && !values[0]) return no_update;
      return (await load())[name](...values) ?? no_update;
    };
    window.dash_clientside[namespace] = Object.fromEntries([
      ...called.map((name) => [name, (...values) => call(name, values)]),
      // Dash says what was clicked only until the callback first waits.
      ...clicked.map((name) => [
        name, () => call(name, [window.dash_clientside.callback_context.triggered_id]),
      ]),
    ]);
  }
  // Who points at a link to a page is about to open it: what it loads is on its way by then.
  for (const kind of ["pointerover", "focusin"]) {
    document.addEventListener?.(kind, ({ target }) => {
      const page = target.closest?.("nav a")?.pathname.split("/").pop();
      loads.get(page)?.().catch(() => {});
    }, { passive: true });
  }
})();
