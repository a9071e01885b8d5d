// Small comforts.
import { each } from "./ready.js";

// Times in the reader's own zone.
const zoned = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });
each("time[datetime]", (time) => {
  const at = new Date(time.dateTime);
  if (Number.isNaN(at.getTime())) return;
  time.title = time.textContent;
  time.textContent = zoned.format(at);
});

// On a phone the navigation is one line: what is open is in sight.
each(".nav a[aria-current]", (link) => {
  const nav = link.closest(".nav");
  nav.scrollLeft = link.offsetLeft - (nav.clientWidth - link.offsetWidth) / 2;
});

// `<button data-copies="id">` copies what that element holds.
each("button[data-copies]", (button) => {
  button.hidden = false;
  const words = button.textContent;
  button.addEventListener("click", async () => {
    const source = document.getElementById(button.dataset.copies);
    const text = source.value ?? source.textContent;
    try {
      await navigator.clipboard.writeText(text);
      button.textContent = "Copied";
      setTimeout(() => { button.textContent = words; }, 1600);
    } catch {
      if (source.select) source.select();
      else getSelection().selectAllChildren(source);
    }
  });
});

// A check box that ticks all of its form's boxes of one name, and buttons that need at least one.
each("[data-picks]", (all) => {
  const form = all.form;
  const boxes = () => [...form.elements].filter((box) => box.name === all.dataset.picks);
  const buttons = document.querySelectorAll(`[data-needs-picked="${form.id}"]`);
  const tell = () => {
    const picked = boxes().filter((box) => box.checked).length;
    all.checked = picked > 0 && picked === boxes().length;
    all.indeterminate = picked > 0 && !all.checked;
    for (const button of buttons) button.disabled = picked === 0;
    for (const place of document.querySelectorAll(`[data-tells-picked="${form.id}"]`)) {
      place.textContent = picked ? `${picked} selected` : "";
    }
  };
  all.hidden = false;
  all.addEventListener("change", () => {
    for (const box of boxes()) box.checked = all.checked;
    tell();
  });
  document.addEventListener("change", (event) => { if (event.target.form === form) tell(); });
  addEventListener("pageshow", tell);
  tell();
});

// A list is searched while one types, and filtered when one chooses.
each("form[data-live]", (form) => {
  let timer;
  const field = form.querySelector("input[type=search]");
  const key = `search ${location.pathname}`;
  const send = () => { sessionStorage.setItem(key, String(field?.selectionEnd ?? "")); form.requestSubmit(); };
  form.addEventListener("input", (event) => {
    clearTimeout(timer);
    timer = setTimeout(send, event.target === field ? 350 : 0);
  });
  const at = sessionStorage.getItem(key);
  sessionStorage.removeItem(key);
  if (at !== null && field?.value) {
    field.focus();
    field.setSelectionRange(Number(at), Number(at));
  }
});

// `<tr data-opens>`: a click anywhere in the row opens the row's link.
document.addEventListener("click", (event) => {
  const row = event.target.closest?.("tr[data-opens]");
  if (!row || event.target.closest("a, button, input, select, label, summary, details") || getSelection()?.toString()) return;
  row.querySelector("a.to")?.click();
});

// `<select data-shows="name">` shows the elements whose `data-shown-for` has its value.
each("[data-shows]", (choice) => {
  const root = choice.closest("form");
  const tell = () => {
    for (const part of root.querySelectorAll(`[data-shown-by="${choice.dataset.shows}"]`)) {
      part.hidden = !part.dataset.shownFor.split(" ").includes(choice.value);
    }
  };
  choice.addEventListener("change", tell);
  tell();
});

// A form is sent once, however often one presses.
document.addEventListener("submit", (event) => {
  const form = event.target;
  if (event.defaultPrevented || form.method !== "post") return;
  if (form.dataset.sent) return event.preventDefault();
  form.dataset.sent = "yes";
  addEventListener("pageshow", () => { delete form.dataset.sent; }, { once: true });
});
