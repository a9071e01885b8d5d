// Opens a page of its own as a dialog in this one: `<a data-dialog href>` and `<form data-dialog method="get">`. The page's
// <main> has an element with `data-dialog-content`, which is what the dialog shows.
import { arrived } from "./ready.js";

document.addEventListener("click", (event) => {
  const link = event.target.closest?.("a[data-dialog]");
  if (!link || event.ctrlKey || event.metaKey || event.shiftKey || event.button) return;
  event.preventDefault();
  open(link.href, link);
});

document.addEventListener("submit", (event) => {
  const form = event.target;
  if (!form.matches("form[data-dialog]")) return;
  event.preventDefault();
  const url = new URL(form.action);
  url.search = new URLSearchParams(new FormData(form, event.submitter));
  open(url.href, event.submitter);
});

document.addEventListener("click", (event) => {
  const closer = event.target.closest?.("[data-close]");
  const dialog = closer?.closest("dialog") ?? (event.target.matches?.("dialog") ? event.target : null);
  if (!dialog) return;
  event.preventDefault();
  dialog.close();
});

async function open(href, opener) {
  let content;
  try {
    const reply = await fetch(href, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    content = reply.ok && page.querySelector("[data-dialog-content]");
  } catch {
    content = null;
  }
  // Whatever it is instead (log-in, a refusal), the browser shows it better.
  if (!content) return location.assign(href);
  show(document.adoptNode(content), opener);
}

function show(content, opener) {
  const dialog = document.createElement("dialog");
  const title = content.querySelector("h1, h2");
  const head = document.createElement("header");
  const heading = document.createElement("h2");
  heading.textContent = title?.textContent ?? "";
  heading.id = "dialog-title";
  title?.remove();
  head.append(heading, closeButton());
  const inside = document.createElement("div");
  inside.className = "inside";
  inside.append(content);
  dialog.setAttribute("aria-labelledby", heading.id);
  if (content.dataset.dialogContent === "slim") dialog.className = "slim";
  dialog.append(head, inside);
  document.body.append(dialog);
  dialog.addEventListener("close", () => {
    dialog.remove();
    opener?.closest("details.menu")?.querySelector("summary").focus();
    if (opener?.isConnected && !opener.closest("details.menu")) opener.focus();
  });
  for (const menu of document.querySelectorAll("details.menu[open]")) menu.open = false;
  dialog.showModal();
  arrived(dialog);
  (inside.querySelector("[autofocus]") ?? inside.querySelector("input:not([type=hidden]), select, textarea, .ends a, .ends button"))?.focus();
}

function closeButton() {
  const button = document.createElement("button");
  button.type = "button";
  button.className = "button quiet square";
  button.dataset.close = "";
  button.setAttribute("aria-label", "Close");
  const space = "http://www.w3.org/2000/svg";
  const icon = document.createElementNS(space, "svg");
  icon.setAttribute("class", "icon");
  icon.setAttribute("viewBox", "0 0 20 20");
  icon.setAttribute("aria-hidden", "true");
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", "m5 5 10 10M15 5 5 15");
  icon.append(path);
  button.append(icon);
  return button;
}
