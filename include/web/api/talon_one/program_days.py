"""A program's figures day by day, as Talon.One's dashboard has them: of the reports behind our own dashboards.

Days are those of UTC. Figures of a day are those at its end; what was earned and spent is that of the day alone.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime, time, timedelta
from typing import NamedTuple

from typing_extensions import TypedDict

from include.pipeline import Context
from include.pipeline.answers.together import Row, answered_together
from include.web.api.talon_one.entries import points

DAY = timedelta(days=1)
_MODELS = ("members", "points_total", "earned_redeemed", "rollforward_by_day")


class Breakdown(TypedDict):
    """Points of one day, by people (or a file) and by rules."""

    createdManually: float
    createdViaRuleEngine: float


class Day(TypedDict):
    """The figures of one day; `date` is its beginning."""

    date: str
    totalActivePoints: float
    totalPendingPoints: float
    totalSpentPoints: float
    totalExpiredPoints: float
    totalNegativePoints: float
    totalMembers: int
    newMembers: int
    earnedPoints: Breakdown
    spentPoints: Breakdown


class Days(NamedTuple):
    """Days in order, the last one as far as it had gone at `as_of`."""

    days: dict[date, Day]
    as_of: datetime

    @property
    def over(self) -> list[Day]:
        """The days that were over."""
        return [day for begin, day in self.days.items() if midnight(begin + DAY) <= self.as_of]


def program_days(context: Context, program_id: str, first: date, end: datetime, *, by: str) -> Days:
    """Return the days of a program from `first` on that begin before `end` and before the ledger was read.

    Raises what `answered_together` does.
    """
    found = answered_together(
        context, {model: {"programs": [program_id]} for model in _MODELS}, end=end, by=by
    )
    members, totals, moved, ever = ({row["date"]: row for row in found.rows[model]} for model in _MODELS)
    # What was spent in all is what was redeemed and not given back on all days since the first.
    spent, held = _running(ever)
    days = {
        day: _day(day, members[day], totals[day], moved[day], spent[day], held[day])
        for day in sorted(set(members) & set(totals) & set(moved) & set(ever))
        if day >= first
    }
    return Days(days, found.as_of)


def _running(rows: dict[date, Row]) -> tuple[dict[date, int], dict[date, int]]:
    """Return for each day the points spent so far, and those held at its end: active and pending less debt."""
    spent: dict[date, int] = {}
    total = 0
    for day, row in sorted(rows.items()):
        total += row["redeemed"] - row["refunded"]
        spent[day] = total
    return spent, {day: row["closing"] for day, row in rows.items()}


def _day(day: date, members: Row, totals: Row, moved: Row, spent: int, held: int) -> Day:
    return Day(
        date=f"{day}T00:00:00Z",
        totalActivePoints=points(totals["active"]),
        totalPendingPoints=points(totals["pending"]),
        totalSpentPoints=points(spent),
        totalExpiredPoints=points(totals["expired"]),
        totalNegativePoints=points(totals["active"] + totals["pending"] - held),
        totalMembers=members["total_members"],
        newMembers=members["new_members"],
        earnedPoints=Breakdown(
            createdManually=points(moved["earned_manual"]), createdViaRuleEngine=points(moved["earned_rules"])
        ),
        spentPoints=Breakdown(
            createdManually=points(moved["redeemed_manual"]),
            createdViaRuleEngine=points(moved["redeemed_rules"]),
        ),
    )


def whole_days(since: datetime, before: datetime, now: datetime) -> Iterator[date]:
    """Yield the days that begin in `[since, before)` and are over by now."""
    day = since.astimezone(UTC).date()
    if midnight(day) < since:
        day += DAY
    today = now.astimezone(UTC).date()
    while day < today and midnight(day) < before:
        yield day
        day += DAY


def midnight(day: date) -> datetime:
    """Return when a day begins in UTC."""
    return datetime.combine(day, time(), UTC)
