"""What is wrong with what was typed: all of it at once, each problem at the field that its author must change."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from include.definitions.model import ExportDefinition
from include.errors import BadInput, Problem
from include.web.editor import lookup, rows
from include.web.editor.form import Values, document_of, text_of
from include.web.editor.shape import Leaf

Validate = Callable[[dict[str, Any]], ExportDefinition]
_LEADING = re.compile(
    r"(must|is|are|has|have|needs?|known|leave|takes|names?|there|no|such|choose|say|only|write|one|a|an|the)\b"
)
# What is said where nothing is chosen, and instead of what the library says that checks types.
_NOTHING = {"columns": "Choose at least one column.", "targets": "Add at least one destination."}
SAID = {
    "missing_key": "This is needed.",
    "missing": "This is needed.",
    "too_short": "Give at least one.",
    "int_parsing": "Must be a whole number.",
    "int_parsing_size": "Is too large a number.",
    "int_type": "Must be a whole number.",
    "bool_parsing": "Must be yes or no.",
    "bool_type": "Must be yes or no.",
    "decimal_parsing": "Must be a number such as 12.5.",
    "null_value": "A value is needed; “is empty” finds rows without one.",
    "string_pattern_mismatch": "Has characters, or a form, that cannot stand here.",
}
MOST_SHOWN = 200
_LONGEST_VALUE = 60


@dataclass(frozen=True)
class Found:
    """All problems, by the name of the field that they belong to; "" for those of no field."""

    at: Mapping[str, list[str]] = field(default_factory=dict)

    def __bool__(self) -> bool:
        """Say whether there are any."""
        return bool(self.at)


def judged(values: Values, validate: Validate) -> tuple[ExportDefinition | None, dict[str, Any], Found]:
    """Return the definition that is typed (None where it has problems), its document, and all problems.

    validate: returns the definition of a document, or raises BadInput with plain paths of fields.
    """
    document, problems = document_of(values)
    try:
        definition = validate(document)
    except BadInput as error:
        problems += error.problems
        definition = None
    return (None if problems else definition), document, placed(problems, values)


def placed(problems: Iterable[Problem], values: Values) -> Found:
    """Return the problems by field; one that is said twice of a field is shown once."""
    found: dict[str, list[str]] = {}
    for problem in list(problems)[:MOST_SHOWN]:
        name = field_of(problem.where, values)
        sentences = found.setdefault(name, [])
        text = _sentence(problem, name, values)
        if text not in sentences:
            sentences.append(text)
    return Found(found)


def field_of(where: str, values: Values) -> str:
    """Return the name of the field that a problem's place means: `exports[0].model` is in the field `exports`."""
    path = plain_path(where)
    start = "privacy.fields."
    if path.startswith(start):
        path = _protected(path.removeprefix(start), values)
    if path in ("fields", "aggregation") and not rows.numbers(values, path):
        return "columns"
    return lookup.nearest(values, path)


def plain_path(where: str) -> str:
    """Return the place of a problem as dotted keys, without what the document is called."""
    return re.sub(r"\[(\d+)\]", r".\1", where.rpartition(": ")[2].strip(": "))


def _protected(rest: str, values: Values) -> str:
    """Return the row whose field is named; names of fields may hold dots."""
    for row in rows.numbers(values, "privacy.fields"):
        name = text_of(values, f"privacy.fields.{row}.field")
        if name and (rest == name or rest.startswith(f"{name}.")):
            below = rest[len(name) :].lstrip(".")
            return f"privacy.fields.{row}.{below or 'field'}"
    return f"privacy.fields.{rest}" if rest.split(".", maxsplit=1)[0].isdecimal() else "privacy"


def _sentence(problem: Problem, name: str, values: Values) -> str:
    """Return a problem as a sentence beside its field; what it is about in front where the field holds more."""
    if name in _NOTHING and problem.code in ("too_short", "missing_key"):
        return _NOTHING[name]
    node = lookup.find(values, name) if name else None
    whole = isinstance(node, Leaf) and node.widget in ("text", "whole", "choice", "flag", "several")
    return sentence(problem, about=not whole and problem.value != text_of(values, name))


def sentence(problem: Problem, *, about: bool = True) -> str:
    """Return what is wrong in a sentence. about: with the value that is wrong in front."""
    right = problem.right
    if problem.code in SAID:
        right = SAID[problem.code]
    elif about and problem.value and problem.value[0] not in "{[":
        value = problem.value
        right = f"“{value if len(value) <= _LONGEST_VALUE else value[:_LONGEST_VALUE] + '…'}” {right}"
    elif _LEADING.match(right):
        right = right[:1].upper() + right[1:]
    return right if right.endswith((".", "!", "?")) else f"{right}."
