"""Allocations: which debit, or expiry, used up which lot, how much and when.

docs/ledger.md sections 1 and 3. Of each lot, its points are the sum of its allocations and what is left of it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import pairwise
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.ledger.booking import ALLOCATED_AS_EXPIRY, ALLOCATED_AT_DEBIT, NEVER, TransactionType
from include.ledger.catalog import BOOKING_COLUMNS, FieldType
from include.ledger.columns import Column
from include.reports import programs
from include.reports.engine.kept import Kept
from include.reports.engine.replay import BookedPartition, Ints, instants
from include.reports.model import SLICE_ROWS, Asked, Cut, LocalSnapshot, Needs, Period, Report, arrow_schema

KIND = "allocations"
TITLE = "Allocations"
PERIOD: Period = "optional"

_COLUMNS = (
    Column("program_id", FieldType.ID),
    Column("subledger_id", FieldType.ID),
    Column("customer_id", FieldType.ID),
    Column("card_id", FieldType.ID),
    Column("debit_id", FieldType.ID),
    Column("debit_type", FieldType.ENUM),
    Column("lot_id", FieldType.ID),
    Column("points", FieldType.POINTS),
    Column("allocated_at", FieldType.INSTANT),
    Column("kind", FieldType.ENUM),
)
# In the order of booking's allocation kinds; then what expired by itself, which booking keeps apart.
_KINDS = pa.array(["debit", "repayment", "posted_expiry", "expiry"])
_DERIVED = 3
_WORDS = pa.array([kind.word for kind in TransactionType])
_AT_ONCE = 200_000  # allocations, or expiries, of one account: some 150 bytes each

Options = programs.Options


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the report reads where the ledger has them."""
    return {"transactions": BOOKING_COLUMNS, "programs": programs.COLUMNS}


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def of_accounts(options: Options) -> bool:  # noqa: ARG001
    """Return whether each row is of one account, in the order of accounts."""
    return True


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:  # noqa: ARG001
    """Return the allocations of `[start, end)`, or of all time before `as_of`."""
    assert isinstance(asked.options, Options)
    programs.check(snapshot, KIND, asked.options.programs)
    return _Allocations(asked, asked.options)


class _Allocations:
    def __init__(self, asked: Asked, options: Options) -> None:
        self.cuts: tuple[Cut, ...] = (Cut(asked.as_of, asked.known_at, allocations=True),)
        self.kept: tuple[Kept, ...] = ()
        self._start = asked.start
        self._programs = options.programs

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        for allocations, expiries in _stretches(partition):
            yield from self._stretch(partition, allocations, expiries)

    def _stretch(
        self, partition: BookedPartition, allocations: slice, expiries: slice
    ) -> Iterator[pa.RecordBatch]:
        booked = partition.booked
        expired = booked.expiry_lot[expiries]
        debit = np.concatenate((booked.allocation_debit[allocations], np.full(expired.size, -1)))
        lot = np.concatenate((booked.allocation_lot[allocations], expired))
        points = np.concatenate((booked.allocation_points[allocations], booked.expiry_points[expiries]))
        at = np.concatenate((booked.allocation_at[allocations], booked.expiry_at[expiries]))
        kind = np.concatenate(
            (booked.allocation_kind[allocations], np.full(expired.size, _DERIVED, np.uint8))
        )
        account = np.searchsorted(partition.rows.account_start, lot, side="right") - 1
        # At one instant what expires goes before debits and repayments (docs/ledger.md section 3).
        order = np.lexsort((kind != _DERIVED, at, account))
        order = order[self._asked_for(partition, lot[order], at[order], kind[order])]
        for first in range(0, order.size, SLICE_ROWS):
            one = order[first : first + SLICE_ROWS]
            yield _slice(partition, debit[one], lot[one], points[one], at[one], kind[one])

    def finish(self) -> Iterable[pa.RecordBatch]:
        return ()

    def _asked_for(
        self, partition: BookedPartition, lot: Ints, at: Ints, kind: NDArray[np.uint8]
    ) -> NDArray[np.bool_]:
        mask = np.ones(at.size, np.bool_)
        if self._start is not None:
            # What time does to a lot at the start, the state at the start has already; what a row does, not.
            by_row = (kind == ALLOCATED_AT_DEBIT) | (kind == ALLOCATED_AS_EXPIRY)
            created_before = partition.rows.created_at[lot] < self._start
            mask = np.where(created_before & ~by_row, at > self._start, at >= self._start)
        if self._programs:
            mask &= programs.mask(partition.accounts, self._programs)[partition.row_account[lot]]
        return mask


def _stretches(partition: BookedPartition) -> Iterator[tuple[slice, slice]]:
    """Yield stretches of allocations and expiries: those of a large account, which stand by time, in several."""
    booked = partition.booked
    if partition.rows.accounts_count > 1:
        yield slice(None), slice(None)
        return
    some = (booked.allocation_at[_AT_ONCE::_AT_ONCE], booked.expiry_at[_AT_ONCE::_AT_ONCE], [NEVER])
    ends = np.unique(np.concatenate(some))
    allocations, expiries = (np.searchsorted(of, ends) for of in (booked.allocation_at, booked.expiry_at))
    for begin, end in pairwise(zip([0, *allocations.tolist()], [0, *expiries.tolist()], strict=True)):
        yield slice(begin[0], end[0]), slice(begin[1], end[1])


def _slice(
    partition: BookedPartition, debit: Ints, lot: Ints, points: Ints, at: Ints, kind: NDArray[np.uint8]
) -> pa.RecordBatch:
    lot_id = partition.text("transaction_id", lot)
    derived = pc.binary_join_element_wise("expiry:", lot_id, "")
    debit_type = np.where(
        debit < 0, np.uint8(TransactionType.EXPIRED), partition.rows.type[np.maximum(debit, 0)]
    )
    values = {
        "debit_id": pc.coalesce(partition.text("transaction_id", debit), derived),
        "debit_type": _WORDS.take(pa.array(debit_type)),
        "lot_id": lot_id,
        "points": pa.array(points),
        "allocated_at": instants(at),
        "kind": _KINDS.take(pa.array(kind)),
    }
    arrays = [
        values[column.name] if column.name in values else partition.text(column.name, lot)
        for column in _COLUMNS
    ]
    return pa.RecordBatch.from_arrays(arrays, schema=arrow_schema(_COLUMNS))
