// The door between Dash and the wall: Dash's callbacks run these, the modules in wall/ do the work.
(() => {
  // Modules load on their own; a callback that comes before them waits.
  const address = new URL("wall/page.js", document.currentScript.src);
  let module = null;
  const call = (name) => async (...values) => {
    module ??= import(address).catch((error) => {
      module = null; // the next callback tries again
      throw error;
    });
    return (await (await module)[name](...values)) ?? window.dash_clientside.no_update;
  };
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.wall = {
    show: call("show"),
    arrive: call("arrive"),
    turn: call("turn"),
    mark: call("mark"),
    outline: call("outline"),
    fade: call("fade"),
    // Dash says what was clicked only until the callback first waits.
    save: () => call("save")(window.dash_clientside.callback_context.triggered_id),
    nextFilter: call("nextFilter"),
  };
})();
