"""An answer of some transactions, the newest first, reads the newest part of a snapshot, and the rest only if it must.

Files of a snapshot know when their rows were made, and these lie in them about evenly over that time. So it is known
from when on to read for so many rows. Where enough of them are wanted, those are the rows of everything: what is older
than a row that was found cannot come before it. That takes a tenth of a second, and so no process of its own.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

from include.definitions.content import Part
from include.reports.transactions import KIND
from include.snapshots.manifest import SnapshotFile, SnapshotManifest

NEAR_ROWS = 65_536
"""About so many rows are looked at; a row group of a file has twice as many, and is read whole."""
MOST_WANTED = NEAR_ROWS // 8
"""Filters leave less of the rows: for more than this they are not looked at first."""
_NEWEST = "-created_at"


class Near(NamedTuple):
    """From when on to read first (None: from the beginning), and whether that is all that was asked for."""

    start: datetime | None
    whole: bool


def near(part: Part, read: SnapshotManifest, start: datetime | None, end: datetime) -> Near | None:
    """Return where to look first for rows of `[start, end)`; None for what is no page of the newest transactions."""
    if part.model != KIND or part.aggregation is not None or not part.order or part.order[0] != _NEWEST:
        return None
    if part.limit is None or part.limit > MOST_WANTED:
        return None
    files = read.relations[KIND].files
    if any(each.last_created_at is None or each.first_created_at is None for each in files):
        return None
    low = _holding(sorted(files, key=_last, reverse=True), end)
    return (
        Near(start, whole=True)
        if low is None or (start is not None and low <= start)
        else Near(low, whole=False)
    )


def _holding(files: Sequence[SnapshotFile], end: datetime) -> datetime | None:
    """Return from when on about `NEAR_ROWS` rows before `end` were made; None where there are fewer."""
    wanted = float(NEAR_ROWS)
    for each in files:
        there = _before(each, end)
        if there >= wanted:
            until = min(_last(each), end)
            return until - (until - _first(each)) * (wanted / there)
        wanted -= there
    return None


def _before(file: SnapshotFile, end: datetime) -> float:
    """Return how many of a file's rows were made before `end`, where they lie evenly."""
    first, last = _first(file), _last(file)
    if end <= first:
        return 0.0
    span = last - first
    return float(file.rows) if end > last or span <= timedelta(0) else file.rows * ((end - first) / span)


def _first(file: SnapshotFile) -> datetime:
    assert file.first_created_at is not None
    return file.first_created_at


def _last(file: SnapshotFile) -> datetime:
    assert file.last_created_at is not None
    return file.last_created_at
