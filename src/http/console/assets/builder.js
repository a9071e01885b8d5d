// A condition as controls: groups of all, any or none; attributes by integration, with the operators of their type; segments.
// It reads and gives the API's `where`; what it can't give yet, as a value is missing, is `null`.

const MODES = [["all", "all of these hold"], ["any", "any of these holds"], ["none", "none of these holds"], ["notall", "not all of these hold"]];

let numbers = 0;

export class Builder {
  /** Draws into `root`; calls `changed()` whenever the condition becomes another one. `values(id)` gives values to propose. */
  constructor(root, choices, changed, values) {
    this.root = root;
    this.choices = choices;
    this.changed = changed;
    this.values = values ?? (async () => []);
    this.tree = { kind: "group", mode: "all", items: [] };
    this.draw();
  }

  set(where) {
    const node = where ? read(where) : { kind: "group", mode: "all", items: [] };
    this.tree = node.kind === "group" ? node : { kind: "group", mode: "all", items: [node] };
    this.draw();
  }

  get() {
    return this.write(this.tree, true);
  }

  /** Whether there is no condition at all. */
  get empty() {
    return this.tree.items.length === 0;
  }

  draw() {
    this.root.replaceChildren(this.group(this.tree, null));
  }

  type(node) {
    return this.choices.attributes.find((attribute) => attribute.id === node.attribute)?.type;
  }

  operator(node) {
    return (this.choices.operators[this.type(node)] ?? []).find((operator) => operator.name === node.operator);
  }

  write(node, top) {
    if (node.kind === "group") {
      const parts = node.items.map((item) => this.write(item, false));
      if (parts.includes(null) || (!top && parts.length === 0)) return null;
      if (node.mode === "all") return { all: parts };
      if (node.mode === "any") return { any: parts };
      return { not: node.mode === "none" ? { any: parts } : { all: parts } };
    }
    if (node.kind === "segment") {
      if (!node.segment) return null;
      return node.negated ? { not: { segment: node.segment } } : { segment: node.segment };
    }
    const operator = this.operator(node);
    const value = operator && valueOf(node, operator.takes, this.type(node));
    if (!operator || value === null) return null;
    const where = { attribute: node.attribute, operator: node.operator };
    if (operator.takes !== "none") where.value = value;
    if (node.ignoreCase && this.type(node) === "string" && operator.takes !== "none") where.ignore_case = true;
    return where;
  }

  group(node, parent) {
    const list = h("ul", { class: "plain conditions" });
    const fill = () => list.replaceChildren(...node.items.map((item) => h("li", {}, this.item(item, node, fill))));
    const add = (item) => {
      node.items.push(item);
      fill();
      list.lastElementChild.querySelector("select")?.focus();
      this.changed();
    };
    const mode = select("How the conditions go together", MODES, node.mode, (value) => { node.mode = value; this.changed(); });
    mode.classList.add("mode");
    fill();
    const first = () => ({ kind: "attribute", attribute: "", operator: "", values: [] });
    return h("fieldset", { class: parent ? "group" : "group top" },
      h("legend", { class: "unseen" }, parent ? "Group of conditions" : "Conditions"),
      h("div", { class: "group-head" }, mode, parent ? parent.remover : ""),
      list,
      h("div", { class: "group-foot" },
        button("Add condition", () => add(first())),
        button("Add group", () => add({ kind: "group", mode: node.mode === "any" ? "all" : "any", items: [first()] }))));
  }

  item(node, group, refill) {
    const remove = () => {
      group.items.splice(group.items.indexOf(node), 1);
      refill();
      this.changed();
    };
    const remover = button("Remove", remove, "button quiet square", "close");
    if (node.kind === "group") return this.group(node, { remover });
    return this.condition(node, remover);
  }

  condition(node, remover) {
    const row = h("div", { class: "condition" });
    const draw = (focus) => {
      row.replaceChildren(...this.controls(node, draw), remover);
      if (focus) row.querySelector(`[data-part="${focus}"]`)?.focus();
    };
    draw();
    return row;
  }

