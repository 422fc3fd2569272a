// One condition of a filter: the field, the operator in words, and values typed by kind.

import { Exact, number, text } from "./filters-tree.js";

const NUMBERS = ["points", "money", "rate", "integer"];
const TIMES = ["instant", "date"];
const FIRST = {
  points: "more_than_equal", money: "more_than_equal", rate: "more_than_equal", integer: "more_than_equal",
  instant: "less_than_ago", date: "less_than_ago", json: "has_value",
};
const MOST_LISTED = 40; // values of an enumeration that are shown as boxes

/** Return what shows and makes conditions; `element(tag, attributes, ...children)` makes the parts of the page. */
export function conditions(catalogue, element) {
  const fields = new Map(catalogue.fields.map((field) => [field.name, field]));
  const operators = new Map(catalogue.operators.map((operator) => [operator.word, operator]));
  const segments = new Map(catalogue.segments.map((segment) => [segment.name, segment]));

  /** Return the column that a name is of: itself, or the JSON column before the dot. */
  function columnOf(name) {
    if (fields.has(name)) return fields.get(name);
    const column = fields.get(name.split(".")[0]);
    return name.includes(".") && column?.type === "json" ? column : undefined;
  }

  const possible = (column) => catalogue.operators.filter((one) => !column || one.types.includes(column.type));

  function startOf(operator, column) {
    if (operator.takes === "nothing") return true;
    if (operator.takes === "days") return new Exact("30");
    if (operator.takes === "count") return new Exact("1");
    if (column?.type === "boolean") return true;
    return null; // nothing typed yet: refused until there is something
  }

  function test(column) {
    const word = FIRST[column?.type] ?? "is";
    return { word, value: startOf(operators.get(word), column) };
  }

  function fresh() {
    const column = catalogue.fields[0];
    return { kind: "field", field: column.name, tests: [test(column)] };
  }

  function freshSegment() {
    const [segment] = catalogue.segments;
    return { kind: "segment", name: segment.name, argument: argumentOf(segment), given: !segment.optional && segment.argument !== "nothing" };
  }

  function argumentOf(segment) {
    if (segment.argument === "range") return [new Exact("0"), null];
    if (segment.argument === "texts") return [];
    if (segment.argument === "whole number") return new Exact("1");
    return null;
  }

  function choice(label, value, options, act) {
    const made = element(
      "select",
      { "aria-label": label, on: { change: () => act(made.value) } },
      ...options.map(([one, words]) => element("option", { value: one, selected: one === value }, words)),
    );
    if (!options.some(([one]) => one === value)) {
      made.prepend(element("option", { value, selected: true }, value));
    }
    return made;
  }

  function input(label, value, attributes, act) {
    const made = element("input", { type: "text", "aria-label": label, value, autocomplete: "off", ...attributes, on: { input: () => act(made.value) } });
    return made;
  }

  /** Return a typed text as the value that an operator on a column takes. */
  function meant(typed, operator, column, before) {
    if (operator.takes === "days" || operator.takes === "count" || operator.takes === "number") return number(typed);
    if (operator.takes === "texts" || operator.takes === "instant") return typed;
    if (NUMBERS.includes(column?.type)) return number(typed);
    if (column?.type === "json" && before instanceof Exact) return number(typed);
    return typed;
  }

  function shown(node, { keep, redraw }) {
    if (node.kind === "segment") return ofSegment(node, keep, redraw);
    if (node.kind === "other") {
      return element("p", { class: "soft" }, "This part is written in a way that is not shown here. It is kept; change it as text.");
    }
    const column = columnOf(node.field);
    const head = node.field.split(".")[0];
    const made = element("div", { class: "filter-condition" });
    const pick = choice("Field", column ? column.name : node.field, catalogue.fields.map(({ name }) => [name, name]), (name) => {
      node.field = name;
      const next = fields.get(name);
      const fits = node.tests.every(({ word }) => operators.get(word)?.types.includes(next.type));
      if (!fits || next.type !== column?.type) node.tests = [test(next)];
      redraw();
    });
    made.append(element("span", { class: "filter-field" }, pick));
    if (column?.type === "json") {
      made.append(element("span", { class: "filter-property" }, input("Property, empty for the whole", node.field.slice(head.length + 1), { placeholder: "property" }, (typed) => {
        node.field = typed.trim() ? `${head}.${typed.trim()}` : head;
        keep();
      })));
    }
    const tests = element("div", { class: "filter-tests" });
    for (const one of node.tests) tests.append(ofTest(node, one, column, keep, redraw));
    made.append(tests);
    if (column) made.append(element("p", { class: "hint filter-meaning" }, column.meaning));
    return made;
  }

  function ofTest(node, one, column, keep, redraw) {
    const operator = operators.get(one.word);
    const several = Array.isArray(one.value) && one.value.length !== 1;
    const line = element("div", { class: "filter-test" });
    const free = (word) => word === one.word || !node.tests.some((other) => other.word === word);
    const words = possible(column).filter(({ word }) => free(word)).map((each) => [each.word, several ? each.several : each.one]);
    line.append(choice("Operator", one.word, words, (word) => {
      const next = operators.get(word);
      const same = operator && next.takes === operator.takes && (next.most > 1 || !several);
      one.word = word;
      if (!same) one.value = startOf(next, column);
      redraw();
    }));
    if (operator) line.append(values(one, operator, column, keep, redraw));
    return line;
  }

  function values(one, operator, column, keep, redraw) {
    if (operator.takes === "nothing") return element("span", {});
    const list = column?.values ?? [];
    if (operator.takes === "values" && list.length && list.length <= MOST_LISTED) return boxes(one, list, keep);
    if (column?.type === "boolean") {
      return choice("Value", String(one.value), [["true", "yes"], ["false", "no"]], (value) => { one.value = value === "true"; keep(); });
    }
    const many = Array.isArray(one.value);
    const made = element("span", { class: "filter-value" }, many ? area(one, operator, column, keep) : single(one, operator, column, keep));
    if (column?.type === "json" && operator.takes === "values" && !many) made.append(kindOf(one, keep, redraw));
    if (operator.takes === "days") made.append(element("span", { class: "soft" }, "days"));
    if (operator.most > 1) {
      made.append(element("button", {
        type: "button", class: "quiet small",
        on: { click: () => { one.value = many ? one.value[0] ?? null : one.value === null ? [] : [one.value]; redraw(); } },
      }, many ? "One value" : "Several values"));
    }
    return made;
  }

  function single(one, operator, column, keep) {
    const value = text(one.value);
    const day = TIMES.includes(column?.type) && operator.takes !== "days" && (value === "" || /^\d{4}-\d{2}-\d{2}$/.test(value));
    const whole = ["days", "count"].includes(operator.takes);
    const attributes = day ? { type: "date" } : whole ? { inputmode: "numeric", size: 6 } : NUMBERS.includes(column?.type) ? { inputmode: "decimal", size: 12 } : {};
    return input("Value", value, attributes, (typed) => { one.value = typed === "" ? null : meant(typed, operator, column, one.value); keep(); });
  }

  /** Return a field of several lines, one value each; a value that holds a line end is not shown in it. */
  function area(one, operator, column, keep) {
    const given = one.value.map(text);
    if (given.some((value) => /[\r\n]/.test(value))) {
      return element("span", { class: "soft" }, `${given.length} values, some of several lines: change them as text`);
    }
    const made = element("textarea", {
      "aria-label": "Values, one a line", rows: Math.min(8, Math.max(3, given.length + 1)), placeholder: "one value a line",
      on: {
        input: () => {
          const lines = made.value.split("\n").filter((line) => line.trim() !== "");
          // What was not touched stays as it was written.
          const before = new Map(one.value.map((value) => [text(value), value]));
          one.value = lines.map((line) => before.get(line) ?? meant(line, operator, column, one.value[0]));
          keep();
        },
      },
    });
    made.value = given.join("\n");
    return made;
  }

  function boxes(one, list, keep) {
    const given = () => (Array.isArray(one.value) ? one.value : one.value === null ? [] : [one.value]);
    const all = [...list, ...given().map(text).filter((value) => !list.includes(value))];
    const box = (value) => {
      const made = element("input", {
        type: "checkbox", checked: given().map(text).includes(value),
        on: {
          change: () => {
            const kept = given().filter((each) => text(each) !== value);
            const next = made.checked ? [...kept, value] : kept;
            one.value = next.length === 1 ? next[0] : next;
            keep();
          },
        },
      });
      return element("label", {}, made, ` ${value}`);
    };
    return element("span", { class: "filter-boxes", role: "group", "aria-label": "Values" }, ...all.map(box));
  }

  function kindOf(one, keep, redraw) {
    const kind = typeof one.value === "boolean" ? "truth" : one.value instanceof Exact ? "number" : "text";
    return choice("The property's kind", kind, [["text", "text"], ["number", "number"], ["truth", "yes or no"]], (next) => {
      const typed = text(one.value);
      one.value = next === "truth" ? typed !== "false" : next === "number" ? (number(typed) instanceof Exact ? number(typed) : new Exact("0")) : typed;
      keep();
      redraw();
    });
  }

  function ofSegment(node, keep, redraw) {
    const segment = segments.get(node.name);
    const made = element("div", { class: "filter-condition" });
    const names = catalogue.segments.map(({ name, words }) => [name, words]);
    made.append(choice("Ready-made group of customers", node.name, names, (name) => {
      const next = segments.get(name);
      Object.assign(node, { name, argument: argumentOf(next), given: !next.optional && next.argument !== "nothing" });
      redraw();
    }));
    if (segment) {
      made.append(argument(node, segment, keep));
      made.append(element("p", { class: "hint filter-meaning" }, `${segment.meaning[0].toUpperCase()}${segment.meaning.slice(1)}.`));
    }
    return made;
  }

  function argument(node, segment, keep) {
    if (segment.argument === "nothing") return element("span", {});
    if (segment.argument === "texts") {
      const given = Array.isArray(node.argument) ? node.argument : [node.argument];
      return input("Names, with commas between them", given.map(text).join(", "), { placeholder: "Gold, Silver" }, (typed) => {
        node.argument = typed.split(",").map((one) => one.trim()).filter(Boolean);
        keep();
      });
    }
    if (segment.argument === "range") {
      const bounds = Array.isArray(node.argument) ? node.argument : [null, null];
      const bound = (index, label) => input(label, text(bounds[index]), { inputmode: "decimal", size: 10, placeholder: index ? "no upper bound" : "no lower bound" }, (typed) => {
        bounds[index] = typed.trim() ? number(typed) : null;
        node.argument = bounds;
        keep();
      });
      return element("span", { class: "filter-value" }, bound(0, "From"), element("span", { class: "soft" }, "and"), bound(1, "To"));
    }
    const days = segment.argument !== "whole number";
    return element(
      "span",
      { class: "filter-value" },
      input(days ? "Days" : "Number", text(node.argument), { inputmode: "numeric", size: 6, placeholder: days ? "30" : "" }, (typed) => {
        node.argument = typed.trim() ? number(typed) : null;
        node.given = typed.trim() !== "" || !segment.optional;
        keep();
      }),
      element("span", { class: "soft" }, days ? "days" : "or more"),
    );
  }

  return { fresh, freshSegment, shown };
}
