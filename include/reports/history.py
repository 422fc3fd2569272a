"""History: every posted transaction and every derived expiry, with the balance before and after.

docs/ledger.md section 5. Rows pass through Arrow from the partition to the file; there is no join.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from functools import cached_property
from pathlib import Path
from typing import Any, Literal

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from include.ledger.booking import NEVER, TransactionType
from include.ledger.catalog import BOOKING_COLUMNS, RELATIONS, FieldType
from include.ledger.columns import Column
from include.ledger.invariants import problem_codes
from include.reports import programs
from include.reports.engine.kept import Kept
from include.reports.engine.replay import BookedPartition, Ints, instants, with_others, words
from include.reports.model import SLICE_ROWS, Asked, Cut, LocalSnapshot, Needs, Period, Report

KIND = "history"
TITLE = "History"
PERIOD: Period = "optional"

_WORDS = pa.array([kind.word for kind in TransactionType])
_FIGURES = {
    "points_change": FieldType.POINTS,
    "balance_before": FieldType.POINTS,
    "balance_after": FieldType.POINTS,
    "posted_points": FieldType.POINTS,
    "confirmed_points": FieldType.POINTS,
    "problems": FieldType.TEXT,
    "program_external_id": FieldType.INTEGER,
}
_DEFAULT = (
    "transaction_id",
    "program_id",
    "subledger_id",
    "customer_id",
    "card_id",
    "type",
    "created_at",
    "points_change",
    "balance_before",
    "balance_after",
    "expires_at",
    "related_transaction_id",
)
_FIELDS = {field.name: field.type for field in RELATIONS["transactions"].fields if field.name != "points"}
_PERSONAL = {field.name for field in RELATIONS["transactions"].fields if field.pii}
_ALL = (
    *_DEFAULT[:10],
    "posted_points",
    "confirmed_points",
    *(x for x in _FIELDS if x not in _DEFAULT[:10]),
    "problems",
    "program_external_id",
)
# What a derived expiry shares with the lot that expired.
_OF_ACCOUNT = ("program_id", "subledger_id", "customer_id", "card_id")


class Options(BaseModel):
    """`default` reads only what booking reads anyway; `all` adds every column of `transactions`."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    profile: Literal["default", "all"] = "default"


def needs(options: Options) -> Needs:
    """Return the relations and columns that the report reads where the ledger has them."""
    if options.profile == "default":
        return {"transactions": BOOKING_COLUMNS}
    return {"transactions": RELATIONS["transactions"].names, "programs": ("program_id", "external_id")}


def columns(options: Options) -> tuple[Column, ...]:
    """Return the output columns in order."""
    names = _DEFAULT if options.profile == "default" else _ALL
    return tuple(Column(name, (_FIELDS | _FIGURES)[name], name in _PERSONAL) for name in names)


def of_accounts(options: Options) -> bool:  # noqa: ARG001
    """Return whether each row is of one account, in the order of accounts."""
    return True


def of_changes(asked: Asked) -> int | None:
    """Return since when something must happen to an account for it to have rows; None where all have."""
    return asked.start


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:  # noqa: ARG001
    """Return the history of `[start, end)`, or of all time before `as_of`."""
    assert isinstance(asked.options, Options)
    names = [column.name for column in columns(asked.options)]
    externals = programs.externals(snapshot) if "program_external_id" in names else {}
    return _History(asked, names, externals)


class _History:
    def __init__(self, asked: Asked, names: list[str], externals: Mapping[str, int | None]) -> None:
        self.cuts: tuple[Cut, ...] = (asked.cut,)
        self.kept: tuple[Kept, ...] = ()
        self._start = asked.start
        self._names = names
        self._externals = externals

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterator[pa.RecordBatch]:  # noqa: ARG002
        total = len(partition.rows)
        past = self._past(partition)
        at_start = past & (partition.booked.expiry_at == self._start)
        passed = np.zeros(1, np.int64)
        if at_start.any():
            passed = np.concatenate((passed, np.cumsum(partition.booked.expiry_points * at_start)))
        step = partition.rows_at_once
        for start in range(0, total, step):
            rows, expiries = self._asked_for(partition, start, min(start + step, total), total)
            block = self._block(partition, _interleaved(partition, rows, expiries[~past[expiries]]), passed)
            for first in range(0, len(block), SLICE_ROWS):
                yield block.slice(first, SLICE_ROWS)

    def finish(self) -> Iterable[pa.RecordBatch]:
        return ()

    def _asked_for(self, partition: BookedPartition, start: int, end: int, total: int) -> tuple[Ints, Ints]:
        """Return the rows of start:end that fall in the period, and the expiries before these rows."""
        booked = partition.booked
        last = end + 1 if end == total else end  # what expired after the last row of all goes with it
        first, stop = np.searchsorted(booked.expiry_before_row, [start, last])
        rows, expiries = np.arange(start, end), np.arange(first, stop)
        if self._start is not None:
            rows = rows[partition.rows.created_at[start:end] >= self._start]
        return rows, expiries

    def _past(self, partition: BookedPartition) -> NDArray[np.bool_]:
        """Return which expiries the state at the start has already: bool[expiries]."""
        booked = partition.booked
        if self._start is None:
            return np.zeros(booked.expiry_at.size, np.bool_)
        lot_created_at = partition.rows.created_at[booked.expiry_lot]
        return (booked.expiry_at <= self._start) & (lot_created_at < self._start)

    def _block(self, partition: BookedPartition, entries: Ints, passed: Ints) -> pa.RecordBatch:
        view = _Entries(partition, entries, passed, self._externals)
        return pa.RecordBatch.from_arrays([view.column(name) for name in self._names], self._names)


