// Put into the dashboard's page before its own scripts: when a person's input became a picture.
window.bench = (() => {
  let input = 0;
  for (const kind of ["keydown", "click"]) {
    document.addEventListener(kind, (event) => { input = event.timeStamp; }, true);
  }

  // A step: ms from its input to the end of the frame that the wall was drawn in. The wall says
  // that a sample is drawn within that frame, so the next task is the first one after it; another
  // frame would count what the page does afterwards.
  let step = null;
  const expect = (sample) => {
    const host = document.getElementById("maps-wall");
    step = new Promise((done, fail) => {
      setTimeout(() => fail(new Error(
        `waited 30 s for sample ${sample}: "${host.dataset.drawn}" is drawn`)), 30_000);
      const observer = new MutationObserver(() => {
        if (host.dataset.drawn.split(" ").at(-2) !== String(sample)) return;
        observer.disconnect();
        const { port1, port2 } = new MessageChannel();
        port1.onmessage = () => done(performance.now() - input);
        port2.postMessage(0);
      });
      observer.observe(host, { attributeFilter: ["data-drawn"] });
    });
  };

  // The gaps between frames while a gesture is made, and the longest until it has settled.
  let frames = null;
  const gesture = () => {
    frames = [];
    const mine = frames;
    let last = performance.now();
    const next = () => {
      const now = performance.now();
      mine.push(now - last);
      last = now;
      if (frames === mine) requestAnimationFrame(next);
    };
    requestAnimationFrame(next);
  };
  const frameCount = () => frames.length;
  const settled = () => {
    const found = frames;
    frames = null;
    return found;
  };

  // From the last input to the last answer that came, or change that was made to the page.
  let changed = 0;
  new MutationObserver(() => { changed = performance.now(); }).observe(
    document, { subtree: true, childList: true, attributes: true, characterData: true });
  performance.setResourceTimingBufferSize(10_000);
  const quiet = () => {
    const ends = performance.getEntriesByType("resource").map((one) => one.responseEnd);
    return Math.max(changed, ...ends) - input;
  };
  return { expect, step: () => step, gesture, frameCount, settled, quiet };
})();
