"""Voucherify's filters: `{"junction": "and", FIELD: {"conditions": {"$in": [...]}}}`, both ways.

Read as they are written; what they become is an ordinary filter, so that one meaning serves both.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from include.definitions.base import refuse
from include.definitions.operators import OPERATORS

if TYPE_CHECKING:
    from include.definitions.filters import Filter

_JUNCTIONS = {"and": "all", "AND": "all", "or": "any", "OR": "any"}
# What their own console sends with operators that take no value.
_NOTHING: tuple[object, ...] = ([], [""], "", [True], True, ["true"], "true")

SCHEMA = {
    "type": "object",
    "properties": {"junction": {"enum": [*_JUNCTIONS]}},
    "additionalProperties": {
        "type": "object",
        "properties": {"conditions": {"type": "object"}},
        "required": ["conditions"],
        "additionalProperties": False,
    },
    "minProperties": 1,
}


def looks_like_one(value: object) -> bool:
    """Return whether a document is written the way of Voucherify."""
    if not isinstance(value, dict):
        return False
    return "junction" in value or any(isinstance(x, dict) and "conditions" in x for x in value.values())


def read(document: Any) -> dict[str, Any]:
    """Return the same filter in our own words. What is no condition stays as it stands, for the model to refuse."""
    given = dict(document)
    junction = given.pop("junction", "and")
    if not isinstance(junction, str) or junction not in _JUNCTIONS:
        raise refuse("bad_junction", "junction must be and, or or")
    return {_JUNCTIONS[junction]: [_condition(field, inner) for field, inner in given.items()]}


def written(filter_: Filter) -> dict[str, Any]:
    """Return a filter in Voucherify's form; ValueError where that has no words for it."""
    parts = filter_.all or filter_.any or [filter_]
    document: dict[str, Any] = {"junction": "or" if filter_.any else "and"}
    for part in parts:
        if part.field is None or part.field in document:
            raise ValueError(
                "a nested filter, a segment or a field twice cannot be said in Voucherify's form"
            )
        document[part.field] = {"conditions": {f"${test.word}": list(values) for test, values in part.tests}}
    return document


def _condition(field: str, inner: object) -> dict[str, Any]:
    conditions = inner.get("conditions") if isinstance(inner, dict) and len(inner) == 1 else None
    if not isinstance(conditions, dict):
        return {"field": field, "conditions": inner}
    return {"field": field} | dict(_operator(key, values) for key, values in conditions.items())


def _operator(key: str, values: object) -> tuple[str, object]:
    if (
        not key.startswith("$") and key not in OPERATORS
    ):  # it may be another word of a filter, such as `field`
        raise refuse("bad_condition", f"{key}: conditions begin with $, such as $is")
    operator = OPERATORS.get(key.removeprefix("$")) if key.startswith("$") else None
    if operator is None:
        return key, values
    return operator.word, True if operator.takes == "nothing" and values in _NOTHING else values