  controls(node, draw) {
    const { attributes, segments } = this.choices;
    const groups = [["attribute", "User attributes"]];
    if (segments.length || node.kind === "segment") groups.push(["segment", "Segments"]);
    const kind = part(select("Group", groups, node.kind, (value) => {
      Object.assign(node, value === "segment" ? { kind: value, segment: "", negated: false } : { kind: value, attribute: "", operator: "", values: [] });
      draw("group");
      this.changed();
    }), "group");
    if (node.kind === "segment") return [kind, ...this.segmentControls(node, segments)];

    const known = attributes.find((attribute) => attribute.id === node.attribute);
    const integration = known?.integration ?? node.integration ?? "";
    const sources = [...new Map(attributes.map((attribute) => [attribute.integration, attribute.integrationName]))];
    const from = part(select("Integration", [["", "Integration"], ...sources], integration, (value) => {
      Object.assign(node, { integration: value, attribute: "", operator: "", values: [] });
      const own = attributes.filter((attribute) => attribute.integration === value);
      if (own.length === 1) this.choose(node, own[0]);
      draw("integration");
      this.changed();
    }), "integration");
    const own = attributes.filter((attribute) => attribute.integration === integration);
    const names = own.map((attribute) => [attribute.id, attribute.name]);
    // A rule may name what is disabled now.
    if (node.attribute && !known) names.push([node.attribute, node.attribute]);
    const what = part(select("Attribute", [["", "Attribute"], ...names], node.attribute, (value) => {
      this.choose(node, attributes.find((attribute) => attribute.id === value));
      draw("attribute");
      this.changed();
    }), "attribute");
    what.disabled = !integration && !node.attribute;
    if (!known) return [kind, from, what];

    const operators = this.choices.operators[known.type].map((operator) => [operator.name, operator.words]);
    const how = part(select("Operator", operators, node.operator, (value) => {
      const before = this.operator(node)?.takes;
      node.operator = value;
      if (this.operator(node).takes !== before) node.values = [];
      draw("operator");
      this.changed();
    }), "operator");
    return [kind, from, what, how, ...this.valueControls(node, known)];
  }

  choose(node, attribute) {
    node.attribute = attribute?.id ?? "";
    node.integration = attribute?.integration ?? node.integration;
    node.operator = attribute ? this.choices.operators[attribute.type][0].name : "";
    node.values = [];
    node.ignoreCase = false;
  }

  segmentControls(node, segments) {
    const is = part(select("Operator", [["in", "is in"], ["out", "is not in"]], node.negated ? "out" : "in", (value) => {
      node.negated = value === "out";
      this.changed();
    }), "operator");
    const names = segments.map((segment) => [segment.id, segment.name]);
    if (node.segment && !segments.some((segment) => segment.id === node.segment)) names.push([node.segment, node.segment]);
    const which = part(select("Segment", [["", "Segment"], ...names], node.segment, (value) => {
      node.segment = value;
      this.changed();
    }), "segment");
    return [is, which];
  }

  valueControls(node, attribute) {
    const takes = this.operator(node)?.takes ?? "one";
    if (takes === "none") return [];
    const type = takes === "days" ? "number" : { string: "text", number: "text", date: "date" }[attribute.type];
    const field = (at, label) => {
      const input = h("input", { type, "aria-label": label, value: node.values[at] ?? "", "data-part": "value", spellcheck: "false", autocomplete: "off" });
      if (attribute.type === "number" && takes !== "days") input.inputMode = "decimal";
      if (takes === "days") Object.assign(input, { min: 0, step: 1 });
      input.addEventListener("input", () => { node.values[at] = input.value; this.changed(); });
      return input;
    };
    if (takes === "two") return [field(0, "From"), h("span", { class: "soft" }, "and"), field(1, "To")];
    if (takes === "days") return [field(0, "Days"), h("span", { class: "soft" }, "days")];
    const parts = [];
    if (takes === "list") {
      const area = h("textarea", { "aria-label": "Values, one a line", placeholder: "one value a line", rows: "2", "data-part": "value", spellcheck: "false" });
      area.value = node.values.join("\n");
      area.addEventListener("input", () => { node.values = area.value.split("\n").filter((line) => line !== ""); this.changed(); });
      parts.push(area);
    } else {
      const input = field(0, "Value");
      parts.push(input);
      if (attribute.type === "string") parts.push(this.proposals(input, attribute.id));
    }
    if (attribute.type === "string") {
      const box = h("input", { type: "checkbox" });
      box.checked = node.ignoreCase ?? false;
      box.addEventListener("change", () => { node.ignoreCase = box.checked; this.changed(); });
      parts.push(h("label", { class: "check any-case" }, box, h("span", {}, "any case")));
    }
    return parts;
  }

