"""Local time: zones by name, and the one rule that turns a wall-clock time into an instant.

The rule: a local date and time means the first instant at which the local clock shows that time or a later
one. In the hour that a clock repeats it is the first pass; a time that the clock skips becomes the first
instant after the gap; a whole day that was skipped (Apia, 30 December 2011) begins where the next one does.
Later wall times never come earlier, so periods cut by this rule tile the time line.
"""

from __future__ import annotations

import difflib
from datetime import UTC, date, datetime, time, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo, available_timezones

MIDNIGHT = time(0)
INSTANT_STEP = timedelta(microseconds=1)


@lru_cache(maxsize=256)
def zone(name: str) -> ZoneInfo:
    """Return the IANA zone of that name; ValueError, which says what would be right, for anything else.

    Abbreviations ("EST") and country names are refused although the database has some of them: they carry no
    daylight-saving rules, or somebody else's.
    """
    place = "/" in name and not name.startswith(("posix/", "right/", "/", "."))
    if name == "UTC" or place:
        try:
            return ZoneInfo(name)
        except (KeyError, ValueError, OSError):
            pass
    raise ValueError(_advice(name))


def _advice(name: str) -> str:
    known = {key.casefold(): key for key in available_timezones() if "/" in key}
    wanted = name.casefold().replace(" ", "_")
    near = difflib.get_close_matches(wanted, known, n=1, cutoff=0.8)
    example = f"did you mean {known[near[0]]}?" if near else "such as Europe/Paris, or UTC"
    return f"must be the name of an IANA time zone with its place, {example}"


def local(instant: datetime, where: ZoneInfo) -> datetime:
    """Return what the local clock and calendar show at an instant, without a zone."""
    return instant.astimezone(where).replace(tzinfo=None, fold=0)


def instant_at(day: date, clock: time, where: ZoneInfo) -> datetime:
    """Return the instant (UTC) of a local date and time, by the rule of this module."""
    wall = datetime.combine(day, clock)
    after = wall.replace(tzinfo=where, fold=0).astimezone(UTC)
    if local(after, where) == wall:
        return after
    # In a gap, fold=0 counts with the offset before it and so falls behind it; fold=1 falls in front.
    before = wall.replace(tzinfo=where, fold=1).astimezone(UTC)
    while after - before > timedelta(seconds=1):  # zones change at whole seconds
        middle = before + timedelta(seconds=(after - before) // timedelta(seconds=2))
        if local(middle, where) < wall:
            before = middle
        else:
            after = middle
    return after.replace(microsecond=0)


def start_of(day: date, where: ZoneInfo) -> datetime:
    """Return the instant at which a local day begins."""
    return instant_at(day, MIDNIGHT, where)


def day_exists(day: date, where: ZoneInfo) -> bool:
    """Return whether the local calendar has that day (Apia has no 30 December 2011)."""
    return local(start_of(day, where), where).date() == day


def last_day_before(instant: datetime, where: ZoneInfo) -> date:
    """Return the local day that holds the last microsecond before an instant."""
    return local(instant - INSTANT_STEP, where).date()
