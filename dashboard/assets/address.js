// Keeps the address bar a link to what is shown, and the navigation's links to the same things.
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.address = {
  // query: "?layer=conv1&…" as state.py wrote it. Returns the href of each navigation link.
  remember(query) {
    const links = [...document.querySelectorAll("header.frame nav a")].map((link) =>
      new URL(link.href).pathname.split("/").pop());
    if (!query) return links.map(() => window.dash_clientside.no_update);
    // replaceState: stepping through samples must not fill the browser's history.
    const path = window.location.pathname.replace(/(.)\/+$/, "$1");
    window.history.replaceState(window.history.state, "", path + query);
    return links.map((name) => name + query);
  },
  // What was typed under "Go to", once it is sent.
  go(_, text) {
    const ids = window.dash_clientside.callback_context.triggered.map((one) => one.prop_id);
    if (!ids.includes("goto.n_submit") || !text) return window.dash_clientside.no_update;
    const { pathname, search } = window.location;
    return { text, page: pathname.split("/").pop() || "maps", search, at: Date.now() };
  },
  help: () => true,
};