def _interleaved(partition: BookedPartition, rows: Ints, expiries: Ints) -> Ints:
    """Return rows, and expiries as `rows in all + index`, in the order in which they happened."""
    before = partition.booked.expiry_before_row[expiries]
    places = np.searchsorted(rows, before) + np.arange(expiries.size)
    entries = np.empty(rows.size + expiries.size, np.int64)
    is_row = np.ones(entries.size, np.bool_)
    is_row[places] = False
    entries[places] = expiries + len(partition.rows)
    entries[is_row] = rows
    return entries


class _Entries:
    """A slice of history: posted rows and derived expiries, column by column.

    passed: of the first i expiries, the points that expired at the start in an earlier period: int64[expiries + 1],
    or one 0 where none did.
    """

    def __init__(
        self, partition: BookedPartition, entries: Ints, passed: Ints, externals: Mapping[str, int | None]
    ) -> None:
        self._partition = partition
        self._externals = externals
        self._passed = passed
        self._entries = entries
        count = len(partition.rows)
        self._derived: NDArray[np.bool_] = entries >= count
        self._row = np.where(self._derived, -1, entries)
        self._expiry = entries[self._derived] - count
        # The posted row, or the lot that expired: both belong to the entry's account.
        self._holder = np.where(self._derived, 0, entries)
        self._holder[self._derived] = partition.booked.expiry_lot[self._expiry]
        self._of_row, self._of_holder = partition.texts(self._row), partition.texts(self._holder)

    def column(self, name: str) -> pa.Array:
        made = {
            "transaction_id": self._ids,
            "related_transaction_id": self._related,
            "type": self._types,
            "problems": self._problems,
            "program_external_id": lambda: programs.external(self._of_holder("program_id"), self._externals),
            "created_at": self._instants,
            "activates_at": lambda: instants(
                np.where(self._points() > 0, self._rows_or("activates_at", NEVER), NEVER)
            ),
            "expires_at": lambda: instants(self._rows_or("expires_at", NEVER)),
            "points_change": lambda: pa.array(self._change()),
            "balance_after": lambda: pa.array(self._after()),
            "balance_before": lambda: pa.array(self._after() - self._change()),
            "posted_points": lambda: pa.array(self._points()),
            "confirmed_points": self._confirmed,
        }
        if name in made:
            return made[name]()
        return self._of_holder(name) if name in _OF_ACCOUNT else self._of_row(name)

    @cached_property
    def _lots(self) -> pa.Array:
        """The ids of the lots that expired, one for each derived expiry."""
        return self._partition.text("transaction_id", self._holder[self._derived])

    def _ids(self) -> pa.Array:
        derived = pc.binary_join_element_wise("expiry:", self._lots, "")
        return with_others(self._of_row("transaction_id"), self._derived, derived)

    def _related(self) -> pa.Array:
        """The id that a row names; of a derived expiry, its lot's."""
        return with_others(self._of_row("related_transaction_id"), self._derived, self._lots)

    def _types(self) -> pa.Array:
        return words(self._rows_or("type", int(TransactionType.EXPIRED)), _WORDS)

    def _instants(self) -> pa.Array:
        rows, booked = self._partition.rows, self._partition.booked
        return instants(self._of(rows.created_at, booked.expiry_at))

    def _points(self) -> Ints:
        return self._rows_or("points", 0)

    def _change(self) -> Ints:
        booked = self._partition.booked
        return self._of(booked.points_change, -booked.expiry_points)

    def _after(self) -> Ints:
        booked = self._partition.booked
        return self._of(booked.balance_after, booked.expiry_balance_after) - self._passed_after()

    def _passed_after(self) -> Ints:
        """Return the points that expire after each entry and yet belong to an earlier period.

        What expires at the start does so after what is created at the start (docs/ledger.md section 3), but
        is of the period that closes there: a period's balances run on from that one's last.
        """
        if not self._passed[-1]:
            return np.zeros(self._entries.size, np.int64)
        starts, before = self._partition.rows.account_start, self._partition.booked.expiry_before_row
        account_end = starts[np.searchsorted(starts, self._holder, side="right")]
        seen = np.searchsorted(before, self._row, side="right")
        seen[self._derived] = self._expiry + 1
        return self._passed[np.searchsorted(before, account_end, side="right")] - self._passed[seen]

    def _confirmed(self) -> pa.Array:
        """What a posted expiry confirms: neither its excess nor what nothing covers (booking's `row_figures`)."""
        booked = self._partition.booked
        row = np.maximum(self._row, 0)
        confirmed = booked.points_change[row] - self._partition.rows.points[row] - booked.left[row]
        posted_expiry = ~self._derived & (self._partition.rows.type[row] == TransactionType.EXPIRED)
        return pa.array(np.where(posted_expiry, confirmed, 0))

    def _problems(self) -> pa.Array:
        bits = self._of(self._partition.booked.problem, 0)
        known = np.unique(bits[bits > 0])
        texts = pa.array([" ".join(problem_codes(int(flags))) for flags in known], pa.string())
        return words(np.where(bits > 0, np.searchsorted(known, bits), -1), texts)

    def _rows_or(self, name: str, of_expiries: int) -> Ints:
        """The rows' numbers called `name`, one and the same for derived expiries."""
        return self._of(getattr(self._partition.rows, name), of_expiries)

    def _of(self, of_rows: NDArray[Any], of_expiries: Ints | int) -> NDArray[Any]:
        values = of_rows[self._row]  # -1 is a row too: derived expiries have their own
        values[self._derived] = of_expiries if isinstance(of_expiries, int) else of_expiries[self._expiry]
        return values
