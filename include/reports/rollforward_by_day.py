"""Roll-forward by day: what moved each program's points on each day of the period, from opening to closing.

The figures are liability's (docs/ledger.md section 6), without money: each day opens with what the day before
closed with, and the days of any period add up to the roll-forward of that period.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa

from include.errors import LedgerViolation
from include.ledger.catalog import BOOKING_COLUMNS
from include.ledger.columns import Column
from include.ledger.rows import TransactionType
from include.reports import daily, glossary, programs
from include.reports.engine.kept import Kept, Sums
from include.reports.engine.replay import BookedPartition, Ints
from include.reports.horizon import Horizon
from include.reports.model import Asked, Cut, LocalSnapshot, Needs, Period, Report

KIND = "rollforward_by_day"
TITLE = "Points roll-forward by day"
PERIOD: Period = "required"

# Each movement, the type of row that makes it, and its sign: every movement is a positive figure but `adjusted`.
_MOVEMENTS = {
    "earned": (TransactionType.EARNED, 1),
    "earned_reversed": (TransactionType.EARNED_REVERSED, -1),
    "redeemed": (TransactionType.REDEEMED, -1),
    "refunded": (TransactionType.REDEMPTION_REFUNDED, 1),
    "adjusted": (TransactionType.ADJUSTED, 1),
    "transferred_in": (TransactionType.TRANSFERRED_IN, 1),
    "transferred_out": (TransactionType.TRANSFERRED_OUT, -1),
    "expired": (TransactionType.EXPIRED, -1),
}
_COLUMNS = glossary.columns(KIND, ("program_id", "date", "opening", *_MOVEMENTS, "closing"))

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
    return _RollForward(asked, programs.ids(snapshot, asked.options.programs), snapshot)


class _RollForward:
    def __init__(self, asked: Asked, chosen: list[str], snapshot: LocalSnapshot) -> None:
        self.cuts: tuple[Cut, ...] = (asked.cut,)
        self._days = daily.period_days(asked, snapshot)
        # What was before the period counts as a day of its own.
        before = np.iinfo(np.int64).min if asked.start is None else asked.start
        self._horizon = Horizon((self._days.days[0], *self._days.days), np.append(before, self._days.ends))
        self._programs = chosen
        self._moved = np.zeros((len(TransactionType), len(chosen), len(self._horizon.days)), np.int64)
        self._held = np.zeros(len(chosen), np.int64)
        self.kept: tuple[Kept, ...] = (Sums(self._moved, self._held),)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        program = daily.program_numbers(partition, self._programs)
        self._moved += daily.moved_by_day(partition, program, len(self._programs), self._horizon)
        booked, kept = partition.booked, program >= 0
        np.add.at(self._held, program[kept], (booked.active + booked.pending - booked.debt)[kept])
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        closing = np.cumsum(self._moved.sum(axis=0), axis=1)
        self._check(closing[:, -1])
        movements = [sign * self._moved[kind, :, 1:] for kind, sign in _MOVEMENTS.values()]
        figures = np.stack([closing[:, :-1], *movements, closing[:, 1:]])
        return daily.table(self._programs, self._days, figures, _COLUMNS)

    def _check(self, closing: Ints) -> None:
        for index in np.flatnonzero(closing != self._held).tolist():
            raise LedgerViolation(
                f"the days of program {self._programs[index]} lead to {closing[index]} hundredths of a point, "
                f"its accounts hold {self._held[index]}"
            )
