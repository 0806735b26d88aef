// The door between Dash and the Feature maps page: Dash's callbacks run these, the modules in
// feature_maps/ do the work.
(() => {
  // Modules load on their own; a callback that comes before them waits.
  const address = new URL("feature_maps/session.js", document.currentScript.src);
  let module = null;
  const load = () => {
    module ??= import(address).catch((error) => {
      module = null; // the next callback tries again
      throw error;
    });
    return module;
  };
  load().catch(() => {}); // before the page is busy with its graphs
  const call = (name) => async (...values) => {
    return (await (await load())[name](...values)) ?? window.dash_clientside.no_update;
  };
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.feature_maps = {
    show: call("show"),
    pick: call("pick"),
    mark: call("mark"),
    outline: call("outline"),
    fade: call("fade"),
    // Dash says what was clicked only until the callback first waits.
    save: () => call("save")(window.dash_clientside.callback_context.triggered_id),
    nextFilter: call("nextFilter"),
  };
})();
