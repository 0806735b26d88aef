// A finger on a graph scrolls the page. Plotly takes it at its first touch to draw a box; not given
// that, it gets the click of a tap, as of a mouse, and shows and selects what was tapped.
document.addEventListener("touchstart", (event) => {
  if (event.target.closest?.(".js-plotly-plot .draglayer")) event.stopPropagation();
}, { capture: true, passive: true });
