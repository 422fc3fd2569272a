"""How long the stage that a run is in may still take, from how far it has come."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Protocol

# Before that nobody can tell.
_LEAST_SECONDS = 2.0
_LEAST_SHARE = 0.005


class Staged(Protocol):
    """A run, or what a list knows of one: `rows_done` of `rows_total` belong to the stage that began at `stage_at`."""

    @property
    def stage_at(self) -> datetime | None:
        """When the stage began."""

    @property
    def rows_done(self) -> int:
        """Rows done."""

    @property
    def rows_total(self) -> int | None:
        """Rows in all, None while nobody knows."""

    @property
    def updated_at(self) -> datetime | None:
        """When the rows done were counted."""


def time_left(run: Staged) -> timedelta | None:
    """Return how long the stage may still take at the pace so far, None while nobody can tell."""
    if run.stage_at is None or run.updated_at is None or not run.rows_total:
        return None
    share = run.rows_done / run.rows_total
    seconds = (run.updated_at - run.stage_at).total_seconds()
    if seconds < _LEAST_SECONDS or share < _LEAST_SHARE:
        return None
    return timedelta(seconds=max(seconds / min(share, 1) - seconds, 0))


def shown(left: timedelta) -> str:
    """Return it in words: `a few seconds left`, `about 40 s left`, `about 3 min left`, `about 2 h 10 min left`."""
    seconds = left.total_seconds()
    if seconds < 10:
        return "a few seconds left"
    if seconds < 55:
        return f"about {round(seconds / 10) * 10} s left"
    minutes = max(round(seconds / 60), 1)
    hours, rest = divmod(minutes, 60)
    return f"about {f'{hours} h ' if hours else ''}{f'{rest} min ' if rest or not hours else ''}left"
