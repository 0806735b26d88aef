// Keys of all pages, unless the reader is typing or using a control that has keys of its own.
(() => {
  const click = (...ids) => {
    const there = ids.map((id) => document.getElementById(id)).find(Boolean);
    there?.click();
    return Boolean(there);
  };
  const filter = (steps) => {
    if (click(steps > 0 ? "filter-next" : "filter-previous")) return true;
    if (!document.getElementById("maps-wall")) return false;
    window.dash_clientside.wall.nextFilter(steps);
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
    ArrowUp: () => filter(-1),
    ArrowDown: () => filter(1),
    "/": search,
    "?": () => click("help-open"),
  };
  document.addEventListener("keydown", (event) => {
    if (event.altKey || event.ctrlKey || event.metaKey || event.defaultPrevented) return;
    if (event.shiftKey && event.key.startsWith("Arrow")) return; // "/" may need shift
    const own = "input, textarea, [role=radiogroup], [role=listbox], [role=menu], [role=dialog], "
      + "[role=slider], [role=grid]";
    if (event.target.closest(own)) return;
    if (keys[event.key]?.()) event.preventDefault();
  });
})();
