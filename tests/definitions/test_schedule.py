"""Schedules by hand: what a person reads off a calendar and a clock, kind by kind and change by change."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise

import pytest
from pydantic import ValidationError

from include.definitions.periods import Period, period
from include.definitions.schedule import SCHEDULE, Recurrence
from include.definitions.zones import local, start_of, zone
from tests.properties.test_schedules import CLOCK_CHANGES


def rule(zone_name: str, **document) -> Recurrence:
    return Recurrence(SCHEDULE.validate_python({"time": "06:00", **document}), zone_name)


def on(first: str, end: str, recurrence: Recurrence) -> list[str]:
    bounds = [start_of(date.fromisoformat(text), recurrence.zone) for text in (first, end)]
    return [f"{at.astimezone(recurrence.zone):%Y-%m-%d %H:%M}" for at in recurrence.occurrences(*bounds)]


def test_monthly_on_days_1_15_and_last():
    found = on("2026-01-10", "2026-04-01", rule("Europe/Paris", kind="monthly", days=[1, 15, "last"]))
    assert [text[5:10] for text in found] == [
        "01-15",
        "01-31",
        "02-01",
        "02-15",
        "02-28",
        "03-01",
        "03-15",
        "03-31",
    ]


def test_a_month_that_lacks_the_day_has_no_run_for_it():
    found = on("2026-01-01", "2026-06-01", rule("UTC", kind="monthly", days=[31]))
    assert [text[5:10] for text in found] == ["01-31", "03-31", "05-31"]


def test_day_31_and_last_are_one_run_where_they_are_one_day():
    found = on("2026-01-01", "2026-03-01", rule("UTC", kind="monthly", days=[31, "last"]))
    assert [text[5:10] for text in found] == ["01-31", "02-28"]


def test_weekly_on_the_days_of_the_week():
    found = on(
        "2026-07-01", "2026-07-15", rule("America/New_York", kind="weekly", days=["monday", "thursday"])
    )
    assert [text[5:10] for text in found] == ["07-02", "07-06", "07-09", "07-13"]


@pytest.mark.parametrize(
    ("day", "expected"),
    [(1, "2026-01-02"), (3, "2026-01-06"), (-1, "2026-01-30"), (-2, "2026-01-29")],
)
def test_business_days_skip_weekends_and_holidays(day, expected):
    recurrence = rule("UTC", kind="business_day", day=day, holidays=["2026-01-01"])
    assert [text[:10] for text in on("2026-01-01", "2026-02-01", recurrence)] == [expected]


def test_quarter_end():
    found = on("2026-01-01", "2027-01-01", rule("UTC", kind="quarter_end"))
    assert [text[5:10] for text in found] == ["03-31", "06-30", "09-30", "12-31"]


def test_29_february_is_found_over_the_century_without_a_leap_day():
    recurrence = rule("UTC", kind="monthly", days=[29], months=[2])
    assert recurrence.next_after(datetime(2096, 3, 1, tzinfo=UTC)) == datetime(2104, 2, 29, 6, tzinfo=UTC)
    assert recurrence.previous_before(datetime(2104, 2, 29, 6, tzinfo=UTC)) == datetime(
        2096, 2, 29, 6, tzinfo=UTC
    )


@pytest.mark.parametrize(
    ("name", "clock", "day", "utc"),
    [
        ("Europe/Paris", "02:30", "2026-03-29", "2026-03-29T01:00"),  # skipped: 03:00 follows 01:59
        ("Europe/Paris", "02:30", "2026-10-25", "2026-10-25T00:30"),  # twice: the first, still summer
        ("America/New_York", "01:30", "2026-11-01", "2026-11-01T05:30"),
        ("Australia/Lord_Howe", "02:15", "2026-10-04", "2026-10-03T15:30"),  # half an hour skipped
        (
            "America/Santiago",
            "00:00",
            "2026-09-06",
            "2026-09-06T04:00",
        ),  # midnight skipped: the day begins at 01:00
        ("Asia/Kathmandu", "00:10", "1986-01-01", "1985-12-31T18:30"),  # clocks went from 00:00 to 00:15
        ("America/Nuuk", "23:30", "2026-03-28", "2026-03-29T01:00"),  # 23:00 to 24:00 skipped
    ],
)
def test_clock_changes(name, clock, day, utc):
    recurrence = rule(name, kind="daily", time=clock)
    at = datetime.fromisoformat(utc).replace(tzinfo=UTC)
    assert list(recurrence.occurrences(at, at + timedelta(seconds=1))) == [at]
    assert recurrence.day_of(at) == date.fromisoformat(day)


def test_the_day_that_apia_never_had():
    """Apia crossed the date line: Thursday 29 December 2011 was followed by Saturday 31."""
    daily = rule("Pacific/Apia", kind="daily")
    assert on("2011-12-29", "2012-01-01", daily) == ["2011-12-29 06:00", "2011-12-31 06:00"]
    friday = rule("Pacific/Apia", kind="weekly", days=["friday"])
    assert on("2011-12-23", "2012-01-07", friday) == [
        "2011-12-23 06:00",
        "2011-12-31 00:00",
        "2012-01-06 06:00",
    ]
    both = rule("Pacific/Apia", kind="weekly", days=["friday", "saturday"])
    assert on("2011-12-29", "2012-01-06", both) == ["2011-12-31 06:00"]


@pytest.mark.parametrize("name", sorted(CLOCK_CHANGES))
@pytest.mark.parametrize("clock", ["00:00", "00:15", "02:15", "02:30", "23:30"])
def test_around_each_clock_change_each_day_is_reported_once(name, clock):
    """`previous_day`, run daily: the days that the reports cover follow one another without gap or overlap."""
    recurrence = rule(name, kind="daily", time=clock)
    for change in CLOCK_CHANGES[name]:
        start = start_of(change - timedelta(days=4), zone(name))
        found = list(recurrence.occurrences(start, start + timedelta(days=9)))
        cut = [period(Period(kind="previous_day"), at, zone(name), day=recurrence.day_of(at)) for at in found]
        assert len(found) >= 8
        assert all(one.start < one.end == two.start for one, two in pairwise(cut))
        days = [recurrence.day_of(at) for at in found]
        assert days == sorted(set(days))


def test_the_first_period_begins_at_the_slot_before_the_schedule():
    recurrence = rule("UTC", kind="weekly", days=["monday"], start="2026-01-05")
    first = datetime(2026, 1, 5, 6, tzinfo=UTC)
    assert recurrence.previous_before(first) is None
    assert recurrence.previous_before(first, bounded=False) == datetime(2025, 12, 29, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ({"kind": "monthly", "days": ["last"]}, "Monthly on the Last day 06:00 Europe/Paris"),
        ({"kind": "monthly", "days": [15, 1, "last"]}, "Monthly on days 1 and 15 and the Last day 06:00 Europe/Paris"),
        ({"kind": "monthly", "days": [1], "months": [4, 1]}, "Monthly on day 1 of January and April 06:00 Europe/Paris"),
        ({"kind": "weekly", "days": ["thursday", "Mon"]}, "Weekly on Monday and Thursday 06:00 Europe/Paris"),
        ({"kind": "daily", "time": "23:59:30"}, "Daily 23:59:30 Europe/Paris"),
        ({"kind": "daily", "start": "2026-01-01", "end": "2027-01-01"},
         "Daily 06:00 Europe/Paris, from 2026-01-01, until 2026-12-31"),
        ({"kind": "once", "date": "2026-10-08"}, "Once on 2026-10-08 06:00 Europe/Paris"),
        ({"kind": "business_day", "day": 3}, "Monthly on business day 3 06:00 Europe/Paris"),
        ({"kind": "business_day", "day": -1}, "Monthly on the last business day 06:00 Europe/Paris"),
        ({"kind": "business_day", "day": -2}, "Monthly on business day 2 from the end 06:00 Europe/Paris"),
        ({"kind": "quarter_end"}, "Quarterly on the Last day 06:00 Europe/Paris"),
    ],
)  # fmt: skip
def test_words(document, words):
    assert rule("Europe/Paris", **document).describe() == words


@pytest.mark.parametrize(
    ("document", "right"),
    [
        ({"kind": "monthly", "days": [30], "months": [2]}, "never fires: no day in its bounds is one of its days"),
        ({"kind": "monthly", "days": [31], "start": "2026-02-01", "end": "2026-03-01"},
         "never fires: no day in its bounds is one of its days"),
        ({"kind": "daily", "start": "2026-02-01", "end": "2026-01-01"},
         "start must be before end; end is the first day without a run"),
        ({"kind": "business_day", "day": 0}, "day must be 1 to 15, or -1 to -15 from the end of the month"),
        ({"kind": "once", "date": "2026-02-30"}, "is not in the calendar"),
        ({"kind": "once", "date": "30/01/2026"}, "must be a date between 1970 and 2200, such as 2026-01-31"),
        ({"kind": "daily", "time": "25:00"}, "must be a time of day such as 06:00 or 23:30"),
        ({"kind": "daily", "time": 600}, "must be a time of day such as 06:00 or 23:30"),
        ({"kind": "monthly", "days": [0]}, "must be a day from 1 to 31, or last"),
        ({"kind": "monthly", "days": [True]}, "must be a day from 1 to 31, or last"),
    ],
)  # fmt: skip
def test_refused(document, right):
    with pytest.raises(ValidationError) as caught:
        rule("UTC", **document)
    assert [error["msg"] for error in caught.value.errors()] == [right]


def test_local_time_of_the_first_pass():
    where = zone("Europe/Paris")
    assert local(datetime(2026, 10, 25, 1, 30, tzinfo=UTC), where).time() == time(2, 30)
