"""The next runs in words: worked cases of clocks, calendars and months, and properties of any schedule."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.definitions.load import from_document
from include.definitions.model import ExportDefinition
from include.definitions.schedule_notes import coming, gaps


def defined(**keys: Any) -> ExportDefinition:
    document = {
        "id": "x",
        "name": "X",
        "model": "balance",
        "timezone": "Europe/Paris",
        "targets": [{"kind": "folder"}],
    }
    return from_document(document | keys, where="test")


def daily(time: str, zone: str = "Europe/Paris") -> ExportDefinition:
    return defined(schedule={"kind": "daily", "time": time}, timezone=zone)


def at(text: str) -> datetime:
    return datetime.fromisoformat(text).replace(tzinfo=UTC)


# before (the instant from which one looks), apply (the schedule), after (UTC instants with their notes)
CLOCKS = {
    "clocks go forward: 02:30 does not exist": (
        "2026-03-28T12:00", daily("02:30"),
        [
            ("2026-03-29T01:00", ["clocks go forward on 29 March 2026: 02:30 does not exist, runs at 03:00"]),
            ("2026-03-30T00:30", []),  # the clocks show the same as at the run before
        ],
    ),
    "clocks go back: 02:30 comes twice": (
        "2026-10-24T12:00", daily("02:30"),
        [
            ("2026-10-25T00:30", ["clocks go back on 25 October 2026: 02:30 comes twice, runs the first time"]),
            ("2026-10-26T01:30", ["clocks went back on 25 October 2026: 02:30 is 01:30 UTC, where it was 00:30 UTC before"]),
        ],
    ),
    "a run after the change of its own day": (
        "2026-10-24T12:00", daily("06:00"),
        [
            ("2026-10-25T05:00", ["clocks go back on 25 October 2026: 06:00 is 05:00 UTC, where it was 04:00 UTC before"]),
            ("2026-10-26T05:00", []),
        ],
    ),
    "midnight that does not exist": (
        "2026-09-05T12:00", daily("00:00", "America/Santiago"),
        [
            ("2026-09-06T04:00", ["clocks go forward on 6 September 2026: 00:00 does not exist, runs at 01:00"]),
            ("2026-09-07T03:00", []),
        ],
    ),
    "half an hour in Lord Howe": (
        "2026-10-03T00:00", daily("02:15", "Australia/Lord_Howe"),
        [("2026-10-03T15:30", ["clocks go forward on 4 October 2026: 02:15 does not exist, runs at 02:30"])],
    ),
    "a day that Apia has not": (
        "2011-12-29T00:00", daily("06:00", "Pacific/Apia"),
        [
            ("2011-12-29T16:00", []),
            ("2011-12-30T16:00", ["the calendar of Pacific/Apia skips 30 December 2011: no run for it"]),
        ],
    ),
    "no clocks to change": (
        "2026-03-28T12:00", daily("02:30", "Asia/Tokyo"),
        [("2026-03-28T17:30", []), ("2026-03-29T17:30", [])],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", CLOCKS)
def test_clocks(case):
    before, definition, after = CLOCKS[case]
    found = coming(definition, at(before), len(after))
    assert [(run.occurrence, list(run.notes)) for run in found] == [
        (at(text), notes) for text, notes in after
    ]


def test_each_run_says_which_period_it_is_about():
    definition = defined(
        schedule={"kind": "monthly", "days": ["last"], "time": "06:00"}, period="previous_month"
    )
    [first, second] = coming(definition, at("2026-12-01T00:00"), 2)
    # 31 December 06:00 in Paris: November there, which begins at 23:00 UTC on the day before.
    assert first.interval == (at("2026-10-31T23:00"), at("2026-11-30T23:00"))
    assert second.interval == (at("2026-11-30T23:00"), at("2026-12-31T23:00"))
    assert first.as_of == first.interval.end


def test_a_run_about_a_moment_says_which():
    definition = defined(schedule={"kind": "daily", "time": "06:00"}, as_of="end_of_previous_day")
    [run] = coming(definition, at("2026-12-01T12:00"), 1)
    assert (run.interval, run.as_of) == (None, at("2026-12-01T23:00"))


def test_a_run_that_waits_says_so():
    definition = defined(schedule={"kind": "quarter_end", "time": "06:00"}, period="this_quarter")
    [run] = coming(definition, at("2026-11-01T00:00"), 1)
    assert run.occurrence < run.as_of
    assert "waits until what it reports on is over" in run.notes


def test_the_last_runs_of_a_schedule_that_ends():
    definition = defined(
        schedule={"kind": "daily", "time": "06:00", "start": "2026-01-01", "end": "2026-01-03"}
    )
    assert len(coming(definition, at("2025-12-01T00:00"))) == 2
    assert coming(definition, at("2026-02-01T00:00")) == ()
    assert coming(defined(), at("2026-02-01T00:00")) == ()


GAPS = {
    "February has no 30th": (
        {"kind": "monthly", "days": [30], "time": "06:00"}, "2027-01-15", "2027-03-31",
        ["February 2027 has no day 30: no run for it"],
    ),
    "a leap year has a 29th": ({"kind": "monthly", "days": [29], "time": "06:00"}, "2028-01-15", "2028-03-31", []),
    "two days are missing": (
        {"kind": "monthly", "days": [31, 30, 1], "time": "06:00"}, "2027-02-01", "2027-04-30",
        ["February 2027 has no days 30 and 31: no run for them", "April 2027 has no day 31: no run for it"],
    ),
    "the last day is always there": ({"kind": "monthly", "days": ["last"], "time": "06:00"}, "2027-01-01", "2027-12-31", []),
    "months that are not asked for": (
        {"kind": "monthly", "days": [31], "months": [1, 3], "time": "06:00"}, "2027-01-01", "2027-12-31", [],
    ),
    "too few business days": (
        {"kind": "business_day", "day": 15, "time": "06:00", "holidays": [f"2027-02-{day:02}" for day in range(1, 13)]},
        "2027-01-01", "2027-03-31",
        ["February 2027 has fewer than 15 business days: no run"],  # 20 less 10 holidays from Monday to Friday
    ),
    "outside its bounds": (
        {"kind": "monthly", "days": [30], "time": "06:00", "start": "2027-03-01"}, "2027-01-01", "2027-04-30", [],
    ),
}  # fmt: skip


@pytest.mark.parametrize("case", GAPS)
def test_months_that_lack_a_day(case):
    schedule, first, last, sentences = GAPS[case]
    definition = defined(schedule=schedule)
    assert definition.schedule is not None
    found = gaps(definition.schedule, date.fromisoformat(first), date.fromisoformat(last))
    assert list(found) == sentences


ZONES = st.sampled_from(
    ["Europe/Paris", "America/New_York", "Pacific/Apia", "Australia/Lord_Howe", "America/Santiago", "UTC"]
)
INSTANTS = st.integers(1_104_537_600, 2_051_222_400).map(lambda second: datetime.fromtimestamp(second, UTC))


@given(ZONES, INSTANTS, st.times())
def test_notes_are_about_the_clock_on_the_wall(zone, after, clock):
    definition = daily(clock.replace(second=0, microsecond=0).isoformat("minutes"), zone)
    runs = coming(definition, after)
    assert len(runs) == 5
    moments = [after, *(run.occurrence for run in runs)]
    assert all(one < other <= one + timedelta(hours=49) for one, other in pairwise(moments))
    for before, run in pairwise(runs):
        # Who is told nothing sees runs a day apart, at the same time of the wall.
        quiet = not run.notes and not before.notes
        assert not quiet or run.occurrence - before.occurrence == timedelta(days=1)
