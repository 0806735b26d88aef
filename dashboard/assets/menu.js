// Menus: a button opens them; a choice, a click elsewhere and Escape close them, and Escape leads back
// to the button. Panels of controls stay while one chooses in them.
(() => {
  const isOpen = (opener) => opener.getAttribute("aria-expanded") === "true";
  const turn = (opener, open) => {
    opener.setAttribute("aria-expanded", String(open));
    opener.nextElementSibling.hidden = !open;
  };

  document.addEventListener("click", ({ target }) => {
    // What was clicked may be gone, such as an option of a list.
    if (!target.isConnected || target.closest?.(".menu-panel")) return;
    const clicked = target.closest?.(".menu-opener");
    for (const opener of document.querySelectorAll(".menu-opener")) {
      if (opener === clicked || isOpen(opener)) turn(opener, opener === clicked && !isOpen(opener));
    }
  });
  document.addEventListener("keydown", ({ key, target }) => {
    const opener = key === "Escape" && target.closest?.(".menu")?.querySelector(".menu-opener");
    if (!opener || !isOpen(opener) || target.closest("[data-expanded]")) return; // a list closes first
    turn(opener, false);
    opener.focus();
  }, true);
})();
