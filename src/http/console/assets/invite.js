// Makes chips of the addresses of an invitation, each with a role of its own.
import { each } from "./ready.js";

const separators = /[;,\s]+/;
const looksRight = (mail) => /^[^@\s,;<>"]+@[^@\s,;<>"]+$/.test(mail);

each("form[data-invite]", (form) => {
  const area = form.querySelector("textarea[name=emails]");
  const roles = form.querySelector("select[name=role]");
  const field = form.querySelector("[data-addresses]");
  const input = document.createElement("input");
  const add = document.createElement("button");
  const list = document.createElement("ul");
  const row = document.createElement("div");
  const live = document.createElement("p");
  live.className = "unseen";
  live.setAttribute("role", "status");
  list.className = "chips";
  row.className = "adder";
  input.type = "text";
  input.id = area.id;
  input.autocomplete = "off";
  input.autocapitalize = "none";
  input.spellcheck = false;
  input.placeholder = "name@example.com";
  input.setAttribute("aria-describedby", area.getAttribute("aria-describedby") ?? "");
  input.autofocus = true;
  add.type = "button";
  add.className = "button";
  add.textContent = "Add";
  row.append(input, add);
  area.replaceWith(row);
  field.append(list, live);

  // Each address has its own name at the identity provider, so each chip has a field for it.
  const method = form.querySelector("select[name=login_method]");
  const single = form.querySelector("[data-sso-field]");
  const first = single?.querySelector("input").value ?? "";
  single?.remove();
  const bySso = () => method?.value === "sso";
  const tellSso = (item) => {
    const field = item.querySelector("[name=email_sso_id]");
    if (!field) return;
    item.classList.toggle("sso", bySso());
    field.hidden = !bySso();
    field.required = bySso();
  };
  method?.addEventListener("change", () => list.querySelectorAll(".chip").forEach(tellSso));

  const taken = () => new Set([...list.querySelectorAll("input[name=email]")].map((one) => one.value.toLowerCase()));

  function chip(mail) {
    const item = document.createElement("li");
    const name = document.createElement("span");
    const email = document.createElement("input");
    const role = roles.cloneNode(true);
    const remove = document.createElement("button");
    item.className = "chip";
    name.className = "mail";
    name.textContent = mail;
    email.type = "hidden";
    email.name = "email";
    email.value = mail;
    role.name = "email_role";
    role.id = "";
    role.removeAttribute("required");
    role.value = roles.value;
    role.setAttribute("aria-label", `Role of ${mail}`);
    role.addEventListener("change", () => { role.dataset.own = "yes"; });
    remove.type = "button";
    remove.className = "button quiet little";
    remove.textContent = "Remove";
    remove.setAttribute("aria-label", `Remove ${mail}`);
    remove.addEventListener("click", () => {
      item.remove();
      input.setCustomValidity("");
      live.textContent = `${mail} removed`;
      input.focus();
    });
    if (!looksRight(mail)) {
      const why = document.createElement("small");
      why.textContent = "This is no e-mail address";
      name.append(why);
      item.classList.add("bad");
    }
    item.append(name, email, role);
    if (method) {
      const id = document.createElement("input");
      id.type = "text";
      id.name = "email_sso_id";
      id.autocomplete = "off";
      id.placeholder = "SSO ID";
      id.value = list.children.length ? "" : first;
      id.setAttribute("aria-label", `SSO ID of ${mail}`);
      item.append(id);
    }
    item.append(remove);
    tellSso(item);
    return item;
  }

  function take(text) {
    const known = taken();
    const found = text.split(separators).map((part) => part.replace(/^[<>"']+|[<>"']+$/g, "")).filter(Boolean);
    for (const mail of found) {
      if (known.has(mail.toLowerCase())) continue;
      known.add(mail.toLowerCase());
      list.append(chip(mail));
    }
    input.setCustomValidity("");
    if (found.length) live.textContent = `${list.children.length} on the list`;
    input.value = "";
  }

  roles.addEventListener("change", () => {
    for (const role of list.querySelectorAll("select")) if (!role.dataset.own) role.value = roles.value;
  });
  add.addEventListener("click", () => { take(input.value); input.focus(); });
  input.addEventListener("keydown", (event) => {
    if (event.key !== "Enter") return;
    event.preventDefault();
    take(input.value);
  });
  input.addEventListener("paste", (event) => {
    const text = event.clipboardData.getData("text");
    if (!separators.test(text.trim())) return;
    event.preventDefault();
    take(`${input.value} ${text}`);
  });
  form.addEventListener("submit", (event) => {
    take(input.value);
    const bad = list.querySelector(".chip.bad");
    const none = !list.children.length;
    input.setCustomValidity(none ? "Add at least one e-mail address." : bad ? "Remove or correct what is no e-mail address." : "");
    if (!none && !bad) return;
    event.preventDefault();
    event.stopPropagation();
    input.reportValidity();
    input.addEventListener("input", () => input.setCustomValidity(""), { once: true });
  });
  take(area.value);
});
