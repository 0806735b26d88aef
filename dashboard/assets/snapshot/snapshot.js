// A page of a store that needs no server: what it shows lies in it. Starts all else.
import { ClassesPage } from "./classes_page.js";
import { FilterPage } from "./filter_page.js";
import { recordOf } from "./inside.js";
import { MapsPage } from "./maps_page.js";
import { facts, make, scheme } from "./parts.js";
import { changed, hashOf, stateOf } from "./state.js";

const KINDS = { maps: MapsPage, filter: FilterPage, classes: ClassesPage };
const STEPS = { ArrowLeft: -1, ArrowRight: 1 };

const element = (id) => document.getElementById(id);

// Of data that are cut off or changed, and of a browser that cannot inflate them.
function complain({ message }) {
  element("snapshot-problem").textContent = `This page cannot show what it holds: ${message}`;
}

class Snapshot {
  #pages = {};

  constructor(about) {
    this.about = about;
    element("snapshot-title").textContent = about.store;
    const hasMaps = about.here.includes("maps") || !about.here.length; // or leads to them
    element("snapshot-words").textContent = "A snapshot: all that this page shows lies in it, as it was "
      + `in the store when it was made. ${hasMaps ? `Maps: ${about.choice} ` : ""}`
      + "Statistics are of the whole test set.";
    element("snapshot-facts").querySelector("dl").replaceWith(facts(about.facts));
    element("snapshot-facts").open = about.here.length === 0;
    this.open();
    window.addEventListener("hashchange", () => this.open());
    window.matchMedia("(prefers-color-scheme: dark)").addEventListener("change", () => this.#show());
    document.addEventListener("keydown", (event) => this.#press(event));
  }

  /** Shows what the address says. */
  open() {
    const { state, problems } = this.about.here.length
      ? stateOf(window.location.hash, this.about) : { state: {}, problems: [] };
    this.state = state;
    element("snapshot-problem").textContent = problems.join(" ");
    this.#show();
  }

  /** Shows something else, and has the address say so. */
  change(news) {
    this.state = changed(this.state, news, this.about);
    element("snapshot-problem").textContent = "";
    window.history.replaceState(null, "", `#${hashOf(this.state, this.about)}`);
    this.#show();
  }

  #show() {
    const { about, state } = this;
    document.documentElement.dataset.mantineColorScheme = scheme();
    element("snapshot-pages").replaceChildren(...about.pages.map(({ name, title, file }) => {
      const hash = about.here.length ? hashOf({ ...state, page: name }, about) : "";
      const link = make("a", { href: `${file}#${hash}` }, title);
      if (name === state.page) {
        link.className = "active";
        link.setAttribute("aria-current", "page");
      }
      return link;
    }));
    for (const name of about.here) element(name).hidden = name !== state.page;
    if (!about.here.length) return;
    this.#pages[state.page] ??= new KINDS[state.page](
      element(state.page), about, (news) => this.change(news));
    this.#pages[state.page].show({ ...state, scheme: scheme() }).catch(complain);
  }

  #press(event) {
    const { key, target } = event;
    if (event.defaultPrevented || event.ctrlKey || event.metaKey || event.altKey) return;
    if (!STEPS[key] || target.closest("select, input, summary, .js-plotly-plot")) return;
    this.#pages[this.state.page]?.step?.(STEPS[key]);
    event.preventDefault();
  }
}

recordOf("about").then((about) => new Snapshot(about)).catch(complain);
