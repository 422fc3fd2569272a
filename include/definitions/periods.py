"""Which interval a run reports on: the kinds of period, each computed from the occurrence in a time zone.

Every interval is half-open, `[start, end)`, between instants at which a local day begins, or occurrences.
No kind holds the current day, unless its name says so (`this_...`, `since_...`) or `include_current_day`.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Mapping
from datetime import date, datetime, timedelta
from types import MappingProxyType
from typing import Literal, NamedTuple, get_args
from zoneinfo import ZoneInfo

from pydantic import model_validator

from include.definitions.base import Day, Strict, refuse
from include.definitions.zones import last_day_before, start_of

Unit = Literal["day", "week", "month", "quarter", "year"]
UNITS: tuple[Unit, ...] = get_args(Unit)
PeriodKind = Literal[
    "since_previous_occurrence", "since_last_delivery",
    "this_day", "this_week", "this_month", "this_quarter", "this_year",
    "previous_day", "previous_week", "previous_month", "previous_quarter", "previous_year",
    "last_7_days", "last_30_days", "last_90_days", "last_3_months", "last_12_months", "last_24_months",
    "month_to_date", "quarter_to_date", "year_to_date",
    "custom", "all_time",
]  # fmt: skip
MEANINGS: Mapping[str, str] = MappingProxyType({
    "since_previous_occurrence": "from the previous occurrence of the schedule to this one",
    "since_last_delivery": "from the end of the last delivered period to this occurrence; in a backfill, "
    "from the previous occurrence",
    **{f"this_{unit}": f"the {unit} that holds the occurrence; the run waits for its end" for unit in UNITS},
    **{f"previous_{unit}": f"the {unit} before the one that holds the occurrence" for unit in UNITS},
    **{f"last_{days}_days": f"{days} days through yesterday" for days in (7, 30, 90)},
    "last_3_months": "from the same day 3 months ago through yesterday",
    "last_12_months": "from the same day a year ago through yesterday",
    "last_24_months": "from the same day two years ago through yesterday",
    **{f"{unit}_to_date": f"the {unit} that holds yesterday, through yesterday" for unit in UNITS[2:]},
    "custom": "from `start` to `end`, local days, `end` not included",
    "all_time": "everything through yesterday",
})  # fmt: skip
_LAST_DAYS = {"last_7_days": 7, "last_30_days": 30, "last_90_days": 90}
_LAST_MONTHS = {"last_3_months": 3, "last_12_months": 12, "last_24_months": 24}
_ENDS_YESTERDAY = {kind for kind, meaning in MEANINGS.items() if meaning.endswith("through yesterday")}


class Period(Strict):
    """Which interval a run reports on."""

    kind: PeriodKind
    """Which kind of interval."""
    include_current_day: bool = False
    """End at the occurrence instead of at the start of its day (`last_...`, `..._to_date` and `all_time`)."""
    start: Day | None = None
    """`custom`: first local day."""
    end: Day | None = None
    """`custom`: local day before which the period ends."""

    @model_validator(mode="after")
    def _fits(self) -> Period:
        if self.include_current_day and self.kind not in _ENDS_YESTERDAY:
            raise refuse("current_day_not_possible", f"include_current_day does not go with {self.kind}")
        if self.kind != "custom":
            if self.start or self.end:
                raise refuse("bounds_not_possible", "start and end go with kind custom only")
        elif self.start is None or self.end is None:
            raise refuse("bounds_missing", "custom needs start and end")
        elif self.start > self.end:
            raise refuse("start_after_end", "start must be before end")
        elif self.start == self.end:
            raise refuse("zero_length_period", "is empty: end is the first day after the period")
        return self


class Interval(NamedTuple):
    """Half-open `[start, end)` in UTC; `start` None means from the beginning."""

    start: datetime | None
    end: datetime


def first_of(unit: Unit, day: date) -> date:
    """Return the first day of the unit that holds a day; weeks begin on Monday."""
    if unit == "week":
        return day - timedelta(days=day.weekday())
    if unit == "month":
        return day.replace(day=1)
    if unit == "quarter":
        return day.replace(month=(day.month - 1) // 3 * 3 + 1, day=1)
    return day.replace(month=1, day=1) if unit == "year" else day


def first_of_next(unit: Unit, day: date) -> date:
    """Return the first day of the unit after the one that holds a day."""
    reach = {"day": 1, "week": 7, "month": 31, "quarter": 92, "year": 366}[unit]
    return first_of(unit, first_of(unit, day) + timedelta(days=reach))


def months_before(day: date, months: int) -> date:
    """Return the same day some months earlier; the last day of a month that is too short for it."""
    year, month = divmod(day.year * 12 + day.month - 1 - months, 12)
    return date(year, month + 1, min(day.day, monthrange(year, month + 1)[1]))


def period(
    spec: Period | None,
    occurrence: datetime,
    where: ZoneInfo,
    *,
    day: date | None = None,
    previous_occurrence: datetime | None = None,
    last_delivered_end: datetime | None = None,
) -> Interval | None:
    """Return the interval for one occurrence, None where there is no period.

    day: the local day that the occurrence stands for (default: its calendar day).
    previous_occurrence: needed by the two kinds `since_...`.
    last_delivered_end: end of the last delivered period; one that is not before the occurrence (a backfill)
    is passed over for the previous occurrence.
    """
    if spec is None:
        return None
    today = day or occurrence.astimezone(where).date()
    kind = spec.kind
    if kind == "custom":
        assert spec.start is not None
        assert spec.end is not None
        return Interval(start_of(spec.start, where), start_of(spec.end, where))
    if kind in ("since_previous_occurrence", "since_last_delivery"):
        since = previous_occurrence
        if (
            kind == "since_last_delivery"
            and last_delivered_end is not None
            and last_delivered_end < occurrence
        ):
            since = last_delivered_end
        if since is None:
            raise ValueError(f"{kind} needs the occurrence before {occurrence.isoformat()}")
        return Interval(since, occurrence)
    for unit in UNITS:
        if kind == f"this_{unit}":
            return Interval(
                start_of(first_of(unit, today), where), start_of(first_of_next(unit, today), where)
            )
        if kind == f"previous_{unit}":
            end = start_of(first_of(unit, today), where)
            return Interval(start_of(first_of(unit, last_day_before(end, where)), where), end)
    end = occurrence if spec.include_current_day else start_of(today, where)
    return Interval(_start_through(kind, last_day_before(end, where), where), end)


def _start_through(kind: PeriodKind, last: date, where: ZoneInfo) -> datetime | None:
    """Return where a period begins whose last day is `last`; None for `all_time`."""
    if kind in _LAST_DAYS:
        return start_of(last - timedelta(days=_LAST_DAYS[kind] - 1), where)
    if kind in _LAST_MONTHS:
        return start_of(months_before(last + timedelta(days=1), _LAST_MONTHS[kind]), where)
    for unit in UNITS:
        if kind == f"{unit}_to_date":
            return start_of(first_of(unit, last), where)
    return None


def label(interval: Interval, where: ZoneInfo) -> str:
    """Return a short name of an interval for file names: `2026-01`, `2026-Q1`, `2026-01-05_2026-01-11`.

    Whole local days are named by the first and the last day that the interval holds; any other bound by its
    local date and time.
    """
    if interval.start is None:
        return f"until_{point_label(interval.end, where)}"
    first = interval.start.astimezone(where).date()
    last = last_day_before(interval.end, where)
    if interval != (start_of(first, where), start_of(last + timedelta(days=1), where)):
        return f"{point_label(interval.start, where)}_{point_label(interval.end, where)}"
    for unit in ("day", "month", "quarter", "year"):
        if first == first_of(unit, first) and last == first_of_next(unit, first) - timedelta(days=1):
            return _unit_label(unit, first)
    return f"{first}_{last}"


def _unit_label(unit: Unit, first: date) -> str:
    if unit == "quarter":
        return f"{first:%Y}-Q{(first.month + 2) // 3}"
    return f"{first:{'%Y' if unit == 'year' else '%Y-%m' if unit == 'month' else '%Y-%m-%d'}}"


def point_label(instant: datetime, where: ZoneInfo) -> str:
    """Return `2026-02-01` for the start of a local day, `2026-02-01T0600` for any other instant."""
    clock = instant.astimezone(where)
    if instant == start_of(clock.date(), where):
        return f"{clock:%Y-%m-%d}"
    return f"{clock:%Y-%m-%dT%H%M%S}" if clock.second or clock.microsecond else f"{clock:%Y-%m-%dT%H%M}"
