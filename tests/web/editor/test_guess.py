"""What helps while somebody types works on what is there: next runs, names of files, and says nothing of what is wrong."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include.definitions.periods import Interval
from include.definitions.zones import zone
from include.web.editor import naming, schedule
from include.web.editor.guess import guessed

NOW = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
MONTHLY = {"kind": "monthly", "days": [31], "time": "06:00"}


def told(**document):
    return schedule.told(document, NOW)


def test_the_next_runs_with_the_days_that_each_is_about():
    found = told(schedule=MONTHLY, timezone="Europe/Paris", period="previous_month", name="", targets=[])
    assert found is not None
    assert [(f"{run.occurrence:%Y-%m-%d %H:%M}", about) for run, about in found.runs] == [
        ("2026-12-31 05:00", "about 1 to 30 November 2026"),
        ("2027-01-31 05:00", "about 1 to 31 December 2026"),
        ("2027-03-31 04:00", "about 1 to 28 February 2027"),
        ("2027-05-31 04:00", "about 1 to 30 April 2027"),
        ("2027-07-31 04:00", "about 1 to 30 June 2027"),
    ]
    assert found.notes[0] == "November 2026 has no day 31: no run for it."


@pytest.mark.parametrize(
    "document",
    [
        {"schedule": {"kind": "monthly", "days": ["x"], "time": "06:00"}},
        {"schedule": {"kind": "daily", "time": "25:00"}},
        {"schedule": {"kind": "daily", "time": "06:00"}, "timezone": "Paris"},
        {"schedule": {"kind": "daily", "time": "06:00"}, "period": "no"},
        {
            "schedule": {"kind": "once", "date": "2026-12-01", "time": "06:00"},
            "period": "since_last_delivery",
        },
        {"schedule": {}},
    ],
)
def test_nothing_is_said_of_a_schedule_that_is_wrong(document):
    assert schedule.told(document, NOW) is None


def test_what_is_said_of_other_schedules():
    once = told(schedule={"kind": "once", "date": "2026-12-01", "time": "06:00"})
    over = told(schedule={"kind": "once", "date": "2026-01-01", "time": "06:00"})
    paused = told(schedule={"kind": "daily", "time": "06:00"}, paused=True)
    by_hand = told()
    assert once
    assert over
    assert paused
    assert by_hand
    assert (len(once.runs), once.notes) == (1, ("It runs once.",))
    assert (over.runs, over.notes) == ((), ("It never runs: its day has passed, or its end.",))
    assert "paused" in paused.notes[-1]
    assert "when somebody starts it" in by_hand.notes[0]


PARIS = zone("Europe/Paris")
DAYS = {
    (None, "2026-11-30T23:00"): "everything before the start of 1 December 2026",
    ("2026-11-22T23:00", "2026-11-23T23:00"): "23 November 2026",
    ("2026-11-15T23:00", "2026-11-22T23:00"): "16 to 22 November 2026",
    ("2026-11-29T23:00", "2026-12-06T23:00"): "30 November to 6 December 2026",
    ("2026-12-27T23:00", "2027-01-03T23:00"): "28 December 2026 to 3 January 2027",
    ("2026-11-22T05:00", "2026-11-23T05:00"): "22 November 2026, 06:00 to 23 November 2026, 06:00",
}


@pytest.mark.parametrize("bounds", DAYS)
def test_an_interval_in_words(bounds):
    start, end = (text and datetime.fromisoformat(text).replace(tzinfo=UTC) for text in bounds)
    assert schedule.days(Interval(start, end), PARIS) == DAYS[bounds]


NAMES = {
    "the usual": ({"id": "x"}, ("x_2026-11-22T1200.csv.gz",)),
    "of its next run": (
        {"id": "x", "schedule": {"kind": "daily", "time": "06:00"}, "period": "previous_day", "file": {"compression": "none"}},
        ("x_2026-11-22.csv",),
    ),
    "a template": ({"id": "x", "file": {"name": "{date} {id}", "format": "xlsx"}}, ("2026-11-22 x.xlsx",)),
    "no id yet": ({"name": "", "id": "", "file": {"format": "jsonl", "compression": "zip"}}, ("this-export_2026-11-22T1200.jsonl.zip",)),
    "in parts": ({"id": "x", "file": {"split": {"rows": 1000}}}, ("x_2026-11-22T1200_0001.csv.gz",)),
    "a pack": (
        {"id": "x", "exports": [{"id": "a", "model": "balance"}, {"id": "b", "model": "history"}]},
        ("x_a_2026-11-22T1200.csv.gz", "x_b_2026-11-22T1200.csv.gz"),
    ),
    "an archive": (
        {"id": "x", "bundle": "zip", "exports": [{"id": "a", "model": "balance"}, {"id": "b", "model": "history"}]},
        ("x_2026-11-22T1200.zip",),
    ),
    "a workbook": (
        {"id": "x", "bundle": "workbook", "exports": [{"id": "a", "model": "balance"}]}, ("x_2026-11-22T1200.xlsx",),
    ),
    "a wrong template": ({"id": "x", "file": {"name": "{no}"}}, ()),
    "a wrong format": ({"id": "x", "file": {"format": "no"}}, ()),
}  # fmt: skip


@pytest.mark.parametrize("case", NAMES)
def test_the_names_of_the_files(case):
    document, names = NAMES[case]
    assert naming.names(document, NOW) == names


def test_a_guess_never_stands_for_what_must_be_right():
    assert guessed({"schedule": {"kind": "no"}}, ["schedule"]) is None
    found = guessed({"schedule": {"kind": "no"}, "id": "x"}, ["id"])
    assert found is not None
    assert (found.id, found.schedule) == ("x", None)
