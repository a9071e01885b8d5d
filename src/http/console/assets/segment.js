// A segment's editor: conditions and text, each made from the other; mistakes at their line, the count, and who would enter
// and leave, while one types.
import { Builder, commonest, h } from "./builder.js";

const form = document.querySelector("form[data-segment]");
if (form) edit(form);

function edit(form) {
  const { system, choices, condition, why, counts } = form.dataset;
  const text = form.elements.text;
  const builder = document.getElementById("builder");
  const reason = document.getElementById("no-builder");
  const check = document.getElementById("check");
  const api = `/admin/v1/systems/${system}`;
  let asked = 0;

  const made = new Builder(document.getElementById("conditions"), JSON.parse(choices), () => later(toText), commonest(system));
  made.set(condition ? JSON.parse(condition) : null);
  say(why);
  builder.hidden = false;
  document.getElementById("check-button").hidden = true;

  let timer;
  function later(what) {
    clearTimeout(timer);
    timer = setTimeout(what, 250);
  }

  async function toText() {
    const where = made.get();
    check.dataset.stale = "";
    if (!where) return;
    const answer = await send(`${api}/convert`, { where });
    if (answer.ok) {
      const { rule } = await answer.json();
      text.value = `${header(text.value)}${rule}\n`;
      preview();
    } else {
      tell((await problem(answer)).map((one) => one.detail), []);
    }
  }

  async function toConditions() {
    const rule = text.value;
    const answer = await send(`${api}/convert`, { rule });
    if (text.value !== rule || !answer.ok) return;
    const { where, why } = await answer.json();
    if (where) made.set(where);
    say(where ? "" : why);
  }

  function say(why) {
    document.getElementById("conditions").hidden = Boolean(why);
    reason.hidden = !why;
    reason.querySelector("[data-why]").textContent = why ?? "";
  }

  text.addEventListener("input", () => {
    check.dataset.stale = "";
    later(async () => { if (!counts || (await preview())) toConditions(); });
  });
  text.addEventListener("keydown", (event) => {
    if (event.key === "s" && (event.ctrlKey || event.metaKey)) {
      event.preventDefault();
      form.querySelector("button[value=save]")?.click();
    }
  });
  const id = () => form.elements.id?.value || form.dataset.id || "draft_segment";
  if (counts) preview();

  // Whether the text has no mistake.
  async function preview() {
    const turn = (asked += 1);
    // Nothing is written yet: that is no mistake.
    if (header(text.value).trim() === text.value.trim()) {
      delete check.dataset.stale;
      check.replaceChildren(h("p", { class: "soft" }, "Add a condition or write a rule: this shows who would be in the segment."));
      return false;
    }
    const answer = await send(`${api}/preview`, { files: { [`segments/${id()}.rhai`]: text.value } }).catch(() => null);
    if (turn !== asked || !answer) return false;
    delete check.dataset.stale;
    if (!answer.ok) {
      tell((await problem(answer)).map((one) => one.detail), []);
      return false;
    }
    const found = await answer.json();
    if (found.errors.length) tell([], found.errors);
    else show(found);
    return found.errors.length === 0;
  }

  function tell(words, errors) {
    const own = `${system}/segments/${id()}.rhai`;
    const items = errors.map((error) => {
      const said = `${error.message}${error.hint ? ` (${error.hint})` : ""}`;
      if (error.file !== own || !error.line) return h("li", {}, error.file === own ? said : `${error.file}: ${said}`);
      const jump = h("button", { type: "button", class: "link" }, `Line ${error.line}, column ${error.column}`);
      jump.addEventListener("click", () => select(text, error.line, error.column));
      return h("li", {}, jump, `: ${said}`);
    });
    check.replaceChildren(h("div", { class: "wrong" }, h("ul", {}, ...words.map((word) => h("li", {}, word)), ...items)));
  }

  function show(found) {
    const own = found.segments.find((segment) => segment.id === id());
    const draft = found.drafts.find((segment) => segment.id === id());
    const count = draft?.count ?? own?.after ?? 0;
    const stat = (name, value) => h("div", { class: "stat" }, h("dt", {}, name), h("dd", {}, value));
    const stats = h("dl", { class: "stats" }, stat("End users", number(count)));
    if (own && own.before !== null) stats.append(stat("Would enter", number(own.enters)), stat("Would leave", number(own.leaves)));
    const parts = [stats];
    if (own) parts.push(...people("Would enter", own.sample_enters), ...people("Would leave", own.sample_leaves));
    else if (form.dataset.id) parts.push(h("p", { class: "soft" }, "Nobody would enter or leave."));
    const others = found.segments.filter((segment) => segment.id !== id());
    if (others.length) {
      const other = (segment) => h("li", {}, h("span", { class: "mono" }, segment.id), `: ${number(segment.before ?? 0)} → ${number(segment.after ?? 0)}`);
      parts.push(h("h3", {}, "Other segments that would change"), h("ul", {}, ...others.map(other)));
    }
    if (own?.errors) parts.push(h("p", { class: "warn-text" }, `The rule fails for ${number(own.errors)} end users, who would not be in it.`));
    const mode = draft?.mode === "script";
    parts.push(h("p", { class: "small" }, h("span", { class: `badge ${mode ? "warn" : "good"}` }, mode ? "runs as a script" : "runs as an index"), mode ? ` because of ${draft.why}` : ""));
    for (const warning of found.warnings) parts.push(h("p", { class: "small warn-text" }, warning.message));
    check.replaceChildren(...parts);
  }

  function people(words, ids) {
    if (!ids.length) return [];
    const link = (id) => h("li", {}, h("a", { class: "mono", href: `/console/systems/${system}/end-users/${encodeURIComponent(id)}` }, id));
    return [h("h3", {}, words), h("ul", { class: "plain people" }, ...ids.slice(0, 8).map(link))];
  }
}

function select(text, line, column) {
  const lines = text.value.split("\n");
  const start = lines.slice(0, line - 1).reduce((sum, one) => sum + one.length + 1, 0) + column - 1;
  text.focus();
  text.setSelectionRange(start, start + 1);
}

// The comment lines before the rule: the segment's name and description.
function header(text) {
  const lines = text.split("\n");
  const end = lines.findIndex((line) => line.trim() !== "" && !line.trimStart().startsWith("//"));
  const kept = (end < 0 ? lines : lines.slice(0, end)).join("\n").trimEnd();
  return kept ? `${kept}\n` : "";
}

function send(url, body) {
  return fetch(url, { method: "POST", headers: { "content-type": "application/json" }, body: JSON.stringify(body) });
}

async function problem(answer) {
  const told = await answer.json().catch(() => ({ detail: `The server answered ${answer.status}.` }));
  return told.errors?.length ? told.errors : [{ detail: told.detail }];
}

function number(count) {
  return count.toLocaleString("en");
}
