"""A definition as the fields of a form, and back: dotted names with texts on one side, a document on the other.

Names are the keys of the definition (`targets.0.options.folder`). Nothing here judges a value: what does not fit its
field stays the text that was typed, for the model to refuse beside that field. A document that came from the model
comes back exactly as it was, as long as nobody types.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Mapping
from typing import Any

from starlette.datastructures import FormData

from include.definitions.document import MAX_DEPTH, parse_yaml
from include.definitions.writing import as_yaml
from include.errors import BadInput, Problem
from include.web.editor import shape
from include.web.editor.bounds import is_deep, refuse_unbounded
from include.web.editor.shape import ABSENT, ByKind, Group, Keyed, Leaf, Node, Options, Rows
from include.web.editor.switching import WAS, settled

Values = dict[str, list[str]]
# Fields of the form that are no keys of a definition.
COLUMNS, GIVEN = "columns", "given"
OWN = frozenset({COLUMNS, GIVEN, "form_token", "do", "based_on", "as_yaml", "kept", WAS})
# Which lists of columns count, by the choice that is made above them.
LISTS = {"all": (), "chosen": ("fields",), "groups": ("aggregation",)}
# Texts whose outer spaces mean something.
_EXACT = frozenset({"delimiter", "enclosure", "null_text"})
# Characters that no page can show and not every database takes become the one that stands for them.
_UNSEEN = dict.fromkeys({*range(32)} - {9, 10}, "\ufffd")
_WHOLE = re.compile(r"[-+]?(0|[1-9][0-9]{0,17})", re.ASCII)
_ROW = re.compile(r"0|[1-9][0-9]{0,4}", re.ASCII)


def posted(form: FormData) -> Values:
    """Return what a browser sent, without the spaces and line ends that nobody meant; BadInput for too much of it."""
    refuse_unbounded(form.keys())
    found: Values = {}
    for name, value in form.multi_items():
        if isinstance(value, str):
            text = value.replace("\r\n", "\n").replace("\r", "\n").translate(_UNSEEN)
            found.setdefault(name, []).append(_meant(name, text))
    return settled(found)


def _meant(name: str, text: str) -> str:
    if name.rpartition(".")[2] in _EXACT:
        return text
    # In a text of several lines the first may be indented as the others are.
    return text.lstrip("\n").rstrip() if "\n" in text else text.strip()


def document_of(values: Values) -> tuple[dict[str, Any], list[Problem]]:
    """Return what is typed as a document, and a problem for each text or name that cannot be part of one."""
    reader = _Reader(values)
    document = reader.group("", shape.definition())
    chosen = (values.get(COLUMNS) or [""])[-1]
    for name in ("fields", "aggregation"):
        if chosen in LISTS and name not in LISTS[chosen]:
            document.pop(name, None)
        elif chosen in LISTS:
            document.setdefault(name, [])
    return document, [*reader.problems, *reader.unknown()]


def values_of(document: Mapping[str, Any]) -> Values:
    """Return the texts of the form for a document that the model has read (`ExportDefinition.document()`)."""
    writer = _Writer()
    writer.group("", shape.definition(), document)
    kind = "groups" if "aggregation" in document else "chosen" if "fields" in document else "all"
    return writer.values | {COLUMNS: [kind]}


def text_of(values: Values, name: str) -> str:
    """Return the text of a field that has one; of several the last one counts, as of a box that is ticked."""
    return (values.get(name) or [""])[-1]


class _Reader:
    """Reads texts into a document, and remembers which names it has met."""

    def __init__(self, values: Values) -> None:
        self.values = values
        self.problems: list[Problem] = []
        self._met: set[str] = set(OWN)
        self._below: dict[str, dict[str, None]] = {}
        for name in values:
            steps = name.split(".")
            for depth in range(1, len(steps)):
                self._below.setdefault(".".join(steps[:depth]), {})[steps[depth]] = None
        self._given = dict(_kept(values.get(GIVEN, [])))

    def unknown(self) -> Iterable[Problem]:
        """Yield a problem for each name that no field of the form has."""
        for name in self.values:
            if name not in self._met and not any(name.startswith(f"{met}.") for met in self._dropped):
                yield Problem(name, self._text(name), "is no field of this form", "unknown_field")

    _dropped: tuple[str, ...] = ()

    def node(self, name: str, node: Node, beside: Mapping[str, Any]) -> Any:
        """Return the value of a field, ABSENT where it is left out. beside: the keys read before it."""
        if isinstance(node, Options):
            kind = beside.get(node.by, "csv" if node.by == "format" else "")
            own = shape.options(node, str(kind), str(beside.get("layout", "")))
            return self._options(name, node, own) if isinstance(own, Group) else self._leaf(name, own)
        if isinstance(node, Leaf):
            return self._leaf(name, node)
        if isinstance(node, Group):
            return self._group_or_nothing(name, node)
        if isinstance(node, ByKind):
            return self._by_kind(name, node)
        if isinstance(node, Rows):
            return self._kept(
                name, [self._row(f"{name}.{row}", node.item) for row in self._rows(name)] or ABSENT
            )
        return self._keyed(name, node)

    def group(self, prefix: str, group: Group) -> dict[str, Any]:
        """Return a mapping of what is typed in its fields."""
        found: dict[str, Any] = {}
        for key in sorted(group.fields, key=lambda key: isinstance(group.fields[key], Options)):
            value = self.node(f"{prefix}.{key}" if prefix else key, group.fields[key], found)
            if value is not ABSENT:
                found[key] = value
        return found

    def _group_or_nothing(self, name: str, group: Group) -> Any:
        self._met.add(name)
        said = self.values.get(name)
        if said is not None and not said[-1]:  # a box that is not ticked
            self._drop(name)
            return ABSENT
        if group.optional and "kind" in group.fields and not self._text(f"{name}.kind"):
            self._drop(name)
            return self._kept(name, ABSENT)
        found = self.group(name, group)
        return found if found or said is not None else self._kept(name, ABSENT)

    def _by_kind(self, name: str, node: ByKind) -> Any:
        kind = self._text(f"{name}.kind")
        self._met.add(f"{name}.kind")
        if kind not in node.kinds:
            self._drop(name)
            return {"kind": kind} if kind else self._kept(name, ABSENT)
        others = {key for group in node.kinds.values() for key in group.fields}
        for key in others - set(node.kinds[kind].fields):
            self._met.add(f"{name}.{key}")
        return self.group(name, node.kinds[kind])

    def _options(self, name: str, node: Options, group: Group) -> Any:
        """Return a kind's options. One that it does not have stays, for it to refuse, unless another kind has it."""
        found = self.group(name, group)
        for key in self._below.get(name, {}):
            if key in group.fields:
                continue
            if not shape.foreign(node, key) and self._text(f"{name}.{key}"):
                self._met.add(f"{name}.{key}")
                found[key] = self._text(f"{name}.{key}")
            self._drop(f"{name}.{key}")
        return found or self._kept(name, ABSENT)

    def _row(self, name: str, item: Group | ByKind) -> Any:
        value = self._by_kind(name, item) if isinstance(item, ByKind) else self.group(name, item)
        return {} if value is ABSENT else value

    def _keyed(self, name: str, node: Keyed) -> Any:
        found: dict[str, Any] = {}
        for number in self._rows(name):
            row = self.group(f"{name}.{number}", node.item)
            field = row.pop("field", "")
            if field in found:
                self.problems.append(Problem(f"{name}.{number}.field", field, "is here twice", "field_twice"))
            elif field and row:
                found[field] = row
            elif row:
                right = "say which field this is about"
                self.problems.append(Problem(f"{name}.{number}.field", "", right, "missing_key"))
        return found or self._kept(name, ABSENT)

    def _leaf(self, name: str, leaf: Leaf) -> Any:
        self._met.add(name)
        given = self._given.get(name, ABSENT)
        if name not in self.values:
            return given
        texts = self.values[name]
        # A box comes after the hidden field that says it is there; keys of an order come one by one.
        if leaf.widget == "several":
            texts = [text for text in texts if text] or [""]
        else:
            texts = ["\n".join(filter(None, texts))] if leaf.widget == "lines" else texts[-1:]
        if given is not ABSENT and texts == (shown(leaf, given) or [""]):
            return given
        try:
            value = typed(leaf, texts)
        except BadInput as error:
            right = "; ".join(f"{_line_of(problem)}{problem.right}" for problem in error.problems)
            self.problems.append(Problem(name, texts[-1], right, "unreadable"))
            return ABSENT
        return ABSENT if value == leaf.default and type(value) is type(leaf.default) else value

    def _rows(self, prefix: str) -> list[int]:
        self._met.add(prefix)
        return sorted(int(step) for step in self._below.get(prefix, {}) if _ROW.fullmatch(step))

    def _text(self, name: str) -> str:
        return text_of(self.values, name)

    def _kept(self, name: str, value: Any) -> Any:
        return self._given.get(name, ABSENT) if value is ABSENT else value

    def _drop(self, name: str) -> None:
        self._dropped = (*self._dropped, name)
        self._met.add(name)


