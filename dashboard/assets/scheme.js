// Tells the server-drawn figures whether the page is light or dark: Mantine keeps it on <html>.
(() => {
  const NAME = "data-mantine-color-scheme";
  const current = () => document.documentElement.getAttribute(NAME) || "light";
  window.dash_clientside = window.dash_clientside || {};
  window.dash_clientside.scheme = { current: () => current() };
  new MutationObserver(() => {
    // Before the page is up there is nothing to tell; the callback above asks then.
    if (document.getElementById("page")) {
      window.dash_clientside.set_props("scheme", { data: current() });
    }
  }).observe(document.documentElement, { attributeFilter: [NAME] });
})();
