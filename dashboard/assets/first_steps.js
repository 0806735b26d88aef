// The three steps on Overview for who comes for the first time. The browser keeps who got it, for all
// stores of a server; one that lets nobody keep anything shows none, since they would never go.
(() => {
  const KEY = "feature-maps-first-steps";
  const root = document.documentElement;
  const isNew = () => {
    try {
      return window.localStorage.getItem(KEY) === null;
    } catch {
      return false;
    }
  };
  // Before anything of the page is there, so that nothing moves; the style of the page looks at it.
  root.toggleAttribute("data-newcomer", isNew());
  document.addEventListener("click", ({ target }) => {
    if (target.id !== "first-steps-done") return;
    root.removeAttribute("data-newcomer");
    const main = document.querySelector("main"); // the button, which had the focus, is gone
    main.tabIndex = -1;
    main.focus({ preventScroll: true });
    window.localStorage.setItem(KEY, "done");
  });
})();
