// The link to what is shown, in the address bar and in the navigation; where a person goes who
// types it under "Go to"; and the keys of all pages.
(() => {
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.navigation = {
    /**
     * Writes the link of what is shown into the address bar, and into links to other pages.
     *
     * Called with the value of each control, and last with what the page's link is written from:
     * `fields` in the order of a link, `controls` with the field of each and what its off and on
     * stand for, and `targets`, the pages of further links. Fields that no control of the page
     * chooses stay as the address bar has them.
     * @returns {string[]} the links of the navigation, then those of the targets
     */
    remember(...held) {
      const { fields, controls, targets } = held.pop();
      const current = new URLSearchParams(window.location.search);
      const values = Object.fromEntries(controls.map(({ name, values: ends }, at) =>
        [name, ends ? ends[Number(Boolean(held[at]))] : held[at]]));
      const query = new URLSearchParams();
      for (const { name, key, always, default: usual } of fields) {
        const value = String((name in values ? values[name] : current.get(key)) ?? "") || usual;
        if (always || value !== usual) query.set(key, value);
      }
      // Where the pages of this store lie, with a slash at its end: all links are relative to it.
      const { requests_pathname_prefix: base } =
        JSON.parse(document.getElementById("_dash-config").textContent);
      const path = base + window.location.pathname.slice(base.length).replace(/\/+$/, "");
      // replaceState: stepping through samples must not fill the browser's history.
      window.history.replaceState(window.history.state, "", `${path}?${query}`);
      return [...pages(), ...targets].map((name) => `${name}?${query}`);
    },

    /**
     * The filter after clicks on the buttons before and after it, round the ends.
     * @param {Object<string, number>} sizes how many filters each layer has
     * @param {number|null} done steps that were taken before: all clicks since count, though two
     *   came at once
     * @returns {[number|object, number, number]} filter, largest one, and steps that are taken now
     */
    stepFilter(previous, next, layer, filter, sizes, done) {
      const { no_update } = window.dash_clientside;
      const steps = (next || 0) - (previous || 0);
      const n = sizes[layer];
      // The filter of another layer may be none of this one.
      const place = Math.min(filter || 0, n - 1) + steps - (done || 0);
      const value = ((place % n) + n) % n;
      return [value === filter ? no_update : value, n - 1, steps];
    },

    help: () => true,
  };

  const pages = () => [...document.querySelectorAll("header.frame nav a")].map((link) =>
    new URL(link.href).pathname.split("/").pop());

  // What was typed under "Go to", once it is sent.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.id !== "goto") return;
    const goal = { text: event.target.value, search: window.location.search, at: Date.now() };
    window.dash_clientside.set_props("goto-asked", { data: goal });
    event.target.blur(); // the keys are the page's again
  });

  const click = (...ids) => {
    const button = ids.map((id) => document.getElementById(id)).find(Boolean);
    button?.click();
    return Boolean(button);
  };
  const stepFilters = (steps) => {
    if (click(steps > 0 ? "filter-next" : "filter-previous")) return true;
    if (!document.getElementById("maps-wall")) return false;
    window.dash_clientside.feature_maps.nextFilter(steps);
    return true;
  };
  const search = () => {
    const field = document.getElementById("goto");
    field?.select();
    return Boolean(field);
  };
  const keys = {
    ArrowLeft: () => click("maps-previous"),
    ArrowRight: () => click("maps-next"),
    ArrowUp: () => stepFilters(-1),
    ArrowDown: () => stepFilters(1),
    "/": search,
    "?": () => click("help-open"),
  };
  // Unless the reader is typing or using a control that has keys of its own.
  const OWN = "input, textarea, [role=radiogroup], [role=listbox], [role=menu], [role=dialog], "
    + "[role=slider], [role=grid]";
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
    if (event.shiftKey && event.key.startsWith("Arrow")) return; // "/" may need shift
    if (event.target.closest(OWN)) return;
    if (keys[event.key]?.()) event.preventDefault();
  });
})();
