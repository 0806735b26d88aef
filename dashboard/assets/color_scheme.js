// Tells the server, which draws figures, whether the page is light or dark: Mantine keeps it on
// <html>.
(() => {
  const NAME = "data-mantine-color-scheme";
  const current = () => document.documentElement.getAttribute(NAME) || "light";
  window.dash_clientside = window.dash_clientside || {};
  // Once, and not on every way to another page: the page that is left would be drawn again, and
  // what then arrives for it would find it gone.
  let latest = null;
  window.dash_clientside.color_scheme = {
    current() {
      if (latest === current()) return window.dash_clientside.no_update;
      latest = current();
      return latest;
    },
  };
  new MutationObserver(() => {
    // Before the page is up there is nothing to tell; the callback above asks then.
    if (document.getElementById("page")) {
      latest = current();
      window.dash_clientside.set_props("scheme", { data: latest });
    }
  }).observe(document.documentElement, { attributeFilter: [NAME] });
})();
