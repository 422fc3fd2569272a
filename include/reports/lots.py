"""Lots: every lot as of an instant, with what was used, what expired and what is left of it.

docs/ledger.md sections 1 and 3. `allocations` is its other half: which debit used which lot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from include.ledger.booking import TransactionType
from include.ledger.catalog import BOOKING_COLUMNS, FieldType
from include.ledger.columns import Column
from include.reports import programs
from include.reports.engine.kept import Kept
from include.reports.engine.replay import BookedPartition, Ints, instants, words
from include.reports.model import SLICE_ROWS, Asked, Cut, LocalSnapshot, Needs, Period, Report

KIND = "lots"
TITLE = "Lots"
PERIOD: Period = "none"

_COLUMNS = (
    Column("lot_id", FieldType.ID),
    Column("program_id", FieldType.ID),
    Column("subledger_id", FieldType.ID),
    Column("customer_id", FieldType.ID),
    Column("card_id", FieldType.ID),
    Column("type", FieldType.ENUM),
    Column("issued_at", FieldType.INSTANT),
    Column("activates_at", FieldType.INSTANT),
    Column("expires_at", FieldType.INSTANT),
    Column("points", FieldType.POINTS),
    Column("used", FieldType.POINTS),
    Column("expired", FieldType.POINTS),
    Column("remaining", FieldType.POINTS),
    Column("status", FieldType.ENUM),
)
_STATUS = pa.array(["pending", "active", "spent", "expired"])
_WORDS = pa.array([kind.word for kind in TransactionType])


class Options(BaseModel):
    """`open_only` keeps lots of which something is left; `programs` keeps only these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    open_only: bool = False
    programs: tuple[str, ...] = ()


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
    """Return the lots at `as_of`; raise BadInput for a program that the ledger does not have."""
    assert isinstance(asked.options, Options)
    programs.check(snapshot, KIND, asked.options.programs)
    return _Lots(asked, asked.options)


class _Lots:
    def __init__(self, asked: Asked, options: Options) -> None:
        self.cuts: tuple[Cut, ...] = (asked.cut,)
        self.kept: tuple[Kept, ...] = ()
        self._options = options

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        rows, booked = partition.rows, partition.booked
        is_lot = rows.points > 0
        if self._options.open_only:
            is_lot &= booked.left > 0
        if self._options.programs:
            kept = programs.mask(partition.accounts, self._options.programs)
            is_lot &= np.repeat(kept, np.diff(rows.account_start))
        step = 2 * SLICE_ROWS
        for begin in range(0, is_lot.size, step):
            lots = np.flatnonzero(is_lot[begin : begin + step]) + begin
            for first in range(0, lots.size, SLICE_ROWS):
                yield _slice(partition, lots[first : first + SLICE_ROWS])

    def finish(self) -> Iterable[pa.RecordBatch]:
        return ()


def _slice(partition: BookedPartition, lots: Ints) -> pa.RecordBatch:
    rows, booked = partition.rows, partition.booked
    points, remaining, expired = rows.points[lots], booked.left[lots], booked.lapsed[lots]
    activates_at = rows.activates_at[lots]
    status = np.where(
        remaining > 0, (activates_at <= partition.cut.book_at).astype(np.int64), 2 + (expired > 0)
    )
    text = partition.texts(lots)
    values = {
        "lot_id": text("transaction_id"),
        "type": words(rows.type[lots], _WORDS),
        "issued_at": instants(rows.created_at[lots]),
        "activates_at": instants(activates_at),
        "expires_at": instants(rows.expires_at[lots]),
        "points": pa.array(points),
        "used": pa.array(points - remaining - expired),
        "expired": pa.array(expired),
        "remaining": pa.array(remaining),
        "status": words(status, _STATUS),
    }
    names = [column.name for column in _COLUMNS]
    return pa.RecordBatch.from_arrays([values[x] if x in values else text(x) for x in names], names)
