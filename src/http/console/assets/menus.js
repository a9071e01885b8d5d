// Menus are <details>; this closes them by Escape, a click elsewhere, or when another one opens, and moves by arrow keys.

const menus = () => document.querySelectorAll("details.menu[open]");

document.addEventListener("toggle", (event) => {
  if (!event.target.matches?.("details.menu") || !event.target.open) return;
  for (const menu of menus()) if (menu !== event.target) menu.open = false;
  place(event.target);
}, true);

document.addEventListener("click", (event) => {
  for (const menu of menus()) if (!menu.contains(event.target)) menu.open = false;
});

document.addEventListener("keydown", (event) => {
  const menu = event.target.closest?.("details.menu[open]");
  if (!menu) return;
  if (event.key === "Escape") {
    menu.open = false;
    menu.querySelector("summary").focus();
    event.preventDefault();
  } else if (event.key === "ArrowDown" || event.key === "ArrowUp") {
    const items = [...menu.querySelectorAll(".panel a, .panel button")];
    const at = items.indexOf(document.activeElement);
    const next = event.key === "ArrowDown" ? at + 1 : at < 0 ? items.length - 1 : at - 1;
    items[(next + items.length) % items.length]?.focus();
    event.preventDefault();
  }
});

// A menu in a table would be cut off where the table scrolls: there its panel stands in the window.
function place(menu) {
  const panel = menu.querySelector(".panel");
  if (!menu.closest(".scroll") || !panel.showPopover) return;
  panel.popover = "manual";
  panel.showPopover();
  const { bottom, right } = menu.getBoundingClientRect();
  const below = Math.min(bottom + 4, innerHeight - panel.offsetHeight - 8);
  Object.assign(panel.style, { margin: "0", inset: `${below}px auto auto ${Math.max(8, right - panel.offsetWidth)}px` });
  const shut = () => { menu.open = false; };
  addEventListener("scroll", shut, { once: true, capture: true });
  const closed = () => {
    if (menu.open) return;
    panel.hidePopover();
    menu.removeEventListener("toggle", closed);
  };
  menu.addEventListener("toggle", closed);
}
