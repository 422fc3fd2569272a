"""Ready-made filters by name: who is active, new, never redeemed, and so on.

Each is written in the words of an ordinary filter over the first of its fields that the model has. "The last 30
days" are the 30 local days before T's day, and T's day as far as it has gone.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, Literal

from pydantic import GetJsonSchemaHandler, model_serializer, model_validator
from pydantic_core import CoreSchema

from include.definitions.base import Strict, instant_text, refuse

Document = dict[str, Any]
Argument = Literal["nothing", "days", "period or days", "whole number", "texts", "range"]

_DAYS = 30


@dataclass(frozen=True)
class Interval:
    """The run's interval, half-open; `start` is None for a run about one instant or all time."""

    start: datetime | None
    end: datetime


@dataclass(frozen=True)
class Kind:
    """One segment: the fields of which it needs one, its argument, and the filter that it stands for."""

    fields: tuple[str, ...]
    argument: Argument
    example: str
    meaning: str
    filter: Callable[[str, Any, Interval | None], Document]
    optional: bool = True


def _active(field: str, days: int | None, _: Interval | None) -> Document:
    return {"field": field, "less_than_ago": (days or _DAYS) + 1}


def _inactive(field: str, days: int | None, _: Interval | None) -> Document:
    return {"any": [{"field": field, "more_than_ago": days or _DAYS}, {"field": field, "is_unknown": True}]}


def _never(field: str, _: object, __: Interval | None) -> Document:
    return {"any": [{"field": field, "less_than_equal": 0}, {"field": field, "is_unknown": True}]}


def _new(field: str, days: int | None, run: Interval | None) -> Document:
    if days is not None or run is None or run.start is None:
        return {"field": field, "less_than_ago": (days or _DAYS) + 1}
    before = instant_text(run.start - timedelta(microseconds=1))
    return {"field": field, "after": before, "before": instant_text(run.end)}


def _returning(field: str, days: int | None, run: Interval | None) -> Document:
    if days is not None or run is None or run.start is None:
        return {"field": field, "more_than_ago": days or _DAYS}
    return {"field": field, "before": instant_text(run.start)}


def _at_least(field: str, count: int, _: Interval | None) -> Document:
    return {"field": field, "more_than_equal": count}


def _one_of(field: str, values: list[str], _: Interval | None) -> Document:
    return {"field": field, "in": values}


def _between(field: str, bounds: list[Any], _: Interval | None) -> Document:
    low, high = bounds
    document: Document = {"field": field}
    document |= {} if low is None else {"more_than_equal": low}
    return document | ({} if high is None else {"less_than_equal": high})


_BALANCE = ("points_balance", "loyalty_points")
_REDEEMED = ("redemptions_total_succeeded", "points_redeemed", "spent")
SEGMENTS = {
    "active": Kind(
        ("last_activity_at",), "days", "active", "any activity in the last 30 days, or in as many as given", _active
    ),
    "inactive": Kind(
        ("last_activity_at",), "days", "{inactive: 90}", "no activity in these days, or none ever", _inactive
    ),
    "never_redeemed": Kind(_REDEEMED, "nothing", "never_redeemed", "nothing redeemed so far", _never),
    "new": Kind(
        ("registered_at",), "period or days", "new",
        "joined in the run's period; without a period in the last 30 days, or in as many as given", _new,
    ),
    "returning": Kind(
        ("registered_at",), "period or days", "returning", "joined before that",
        _returning,
    ),
    "at_least_orders": Kind(
        ("orders_total_count",), "whole number", "{at_least_orders: 3}", "that many orders or more", _at_least, False
    ),
    "tier": Kind(("tier",), "texts", "{tier: [Gold, Silver]}", "in one of the tiers", _one_of, False),
    "points_between": Kind(
        _BALANCE, "range", "{points_between: [100, 500]}",
        "a balance from the first to the second number, both included; null: no bound", _between, False,
    ),
    "points_earned_between": Kind(
        ("lifetime_earned",), "range", "{points_earned_between: [10000, null]}",
        "earned so much in all, both bounds included; null: no bound", _between, False,
    ),
}  # fmt: skip


class Segment(Strict):
    """A segment: its name alone, or `{name: argument}`."""

    name: str
    argument: Any = None

    @model_validator(mode="before")
    @classmethod
    def _read(cls, value: object) -> object:
        name, argument = value, None
        if isinstance(value, dict) and len(value) == 1:
            [(name, argument)] = value.items()
        if not isinstance(name, str) or name not in SEGMENTS:
            raise refuse("unknown_segment", f"must be one of {', '.join(SEGMENTS)}")
        kind = SEGMENTS[name]
        if not (kind.optional and argument is None) and (wrong := _wrong(kind, argument)):
            raise refuse("bad_segment", wrong)
        alone = kind.argument == "texts" and isinstance(argument, str)
        return {"name": name, "argument": [argument] if alone else argument}

    @classmethod
    def __get_pydantic_json_schema__(cls, core: CoreSchema, handler: GetJsonSchemaHandler) -> dict[str, Any]:
        """Return a schema of how a segment is written."""
        meaning = handler.resolve_ref_schema(handler(core))["description"]
        alone = [name for name, kind in SEGMENTS.items() if kind.optional or kind.argument == "nothing"]
        named = {"type": "object", "minProperties": 1, "maxProperties": 1, "additionalProperties": False}
        by_name = named | {"properties": {name: {} for name in SEGMENTS}}
        return {"description": meaning, "anyOf": [{"enum": alone}, by_name]}

    @model_serializer
    def _written(self) -> str | dict[str, Any]:
        return self.name if self.argument is None else {self.name: self.argument}

    @property
    def kind(self) -> Kind:
        """What the segment is."""
        return SEGMENTS[self.name]

    @property
    def of_the_period(self) -> bool:
        """Whether it asks about the run's period."""
        return self.kind.argument == "period or days" and self.argument is None

    def field(self, names: Iterable[str]) -> str | None:
        """Return the field that it looks at, None where none of them is there."""
        there = set(names)
        return next((name for name in self.kind.fields if name in there), None)

    def document(self, field: str, run: Interval | None) -> Document:
        """Return the filter that it stands for, as it would be written."""
        return self.kind.filter(field, self.argument, run)


def _wrong(kind: Kind, argument: object) -> str | None:
    """Return what would be right when the argument is not."""
    if kind.argument == "nothing":
        return f"takes nothing: write {kind.example}"
    if kind.argument in ("days", "period or days", "whole number"):
        fits = isinstance(argument, int) and not isinstance(argument, bool) and 1 <= argument <= 36_000
        return None if fits else f"needs a whole number from 1 to 36000, as in {kind.example}"
    if kind.argument == "texts":
        values = [argument] if isinstance(argument, str) else argument
        fits = isinstance(values, list) and len(values) > 0 and all(isinstance(x, str) for x in values)
        return None if fits else f"needs one text or several, as in {kind.example}"
    bounds = argument if isinstance(argument, list) else []
    numbers = [x for x in bounds if isinstance(x, (int, float, str)) and not isinstance(x, bool)]
    fits = len(bounds) == 2 and len(numbers) + bounds.count(None) == 2 and len(numbers) > 0
    if fits and len(numbers) == 2 and _swapped(*numbers):
        return f"needs the smaller number first, as in {kind.example}"
    return None if fits else f"needs two numbers, or null for no bound, as in {kind.example}"


def _swapped(low: float | str, high: float | str) -> bool:
    try:
        return Decimal(str(low)) > Decimal(str(high))
    except InvalidOperation:  # no numbers: the filter says so
        return False
