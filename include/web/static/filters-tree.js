// A filter's document as a tree that can be edited, and back. Knows no page: `filters.js` shows the tree.
//
// What a document holds comes back as it was: numbers with all their digits, one value or a list of them, a list of
// conditions without a word for it. Nothing here judges; the server does.

/** A number as it was written: what JavaScript computes with keeps 15 digits of it. */
export class Exact {
  constructor(text) { this.text = text; }
}

const NUMBER = /-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][-+]?\d+)?/y;
const SPACE = /[ \t\n\r]*/y;
const STRING = /"(?:[^"\\\u0000-\u001f]|\\.)*"/y;
const WORDS = { true: true, false: false, null: null };

/** Return the value of a JSON text; throws SyntaxError. */
export function parse(text) {
  let at = 0;
  const match = (pattern) => {
    pattern.lastIndex = at;
    const found = pattern.exec(text);
    if (found) at = pattern.lastIndex;
    return found && found[0];
  };
  const fail = () => { throw new SyntaxError(`not JSON at character ${at + 1}`); };
  const sign = (wanted) => {
    match(SPACE);
    if (text[at] !== wanted) return false;
    at += 1;
    return true;
  };
  const list = (end, item) => {
    if (sign(end)) return;
    do item(); while (sign(","));
    if (!sign(end)) fail();
  };
  const string = () => {
    match(SPACE);
    const found = match(STRING);
    return found === null ? fail() : JSON.parse(found);
  };
  const value = () => {
    if (sign("{")) {
      const found = new Map();
      list("}", () => {
        const key = string();
        if (!sign(":") || found.has(key)) fail();
        found.set(key, value());
      });
      return found;
    }
    if (sign("[")) {
      const found = [];
      list("]", () => found.push(value()));
      return found;
    }
    if (text[at] === '"') return string();
    for (const [word, meant] of Object.entries(WORDS)) {
      if (text.startsWith(word, at)) {
        at += word.length;
        return meant;
      }
    }
    const number = match(NUMBER);
    return number ? new Exact(number) : fail();
  };
  const found = value();
  match(SPACE);
  return at === text.length ? found : fail();
}

/** Return a value as JSON text, indented for people. */
export function write(value, indent = "") {
  if (value instanceof Exact) return value.text;
  const inner = `${indent} `;
  const lines = (open, items, close) =>
    items.length ? `${open}\n${items.map((item) => inner + item).join(",\n")}\n${indent}${close}` : open + close;
  if (value instanceof Map) {
    return lines("{", [...value].map(([key, one]) => `${JSON.stringify(key)}: ${write(one, inner)}`), "}");
  }
  if (Array.isArray(value)) {
    return value.some((one) => one instanceof Map || Array.isArray(one))
      ? lines("[", value.map((one) => write(one, inner)), "]")
      : `[${value.map((one) => write(one)).join(", ")}]`;
  }
  return JSON.stringify(value);
}

/**
 * Return the tree of a document. A node is one of
 * {kind: "group", join: "all" | "any", bare, parts}, {kind: "field", field, tests: [{word, value}]},
 * {kind: "segment", name, argument, given}, {kind: "other", value}: what the builder cannot show and keeps.
 */
export function read(value) {
  if (Array.isArray(value)) return { kind: "group", join: "all", bare: true, parts: value.map(read) };
  if (!(value instanceof Map)) return { kind: "other", value };
  const keys = [...value.keys()];
  for (const join of ["all", "any"]) {
    if (keys.length === 1 && Array.isArray(value.get(join))) {
      return { kind: "group", join, bare: false, parts: value.get(join).map(read) };
    }
  }
  if (keys.length === 1 && keys[0] === "segment") return segment(value.get("segment")) ?? { kind: "other", value };
  const simple = (one) => one === null || one === true || one === false || typeof one === "string" || one instanceof Exact;
  const flat = keys.every((key) => {
    const one = value.get(key);
    return simple(one) || (Array.isArray(one) && one.every(simple));
  });
  if (typeof value.get("field") === "string" && flat && !["all", "any", "segment"].some((key) => value.has(key))) {
    const tests = keys.filter((key) => key !== "field").map((word) => ({ word, value: value.get(word) }));
    return { kind: "field", field: value.get("field"), tests };
  }
  return { kind: "other", value };
}

function segment(value) {
  if (typeof value === "string") return { kind: "segment", name: value, argument: null, given: false };
  if (value instanceof Map && value.size === 1) {
    const [[name, argument]] = value;
    return { kind: "segment", name, argument, given: true };
  }
  return null;
}

/** Return the document of a tree. */
export function document(node) {
  if (node.kind === "group") {
    const parts = node.parts.map(document);
    return node.bare && node.join === "all" ? parts : new Map([[node.join, parts]]);
  }
  if (node.kind === "field") {
    return new Map([["field", node.field], ...node.tests.map(({ word, value }) => [word, value])]);
  }
  if (node.kind === "segment") {
    return new Map([["segment", node.given ? new Map([[node.name, node.argument]]) : node.name]]);
  }
  return node.value;
}

/** Return how many groups are within each other below a node, itself included. */
export function depth(node) {
  return node.kind === "group" ? 1 + Math.max(0, ...node.parts.map(depth)) : 0;
}

/** Return the place of each node in the document, as problems name it: `all[0].any[1]`, empty for the root. */
export function places(node, place = "", found = new Map()) {
  found.set(node, place);
  if (node.kind === "group") {
    node.parts.forEach((part, index) => places(part, `${place && `${place}.`}${node.join}[${index}]`, found));
  }
  return found;
}

/** Return a text as the value that somebody means who types it into a field that takes numbers. */
export function number(text) {
  const typed = text.trim();
  if (!/^-?(0|[1-9]\d*)(\.\d+)?$/.test(typed)) return typed;
  // The server reads a number with a point through one that keeps 15 digits; more of them travel as text.
  return typed.replace(/[^\d]/g, "").replace(/^0+/, "").length > 15 ? typed : new Exact(typed);
}

/** Return a value as the text of a field. */
export const text = (value) => (value instanceof Exact ? value.text : String(value ?? ""));
