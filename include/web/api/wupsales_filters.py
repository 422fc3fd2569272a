"""The filters of WupSales' exports: what may be asked for, and what it means in the words of a definition's filters.

Days are those of UTC. "The last 7 days" are today, as far as it has gone, and the six days before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from typing import Annotated, Any, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field

from include.definitions.base import instant_text
from include.errors import BadInput, Problem

Format = Literal["json", "csv", "xml"]
Document = dict[str, Any]

_DAYS = {"last_7_days": 7, "last_30_days": 30, "last_90_days": 90}
_NEW_DAYS = 30
_MOST_TEXTS = 100
_Day = Annotated[date, Field(ge=date(1970, 1, 1), le=date(2200, 1, 1))]


def _plain(text: object) -> object:
    if isinstance(text, str) and not re.fullmatch(r"-?[0-9]+(\.[0-9]+)?", text):
        raise ValueError("points are digits, such as 1000 or 12.50")
    return text


_Points = Annotated[Decimal, Field(max_digits=18, decimal_places=2), BeforeValidator(_plain)]
_Texts = Annotated[list[Annotated[str, Field(min_length=1, max_length=500)]], Field(max_length=_MOST_TEXTS)]


# What may be repeated; of the others the last one would be taken, and the first passed over.
SEVERAL = frozenset({"tier", "program"})


class Filters(BaseModel):
    """What a request asks for; what is left out keeps every row."""

    model_config = ConfigDict(extra="forbid")

    format: Format = Field("json", description="The form of the answer; csv opens in Excel.")
    range: Literal["last_7_days", "last_30_days", "last_90_days", "custom", "all_time"] = Field(
        "all_time",
        description="Which days: of transactions and redemptions that of the row, of customers that of the last "
        "activity. custom takes `from` and `to`.",
    )
    first: _Day | None = Field(None, alias="from", description="custom: the first day, UTC.")
    last: _Day | None = Field(None, alias="to", description="custom: the last day, UTC; left out, today.")
    tier: _Texts = Field(default=[], description="Customers in one of these tiers, by name; may be repeated.")
    min_points: _Points | None = Field(None, description="Customers with this balance or more.")
    max_points: _Points | None = Field(None, description="Customers with this balance or less.")
    activity: Literal["active", "inactive", "never_redeemed"] | None = Field(
        None, description="active: any activity in the last 30 days; inactive: none; never_redeemed."
    )
    min_orders: int | None = Field(
        None, ge=1, le=36_000, description="Customers with so many orders or more."
    )
    registration: Literal["new", "returning"] | None = Field(
        None,
        description="new: customers who registered in the range, returning: before it; without a range, in or before "
        "the last 30 days.",
    )
    program: _Texts = Field(default=[], description="Only these programs, by id; may be repeated.")


@dataclass(frozen=True)
class Days:
    """Instants `[start, end)`; None: no bound."""

    start: datetime | None = None
    end: datetime | None = None


def check(asked: Filters, now: datetime) -> None:
    """Raise BadInput with all that does not go together."""
    problems = list(_problems(asked, now.astimezone(UTC).date()))
    if problems:
        raise BadInput(problems)


def _problems(asked: Filters, today: date) -> Iterator[Problem]:
    if asked.range != "custom":
        for name, day in (("from", asked.first), ("to", asked.last)):
            if day is not None:
                yield Problem(name, str(day), "goes with range=custom only", "bounds_not_possible")
    elif asked.first is None:
        yield Problem("from", "", "range=custom needs its first day, such as 2026-03-01", "bounds_missing")
    elif asked.first > today:
        yield Problem("from", str(asked.first), f"must not be after today, {today}", "start_after_end")
    elif asked.last is not None and asked.last < asked.first:
        yield Problem("to", str(asked.last), f"must not be before {asked.first}", "start_after_end")
    low, high = asked.min_points, asked.max_points
    if low is not None and high is not None and high < low:
        yield Problem("max_points", str(high), f"must not be less than min_points, {low}", "max_below_min")


def days(asked: Filters, now: datetime) -> Days:
    """Return the instants that the range means."""
    if asked.range == "custom":
        assert asked.first is not None, "check() comes first"
        return Days(_midnight(asked.first), _midnight(asked.last + timedelta(days=1)) if asked.last else None)
    back = _DAYS.get(asked.range)
    return Days() if back is None else Days(_days_back(now, back))


def of_customers(asked: Filters, now: datetime) -> list[Document]:
    """Return the filters about customers, but for orders, over fields of the report `balance`."""
    found: list[Document] = []
    if asked.tier:
        found.append({"segment": {"tier": asked.tier}})
    if asked.min_points is not None or asked.max_points is not None:
        found.append({"segment": {"points_between": [_text(asked.min_points), _text(asked.max_points)]}})
    if asked.activity is not None:
        found.append({"segment": asked.activity})
    if asked.registration is not None:
        within = days(asked, now)
        start = within.start or _days_back(now, _NEW_DAYS)
        new = asked.registration == "new"
        found.append(between("registered_at", Days(start, within.end) if new else Days(None, start)))
    return found


def between(field: str, bounds: Days) -> Document:
    """Return the filter that keeps rows whose instant lies within these bounds, at least one of which is there."""
    document: Document = {"field": field}
    if bounds.start is not None:
        document["after"] = instant_text(bounds.start - timedelta(microseconds=1))
    if bounds.end is not None:
        document["before"] = instant_text(bounds.end)
    return document


def one_of(field: str, ids: list[str]) -> Document:
    """Return the filter that keeps rows with one of these ids, of which there is one at least."""
    return {"field": field, "in": ids}


def _days_back(now: datetime, count: int) -> datetime:
    return _midnight(now.astimezone(UTC).date() - timedelta(days=count - 1))


def _midnight(day: date) -> datetime:
    return datetime.combine(day, time(), UTC)


def _text(points: Decimal | None) -> str | None:
    return None if points is None else format(points, "f")