  // The commonest values, asked for when they may be wanted.
  proposals(input, attribute) {
    const list = h("datalist", { id: `values-${numbers += 1}` });
    input.setAttribute("list", list.id);
    input.addEventListener("focus", async () => {
      const values = await this.values(attribute).catch(() => []);
      list.replaceChildren(...values.map((value) => h("option", { value })));
    }, { once: true });
    return list;
  }
}

function read(where) {
  if (where.all) return { kind: "group", mode: "all", items: where.all.map(read) };
  if (where.any) return { kind: "group", mode: "any", items: where.any.map(read) };
  if (where.not) {
    const inner = where.not;
    if (inner.any) return { kind: "group", mode: "none", items: inner.any.map(read) };
    if (inner.all) return { kind: "group", mode: "notall", items: inner.all.map(read) };
    if (inner.segment) return { kind: "segment", segment: inner.segment, negated: true };
    return { kind: "group", mode: "none", items: [read(inner)] };
  }
  if (where.segment) return { kind: "segment", segment: where.segment, negated: false };
  const value = where.value ?? [];
  const values = (Array.isArray(value) ? value : [value]).map(String);
  return { kind: "attribute", attribute: where.attribute, operator: where.operator, values, ignoreCase: where.ignore_case ?? false };
}

// The value as the API takes it; `null` while it is missing or none.
function valueOf(node, takes, type) {
  const one = (text) => {
    if (text === undefined || text === "") return null;
    if (type !== "number" && takes !== "days") return text;
    const number = Number(text);
    if (!text.trim() || !Number.isFinite(number)) return null;
    return takes === "days" && (number < 0 || !Number.isInteger(number)) ? null : number;
  };
  if (takes === "none") return undefined;
  if (takes === "one" || takes === "days") return one(node.values[0]);
  const values = (takes === "two" ? [node.values[0], node.values[1]] : node.values).map(one);
  return values.length === 0 || values.includes(null) ? null : values;
}

function select(label, options, value, chosen) {
  const made = h("select", { "aria-label": label }, ...options.map(([name, words]) => h("option", { value: name }, words)));
  made.value = value;
  made.addEventListener("change", () => chosen(made.value));
  return made;
}

function part(element, name) {
  element.dataset.part = name;
  return element;
}

function button(words, pressed, kind = "button little", icon = "") {
  const made = h("button", { type: "button", class: kind }, icon ? cross() : words);
  if (icon) made.setAttribute("aria-label", words);
  made.addEventListener("click", pressed);
  return made;
}

function cross() {
  const space = "http://www.w3.org/2000/svg";
  const icon = document.createElementNS(space, "svg");
  for (const [name, value] of [["class", "icon"], ["viewBox", "0 0 20 20"], ["aria-hidden", "true"]]) icon.setAttribute(name, value);
  const path = document.createElementNS(space, "path");
  path.setAttribute("d", "m5 5 10 10M15 5 5 15");
  icon.append(path);
  return icon;
}

/** An element with these attributes and children. */
export function h(tag, attributes, ...children) {
  const element = document.createElement(tag);
  for (const [name, value] of Object.entries(attributes)) element.setAttribute(name, value);
  element.append(...children);
  return element;
}

/** Gives the commonest values of an attribute, for {@link Builder}. */
export function commonest(system) {
  const known = new Map();
  return (attribute) => {
    if (!known.has(attribute)) {
      const url = `/public/v1/systems/${system}/attributes/${encodeURIComponent(attribute)}/distribution?top=50`;
      known.set(attribute, fetch(url).then((reply) => (reply.ok ? reply.json() : { values: [] })).then((found) => (found.values ?? []).map((one) => one.value)));
    }
    return known.get(attribute);
  };
}
