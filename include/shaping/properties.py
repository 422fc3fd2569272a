"""Conditions on JSON: on a whole column, or on one property of it.

A property has the type of its value: a number is compared with numbers only, text with text, true and false with
these; what has another type does not fulfil the condition. Times are text in ISO 8601, a day or an instant with
its zone. Elements are those of a list, or the properties of an object.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from include.definitions.operators import Operator
from include.definitions.values import Value, day, instant
from include.definitions.zones import start_of
from include.ledger.fields import FieldType
from include.shaping.paths import Number
from include.shaping.ranges import Clock, microseconds, ranges

Holds = Callable[[Any], bool]

_COMPARED: dict[str, Callable[[Any, Any], bool]] = {
    "more_than": lambda found, value: found > value,
    "less_than": lambda found, value: found < value,
    "more_than_equal": lambda found, value: found >= value,
    "less_than_equal": lambda found, value: found <= value,
    "count": lambda found, value: found == value,
    "count_less": lambda found, value: found < value,
    "count_more": lambda found, value: found > value,
    "starts_with": str.startswith,
    "ends_with": str.endswith,
}


def predicate(operator: Operator, values: Sequence[Value], clock: Clock) -> Holds:
    """Return what says whether a value out of JSON, never null, fulfils a positive operator."""
    if operator.takes == "nothing":
        return lambda _: operator.word == "has_value"
    if operator.takes in ("days", "instant"):
        return _in_time(operator, values, clock)
    if operator.takes == "values":
        wanted = {_key(value) for value in values}
        return lambda found: _key(found) in wanted
    if operator.word == "contains":
        return lambda found: _contains(found, values)
    compare, read = _COMPARED[operator.word], _READ[operator.takes]
    return lambda found: (it := read(found)) is not None and any(compare(it, value) for value in values)


def _in_time(operator: Operator, values: Sequence[Value], clock: Clock) -> Holds:
    found = ranges(operator, values, FieldType.INSTANT, clock)

    def holds(value: Any) -> bool:
        at = _instant(value, clock)
        return at is not None and any(low <= at <= high for low, high in found)

    return holds


def _instant(found: Any, clock: Clock) -> int | None:
    """Return microseconds since 1970; a day is its first instant."""
    if not isinstance(found, str) or isinstance(found, Number):
        return None
    read: date | datetime | None = day(found) or instant(found)
    if isinstance(read, datetime):
        return microseconds(read)
    return None if read is None else microseconds(start_of(read, clock.zone))


def _key(found: Any) -> object:
    """Return what two equal values share, whichever way they were written; lists and objects equal nothing."""
    if isinstance(found, bool):
        return ("boolean", found)
    number = _number(found)
    if number is not None:
        return ("number", number)
    return ("text", found) if isinstance(found, str) else None


def _contains(found: Any, values: Sequence[Value]) -> bool:
    if isinstance(found, list):
        elements = {_key(element) for element in found}
        return any(_key(value) in elements for value in values)
    text = _text(found)
    return text is not None and any(isinstance(value, str) and value in text for value in values)


def _text(found: Any) -> str | None:
    return found if isinstance(found, str) and not isinstance(found, Number) else None


def _number(found: Any) -> Decimal | None:
    return Decimal(found) if isinstance(found, (Number, Decimal)) else None


def _count(found: Any) -> int | None:
    return len(found) if isinstance(found, Collection) and not isinstance(found, str) else None


_READ: dict[str, Callable[[Any], Any]] = {"number": _number, "count": _count, "texts": _text}
