// Keeps the address bar a link to what is shown, and the navigation's links to the same things.
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.address = {
  // query: "?layer=conv1&…" as state.py wrote it. Returns the href of each navigation link.
  remember(query) {
    const links = [...document.querySelectorAll("header.frame nav a")].map(
      (link) => new URL(link.href).pathname,
    );
    if (!query) return links.map(() => window.dash_clientside.no_update);
    // replaceState: stepping through samples must not fill the browser's history.
    window.history.replaceState(window.history.state, "", window.location.pathname + query);
    return links.map((path) => path + query);
  },
};
