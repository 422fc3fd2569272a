"""The next runs of a definition, written out: when, about which period, and what is odd about the time.

A note says what would surprise somebody who reads the schedule: a time that the clocks skip or repeat, the hour by
which a run moves in UTC when they change, a run that waits, a month that lacks a day. Words are for people; instants
stay instants, so that each reader sees them in a zone of theirs.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from itertools import islice
from zoneinfo import ZoneInfo

from include.definitions.base import show_day, show_time
from include.definitions.model import ExportDefinition
from include.definitions.occasion import as_of_for, interval_for
from include.definitions.periods import Interval
from include.definitions.schedule import BusinessDay, Monthly, Recurrence, Schedule
from include.definitions.zones import day_exists, local

ONE_SECOND = timedelta(seconds=1)


@dataclass(frozen=True)
class Coming:
    """A run that is to come: its instant (UTC), its interval or else the instant T that it is about, and notes."""

    occurrence: datetime
    interval: Interval | None
    as_of: datetime
    notes: tuple[str, ...]


def coming(definition: ExportDefinition, after: datetime, count: int = 5) -> tuple[Coming, ...]:
    """Return the next runs strictly after an instant, at most `count`; fewer where the schedule ends before."""
    recurrence = definition.recurrence
    if recurrence is None:
        return ()
    found = []
    for occurrence in islice(_next(recurrence, after), count):
        interval = interval_for(definition, occurrence)
        as_of = as_of_for(definition, occurrence)
        notes = [*_clock_notes(recurrence, occurrence), *_period_notes(definition, occurrence, as_of)]
        found.append(Coming(occurrence, interval, as_of, tuple(notes)))
    return tuple(found)


def gaps(schedule: Schedule, first: date, last: date) -> tuple[str, ...]:
    """Return a sentence for each month from the one of `first` to the one of `last` that lacks a day asked for."""
    if schedule.start:
        first = max(first, schedule.start)
    if schedule.end:
        last = min(last, schedule.end)
    return tuple(
        sentence for month in _months(first, last) if (sentence := _gap(schedule, month)) is not None
    )


def _next(recurrence: Recurrence, after: datetime) -> Iterator[datetime]:
    moment = recurrence.next_after(after)
    while moment is not None:
        yield moment
        moment = recurrence.next_after(moment)


def _clock_notes(recurrence: Recurrence, occurrence: datetime) -> Iterator[str]:
    where, clock = recurrence.zone, show_time(recurrence.schedule.time)
    day = recurrence.day_of(occurrence)
    shown = local(occurrence, where)
    wall = datetime.combine(day, recurrence.schedule.time)
    if not day_exists(day, where):
        yield f"{show_day(day)} does not exist in {recurrence.timezone}: runs when the next day begins"
    elif shown != wall:
        yield (
            f"clocks go forward on {show_day(day)}: {clock} does not exist, runs at {show_time(shown.time())}"
            + (f" on {show_day(shown.date())}" if shown.date() != day else "")
        )
    elif _comes_twice(wall, where):
        yield f"clocks go back on {show_day(day)}: {clock} comes twice, runs the first time"
    else:
        before = recurrence.previous_before(occurrence, bounded=False)
        if before is not None and (change := _change(before, occurrence, where)) is not None:
            way = "forward" if _offset(occurrence, where) > _offset(before, where) else "back"
            now, was = occurrence.astimezone(UTC), _as_before(occurrence, before, where)
            if f"{now:%H:%M}" == f"{was:%H:%M}":  # by whole days: a zone has changed sides of the date line
                skipped = show_day(change + timedelta(days=1))
                yield f"the calendar of {recurrence.timezone} skips {skipped}: no run for it"
                return
            yield (
                f"clocks {'go' if change == day else 'went'} {way} on {show_day(change)}: {clock} is "
                f"{now:%H:%M} UTC, where it was {was:%H:%M} UTC before"
            )


def _period_notes(definition: ExportDefinition, occurrence: datetime, as_of: datetime) -> Iterator[str]:
    if definition.follows_deliveries:
        yield "begins where the last delivered period ends; shown is what it is when each run is delivered"
    if as_of > occurrence:
        yield "waits until what it reports on is over"


def _comes_twice(wall: datetime, where: ZoneInfo) -> bool:
    """Say whether the local clock shows a time twice: in the hour that is repeated."""
    first, second = (wall.replace(tzinfo=where, fold=fold).astimezone(UTC) for fold in (0, 1))
    return second > first and local(second, where) == wall


def _change(before: datetime, after: datetime, where: ZoneInfo) -> date | None:
    """Return the local day on which the clocks changed last between two instants, None where they show the same."""
    wanted = _offset(after, where)
    if _offset(before, where) == wanted:
        return None
    while after - before > ONE_SECOND:
        middle = before + (after - before) / 2
        if _offset(middle, where) == wanted:
            after = middle
        else:
            before = middle
    return local(before, where).date()


def _offset(moment: datetime, where: ZoneInfo) -> timedelta:
    return moment.astimezone(where).utcoffset() or timedelta(0)


def _as_before(occurrence: datetime, before: datetime, where: ZoneInfo) -> datetime:
    """Return when the run would be, had the clocks not changed."""
    return occurrence.astimezone(UTC) + _offset(occurrence, where) - _offset(before, where)


def _months(first: date, last: date) -> Iterator[date]:
    month = first.replace(day=1)
    while month <= last:
        yield month
        month = (month + timedelta(days=32)).replace(day=1)


def _gap(schedule: Schedule, month: date) -> str | None:
    length = monthrange(month.year, month.month)[1]
    name = f"{month:%B %Y}"
    if isinstance(schedule, Monthly) and (not schedule.months or month.month in schedule.months):
        missing = sorted({day for day in schedule.days if day != "last" and day > length})
        if len(missing) > 1:
            return f"{name} has no days {' and '.join(map(str, missing))}: no run for them"
        return f"{name} has no day {missing[0]}: no run for it" if missing else None
    if isinstance(schedule, BusinessDay):
        end = month.replace(day=length)
        if next(schedule.days_between(month, end), None) is None and not _cut(schedule, month, end):
            return f"{name} has fewer than {abs(schedule.day)} business days: no run"
    return None


def _cut(schedule: BusinessDay, first: date, last: date) -> bool:
    """Say whether the schedule's own bounds leave out a part of a month."""
    return bool((schedule.start and schedule.start > first) or (schedule.end and schedule.end <= last))
