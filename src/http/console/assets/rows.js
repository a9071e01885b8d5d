// Rows of fields that can be added and taken away: `data-rows` holds `data-row`s, of which the last one is blank.
import { each } from "./ready.js";

each("[data-rows]", (list) => {
  const rows = list.querySelectorAll("[data-row]");
  const last = rows[rows.length - 1];
  if (!last) return;
  const blank = last.cloneNode(true);
  const add = list.parentElement.querySelector("[data-adds-row]");
  if (!add) return;
  const begin = (row) => {
    const drop = row.querySelector("[data-drops-row]");
    drop.hidden = false;
    drop.addEventListener("click", () => { row.remove(); add.focus(); });
    const system = row.querySelector("[name=entry_system]");
    if (!system) return;
    const groups = row.querySelector("[name=entry_group]");
    const text = () => system.options[system.selectedIndex]?.text;
    const narrow = () => {
      for (const group of groups.querySelectorAll("optgroup")) {
        const here = system.value === "*" || system.value === group.dataset.system || text() === group.label;
        group.hidden = group.disabled = !here;
        if (!here && group.querySelector(":checked")) groups.value = "*";
      }
    };
    system.addEventListener("change", narrow);
    narrow();
  };
  // With scripts, a blank row comes when it is asked for.
  last.remove();
  list.querySelectorAll("[data-row]").forEach(begin);
  add.hidden = false;
  add.addEventListener("click", () => {
    const row = blank.cloneNode(true);
    list.append(row);
    begin(row);
    const first = row.querySelector("select, input");
    if (first.options) first.selectedIndex = Math.min(1, first.options.length - 1);
    first.focus();
  });
});
