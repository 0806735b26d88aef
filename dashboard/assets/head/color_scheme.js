// Light or dark before the first thing is painted, as Mantine decides it when its script is here: what
// a person chose, which it keeps in the browser, else what the system has.
(() => {
  const kept = () => {
    try {
      return window.localStorage.getItem("mantine-color-scheme-value");
    } catch {
      return null; // where a browser lets nobody keep anything
    }
  };
  const isDark = window.matchMedia("(prefers-color-scheme: dark)").matches;
  const own = kept();
  const scheme = ["light", "dark"].includes(own) ? own : ["light", "dark"][Number(isDark)];
  document.documentElement.setAttribute("data-mantine-color-scheme", scheme);
})();
