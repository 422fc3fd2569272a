"""Time frames: which whole days a dashboard shows, and which ones before them it compares with.

Frames end with the last day that the files hold, so none holds a day that is not over. Their kinds are those of an
export's `period`, counted from there, and days are those of the brand's zone.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from types import MappingProxyType
from typing import get_args

from include.charts.words import DASH, full_day
from include.definitions.periods import Period, PeriodKind, months_before, period
from include.definitions.zones import last_day_before, local
from include.errors import BadInput, Problem
from include.pipeline.dashboards.reading import Figures

WORDS: Mapping[str, str] = MappingProxyType({
    "previous_day": "Yesterday",
    "last_7_days": "Last 7 days",
    "last_30_days": "Last 30 days",
    "last_3_months": "Last 3 months",
    "last_12_months": "Last year",
    "month_to_date": "Month to date",
    "year_to_date": "Year to date",
    "previous_month": "Previous calendar month",
    "previous_year": "Previous calendar year",
})  # fmt: skip
CUSTOM = "custom"
USUAL = "last_30_days"
_MONTHS_BACK = MappingProxyType({
    "last_3_months": 3, "last_12_months": 12, "month_to_date": 1, "year_to_date": 12, "previous_month": 1,
    "previous_year": 12,
})  # fmt: skip
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Days:
    """Whole days, the first and the last one both included."""

    first: date
    last: date

    def __len__(self) -> int:
        return (self.last - self.first).days + 1

    def __contains__(self, day: str) -> bool:
        return self.first.isoformat() <= day <= self.last.isoformat()

    def __str__(self) -> str:
        if self.first == self.last:
            return full_day(self.last)
        begin = full_day(self.first)
        if self.first.year == self.last.year:
            same = self.first.month == self.last.month
            begin = f"{self.first.day}" if same else f"{self.first.day} {self.first:%b}"
        return f"{begin} {DASH} {full_day(self.last)}"


@dataclass(frozen=True)
class Frame:
    """The days that are shown, and as many before them, None where the files do not go back so far."""

    kind: str
    words: str
    days: Days
    before: Days | None


def frame(figures: Figures, kind: str = USUAL, first: str = "", last: str = "") -> Frame:
    """Return a frame by its kind; of kind `custom`, the days from `first` to `last` (ISO, both included).

    Raises BadInput for a kind or a day that is none, and for days that the files do not hold.
    """
    if kind == CUSTOM:
        days = _custom(figures, first, last)
        return Frame(kind, "These days", days, _before(figures, kind, days))
    if kind not in WORDS:
        known = ", ".join((*WORDS, CUSTOM))
        raise BadInput([Problem("frame", kind, f"known time frames are {known}", "unknown_frame")])
    known_kind: PeriodKind = next(each for each in get_args(PeriodKind) if each == kind)
    found = period(Period(kind=known_kind), figures.as_of, figures.where)
    assert found is not None
    assert found.start is not None
    days = Days(local(found.start, figures.where).date(), last_day_before(found.end, figures.where))
    words = WORDS[kind]
    if kind == "previous_day" and not is_current(figures):
        words = "Last day"
    return Frame(kind, words, days, _before(figures, kind, days))


def is_current(figures: Figures, now: datetime | None = None) -> bool:
    """Say whether the files hold yesterday."""
    today = local(now or datetime.now(UTC), figures.where).date()
    return figures.last_day >= today - _DAY


def _custom(figures: Figures, first: str, last: str) -> Days:
    problems: list[Problem] = []
    found: list[date] = []
    held = f"{figures.first_day} to {figures.last_day}"
    for name, text in (("from", first), ("to", last)):
        try:
            day = date.fromisoformat(text)
        except ValueError:
            problems.append(Problem(name, text, "a day such as 2026-05-31", "not_a_day"))
            continue
        found.append(day)
        if not figures.first_day <= day <= figures.last_day:
            problems.append(Problem(name, text, f"the newest run holds {held}", "day_not_held"))
    if len(found) == 2 and found[0] > found[1]:
        problems.append(Problem("to", last, "not before the first day", "last_before_first"))
    if problems:
        raise BadInput(problems)
    return Days(*found)


def _before(figures: Figures, kind: str, days: Days) -> Days | None:
    back = _MONTHS_BACK.get(kind)
    if back is None:
        before = Days(days.first - len(days) * _DAY, days.first - _DAY)
    else:
        # The day after the last one goes back, so that a whole month has a whole one before it.
        end = months_before(days.last + _DAY, back) - _DAY
        first = months_before(days.first, back)
        before = Days(first, min(end, days.first - _DAY))
    return before if before.first >= figures.first_day else None
