// The builder of filters: groups of conditions joined by and / or, written as the document's JSON into its text field.

import { conditions } from "./filters-rows.js";
import { document as documentOf, depth, parse, places, read, write } from "./filters-tree.js";

const DEEPEST = 10;
const CHECK_AFTER = 500; // milliseconds without another change
const JOINS = { all: "all of these hold (and)", any: "at least one of these holds (or)" };

/** Return an element with attributes and children; `on` are its listeners. */
function element(tag, attributes = {}, ...children) {
  const made = document.createElement(tag);
  const { on = {}, ...rest } = attributes;
  for (const [name, value] of Object.entries(rest)) {
    if (value === true) made.setAttribute(name, "");
    else if (value !== false && value !== undefined) made.setAttribute(name, value);
  }
  for (const [name, listener] of Object.entries(on)) made.addEventListener(name, listener);
  made.append(...children);
  return made;
}

function start(builder) {
  if (builder.dataset.started !== undefined) return;
  builder.dataset.started = "";
  const area = builder.querySelector("textarea");
  const text = builder.querySelector("[data-text]");
  const place = builder.querySelector("[data-tree]");
  const told = builder.querySelector("[data-told]");
  const catalogue = JSON.parse(builder.querySelector("[data-catalogue]").textContent);
  const rows = conditions(catalogue, element);
  let root = null; // null: every row
  let problems = [];
  let timer = 0;

  const button = (words, act, attributes = {}) =>
    element("button", { type: "button", class: "quiet small", on: { click: act }, ...attributes }, words);

  /** Write the tree into the text field, and ask what is wrong with it. */
  function keep() {
    area.value = root === null ? "" : write(documentOf(root));
    area.dispatchEvent(new Event("change", { bubbles: true }));
    clearTimeout(timer);
    timer = setTimeout(check, CHECK_AFTER);
  }

  async function check() {
    const form = area.form;
    if (!form || !area.value.trim()) {
      show([]);
      return;
    }
    try {
      const answer = await fetch(builder.dataset.check, { method: "POST", body: new FormData(form) });
      if (answer.ok) show(await answer.json());
    } catch { /* the server says it when the form is sent */ }
  }

  /** Put each problem at the row that it is about. */
  function show(found) {
    problems = found;
    for (const old of place.querySelectorAll(".problem")) old.remove();
    if (root === null) return;
    const where = places(root);
    const shown = [...place.querySelectorAll("[data-node]")];
    for (const { path, right } of problems) {
      const own = [...where].filter(([, at]) => at === "" || path === at || path.startsWith(`${at}.`) || path.startsWith(`${at}[`));
      const [node] = own.reduce((best, one) => (one[1].length >= best[1].length ? one : best), [root, ""]);
      const row = shown.find((each) => each.node === node) ?? shown[0];
      (row.querySelector(":scope > .row-problems") ?? row).append(element("p", { class: "problem" }, right));
    }
  }

  /** Draw the tree anew; `focus` is the node whose first control is focused. */
  function draw(focus) {
    place.replaceChildren(
      root === null
        ? element("div", { class: "filter-empty" }, element("p", {}, "Every row is in the file."), adders(null))
        : root.kind === "group" ? group(root, null) : element("div", {}, single(root, null), adders(null)),
    );
    show(problems);
    if (focus) {
      const row = [...place.querySelectorAll("[data-node]")].find((each) => each.node === focus);
      row?.querySelector("select, input, textarea, button")?.focus();
    }
  }

  function changed(focus, words = "") {
    keep();
    draw(focus);
    told.textContent = words;
  }

  function add(parent, node) {
    if (parent) parent.parts.push(node);
    else if (root === null) root = node;
    else root = { kind: "group", join: "all", bare: false, parts: [root, node] };
    changed(node.kind === "group" ? node.parts[0] : node, "A row was added.");
  }

  function remove(parent, node) {
    if (parent) {
      parent.parts.splice(parent.parts.indexOf(node), 1);
      if (!parent.parts.length) return remove(above(root, parent), parent);
    } else root = null;
    changed(parent ?? undefined, "A row was removed.");
  }

  function above(node, wanted) {
    if (node.kind !== "group" || node === wanted) return null;
    return node.parts.includes(wanted) ? node : node.parts.map((part) => above(part, wanted)).find(Boolean) ?? null;
  }

  function adders(parent, level = 0) {
    const made = element("p", { class: "filter-add" }, button("Add a condition", () => add(parent, rows.fresh())));
    if (level + 1 < DEEPEST) {
      const join = parent?.join === "any" ? "all" : "any";
      made.append(" ", button("Add a group", () => add(parent, { kind: "group", join, bare: false, parts: [rows.fresh()] })));
    }
    if (catalogue.segments.length) {
      made.append(" ", button("Add a ready-made group of customers", () => add(parent, rows.freshSegment())));
    }
    return made;
  }

  function group(node, parent, level = 1) {
    const choice = element(
      "select",
      { "aria-label": "How the rows below are joined", on: { change: () => { node.join = choice.value; node.bare = false; changed(node); } } },
      ...Object.entries(JOINS).map(([value, words]) => element("option", { value, selected: value === node.join }, words)),
    );
    const made = element(
      "fieldset",
      { class: "filter-group", "data-node": true },
      element("legend", { class: "visually-hidden" }, parent ? "A group of conditions" : "Conditions"),
      element(
        "div",
        { class: "filter-head" },
        element("span", { class: "soft" }, parent ? "where" : "Keep rows where"),
        choice,
        ...(parent ? [button("Remove the group", () => remove(parent, node))] : []),
      ),
      element("div", { class: "row-problems" }),
      element("ul", { class: "filter-rows" }, ...node.parts.map((part) =>
        element("li", {}, part.kind === "group" ? group(part, node, level + 1) : single(part, node)))),
      adders(node, level),
    );
    made.node = node;
    return made;
  }

  function single(node, parent) {
    const made = element(
      "div",
      { class: "filter-row", "data-node": true },
      rows.shown(node, { keep, redraw: () => changed(node) }),
      button("Remove", () => remove(parent, node), { "aria-label": `Remove the condition on ${node.field ?? node.name ?? "this"}` }),
      element("div", { class: "row-problems" }),
    );
    made.node = node;
    return made;
  }

  /** Take what stands in the text field; false where it is not a tree that can be shown. */
  function take() {
    const typed = area.value.trim();
    try {
      root = typed ? read(parse(typed)) : null;
    } catch {
      return false;
    }
    return root === null || depth(root) <= DEEPEST;
  }

  function begin() {
    const fits = catalogue.fields.length > 0 && take();
    place.hidden = !fits;
    text.open = !fits;
    if (fits) {
      draw();
      check();
    }
  }

  area.addEventListener("change", (event) => { if (event.isTrusted) begin(); });
  begin();
}

const prepare = (part) => part.querySelectorAll("[data-filters]").forEach(start);
document.addEventListener("htmx:load", (event) => prepare(event.target.parentNode ?? event.target));
prepare(document);
