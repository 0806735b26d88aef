// Tells the kernel of the notebook that frames this page what the page shows, at each change of its
// address: the link as it is, below where the pages lie. One message at a time, so that the last one
// to arrive is the last one that was sent.
const base = () => (
  JSON.parse(document.getElementById("_dash-config").textContent).requests_pathname_prefix);
const link = () => (window.location.pathname + window.location.search).slice(base().length);
let reported = "";
let isSending = false;

const report = async () => {
  if (isSending || document.readyState === "loading") return;
  isSending = true;
  while (reported !== link()) {
    reported = link();
    const options = { method: "POST", body: reported, keepalive: true };
    // Where nobody answers, the strip above the page says so.
    await fetch(`${base()}selection`, options).catch(() => null);
  }
  isSending = false;
};

// The browser tells of Back and of nothing else.
for (const name of ["pushState", "replaceState"]) {
  const change = window.history[name].bind(window.history);
  window.history[name] = (...values) => {
    change(...values);
    report();
  };
}
window.addEventListener("popstate", report);
document.addEventListener("DOMContentLoaded", report);
report();
