// Fills <div data-thumbnails="…"> with pictures that lead somewhere, as components/thumbnails.py
// describes them. One Dash component for each part of hundreds of pictures keeps a page busy for
// seconds; these are plain elements, which React never touches because it gave the <div> none.
(() => {
  const make = (name, properties, ...children) => {
    const node = Object.assign(document.createElement(name), properties);
    node.append(...children);
    return node;
  };

  // item: [sample, first line, second line, words, the box's style, what crops to the box].
  const thumbnail = (about, [sample, first, second, words, box, crop]) => {
    const image = make("img", { loading: "lazy", alt: words, src: about.url.join(sample) });
    // Once again, if the server was too busy for it.
    const again = () => { image.src = image.getAttribute("src"); };
    image.addEventListener("error", () => setTimeout(again, 2000 * (1 + Math.random())), { once: true });
    const picture = make("span", { className: "picture" }, image);
    picture.style.aspectRatio = about.ratio;
    if (box) {
      const outline = make("span", { className: "field-box" });
      Object.assign(outline.style, box);
      picture.append(outline);
      picture.style.setProperty("--crop", crop);
    }
    return make(
      "a",
      { className: "thumbnail", href: about.href.join(sample), title: words },
      picture,
      make("b", { textContent: first }),
      make("small", { textContent: second }),
    );
  };

  const fill = (place) => {
    const about = JSON.parse(place.dataset.thumbnails);
    place.replaceChildren(...about.items.map((item) => thumbnail(about, item)));
  };

  const NAME = "data-thumbnails";
  new MutationObserver((changes) => {
    const places = new Set();
    for (const { type, target, addedNodes } of changes) {
      if (type === "attributes") places.add(target);
      for (const node of addedNodes) {
        if (!(node instanceof Element)) continue;
        if (node.hasAttribute(NAME)) places.add(node);
        node.querySelectorAll(`[${NAME}]`).forEach((place) => places.add(place));
      }
    }
    places.forEach((place) => place.hasAttribute(NAME) && fill(place));
  }).observe(document.documentElement, { subtree: true, childList: true, attributeFilter: [NAME] });

  // Within the application, as dcc.Link goes; with a modifier as the browser would.
  document.addEventListener("click", (event) => {
    const link = event.target.closest?.(`[${NAME}] a`);
    if (!link || event.button || event.ctrlKey || event.metaKey || event.shiftKey || event.altKey) {
      return;
    }
    event.preventDefault();
    window.history.pushState({}, "", link.href);
    window.dispatchEvent(new CustomEvent("_dashprivate_pushstate"));
    window.scrollTo(0, 0);
  });
})();
