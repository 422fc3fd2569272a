"""How long a stage may still take, and when nobody can tell."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import pytest

from include.pipeline.pace import shown, time_left

BEGAN = datetime(2026, 3, 1, tzinfo=UTC)


@dataclass(frozen=True)
class Stage:
    rows_done: int
    rows_total: int | None
    seconds: float
    stage_at: datetime | None = BEGAN

    @property
    def updated_at(self):
        return BEGAN + timedelta(seconds=self.seconds)


@pytest.mark.parametrize(
    ("stage", "seconds"),
    [
        # A quarter took 30 s, so three quarters take 90.
        (Stage(250, 1000, 30), 90),
        (Stage(1000, 1000, 30), 0),
        # More rows than were expected: it is as good as over.
        (Stage(1200, 1000, 30), 0),
    ],
)
def test_the_pace_so_far_goes_on(stage, seconds):
    assert time_left(stage) == timedelta(seconds=seconds)


@pytest.mark.parametrize(
    "stage",
    [
        Stage(250, None, 30), Stage(250, 0, 30), Stage(0, 1000, 30), Stage(4, 1000, 30), Stage(250, 1000, 1.5),
        Stage(250, 1000, 30, stage_at=None), Stage(250, 1000, -5),
    ],
)  # fmt: skip
def test_nobody_can_tell(stage):
    assert time_left(stage) is None


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "a few seconds left"), (9.9, "a few seconds left"), (34, "about 30 s left"), (54, "about 50 s left"),
     (55, "about 1 min left"), (89, "about 1 min left"), (200, "about 3 min left"), (3600, "about 1 h left"),
     (7800, "about 2 h 10 min left")],
)  # fmt: skip
def test_in_words(seconds, words):
    assert shown(timedelta(seconds=seconds)) == words
