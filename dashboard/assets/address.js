// Keeps the address bar a link to what is shown, and the navigation's links to the same things.
window.dash_clientside = window.dash_clientside || {};
window.dash_clientside.navigation = {
  remember(...held) {
    const { fields, controls, targets } = held.pop();
    const { requests_pathname_prefix: base } =
      JSON.parse(document.getElementById("_dash-config").textContent);
    const shown = new URLSearchParams(window.location.search);
    const values = Object.fromEntries(controls.map(({ name, values }, at) =>
      [name, values ? values[Number(Boolean(held[at]))] : held[at]]));
    const query = new URLSearchParams();
    for (const { name, key, always, default: usual } of fields) {
      const value = name in values ? values[name] ?? "" : shown.get(key) ?? usual;
      if (always || String(value) !== usual) query.set(key, value);
    }
    const path = base + window.location.pathname.slice(base.length).replace(/\/+$/, "");
    window.history.replaceState(window.history.state, "", `${path}?${query}`);
    const links = [...document.querySelectorAll("header.frame nav a")].map((link) =>
      new URL(link.href).pathname.split("/").pop());
    return [...links, ...targets].map((name) => `${name}?${query}`);
  },
  stepFilter(previous, next, layer, filter, sizes, done) {
    const steps = (next || 0) - (previous || 0);
    const n = sizes[layer];
    const value = (((Math.min(filter || 0, n - 1) + steps - (done || 0)) % n) + n) % n;
    return [value === filter ? window.dash_clientside.no_update : value, n - 1, steps];
  },
};
window.dash_clientside.address = {
  // query: "?layer=conv1&…" as state.py wrote it. Returns the href of each navigation link.
  remember(query) {
    const links = [...document.querySelectorAll("header.frame nav a")].map((link) =>
      new URL(link.href).pathname.split("/").pop());
    if (!query) return links.map(() => window.dash_clientside.no_update);
    // Where the pages of this store lie, with a slash at its end: all links are relative to it.
    const { requests_pathname_prefix: base } =
      JSON.parse(document.getElementById("_dash-config").textContent);
    // replaceState: stepping through samples must not fill the browser's history.
    const path = base + window.location.pathname.slice(base.length).replace(/\/+$/, "");
    window.history.replaceState(window.history.state, "", path + query);
    return links.map((name) => name + query);
  },
  help: () => true,
};

// What was typed under "Go to", once it is sent.
document.addEventListener("keydown", (event) => {
  if (event.key !== "Enter" || event.target.id !== "goto") return;
  const asked = { text: event.target.value, search: window.location.search, at: Date.now() };
  window.dash_clientside.set_props("goto-asked", { data: asked });
  event.target.blur(); // the keys are the page's again
});
