"""Projection: what the points of today become by themselves, day by day, if no row is added.

docs/ledger.md section 4, last line: the rules of booking, at an instant later than what is known. Balances are
those at the end of each local day; an expiry at midnight belongs to the day that ends there.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Literal

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field

from include.errors import BadInput, LedgerViolation, Problem
from include.ledger.catalog import BOOKING_COLUMNS, FieldType
from include.ledger.columns import Column
from include.reports import programs
from include.reports.engine import owners
from include.reports.engine.files import Spool
from include.reports.engine.joins import Batches
from include.reports.engine.kept import Kept
from include.reports.engine.replay import BookedPartition, Ints, coded, instants, words
from include.reports.horizon import (
    CHANGES,
    Cursor,
    change_batch,
    changes,
    days_after,
    microseconds,
    one_instant,
    regroup,
)
from include.reports.model import SLICE_ROWS, Asked, Cut, LocalSnapshot, Needs, Period, Report

KIND = "projection"
TITLE = "Projection"
PERIOD: Period = "none"

_WHO = (
    Column("program_id", FieldType.ID),
    Column("subledger_id", FieldType.ID),
    Column("holder_kind", FieldType.ENUM),
    Column("holder_id", FieldType.ID),
    Column("customer_id", FieldType.ID),
    Column("customer_name", FieldType.TEXT, pii=True),
    Column("email", FieldType.TEXT, pii=True),
)
_COLUMNS = (
    *_WHO,
    Column("date", FieldType.DATE),
    Column("projected_at", FieldType.INSTANT),
    Column("points_expiring", FieldType.POINTS),
    Column("points_activating", FieldType.POINTS),
    Column("pending", FieldType.POINTS),
    Column("points_balance", FieldType.POINTS),
)
_NOW = ("points_now", "pending_now")


class Options(BaseModel):
    """The next `days` days from the as-of on, or the one instant `until` instead.

    `include_zero` also lists those who hold nothing, and to whom nothing happens, all along.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    grain: Literal["account", "customer"] = "customer"
    days: int = Field(default=31, ge=1, le=31)
    until: AwareDatetime | None = None
    include_zero: bool = False
    programs: tuple[str, ...] = ()


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the report reads where the ledger has them."""
    return {"transactions": BOOKING_COLUMNS, "programs": programs.COLUMNS, **owners.NEEDS}


def columns(options: Options) -> tuple[Column, ...]:
    """Return the output columns in order; a customer's row has no subledger."""
    left_out = {"subledger_id"} if options.grain == "customer" else set()
    return tuple(column for column in _COLUMNS if column.name not in left_out)


