"""Lots: every lot as of an instant, with what was used, what expired and what is left of it.

docs/ledger.md sections 1 and 3. `allocations` is its other half: which debit used which lot.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict

from include.ledger.booking import ALLOCATED_AS_EXPIRY, TransactionType
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from include.reports import programs
from include.reports.model import SLICE_ROWS, Asked, Cut, LocalSnapshot, Needs, Period, Report
from include.reports.partitions import BOOKING_COLUMNS
from include.reports.replay import BookedPartition, Ints, instants, words

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


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:  # noqa: ARG001
    """Return the lots at `as_of`; raise BadInput for a program that the ledger does not have."""
    assert isinstance(asked.options, Options)
    programs.check(snapshot, KIND, asked.options.programs)
    return _Lots(asked, asked.options)


class _Lots:
    def __init__(self, asked: Asked, options: Options) -> None:
        self.cuts: tuple[Cut, ...] = (Cut(asked.as_of, asked.known_at, allocations=True),)
        self._options = options

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        rows, booked = partition.rows, partition.booked
        is_lot = rows.points > 0
        if self._options.open_only:
            is_lot &= booked.left > 0
        if self._options.programs:
            kept = programs.mask(partition.accounts, self._options.programs)
            is_lot &= np.repeat(kept, np.diff(rows.account_start))
        expired = _expired(partition)
        lots = np.flatnonzero(is_lot)
        for first in range(0, lots.size, SLICE_ROWS):
            yield _slice(partition, lots[first : first + SLICE_ROWS], expired)

    def finish(self) -> Iterable[pa.RecordBatch]:
        return ()


def _expired(partition: BookedPartition) -> Ints:
    """Return what expired of each row's lot: by itself, or through a posted expiry beyond that."""
    booked = partition.booked
    expired = np.zeros(len(partition.rows), np.int64)
    np.add.at(expired, booked.expiry_lot, booked.expiry_points)
    posted = booked.allocation_kind == ALLOCATED_AS_EXPIRY
    np.add.at(expired, booked.allocation_lot[posted], booked.allocation_points[posted])
    return expired


def _slice(partition: BookedPartition, lots: Ints, expired_by_row: Ints) -> pa.RecordBatch:
    rows = partition.rows
    points, remaining, expired = rows.points[lots], partition.booked.left[lots], expired_by_row[lots]
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