class _Writer:
    """Writes a document into texts; what its text alone would not give back is kept beside it."""

    def __init__(self) -> None:
        self.values: Values = {}

    def group(self, prefix: str, group: Group, document: Mapping[str, Any]) -> None:
        """Write the keys of a mapping."""
        for key, value in document.items():
            name = f"{prefix}.{key}" if prefix else key
            node = group.fields.get(key, Leaf("text"))
            if isinstance(node, Options):
                kind = document.get(node.by, "csv" if node.by == "format" else "")
                node = shape.options(node, str(kind), str(document.get("layout", "")))
            self._node(name, node, value)

    def _node(self, name: str, node: Node, value: Any) -> None:
        if isinstance(node, Group) and isinstance(value, Mapping) and value:
            self.group(name, node, value)
        elif isinstance(node, ByKind) and isinstance(value, Mapping) and value.get("kind") in node.kinds:
            self.group(name, node.kinds[value["kind"]], value)
        elif isinstance(node, Rows) and isinstance(value, list) and value and all(value):
            for row, item in enumerate(value):
                self._node(f"{name}.{row}", node.item, item)
        elif isinstance(node, Keyed) and isinstance(value, Mapping) and value:
            for row, (field, inner) in enumerate(value.items()):
                self._node(f"{name}.{row}", node.item, {"field": field, **inner})
        elif isinstance(node, Leaf):
            self._leaf(name, node, value)
        else:
            self._keep(name, value)

    def _leaf(self, name: str, leaf: Leaf, value: Any) -> None:
        texts = shown(leaf, value)
        self.values[name] = texts or [""]
        try:
            same = typed(leaf, texts or [""])
        except BadInput:
            same = ABSENT
        if same != value or type(same) is not type(value) or value == leaf.default:
            self._keep(name, value)

    def _keep(self, name: str, value: Any) -> None:
        self.values.setdefault(GIVEN, []).append(f"{name}={json.dumps(value, ensure_ascii=False)}")


