"""Points total: active, pending and expired points of each program at the end of each day of the period.

`expired` is all that has expired so far. The last day is what the balance report says as of the period's end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from include.ledger.catalog import BOOKING_COLUMNS
from include.ledger.columns import Column
from include.reports import daily, glossary, programs
from include.reports.engine.kept import Kept, Sums
from include.reports.engine.replay import BookedPartition
from include.reports.model import Asked, Cut, LocalSnapshot, Needs, Period, Report

KIND = "points_total"
TITLE = "Points total by day"
PERIOD: Period = "required"

_COLUMNS = glossary.columns(KIND, ("program_id", "date", "active", "pending", "expired"))

Options = programs.Options


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return {"transactions": BOOKING_COLUMNS, "programs": programs.COLUMNS}


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:  # noqa: ARG001
    """Return the days of the period; raise BadInput for a program that the ledger does not have."""
    assert isinstance(asked.options, Options)
    programs.check(snapshot, KIND, asked.options.programs)
    return _PointsTotal(asked, programs.ids(snapshot, asked.options.programs), snapshot)


class _PointsTotal:
    def __init__(self, asked: Asked, chosen: list[str], snapshot: LocalSnapshot) -> None:
        self.cuts: tuple[Cut, ...] = (Cut(asked.as_of, asked.known_at, allocations=True),)
        self._horizon = daily.period_days(asked, snapshot)
        self._programs = chosen
        self._figures = np.zeros((3, len(chosen), len(self._horizon.days)), np.int64)
        self.kept: tuple[Kept, ...] = (Sums(self._figures),)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        program = daily.program_numbers(partition, self._programs)
        count, days = len(self._programs), len(self._horizon.days)
        held = daily.states(partition, self._horizon)
        self._figures[:2] += daily.by_day(held, program, count, days)
        self._figures[2] += daily.expired_by_day(partition, program, count, self._horizon)
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        return daily.table(self._programs, self._horizon, self._figures, _COLUMNS)
