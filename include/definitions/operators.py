"""The operators of a filter: their words, which types of field each is for, and what it takes.

The words are those of Voucherify's API without the dollar sign (`$in` is `in`). There are no regular
expressions: text is compared letter by letter, case counts.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from include.ledger.fields import FieldType

Takes = Literal["values", "texts", "number", "instant", "days", "count", "nothing"]

TEXTS = frozenset({FieldType.ID, FieldType.TEXT, FieldType.ENUM})
NUMBERS = frozenset({FieldType.POINTS, FieldType.MONEY, FieldType.RATE, FieldType.INTEGER})
TIMES = frozenset({FieldType.INSTANT, FieldType.DATE})
JSON = frozenset({FieldType.JSON})
EVERY = frozenset(FieldType)


@dataclass(frozen=True)
class Operator:
    """One operator.

    takes: the kind of its values. `most`: how many it may have; several mean any of them, or none of them for a
    negative one. `opposite`: the operator that holds exactly where a negative one does not.
    """

    word: str
    types: frozenset[FieldType]
    takes: Takes
    most: int
    meaning: str
    opposite: str | None = None


MANY = 100_000
SEVERAL = 100

_ALL = (
    Operator("in", EVERY, "values", MANY, "is one of the values"),
    Operator("not_in", EVERY, "values", MANY, "is none of the values", "in"),
    Operator("is", EVERY, "values", MANY, "is the value"),
    Operator("is_not", EVERY, "values", MANY, "is not the value", "is"),
    Operator("is_days_ago", TIMES | JSON, "days", SEVERAL, "lies on the day that many days before today"),
    Operator(
        "is_days_in_future", TIMES | JSON, "days", SEVERAL, "lies on the day that many days after today"
    ),
    Operator("has_value", EVERY, "nothing", 1, "is not null"),
    Operator("is_unknown", EVERY, "nothing", 1, "is null"),
    Operator("contains", TEXTS | JSON, "texts", SEVERAL, "contains the text; a JSON list: has the element"),
    Operator("not_contain", TEXTS | JSON, "texts", SEVERAL, "does not contain it", "contains"),
    Operator("starts_with", TEXTS | JSON, "texts", SEVERAL, "starts with the text"),
    Operator("ends_with", TEXTS | JSON, "texts", SEVERAL, "ends with the text"),
    Operator("more_than", NUMBERS | JSON, "number", 1, "is more than the number"),
    Operator("less_than", NUMBERS | JSON, "number", 1, "is less than the number"),
    Operator("more_than_equal", NUMBERS | JSON, "number", 1, "is the number or more"),
    Operator("less_than_equal", NUMBERS | JSON, "number", 1, "is the number or less"),
    Operator("more_than_ago", TIMES | JSON, "days", 1, "lies more than that many days before today"),
    Operator(
        "less_than_ago", TIMES | JSON, "days", 1, "lies today, or less than that many days before today"
    ),
    Operator("more_than_future", TIMES | JSON, "days", 1, "lies more than that many days after today"),
    Operator(
        "less_than_future", TIMES | JSON, "days", 1, "lies today, or less than that many days after today"
    ),
    Operator(
        "after", TIMES | JSON, "instant", 1, "lies after the instant, or after the end of the local day"
    ),
    Operator("before", TIMES | JSON, "instant", 1, "lies before the instant, or before the local day"),
    Operator("count", JSON, "count", SEVERAL, "has that many elements"),
    Operator("count_less", JSON, "count", 1, "has fewer elements"),
    Operator("count_more", JSON, "count", 1, "has more elements"),
)
OPERATORS = {operator.word: operator for operator in _ALL}


def words_for(kind: FieldType) -> list[str]:
    """Return the words of the operators for a type of field."""
    return [operator.word for operator in _ALL if kind in operator.types]
