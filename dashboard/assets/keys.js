// Arrow keys step through samples, unless the reader is typing or using another control.
document.addEventListener("keydown", (event) => {
  if (event.altKey || event.ctrlKey || event.metaKey || event.shiftKey) return;
  if (event.target.closest("input, textarea, [role=radiogroup], [role=listbox]")) return;
  const id = { ArrowLeft: "maps-previous", ArrowRight: "maps-next" }[event.key];
  const button = id && document.getElementById(id);
  if (!button) return;
  event.preventDefault();
  button.click();
});
