"""Which days a frame holds: none of today, whole ones of the brand's zone, and as many before them."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from types import SimpleNamespace
from typing import Any

import pytest

from include.errors import BadInput
from include.pipeline.dashboards.frames import WORDS, Days, frame, is_current
from include.pipeline.dashboards.reading import Figures
from include.state.runs import RunRecord

# The run of 8 October 2026 in Paris: its figures end with the 7th.
RUN = RunRecord(
    definition_id="dashboard", definition_version="v" * 64, definition={"timezone": "Europe/Paris"},
    start=datetime(2024, 10, 7, 22, tzinfo=UTC), end=datetime(2026, 10, 7, 22, tzinfo=UTC),
    as_of=datetime(2026, 10, 7, 22, tzinfo=UTC), known_at=datetime(2026, 10, 8, tzinfo=UTC),
)  # fmt: skip


def figures(**other: Any) -> Figures:
    return Figures(RUN.model_copy(update=other), SimpleNamespace())  # type: ignore[arg-type]


def day(text: str) -> date:
    return date.fromisoformat(f"{text}")


@pytest.mark.parametrize(
    ("kind", "first", "last", "before"),
    [
        ("previous_day", "2026-10-07", "2026-10-07", ("2026-10-06", "2026-10-06")),
        # Talon.One's own example: on 8 October, the last 7 days are 1 to 7 October.
        ("last_7_days", "2026-10-01", "2026-10-07", ("2026-09-24", "2026-09-30")),
        ("last_30_days", "2026-09-08", "2026-10-07", ("2026-08-09", "2026-09-07")),
        ("last_3_months", "2026-07-08", "2026-10-07", ("2026-04-08", "2026-07-07")),
        ("month_to_date", "2026-10-01", "2026-10-07", ("2026-09-01", "2026-09-07")),
        ("previous_month", "2026-09-01", "2026-09-30", ("2026-08-01", "2026-08-31")),
        ("last_12_months", "2025-10-08", "2026-10-07", ("2024-10-08", "2025-10-07")),
        ("year_to_date", "2026-01-01", "2026-10-07", ("2025-01-01", "2025-10-07")),
        ("previous_year", "2025-01-01", "2025-12-31", None),
    ],
)
def test_on_8_october(kind: str, first: str, last: str, before: tuple[str, str] | None):
    found = frame(figures(), kind)
    assert found.days == Days(day(first), day(last))
    assert found.before == (None if before is None else Days(*map(day, before)))


def test_the_table_above_knows_every_frame():
    cases = test_on_8_october.pytestmark[0].args[1]  # type: ignore[attr-defined]
    assert {case[0] for case in cases} == set(WORDS)


@pytest.mark.parametrize(
    ("words", "first"),
    [("Last 7 days", "2026-10-01"), ("Last 30 days", "2026-09-08"), ("Last 3 months", "2026-07-08"),
     ("Last year", "2025-10-08")],
)  # fmt: skip
def test_frames_mean_what_they_mean_at_talon_one(words: str, first: str):
    # Months and years go back from the same day, through yesterday: "last year" is no calendar year.
    kind = next(kind for kind, said in WORDS.items() if said == words)
    assert frame(figures(), kind).days == Days(day(first), day("2026-10-07"))


def test_the_month_before_march_is_the_whole_of_february():
    end = datetime(2026, 4, 1, tzinfo=UTC) - timedelta(hours=2)
    found = frame(figures(as_of=end, end=end), "previous_month")
    assert (found.days, found.before) == (
        Days(day("2026-03-01"), day("2026-03-31")),
        Days(day("2026-02-01"), day("2026-02-28")),
    )


def test_days_of_ones_own():
    found = frame(figures(), "custom", "2026-10-05", "2026-10-07")
    assert (found.days, found.before) == (
        Days(day("2026-10-05"), day("2026-10-07")), Days(day("2026-10-02"), day("2026-10-04")),
    )  # fmt: skip
    assert frame(figures(), "custom", "2024-10-08", "2024-10-08").before is None


@pytest.mark.parametrize(
    ("kind", "first", "last", "where", "right"),
    [
        ("last_99_days", "", "", "frame", "known time frames are previous_day"),
        ("custom", "", "2026-10-07", "from", "a day such as"),
        ("custom", "2026-10-07", "8 October", "to", "a day such as"),
        ("custom", "2026-10-01", "2026-10-08", "to", "holds 2024-10-08 to 2026-10-07"),  # today is not over
        ("custom", "2024-10-07", "2026-10-07", "from", "holds 2024-10-08 to 2026-10-07"),
        ("custom", "2026-10-07", "2026-10-06", "to", "not before the first day"),
        ("custom", "2026-02-30", "\x00", "to", "a day such as"),
    ],
)
def test_days_that_there_are_not(kind: str, first: str, last: str, where: str, right: str):
    with pytest.raises(BadInput) as error:
        frame(figures(), kind, first, last)
    problems = {problem.where: problem for problem in error.value.problems}
    assert right in problems[where].right


def test_all_that_is_wrong_is_said_at_once():
    with pytest.raises(BadInput) as error:
        frame(figures(), "custom", "yesterday", "2031-01-01")
    assert [problem.where for problem in error.value.problems] == ["from", "to"]


@pytest.mark.parametrize(
    ("now", "current"),
    [
        (datetime(2026, 10, 7, 22, tzinfo=UTC), True),  # midnight in Paris
        (datetime(2026, 10, 8, 21, 59, tzinfo=UTC), True),
        (datetime(2026, 10, 8, 22, 0, tzinfo=UTC), False),  # the 8th is over now
    ],
)
def test_figures_are_current_while_they_hold_yesterday(now: datetime, current: bool):
    assert is_current(figures(), now) is current


@pytest.mark.parametrize(
    ("first", "last", "said"),
    [
        ("2026-10-07", "2026-10-07", "7 Oct 2026"),
        ("2026-10-01", "2026-10-07", "1 to 7 Oct 2026"),
        ("2026-09-08", "2026-10-07", "8 Sep to 7 Oct 2026"),
        ("2025-10-08", "2026-10-07", "8 Oct 2025 to 7 Oct 2026"),
    ],
)
def test_a_frame_says_its_days(first: str, last: str, said: str):
    days = Days(day(first), day(last))
    assert str(days).replace("\N{EN DASH}", "to") == said
    assert first in days
    assert last in days
    assert "2026-10-08" not in days
    assert len(days) == (day(last) - day(first)).days + 1
