"""Periods by hand, in a zone that is not UTC; and the instant T that follows."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import get_args

import pytest

from include.definitions.load import from_document
from include.definitions.occasion import as_of_for, interval_for, name_values
from include.definitions.periods import MEANINGS, Interval, Period, PeriodKind, label, period, point_label
from include.definitions.zones import start_of, zone

PARIS = zone("Europe/Paris")
DAILY = {"kind": "daily", "time": "06:00"}


def paris(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=PARIS).astimezone(UTC)


def definition(**keys):
    document = {
        "id": "x",
        "name": "X y",
        "model": "history",
        "timezone": "Europe/Paris",
        "targets": [{"kind": "folder"}],
    }
    return from_document({**document, **keys}, where="x.yaml")


@pytest.mark.parametrize(
    ("kind", "start", "end"),
    [
        ("this_day", "2026-10-08", "2026-10-09"),
        ("this_week", "2026-10-05", "2026-10-12"),
        ("this_month", "2026-10-01", "2026-11-01"),
        ("this_quarter", "2026-10-01", "2027-01-01"),
        ("this_year", "2026-01-01", "2027-01-01"),
        ("previous_day", "2026-10-07", "2026-10-08"),
        ("previous_week", "2026-09-28", "2026-10-05"),
        ("previous_month", "2026-09-01", "2026-10-01"),
        ("previous_quarter", "2026-07-01", "2026-10-01"),
        ("previous_year", "2025-01-01", "2026-01-01"),
        ("last_7_days", "2026-10-01", "2026-10-08"),
        ("last_30_days", "2026-09-08", "2026-10-08"),
        ("last_90_days", "2026-07-10", "2026-10-08"),
        ("last_3_months", "2026-07-08", "2026-10-08"),
        ("last_12_months", "2025-10-08", "2026-10-08"),
        ("last_24_months", "2024-10-08", "2026-10-08"),
        ("month_to_date", "2026-10-01", "2026-10-08"),
        ("quarter_to_date", "2026-10-01", "2026-10-08"),
        ("year_to_date", "2026-01-01", "2026-10-08"),
    ],
)
def test_on_8_october(kind, start, end):
    """On 8 October, the last 7 days are 1 to 7 October."""
    found = period(Period(kind=kind), paris("2026-10-08T06:00"), PARIS)
    assert found == Interval(paris(start), paris(end))


@pytest.mark.parametrize(
    ("kind", "start"),
    [
        ("last_7_days", "2026-10-02"),
        ("last_3_months", "2026-07-09"),
        ("month_to_date", "2026-10-01"),
        ("all_time", None),
    ],
)
def test_the_current_day_when_asked(kind, start):
    at = paris("2026-10-08T06:00")
    found = period(Period(kind=kind, include_current_day=True), at, PARIS)
    assert found == Interval(start and paris(start), at)


def test_month_to_date_on_the_first_is_the_whole_month_before():
    found = period(Period(kind="month_to_date"), paris("2026-11-01T06:00"), PARIS)
    assert found == Interval(paris("2026-10-01"), paris("2026-11-01"))


def test_three_months_back_from_a_day_that_february_lacks():
    found = period(Period(kind="last_3_months"), paris("2026-05-31T06:00"), PARIS)
    assert found == Interval(paris("2026-02-28"), paris("2026-05-31"))


def test_all_time_ends_yesterday():
    assert period(Period(kind="all_time"), paris("2026-10-08T06:00"), PARIS) == Interval(
        None, paris("2026-10-08")
    )


def test_custom():
    spec = Period(kind="custom", start="2026-01-01", end="2026-03-29")
    assert period(spec, paris("2026-10-08T06:00"), PARIS) == Interval(
        paris("2026-01-01"), paris("2026-03-29")
    )


def test_no_period():
    assert period(None, paris("2026-10-08T06:00"), PARIS) is None


def test_since_the_previous_occurrence_of_the_schedule():
    one = definition(
        period="since_previous_occurrence", schedule={"kind": "weekly", "days": ["monday"], "time": "09:00"}
    )
    found = interval_for(one, paris("2026-03-30T09:00"))
    assert found == Interval(paris("2026-03-23T09:00"), paris("2026-03-30T09:00"))
    assert found.end - found.start == timedelta(days=7, hours=-1), "summer time began"


def test_since_the_last_delivery_and_in_a_backfill_since_the_previous_occurrence():
    one = definition(period="since_last_delivery", schedule=DAILY)
    at, before = paris("2026-10-08T06:00"), paris("2026-10-07T06:00")
    late = paris("2026-10-05T06:00")
    assert interval_for(one, at) == Interval(before, at)
    assert interval_for(one, at, last_delivered_end=late) == Interval(late, at)
    assert interval_for(one, at, last_delivered_end=paris("2026-12-01T06:00")) == Interval(before, at)


def test_a_run_on_the_last_day_is_about_the_end_of_the_month():
    one = definition(period="this_month", schedule={"kind": "monthly", "days": ["last"], "time": "06:00"})
    at = paris("2026-10-31T06:00")
    assert as_of_for(one, at) == paris("2026-11-01")


@pytest.mark.parametrize(
    ("as_of", "expected"),
    [
        (None, "2026-10-08T06:00"),
        ("occurrence", "2026-10-08T06:00"),
        ("end_of_previous_day", "2026-10-08"),
        ("end_of_previous_week", "2026-10-05"),
        ("end_of_previous_month", "2026-10-01"),
        ("end_of_previous_quarter", "2026-10-01"),
        ("end_of_previous_year", "2026-01-01"),
        ("end_of_this_day", "2026-10-09"),
        ("end_of_this_week", "2026-10-12"),
        ("end_of_this_month", "2026-11-01"),
        ("end_of_this_quarter", "2027-01-01"),
        ("end_of_this_year", "2027-01-01"),
        ("2026-07-01T00:00:00+02:00", "2026-07-01"),
    ],
)
def test_as_of(as_of, expected):
    one = definition(as_of=as_of, schedule=DAILY)
    assert as_of_for(one, paris("2026-10-08T06:00")) == paris(expected)
    assert from_document(one.document(), where="x") == one


def test_as_of_of_a_period_is_its_end():
    for extra in ({}, {"as_of": "period_end"}):
        assert as_of_for(definition(period="previous_month", **extra), paris("2026-10-08T06:00")) == paris(
            "2026-10-01"
        )


@pytest.mark.parametrize(
    ("start", "end", "text"),
    [
        ("2026-01-05", "2026-01-06", "2026-01-05"),
        ("2026-01-05", "2026-01-12", "2026-01-05_2026-01-11"),
        ("2026-01-01", "2026-02-01", "2026-01"),
        ("2026-03-01", "2026-04-01", "2026-03"),
        ("2026-10-01", "2027-01-01", "2026-Q4"),
        ("2026-01-01", "2027-01-01", "2026"),
        ("2026-01-05T09:00", "2026-01-12T09:00", "2026-01-05T0900_2026-01-12T0900"),
        (None, "2026-01-12", "until_2026-01-12"),
    ],
)
def test_labels(start, end, text):
    assert label(Interval(start and paris(start), paris(end)), PARIS) == text


def test_a_day_whose_midnight_was_skipped_is_a_whole_day():
    where = zone("America/Santiago")
    day = date(2026, 9, 6)
    assert (
        label(Interval(start_of(day, where), start_of(day + timedelta(days=1), where)), where) == "2026-09-06"
    )
    assert point_label(start_of(day, where), where) == "2026-09-06"


def test_name_values_speak_local_time():
    one = definition(period="previous_month", schedule=DAILY)
    at = paris("2026-10-08T06:00")
    values = name_values(one, occurrence=at, interval=interval_for(one, at), as_of=as_of_for(one, at))
    assert values == {
        "id": "x", "export": "x", "name": "X-y", "period": "2026-09", "start": "2026-09-01", "end": "2026-10-01", "as_of": "2026-10-01",
        "date": "2026-10-08", "time": "0600", "revision": "0",
    }  # fmt: skip


def test_each_kind_has_a_meaning():
    assert set(MEANINGS) == set(get_args(PeriodKind))
