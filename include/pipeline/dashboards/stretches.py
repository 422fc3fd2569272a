"""Stretches: the days of a frame one by one, or, where that would be too many, month by month."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal

from include.charts.words import day as short_day
from include.definitions.periods import first_of_next
from include.pipeline.dashboards.chart import Asked, points
from include.pipeline.dashboards.frames import Days
from include.pipeline.dashboards.table import Column, Kind, Value

MOST_DAYS = 92  # columns that can be told apart


@dataclass(frozen=True)
class Stretches:
    """Consecutive days, or months of which the first and the last may be cut off by the frame."""

    every: tuple[Days, ...]
    by_month: bool

    @property
    def columns(self) -> tuple[Column, ...]:
        """The columns of a table that say which stretch a row is of."""
        if self.by_month:
            return Column("From", Kind.DAY), Column("To", Kind.DAY)
        return (Column("Day", Kind.DAY),)

    @property
    def labels(self) -> tuple[str, ...]:
        """What stands below each."""
        if self.by_month:
            return tuple(f"{each.first:%b %y}" for each in self.every)
        return tuple(short_day(each.first) for each in self.every)

    @property
    def cut(self) -> frozenset[int]:
        """Which of them are parts of a month only."""
        whole = [
            each.first.day == 1 and each.last + timedelta(days=1) == first_of_next("month", each.first)
            for each in self.every
        ]
        return frozenset(index for index, is_whole in enumerate(whole) if self.by_month and not is_whole)

    def named(self, index: int) -> tuple[Value, ...]:
        """Return the cells that say which stretch it is."""
        each = self.every[index]
        return (each.first, each.last) if self.by_month else (each.first,)


def stretches(days: Days) -> Stretches:
    """Return the days one by one, or by month where there are more than can be told apart."""
    if len(days) <= MOST_DAYS:
        return Stretches(tuple(Days(one, one) for one in _each(days)), by_month=False)
    months = []
    first = days.first
    while first <= days.last:
        last = min(first_of_next("month", first) - timedelta(days=1), days.last)
        months.append(Days(first, last))
        first = last + timedelta(days=1)
    return Stretches(tuple(months), by_month=True)


def summed(asked: Asked, part: str, names: tuple[str, ...]) -> tuple[Stretches, list[tuple[Decimal, ...]]]:
    """Return the stretches of the frame, and the exact sums of columns of a file over each."""
    found = stretches(asked.frame.days)
    sums = [[Decimal(0)] * len(names) for _ in found.every]
    place = {f"{one}": index for index, each in enumerate(found.every) for one in _each(each)}
    for row in asked.days(part):
        into = sums[place[row["date"]]]
        for index, name in enumerate(names):
            into[index] += points(row, name)
    return found, [tuple(each) for each in sums]


def point_labels(days: Sequence[date]) -> tuple[str, ...]:
    """Return what stands below points of time: days, or months where there are many."""
    if len(days) <= MOST_DAYS:
        return tuple(short_day(each) for each in days)
    return tuple(f"{each:%b %y}" for each in days)


def note_of(found: Stretches) -> str:
    """Return what must be said of columns that are no whole months."""
    return "Lighter columns are parts of a month." if found.cut else ""


def _each(days: Days) -> Iterator[date]:
    for offset in range(len(days)):
        yield days.first + timedelta(days=offset)
