"""When an export is due: the kinds of schedule, and the instants at which each fires in a time zone.

A kind says on which local days it falls; `Recurrence` adds the time of day, the zone, and the bounds. A local
day has at most one occurrence. A day that the zone skipped has its occurrence at the first instant after it,
unless the schedule also falls on the day that follows: then it has none, so that nothing fires twice.
"""

from __future__ import annotations

from calendar import monthrange
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from typing import Annotated, Any, Literal, TypeAlias, get_args
from zoneinfo import ZoneInfo

from pydantic import BeforeValidator, Field, TypeAdapter, model_validator

from include.definitions.base import Clock, Day, Strict, refuse, show_time
from include.definitions.zones import day_exists, instant_at, local, zone

Weekday = Literal["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
WEEKDAYS: tuple[str, ...] = get_args(Weekday)
LocalDay: TypeAlias = date  # for the class that has a field of that name
ONE_DAY = timedelta(days=1)
# 29 February is missing from 2096 to 2104: nothing that fires at all is silent for longer.
LONGEST_SILENCE = timedelta(days=366 * 8 + 31)


def _weekday(value: object) -> object:
    """Full names; their case is free, and the first three letters will do."""
    if isinstance(value, str):
        lower = value.strip().lower()
        return next((name for name in WEEKDAYS if lower in (name, name[:3])), value)
    return value


def _day_of_month(value: object) -> object:
    if isinstance(value, str) and value.strip().lower() == "last":
        return "last"
    if isinstance(value, bool) or not isinstance(value, int) or not 1 <= value <= 31:
        raise refuse("bad_day_of_month", "must be a day from 1 to 31, or last")
    return value


DayOfMonth = Annotated[Annotated[int, Field(ge=1, le=31)] | Literal["last"], BeforeValidator(_day_of_month)]


class _Recurring(Strict):
    """What every recurring kind has."""

    time: Clock
    """Local time of day."""
    start: Day | None = None
    """First local day on which it may run."""
    end: Day | None = None
    """Local day before which it stops: the first on which it runs no more."""

    @model_validator(mode="after")
    def _fires(self) -> _Recurring:
        if self.start and self.end and self.start >= self.end:
            raise refuse("start_after_end", "start must be before end; end is the first day without a run")
        if self.end and self.start is None:
            return self
        first = self.start or date(2000, 1, 1)
        last = self.end - ONE_DAY if self.end else first + LONGEST_SILENCE
        if next(self.days_between(first, last), None) is None:
            raise refuse("never_fires", "never fires: no day in its bounds is one of its days")
        return self

    def days_between(self, first: date, last: date) -> Iterator[date]:
        """Yield the local days from `first` to `last`, both included, on which this kind falls."""
        raise NotImplementedError

    def words(self) -> str:
        """Return how a person would say it, without time and zone."""
        raise NotImplementedError


class Once(Strict):
    """Once, on a date."""

    kind: Literal["once"]
    date: Day
    """The local day."""
    time: Clock
    """Local time of day."""

    @property
    def start(self) -> LocalDay | None:
        """No bound but its own date."""
        return None

    @property
    def end(self) -> LocalDay | None:
        """No bound but its own date."""
        return None

    def days_between(self, first: LocalDay, last: LocalDay) -> Iterator[LocalDay]:
        """Yield the one day, if it is there."""
        if first <= self.date <= last:
            yield self.date

    def words(self) -> str:
        """Return `Once on 2026-01-31`."""
        return f"Once on {self.date}"


class Daily(_Recurring):
    """Every day."""

    kind: Literal["daily"]

    def days_between(self, first: date, last: date) -> Iterator[date]:
        """Yield every day."""
        return _days(first, last)

    def words(self) -> str:
        """Return `Daily`."""
        return "Daily"


class Weekly(_Recurring):
    """On some days of the week."""

    kind: Literal["weekly"]
    days: list[Annotated[Weekday, BeforeValidator(_weekday)]] = Field(min_length=1)
    """Days of the week."""

    def days_between(self, first: date, last: date) -> Iterator[date]:
        """Yield the days whose weekday is asked for."""
        wanted = {WEEKDAYS.index(name) for name in self.days}
        return (day for day in _days(first, last) if day.weekday() in wanted)

    def words(self) -> str:
        """Return `Weekly on Monday and Thursday`, in the order of the week."""
        return f"Weekly on {_list([name.title() for name in WEEKDAYS if name in self.days])}"


class Monthly(_Recurring):
    """On some days of the month; `last` is the last day, whichever it is.

    A month that lacks a day (30 February) has no run for it.
    """

    kind: Literal["monthly"]
    days: list[DayOfMonth] = Field(min_length=1)
    """Days of the month, 1 to 31, and `last`."""
    months: list[Annotated[int, Field(ge=1, le=12)]] | None = Field(None, min_length=1)
    """Only in these months, 1 to 12; every month when left out."""

    def days_between(self, first: date, last: date) -> Iterator[date]:
        """Yield the days asked for, month by month."""
        for month in _months(first, last):
            if self.months and month.month not in self.months:
                continue
            length = monthrange(month.year, month.month)[1]
            for number in sorted({length if day == "last" else day for day in self.days}):
                if number <= length and first <= (day := month.replace(day=number)) <= last:
                    yield day

    def words(self) -> str:
        """Return `Monthly on days 1 and 15 and the Last day`."""
        numbers = sorted({day for day in self.days if day != "last"})
        parts = [f"day{'s' if len(numbers) > 1 else ''} {_list(numbers)}"] if numbers else []
        parts += ["the Last day"] if "last" in self.days else []
        names = [date(2000, number, 1).strftime("%B") for number in sorted(set(self.months or ()))]
        return f"Monthly on {' and '.join(parts)}" + (f" of {_list(names)}" if names else "")


class BusinessDay(_Recurring):
    """On the N-th business day of each month, counted from its end when negative."""

    kind: Literal["business_day"]
    day: int = Field(ge=-15, le=15)
    """Which one: 1 is the first business day of the month, -1 its last."""
    holidays: list[Day] = Field(default_factory=list)
    """Days from Monday to Friday that do not count."""

    @model_validator(mode="after")
    def _counts(self) -> BusinessDay:
        if self.day == 0:
            raise refuse("bad_business_day", "day must be 1 to 15, or -1 to -15 from the end of the month")
        return self

    def days_between(self, first: date, last: date) -> Iterator[date]:
        """Yield one day a month (none in a month with fewer business days than that)."""
        for month in _months(first, last):
            end = month.replace(day=monthrange(month.year, month.month)[1])
            open_days = [d for d in _days(month, end) if d.weekday() < 5 and d not in self.holidays]
            index = self.day - 1 if self.day > 0 else self.day
            if abs(self.day) <= len(open_days) and first <= open_days[index] <= last:
                yield open_days[index]

    def words(self) -> str:
        """Return `Monthly on business day 3`, or `Monthly on the last business day`."""
        if self.day > 0:
            return f"Monthly on business day {self.day}"
        which = "the last business day" if self.day == -1 else f"business day {-self.day} from the end"
        return f"Monthly on {which}"


class QuarterEnd(_Recurring):
    """On the last day of each calendar quarter."""

    kind: Literal["quarter_end"]

    def days_between(self, first: date, last: date) -> Iterator[date]:
        """Yield 31 March, 30 June, 30 September and 31 December."""
        for month in _months(first, last):
            day = month.replace(day=monthrange(month.year, month.month)[1])
            if month.month % 3 == 0 and first <= day <= last:
                yield day

    def words(self) -> str:
        """Return `Quarterly on the Last day`."""
        return "Quarterly on the Last day"


Schedule = Annotated[Once | Daily | Weekly | Monthly | BusinessDay | QuarterEnd, Field(discriminator="kind")]
SCHEDULE: TypeAdapter[Schedule] = TypeAdapter(Schedule)


@dataclass(frozen=True)
class Recurrence:
    """A schedule in its time zone. Instants go in and come out aware; those that come out are UTC."""

    schedule: Schedule
    timezone: str

    @property
    def zone(self) -> ZoneInfo:
        """The time zone itself."""
        return zone(self.timezone)

    def occurrences(self, start: datetime, end: datetime) -> Iterator[datetime]:
        """Yield the occurrences in `[start, end)`, in order."""
        # A day's occurrence may fall on the local day after it (gaps), never later and never before it.
        for moment in self._from(local(start, self.zone).date() - ONE_DAY, local(end, self.zone).date()):
            if start <= moment < end:
                yield moment

    def next_after(self, instant: datetime) -> datetime | None:
        """Return the first occurrence strictly after an instant, None when there is none."""
        first = local(instant, self.zone).date() - ONE_DAY
        if self.schedule.start:
            first = max(first, self.schedule.start)
        last = self.schedule.date if isinstance(self.schedule, Once) else first + LONGEST_SILENCE
        return next((moment for moment in self._from(first, last) if moment > instant), None)

    def previous_before(self, instant: datetime, *, bounded: bool = True) -> datetime | None:
        """Return the last occurrence strictly before an instant, None when there is none.

        Unless `bounded`, the schedule's own start and end do not count: the slot before its first one.
        """
        day = local(instant, self.zone).date()
        if bounded and self.schedule.end:
            day = min(day, self.schedule.end)
        if isinstance(self.schedule, Once):
            back: tuple[timedelta, ...] = (max(day - self.schedule.date, timedelta(0)),)
        else:
            back = (timedelta(days=8), timedelta(days=100), LONGEST_SILENCE)
        for reach in back:
            found = [m for m in self._from(day - reach, day, bounded=bounded) if m < instant]
            if found:
                return found[-1]
        return None

    def day_of(self, instant: datetime) -> date:
        """Return the local day that an instant stands for.

        That is the day of the calendar, but for an occurrence which a gap moved past midnight: it stands for
        the day on which it was due.
        """
        today = local(instant, self.zone).date()
        due = today - ONE_DAY
        moved = any(self._moment(day) == instant for day in self.schedule.days_between(due, due))
        return due if moved and day_exists(due, self.zone) else today

    def describe(self) -> str:
        """Return for example `Monthly on the Last day 06:00 Europe/Paris`."""
        text = f"{self.schedule.words()} {show_time(self.schedule.time)} {self.timezone}"
        text += f", from {self.schedule.start}" if self.schedule.start else ""
        return text + (f", until {self.schedule.end - ONE_DAY}" if self.schedule.end else "")

    def document(self) -> dict[str, Any]:
        """Return what `from_document` takes, as JSON values."""
        return {"schedule": SCHEDULE.dump_python(self.schedule, mode="json"), "timezone": self.timezone}

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Recurrence:
        """Return the recurrence that `document` made."""
        return cls(SCHEDULE.validate_python(document["schedule"]), document["timezone"])

    def _from(self, first: date, last: date, *, bounded: bool = True) -> Iterator[datetime]:
        if bounded and self.schedule.start:
            first = max(first, self.schedule.start)
        if bounded and self.schedule.end:
            last = min(last, self.schedule.end - ONE_DAY)
        for day in self.schedule.days_between(first, last):
            moment = self._moment(day)
            if moment is not None:
                yield moment

    def _moment(self, day: date) -> datetime | None:
        moment = instant_at(day, self.schedule.time, self.zone)
        after = day + ONE_DAY
        if local(moment, self.zone).date() == day or day_exists(day, self.zone):
            return moment
        return None if any(self.schedule.days_between(after, after)) else moment


def _days(first: date, last: date) -> Iterator[date]:
    while first <= last:
        yield first
        first += ONE_DAY


def _months(first: date, last: date) -> Iterator[date]:
    month = first.replace(day=1)
    while month <= last:
        yield month
        month = (month + timedelta(days=32)).replace(day=1)


def _list(words: list[Any]) -> str:
    texts = [str(word) for word in words]
    return " and ".join(filter(None, [", ".join(texts[:-1]), texts[-1]]))
