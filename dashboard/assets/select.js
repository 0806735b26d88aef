// Drop-downs in which one types to find: what is typed replaces what is there, Enter takes the first
// match, Escape puts back what was there; an empty text and Enter is for none, where none may be
// chosen. And what is cut off anywhere is whole in a tip.
(() => {
  const textOf = ({ whole, label }) => whole ?? label;

  // How well a text matches, the smaller the better; null where a word of the search is not in it.
  const distance = (text, search, words) => {
    if (!words.every((word) => text.includes(word))) return null;
    if (text === search) return 0;
    if (text.startsWith(search)) return 1;
    return text.split(/[/\s_.-]+/).some((part) => part.startsWith(search)) ? 2 : 3;
  };

  window.dashMantineFunctions = {
    ...window.dashMantineFunctions,
    /** The options that match what is typed, the best first, else in their order. */
    matching({ options, search }) {
      const text = search.trim().toLowerCase();
      if (!text) return options;
      const words = text.split(/\s+/);
      return options
        .map((option) => ({ option, rank: distance(textOf(option).toLowerCase(), text, words) }))
        .filter(({ rank }) => rank !== null)
        .sort((one, other) => one.rank - other.rank)
        .map(({ option }) => option);
    },
    /** An option in the list, where a name has room to be whole. */
    whole: ({ option }) => window.React.createElement("span", null, textOf(option)),
  };

  const fieldOf = (target) => target.closest?.("input.mantine-Select-input");
  const isOpen = (field) => field.hasAttribute("data-expanded");
  // Mantine writes the name of what is selected into a field that loses its focus.
  const restore = (field) => {
    field.blur();
    field.focus();
    setTimeout(() => field.select()); // when it is written
  };

  const selectText = ({ target }) => fieldOf(target)?.select();
  document.addEventListener("focusin", selectText);
  // The click that brought the focus has set the cursor since.
  document.addEventListener("click", ({ target }) => {
    const field = fieldOf(target);
    if (field && field.selectionStart === field.selectionEnd) field.select();
  });

  // The option that is selected; its `whole` is a name that the field has no room for.
  const selected = (field) => {
    const { data, value } = window.dash_component_api.getLayout(field.id).props;
    return data.find((option) => option.value === value);
  };

  const firstOf = (field) => document.getElementById(field.getAttribute("aria-controls"))
    ?.querySelector("[role=option]");

  // Before Mantine, which would take the first of all options for no text, and for that of what is
  // selected; but what an arrow went to is for it to take.
  let isAtArrow = false;
  document.addEventListener("input", () => { isAtArrow = false; }, true);
  document.addEventListener("keydown", (event) => {
    const field = fieldOf(event.target);
    if (!field || !isOpen(field)) return;
    if (event.key.startsWith("Arrow")) isAtArrow = true;
    if (event.key !== "Enter" || isAtArrow) return;
    const isSame = field.value === selected(field)?.label;
    // Mantine does not take the first match of the key that opened the list.
    const target = field.value ? !isSame && firstOf(field)
      : field.parentElement.querySelector("button");
    if (!target && !isSame) return;
    event.preventDefault();
    event.stopPropagation();
    if (target) target.click();
    restore(field);
  }, true);
  // After it.
  document.addEventListener("keydown", ({ key, target }) => {
    const field = fieldOf(target);
    if (!field || !["Enter", "Escape"].includes(key)) return;
    setTimeout(() => { if (!isOpen(field) && document.activeElement === field) restore(field); });
  });

  // What is cut off is whole in a tip, wherever it is.
  document.addEventListener("pointerover", ({ target }) => {
    if (!(target instanceof HTMLElement) || (target.title && target.title !== target.dataset.whole)) {
      return;
    }
    const isCut = target.scrollWidth > target.clientWidth
      && window.getComputedStyle(target).textOverflow === "ellipsis";
    const whole = (fieldOf(target) && selected(target)?.whole)
      ?? (isCut ? target.value ?? target.textContent : "");
    if (!whole && !target.title) return;
    target.title = whole;
    target.dataset.whole = whole;
  });
})();