def of_accounts(options: Options) -> bool:
    """Return whether each row is of one account, in the order of accounts."""
    return options.grain == "account"


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the projection from `as_of` on; raise BadInput for `until` before it, or an unknown program."""
    options = asked.options
    assert isinstance(options, Options)
    programs.check(snapshot, KIND, options.programs)
    if options.until is not None and microseconds(options.until) <= asked.as_of:
        right = "must lie after the instant that the projection starts from"
        raise BadInput([Problem(f"report {KIND}: until", str(options.until), right, "until_too_early")])
    return _Projection(asked, options, snapshot, scratch)


class _Projection:
    def __init__(self, asked: Asked, options: Options, snapshot: LocalSnapshot, scratch: Path) -> None:
        if options.until is None:
            self._horizon = days_after(asked.as_of, options.days, asked.timezone)
        else:
            self._horizon = one_instant(options.until, asked.timezone)
        later = Cut(asked.as_of, asked.known_at, until=self._horizon.last)
        self.cuts: tuple[Cut, ...] = (asked.cut, later)
        self._options = options
        self._snapshot = snapshot
        self._scratch = scratch
        self._now: BookedPartition | None = None
        self._accounts = Spool(scratch / "accounts.arrow")
        self._changes = Spool(scratch / "changes.arrow")
        self.kept: tuple[Kept, ...] = (self._accounts, self._changes)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:
        if cut_index == 0:
            self._now = partition
            return ()
        now, self._now = self._now, None
        assert now is not None
        self._spool(now, partition)
        return ()

    def _spool(self, now: BookedPartition, then: BookedPartition) -> None:
        found = changes(now, then, self._horizon)
        balance, pending = now.booked.active - now.booked.debt, now.booked.pending
        _check(now, then, found.account, found.points)
        kept = programs.mask(now.accounts, self._options.programs)
        if not self._options.include_zero:
            anything = (balance != 0) | (pending != 0)
            anything[found.account] = True
            kept &= anything
        place = np.arange(kept.size) + now.first_account
        table = now.accounts.append_column("place", pa.array(place))
        table = table.append_column("points_now", pa.array(balance))
        table = table.append_column("pending_now", pa.array(pending)).filter(pa.array(kept))
        for batch in table.to_batches():
            self._accounts.write(batch)
        mine = kept[found.account]
        self._changes.write(change_batch(place[found.account[mine]], found.day[mine], found.points[mine]))

    def finish(self) -> Iterator[pa.RecordBatch]:
        holders = owners.with_owners(self._accounts.batches(), self._snapshot, self._scratch)
        happening = self._changes
        if self._options.grain == "customer":
            grouped = Spool(self._scratch / "customers.arrow")
            happening = Spool(self._scratch / "changes-of-customers.arrow")
            self._by_customer(holders, grouped, happening)
            holders = grouped.batches()
        holders = owners.with_names(holders, self._snapshot, self._scratch)
        yield from self._expanded(holders, Cursor(happening.batches()))

    def _by_customer(self, accounts: Batches, grouped: Spool, happening: Spool) -> None:
        """Write customers, by place, and the changes that happen to them."""
        places: list[Ints] = []
        members: list[NDArray[np.int32]] = []
        found = owners.by_customer(
            (batch.drop_columns(["holder_kind", "holder_id", "subledger_id"]) for batch in accounts),
            sums=_NOW,
            rows_count=self._accounts.rows,
            folder=self._scratch,
        )
        for some in found:
            place = np.arange(len(some.rows)) + grouped.rows
            places.append(some.member_places)
            members.append((some.member_rows + grouped.rows).astype(np.int32))
            grouped.write(some.rows.append_column("place", pa.array(place)))
        regroup(self._changes, happening, places, members, self._scratch)

    def _expanded(self, holders: Iterator[pa.RecordBatch], cursor: Cursor) -> Iterator[pa.RecordBatch]:
        step = max(1, SLICE_ROWS // len(self._horizon.days))
        for batch in holders:
            for first in range(0, len(batch), step):
                yield self._days_of(batch.slice(first, step), cursor)

    def _days_of(self, holders: pa.RecordBatch, cursor: Cursor) -> pa.RecordBatch:
        """Return a row for each holder and day."""
        horizon, count = self._horizon, len(holders)
        days = len(horizon.days)
        place = holders.column("place").to_numpy()
        found = cursor.until(int(place[-1]) + 1)
        figures = np.zeros((len(CHANGES), count, days), np.int64)
        at = np.searchsorted(place, found[:, 0])
        for index in range(len(CHANGES)):
            np.add.at(figures[index], (at, found[:, 1]), found[:, 2 + index])
        expiring, activating, leaving = figures
        pending_now = holders.column("pending_now").to_numpy()[:, None]
        pending = pending_now - np.cumsum(leaving, axis=1)
        held = holders.column("points_now").to_numpy()[:, None] + pending_now - np.cumsum(expiring, axis=1)
        # Dictionary columns: a holder's text, and a day's, are each written many times.
        each = pa.array(np.repeat(np.arange(count, dtype=np.int32), days))
        day = np.tile(np.arange(days), count)
        values = {
            "date": words(day, pa.array(horizon.days, pa.date32())),
            "projected_at": words(day, instants(horizon.ends, none=None)),
            "points_expiring": pa.array(expiring.ravel()),
            "points_activating": pa.array(activating.ravel()),
            "pending": pa.array(pending.ravel()),
            "points_balance": pa.array((held - pending).ravel()),
        }
        names = [column.name for column in columns(self._options)]
        arrays = [values[x] if x in values else coded(holders.column(x), each) for x in names]
        return pa.RecordBatch.from_arrays(arrays, names)


def _check(now: BookedPartition, then: BookedPartition, account: Ints, points: Ints) -> None:
    """Raise LedgerViolation where the changes do not lead from one booking to the other."""
    total = np.zeros((now.rows.accounts_count, len(CHANGES)), np.int64)
    np.add.at(total, account, points)
    expected = now.booked.active + now.booked.pending - now.booked.debt - total[:, 0]
    broken = expected != then.booked.active + then.booked.pending - then.booked.debt
    broken |= now.booked.pending - total[:, 2] != then.booked.pending
    if broken.any():
        named = ", ".join(now.account_name(one) for one in np.flatnonzero(broken)[:20].tolist())
        raise LedgerViolation(f"the projected days do not lead to the projected balance for {named}")