def shown(leaf: Leaf, value: Any) -> list[str]:
    """Return the texts in which a value is shown; none for a value that shows nothing."""
    if leaf.widget == "several" and isinstance(value, list):
        return [_text(each) for each in value] or [""]
    return [] if value is None or value in ("", [], {}) else [_shown(leaf, value)]


def _shown(leaf: Leaf, value: Any) -> str:
    if leaf.widget == "lines" and isinstance(value, list):
        return "\n".join(_text(each) for each in value)
    if leaf.widget == "pairs" and isinstance(value, Mapping):
        return "\n".join(f"{key}: {_text(inner)}" for key, inner in value.items())
    if leaf.widget == "yaml":
        return as_yaml(value).rstrip("\n")
    return json.dumps(value, ensure_ascii=False, indent=1) if leaf.widget == "json" else _text(value)


def typed(leaf: Leaf, texts: list[str]) -> Any:
    """Return the value of what was typed into a field, ABSENT for nothing; BadInput for what has no form of its own.

    A text that is no number or no truth value where one belongs stays a text, and a list of one value a list.
    """
    if leaf.widget == "several":
        chosen = [_number(each) if leaf.whole else each for each in texts if each]
        return chosen or (ABSENT if leaf.default is ABSENT or leaf.default == [] else [])
    return _typed(leaf, texts[-1]) if texts[-1] else ABSENT


def _typed(leaf: Leaf, text: str) -> Any:
    if leaf.widget == "lines":
        items = [line.strip() for line in text.split("\n") if line.strip()]
        return [_number(item) if leaf.whole else item for item in items] or ABSENT
    if leaf.widget == "pairs":
        return _pairs(text)
    if leaf.widget in ("yaml", "json"):
        return _parsed(text)
    if leaf.widget == "flag":
        return {"true": True, "false": False}.get(text, text)
    return _number(text) if leaf.whole else text


def _number(text: str) -> int | str:
    return int(text) if _WHOLE.fullmatch(text) else text


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return json.dumps(value, ensure_ascii=False)


def _pairs(text: str) -> dict[str, str]:
    found: dict[str, str] = {}
    problems = []
    for line in filter(str.strip, text.split("\n")):
        name, colon, value = line.partition(":")
        if not colon or name.strip() in found:
            right = (
                "a name is here twice"
                if colon
                else "write one name and its value a line, such as team: finance"
            )
            problems.append(Problem("", line, f"{right}: {line.strip()}", "bad_pairs"))
        found[name.strip()] = value.strip()
    if problems:
        raise BadInput(problems)
    return found


def _parsed(text: str) -> Any:
    """Return a value written as JSON, or as YAML as definitions are read."""
    try:
        found = json.loads(text, parse_constant=_no_number, object_pairs_hook=_once)
    except (ValueError, RecursionError):
        return parse_yaml(text, where="")
    if is_deep(found):
        right = f"must be at most {MAX_DEPTH} levels deep"
        raise BadInput([Problem("", "", right, "too_deep")])
    return found


def _no_number(text: str) -> Any:
    raise ValueError(text)


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key twice")
    return found


def _kept(texts: Iterable[str]) -> Iterable[tuple[str, Any]]:
    for text in texts:
        name, _, value = text.partition("=")
        try:
            found = json.loads(value, parse_constant=_no_number)
        except (ValueError, RecursionError):
            continue
        if not is_deep(found):
            yield name, found


def _line_of(problem: Problem) -> str:
    line = problem.where.rpartition("line ")
    return f"line {line[2]}: " if line[1] else ""
