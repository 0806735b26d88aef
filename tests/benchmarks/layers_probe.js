// Put into the page Layers before its own scripts: when a person's input became rows.
window.bench = (() => {
  let input = 0;
  const begin = () => { input = performance.now(); };
  document.addEventListener("keydown", (event) => { input = event.timeStamp; }, true);

  // Ms to the end of the frames that the first row, and the last one, were drawn in.
  let step = null;
  const afterFrame = (done) => {
    const { port1, port2 } = new MessageChannel();
    port1.onmessage = () => done(performance.now() - input);
    port2.postMessage(0);
  };
  const expect = (sample) => {
    const host = document.getElementById("layers-rows");
    const marked = (name, then) => new Promise((done) => {
      const observer = new MutationObserver(() => {
        if (host.dataset[name].split(" ")[0] !== String(sample)) return;
        observer.disconnect();
        then(() => afterFrame(done));
      });
      observer.observe(host, { attributeFilter: [`data-${name}`] });
    });
    // The page says of all rows within their frame that they are drawn, and of the first one before.
    step = Promise.all([marked("first", requestAnimationFrame), marked("drawn", (go) => go())]);
  };
  return { begin, expect, step: () => step };
})();
