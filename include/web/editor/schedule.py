"""The next runs of what is typed: when, about what, and what is odd about them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from include.definitions.model import ExportDefinition
from include.definitions.periods import Interval
from include.definitions.schedule_notes import Coming, coming, gaps
from include.definitions.zones import INSTANT_STEP, start_of, zone
from include.web.editor.guess import guessed

RUNS = 5
_KEYS = ("schedule", "timezone", "period", "as_of")


@dataclass(frozen=True)
class Told:
    """What the page says: runs with what each is about, sentences about all of them; timezone: the brand's."""

    timezone: str
    runs: tuple[tuple[Coming, str], ...]
    notes: tuple[str, ...]


def told(document: Mapping[str, Any], now: datetime | None = None) -> Told | None:
    """Return what is to be told; None while schedule, zone or period is missing a part or wrong."""
    now = now or datetime.now(UTC)
    definition = guessed(document, _KEYS)
    if definition is None:
        return None
    if definition.schedule is None:
        return Told(definition.timezone, (), ("It runs when somebody starts it, and not by itself.",))
    runs = coming(definition, now, RUNS)
    where = zone(definition.timezone)
    notes = []
    if runs:
        first, last = (moment.astimezone(where).date() for moment in (now, runs[-1].occurrence))
        notes += [f"{sentence}." for sentence in gaps(definition.schedule, first, last)]
    else:
        notes.append("It never runs: its day has passed, or its end.")
    if 0 < len(runs) < RUNS:
        notes.append("No run follows: the schedule ends." if len(runs) > 1 else "It runs once.")
    if definition.paused or not definition.enabled:
        notes.append("It is paused: none of these runs starts by itself until that is taken back.")
    return Told(definition.timezone, tuple((run, about(definition, run)) for run in runs), tuple(notes))


def about(definition: ExportDefinition, run: Coming) -> str:
    """Return what a run reports on, in the brand's zone: `about 1 to 30 November 2026`, `as of` a moment."""
    where = zone(definition.timezone)
    if run.interval is None:
        return f"as of {_moment(run.as_of, where)}"
    return f"about {days(run.interval, where)}"


def days(interval: Interval, where: ZoneInfo) -> str:
    """Return an interval as people say it: by its first and last day where it is of whole days."""
    if interval.start is None:
        return f"everything before {_moment(interval.end, where)}"
    first = interval.start.astimezone(where).date()
    last = (interval.end - INSTANT_STEP).astimezone(where).date()
    if interval != (start_of(first, where), start_of(last + timedelta(days=1), where)):
        return f"{_moment(interval.start, where)} to {_moment(interval.end, where)}"
    if first == last:
        return f"{first.day} {first:%B %Y}"
    if (first.year, first.month) == (last.year, last.month):
        return f"{first.day} to {last.day} {last:%B %Y}"
    begin = f"{first.day} {first:%B}" + ("" if first.year == last.year else f" {first.year}")
    return f"{begin} to {last.day} {last:%B %Y}"


def _moment(instant: datetime, where: ZoneInfo) -> str:
    there = instant.astimezone(where)
    if instant == start_of(there.date(), where):
        return f"the start of {there.day} {there:%B %Y}"
    return f"{there.day} {there:%B %Y, %H:%M}"
