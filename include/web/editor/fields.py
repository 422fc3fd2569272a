"""What the columns of a model or layout are, for whoever chooses, filters and orders by them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from pydantic import ValidationError

from include.definitions.operators import OPERATORS, Operator
from include.definitions.segments import SEGMENTS
from include.layouts import layout as layouts
from include.layouts.layout import Layout
from include.ledger.fields import FieldType
from include.reports import glossary, models
from include.reports.model import ReportModule

TYPE_WORDS = {
    FieldType.ID: "id",
    FieldType.TEXT: "text",
    FieldType.ENUM: "one of some words",
    FieldType.JSON: "properties",
    FieldType.POINTS: "points",
    FieldType.MONEY: "money",
    FieldType.RATE: "rate",
    FieldType.INSTANT: "date and time",
    FieldType.DATE: "date",
    FieldType.INTEGER: "whole number",
    FieldType.BOOLEAN: "yes or no",
}
# How somebody would say an operator who has never seen its word: alone for one value, and for several.
OPERATOR_WORDS = {
    "in": ("is one of", "is one of"),
    "not_in": ("is none of", "is none of"),
    "is": ("is", "is one of these"),
    "is_not": ("is not", "is none of these"),
    "is_days_ago": ("was exactly … days ago", "was one of … days ago"),
    "is_days_in_future": ("is exactly … days from today", "is one of … days from today"),
    "has_value": ("is filled in", "is filled in"),
    "is_unknown": ("is empty", "is empty"),
    "contains": ("contains", "contains one of"),
    "not_contain": ("does not contain", "contains none of"),
    "starts_with": ("begins with", "begins with one of"),
    "ends_with": ("ends with", "ends with one of"),
    "more_than": ("is more than", "is more than"),
    "less_than": ("is less than", "is less than"),
    "more_than_equal": ("is at least", "is at least"),
    "less_than_equal": ("is at most", "is at most"),
    "more_than_ago": ("was more than … days ago", "was more than … days ago"),
    "less_than_ago": ("was in the last … days", "was in the last … days"),
    "more_than_future": ("is more than … days from today", "is more than … days from today"),
    "less_than_future": ("is in the next … days", "is in the next … days"),
    "after": ("is after", "is after"),
    "before": ("is before", "is before"),
    "count": ("has exactly this many entries", "has one of these numbers of entries"),
    "count_less": ("has fewer entries than", "has fewer entries than"),
    "count_more": ("has more entries than", "has more entries than"),
}
SEGMENT_WORDS = {
    "active": "Active customers",
    "inactive": "Inactive customers",
    "never_redeemed": "Never redeemed",
    "new": "New customers",
    "returning": "Returning customers",
    "at_least_orders": "With at least so many orders",
    "tier": "In one of the tiers",
    "points_between": "With a balance between",
    "points_earned_between": "Who earned in all between",
}


class Described(NamedTuple):
    """A column: `pii`: it is about a person. values: all that an enum may hold. always: no row is without one."""

    name: str
    type: str
    pii: bool
    meaning: str
    values: tuple[str, ...]
    always: bool

    @property
    def words(self) -> str:
        """Return what people call its type."""
        return TYPE_WORDS[FieldType(self.type)]


def of_model(document: Mapping[str, Any]) -> tuple[Described, ...]:
    """Return the columns that filters, order and aggregation know; none where model or options are not right."""
    model, options = _model(document)
    if model is None:
        return ()
    return tuple(_of_model(model.KIND, column.name) for column in model.columns(options))


def to_choose(document: Mapping[str, Any]) -> tuple[Described, ...]:
    """Return the columns that a file can have: those of the layout, where one is named, else those of the model."""
    layout = _layout(document)
    if layout is None:
        return of_model(document)
    by_name = {each.name: each for each in of_model(document)}
    found = []
    for column in layout.made:
        same = by_name.get(column.reads[0]) if len(column.reads) == 1 and not column.empty else None
        meaning = "Always empty: a ledger says nothing of it." if column.empty else ""
        if not meaning:
            made = f"Made of {', '.join(column.reads)}."
            meaning = (
                f"{same.meaning} {made}"
                if same and same.name != column.header
                else same.meaning
                if same
                else made
            )
        values = same.values if same and same.type == column.type.value else ()
        found.append(Described(column.header, column.type.value, column.pii, meaning, values, False))
    return tuple(found)


def catalogue(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what the filter builder must know, as JSON values: fields, operators in words, possible segments."""
    fields = of_model(document)
    names = {field.name for field in fields}
    return {
        "fields": [
            {**field._asdict(), "values": list(field.values), "words": field.words} for field in fields
        ],
        "operators": [_operator(operator) for operator in OPERATORS.values()],
        "segments": [
            {
                "name": name,
                "words": SEGMENT_WORDS[name],
                "meaning": kind.meaning,
                "argument": kind.argument,
                "optional": kind.optional,
            }
            for name, kind in SEGMENTS.items()
            if names & set(kind.fields)
        ],
    }


def _operator(operator: Operator) -> dict[str, Any]:
    one, several = OPERATOR_WORDS[operator.word]
    return {
        "word": operator.word,
        "one": one,
        "several": several,
        "meaning": operator.meaning,
        "types": sorted(kind.value for kind in operator.types),
        "takes": operator.takes,
        "most": operator.most,
    }


def _of_model(model: str, name: str) -> Described:
    field = glossary.field(model, name)
    meaning = field.meaning.replace("`", "")
    return Described(name, field.type.value, field.pii, meaning, field.values, not field.may_be_null)


def _layout(document: Mapping[str, Any]) -> Layout | None:
    name = document.get("layout")
    return layouts.layouts().get(name) if isinstance(name, str) else None


def _model(document: Mapping[str, Any]) -> tuple[ReportModule | None, Any]:
    """Return the model with its options, its defaults where some are not right; None where there is no such model."""
    name = document.get("model")
    if not isinstance(name, str) or name not in models.names():
        return None, None
    model = models.load(name, where="model")
    layout, given = _layout(document), document.get("options")
    own: Mapping[str, Any] = given if isinstance(given, Mapping) else {}
    needed: Mapping[str, Any] = layout.options if layout else {}
    choices: Sequence[Mapping[str, Any]] = ({**needed, **own}, needed, {})
    for options in choices:
        try:
            return model, model.Options.model_validate(dict(options))
        except ValidationError:
            continue
    return None, None
