// Tells the server-drawn figures whether the page is light or dark: Mantine keeps it on <html>.
(() => {
  const NAME = "data-mantine-color-scheme";
  const current = () => document.documentElement.getAttribute(NAME) || "light";
  window.dash_clientside = window.dash_clientside || {};
  // Told once and not on every way to another page: the page that is left would be drawn again, and
  // what then arrives for it would find it gone.
  let told = null;
  window.dash_clientside.scheme = {
    current() {
      if (told === current()) return window.dash_clientside.no_update;
      told = current();
      return told;
    },
  };
  new MutationObserver(() => {
    // Before the page is up there is nothing to tell; the callback above asks then.
    if (document.getElementById("page")) {
      told = current();
      window.dash_clientside.set_props("scheme", { data: told });
    }
  }).observe(document.documentElement, { attributeFilter: [NAME] });
})();
