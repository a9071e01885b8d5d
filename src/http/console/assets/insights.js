// Asks while one builds: the question goes into the page's address, and its answer takes the place of the old one.
import { Builder, commonest } from "./builder.js";

const form = document.getElementById("ask");
if (form) ask(form);

function ask(form) {
  const { system, choices, path } = form.dataset;
  const rule = form.elements.rule;
  const made = new Builder(document.getElementById("conditions"), JSON.parse(choices), () => later(built), commonest(system));
  document.getElementById("builder").hidden = false;
  document.getElementById("apply").hidden = true;
  let turn = 0;
  let timer;
  take();
  draw();

  function later(what) {
    clearTimeout(timer);
    timer = setTimeout(what, 250);
  }

  // The question of the answer that is shown, as conditions.
  function take() {
    const { condition, why } = document.getElementById("results").dataset;
    if (condition || !why) made.set(condition ? JSON.parse(condition) : null);
    document.getElementById("conditions").hidden = Boolean(why);
    document.getElementById("no-builder").hidden = !why;
    if (why) document.getElementById("as-rule").open = true;
  }

  function address(change) {
    const query = new URLSearchParams(location.search);
    for (const name of ["cursor", "charts", "select"]) query.delete(name);
    for (const box of form.querySelectorAll("input[name=select]:checked")) query.append("select", box.value);
    change(query);
    return `${path}?${query}`;
  }

  function built() {
    const where = made.get();
    if (!where) return;
    go(address((query) => {
      query.delete("rule");
      if (made.empty) {
        query.delete("where");
        query.delete("filter");
      } else {
        query.set("where", JSON.stringify(where));
      }
    }), false);
  }

  rule.addEventListener("input", () => later(() => go(address((query) => {
    query.delete("where");
    query.set("rule", rule.value);
  }), true)));
  form.addEventListener("change", (event) => { if (event.target.name === "select") go(address(() => {}), false); });
  form.addEventListener("submit", (event) => event.preventDefault());

  async function go(url, byRule) {
    const own = (turn += 1);
    document.getElementById("results").dataset.stale = "";
    const page = await load(url);
    if (own !== turn) return;
    if (!page) return location.assign(url);
    history.replaceState(null, "", url);
    put(page, "results");
    put(page, "exports");
    const { condition } = document.getElementById("results").dataset;
    document.querySelector("#save-filter input[name=where]").value = condition;
    if (byRule) take();
    else if (condition) rule.value = page.getElementById("rule").value;
    else rule.value = "";
    draw();
  }

  // Charts take longer than the count and the table, so they are asked for when those are there.
  async function draw() {
    const link = document.getElementById("draw");
    if (!link) return;
    const own = turn;
    const page = await load(link.href);
    if (page && own === turn) put(page, "charts");
  }
}

async function load(url) {
  try {
    const reply = await fetch(url, { headers: { accept: "text/html" } });
    const page = new DOMParser().parseFromString(await reply.text(), "text/html");
    return page.getElementById("results") ? page : null;
  } catch {
    return null;
  }
}

function put(page, id) {
  const own = document.getElementById(id);
  const come = page.getElementById(id);
  if (own && come) own.replaceWith(document.adoptNode(come));
}
