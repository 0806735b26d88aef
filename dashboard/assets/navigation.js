// The link to what is shown, in the address bar, in the navigation and in the browser's history;
// where a person goes who types it under "Go to"; and the keys of all pages.
(() => {
  // Whether a person just chose something, by a click or by Enter: then the link that changes is a
  // step of the history, which Back undoes. Not where they go through things one by one, by arrow
  // keys, typed digits, or buttons for the next; nor what follows by itself from a choice.
  let isChoice = false;
  const ONE_BY_ONE = ".one-by-one, [role=slider]";
  document.addEventListener("pointerdown", ({ target }) => {
    isChoice = !target.closest(ONE_BY_ONE);
  }, true);
  document.addEventListener("keydown", ({ key, target }) => {
    isChoice = [" ", "Enter"].includes(key) && !target.closest(ONE_BY_ONE);
  }, true);

  // The address of what is shown. dcc.Location compares where the browser goes with where it went
  // last, and hears nothing of changes in between: both cases in which it is wrong are mended here.
  let address = "";
  const follow = (event) => {
    if (!address) return;
    const { pathname, search } = window.location;
    isChoice = false;
    if (pathname + search === address) { // a place on the page
      event.stopImmediatePropagation();
      return;
    }
    address = pathname + search;
    const { props } = window.dash_component_api.getLayout("url");
    if (props.pathname === pathname && props.search === search) {
      window.dash_clientside.set_props("url", { search });
    }
  };
  window.addEventListener("popstate", follow);
  window.addEventListener("_dashprivate_pushstate", follow);

  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.navigation = {
    /**
     * Writes the link of what is shown into the address bar, and into links to other pages.
     *
     * Called with the value of each control, and last with what the page's link is written from:
     * `page`, its name, `fields` in the order of a link, `controls` with the field of each and what
     * its off and on stand for, `targets`, the pages of further links, and `title`, the fields that
     * the title names with a word before each, and the rest of it. Fields that no control of the
     * page chooses stay as the address bar has them.
     * @returns {string[]} the links of the navigation, then those of the targets
     */
    remember(...held) {
      const { page, fields, controls, targets, title } = held.pop();
      const current = new URLSearchParams(window.location.search);
      const values = Object.fromEntries(controls.map(({ name, values: ends }, at) =>
        [name, ends ? ends[Number(Boolean(held[at]))] : held[at]]));
      const query = new URLSearchParams();
      let isOther = false;
      for (const { name, key, always, default: usual, choice } of fields) {
        const before = current.get(key) || usual;
        const value = (name in values ? String(values[name] ?? "") : before) || usual;
        if (always || value !== usual) query.set(key, value);
        isOther ||= choice && value !== before;
      }
      // Where the pages of this store lie, with a slash at its end: all links are relative to it.
      const { requests_pathname_prefix: base } =
        JSON.parse(document.getElementById("_dash-config").textContent);
      // An address that names no page gets this one's name.
      const here = window.location.pathname.slice(base.length).replace(/\/+$/, "") || page;
      const links = [...pages(), ...targets];
      // A page that is being left, and may be late: the address is another page's by now.
      if (here !== page && links.includes(here)) {
        return links.map(() => window.dash_clientside.no_update);
      }
      const change = isChoice && isOther ? "pushState" : "replaceState";
      isChoice &&= !isOther;
      window.history[change](window.history.state, "", `${base}${here}?${query}`);
      address = window.location.pathname + window.location.search;
      const names = Object.entries(title.fields)
        .filter(([name]) => !["", null, undefined].includes(values[name]))
        .map(([name, word]) => word + values[name]);
      document.title = [...names, title.rest].join(" · ");
      return links.map((name) => `${name}?${query}`);
    },

    /** Goes to a page of the store, as dcc.Link does; `at` tells one time from another. */
    open(link) {
      if (link) {
        window.history.pushState({}, "", link.href);
        window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
      }
      return window.dash_clientside.no_update;
    },

    help: () => true,
  };

  const pages = () => [...document.querySelectorAll("header.frame nav a")].map((link) =>
    new URL(link.href).pathname.split("/").pop());

  // What was typed under "Go to", once it is sent.
  document.addEventListener("keydown", (event) => {
    if (event.key !== "Enter" || event.target.id !== "goto") return;
    const { pathname: path, search } = window.location;
    const goal = { text: event.target.value, path, search, at: Date.now() };
    window.dash_clientside.set_props("goto-asked", { data: goal });
    event.target.blur(); // the keys are the page's again
  });

  const click = (...ids) => {
    const button = ids.map((id) => document.getElementById(id)).find(Boolean);
    button?.click();
    return Boolean(button);
  };
  // What hears of the keys of a wall, by the id of the wall.
  const WALLS = {
    "maps-wall": "feature_maps", "kernels-wall": "kernels", "layers-rows": "layers",
    "samples-map": "samples",
  };
  const toWall = (name, value) => {
    const id = Object.keys(WALLS).find((wall) => document.getElementById(wall));
    const act = window.dash_clientside[WALLS[id]]?.[name]; // layers have no selected filter
    act?.(value);
    return Boolean(act);
  };
  const stepFilters = (steps) => (
    click(steps > 0 ? "filter-next" : "filter-previous") || toWall("nextFilter", steps));
  const search = () => {
    const field = document.getElementById("goto");
    field?.select();
    return Boolean(field);
  };
  const zoom = (sign) => toWall("zoom", sign);
  const keys = {
    ArrowLeft: () => click("maps-previous", "layers-previous"),
    ArrowRight: () => click("maps-next", "layers-next"),
    ArrowUp: () => stepFilters(-1),
    ArrowDown: () => stepFilters(1),
    "/": search,
    "?": () => click("help-open"),
    "+": () => zoom("+"),
    "=": () => zoom("+"), // where + needs shift
    "-": () => zoom("−"),
    "−": () => zoom("−"),
    0: () => zoom("All"),
  };
  // What a person pressed last on the page, and null once Tab has moved the focus: the keys are the
  // control's only that the keyboard came to, where it is seen to be.
  let pressed = null;
  const press = (target) => {
    pressed = target;
    document.documentElement.toggleAttribute("data-pointer", target !== null);
  };
  document.addEventListener("pointerdown", (event) => press(event.target), true);

  const ARROWS = "input, [role=radiogroup], [role=slider], [role=grid], [role=treegrid], "
    + "[role=application]";
  // Mantine says of a drop-down that it is open in an attribute of its own.
  const OPEN = "[role=listbox], [role=menu], [role=dialog], "
    + "[aria-haspopup]:is([aria-expanded=true], [data-expanded=true])";
  const TYPED = "textarea, input:not([readonly], [type=radio], [type=checkbox], [type=range])";
  const isTyping = (control) => {
    if (!control.matches(TYPED)) return false;
    // A drop-down that was chosen from, or a field whose button was pressed, is not typed in.
    return pressed === null || !(control.matches("[aria-haspopup]") || pressed.closest("button"));
  };
  const isOwn = (key, control) => control.closest(OPEN) || isTyping(control)
    || (pressed === null && key.startsWith("Arrow") && control.closest(ARROWS))
    || document.querySelector("[aria-modal=true]");
  // Before the control hears of it: what a click left focused would take it.
  document.addEventListener("keydown", (event) => {
    if (event.key === "Tab") press(null);
    if (event.altKey || event.ctrlKey || event.metaKey) return;
    if (event.shiftKey && event.key.startsWith("Arrow")) return; // "/" may need shift
    if (isOwn(event.key, event.target) || !keys[event.key]?.()) return;
    event.preventDefault();
    event.stopPropagation();
  }, true);

  // To the wall, or the content, past the header.
  document.addEventListener("click", (event) => {
    if (!event.target.closest?.(".skip")) return;
    event.preventDefault(); // the address is of what is shown
    const goal = document.querySelector(".wall:not([hidden]) canvas") ?? document.querySelector("main");
    if (goal.tabIndex < 0) goal.tabIndex = -1; // now it takes the focus
    goal.focus();
  });
})();
