"""Figures day by day: the local days of a period, and what accounts hold at the end of each, from one booking.

Booking goes forward in time and no later row changes an earlier state, so the state at the end of every day is
what the rows, expiries and activations up to then add up to (docs/ledger.md sections 1 and 3). `active` and debt
exclude each other: what an account holds beyond its pending points is active, what is missing is debt.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.definitions.zones import day_exists, last_day_before, local, start_of, zone
from include.errors import LedgerViolation
from include.ledger.ageing import instant
from include.ledger.booking import ALLOCATED_AT_DEBIT, TransactionType
from include.ledger.columns import Column
from include.reports.engine import files
from include.reports.engine.replay import BookedPartition, Ints
from include.reports.horizon import Horizon
from include.reports.model import SLICE_ROWS, Asked, LocalSnapshot, arrow_schema

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Rows of which figures are made in one go, so that an account of any size takes no more memory.
_AT_ONCE = 250_000


def period_days(asked: Asked, snapshot: LocalSnapshot) -> Horizon:
    """Return the local days of the period; of all time, from the ledger's first row on."""
    begin = first_created(snapshot) if asked.start is None else asked.start
    return days_of(asked.as_of if begin is None else begin, asked.as_of, asked.timezone)


def all_days(asked: Asked, snapshot: LocalSnapshot) -> Horizon:
    """Return the local days from the ledger's first row, or the period's begin if that is earlier, to its end."""
    begins = [begin for begin in (first_created(snapshot), asked.start) if begin is not None]
    return days_of(min(begins, default=asked.as_of), asked.as_of, asked.timezone)


def days_of(start: int, end: int, timezone: str) -> Horizon:
    """Return the local days that `[start, end)` touches, at least the last one before `end`.

    Where the interval begins or ends within a day, that day stands for the part of it.
    """
    where = zone(timezone)
    day = local(_EPOCH + timedelta(microseconds=min(start, end - 1)), where).date()
    last = last_day_before(_EPOCH + timedelta(microseconds=end), where)
    days: list[date] = []
    while day <= last:
        if day_exists(day, where):
            days.append(day)
        day += timedelta(days=1)
    ends = [instant(start_of(one + timedelta(days=1), where)) for one in days[:-1]]
    return Horizon(tuple(days), np.array([*ends, end], np.int64))


def first_created(snapshot: LocalSnapshot) -> int | None:
    """Return when the first transaction was created (us): from files' statistics, else from the column."""
    found: list[int] = []
    for path in snapshot.files.get("transactions", ()):
        metadata = pq.read_metadata(path)
        place = metadata.schema.to_arrow_schema().get_field_index("created_at")
        groups = [
            metadata.row_group(index).column(place).statistics for index in range(metadata.num_row_groups)
        ]
        if all(group is not None and group.has_min_max for group in groups):
            found += [instant(group.min) for group in groups]
            continue
        for batch in files.batches("transactions", [path], ["created_at"], batch_rows=_AT_ONCE):
            least = pc.min(batch.column(0)).cast(pa.int64()).as_py()
            found += [] if least is None else [least]
    return min(found, default=None)


@dataclass(frozen=True)
class States:
    """What accounts hold at the end of the days on which that changed, sorted by account and day.

    Each int64[n]; `account` is an index of the partition; points are hundredths.
    """

    account: Ints
    day: Ints
    active: Ints
    pending: Ints


def states(partition: BookedPartition, horizon: Horizon) -> States:
    """Return the states of a partition booked, with allocations, at the horizon's end.

    Raises LedgerViolation where the days do not lead to the balances of the booking.
    """
    days = len(horizon.days)
    key, change = _summed([*_of_balance(partition, horizon), *_of_pending(partition, horizon)])
    account, day = key // days, key % days
    first = np.flatnonzero(np.diff(account, prepend=-1))
    cumulative = np.cumsum(change, axis=0)
    before = np.repeat(cumulative[first] - change[first], np.diff(first, append=key.size), axis=0)
    balance, pending = (cumulative - before).T
    held = States(account, day, np.maximum(balance - pending, 0), pending)
    _check(partition, held, balance, first)
    return held


def by_day(held: States, program: Ints, programs_count: int, days: int) -> Ints:
    """Return active and pending points of all accounts at each day's end: int64[2, programs, days].

    program: the number of each account's program, -1 for accounts that do not count.
    """
    figures = np.zeros((2, programs_count, days), np.int64)
    new = np.diff(held.account, prepend=-1) != 0
    mine = program[held.account]
    kept = mine >= 0
    for figure, points in zip(figures, (held.active, held.pending), strict=True):
        step = points - np.where(new, 0, np.roll(points, 1))
        np.add.at(figure, (mine[kept], held.day[kept]), step[kept])
    return np.cumsum(figures, axis=2)


def expired_by_day(partition: BookedPartition, program: Ints, programs_count: int, horizon: Horizon) -> Ints:
    """Return the points that had expired by each day's end: int64[programs, days]."""
    figure = np.zeros((programs_count, len(horizon.days)), np.int64)
    for key, change in _of_balance(partition, horizon, expiries_only=True):
        account, day = key // len(horizon.days), key % len(horizon.days)
        kept = program[account] >= 0
        np.add.at(figure, (program[account][kept], day[kept]), -change[kept, 0])
    return np.cumsum(figure, axis=1)


def moved_by_day(partition: BookedPartition, program: Ints, programs_count: int, horizon: Horizon) -> Ints:
    """Return what rows, and expiries, moved on each day by type: int64[types, programs, days], as it was signed.

    A posted expiry counts as its excess, what expired by itself as an expiry (docs/ledger.md section 5).
    """
    rows, booked = partition.rows, partition.booked
    figures = np.zeros((len(TransactionType), programs_count, len(horizon.days)), np.int64)
    mine = program[partition.row_account]
    for begin, end in _stretches(len(rows)):
        kept = begin + np.flatnonzero(mine[begin:end] >= 0)
        day = _day_of_rows(rows.created_at[kept], horizon)
        np.add.at(figures, (rows.type[kept], mine[kept], day), booked.points_change[kept])
    for begin, end in _stretches(booked.expiry_lot.size):
        lot = booked.expiry_lot[begin:end]
        counts = mine[lot] >= 0
        day = _day_of(booked.expiry_at[begin:end], rows.created_at[lot], horizon)[counts]
        points = -booked.expiry_points[begin:end][counts]
        np.add.at(figures[TransactionType.EXPIRED], (mine[lot][counts], day), points)
    return figures


def program_numbers(partition: BookedPartition, programs: Sequence[str]) -> Ints:
    """Return the place of each account's program in `programs`, -1 where it is not there."""
    found = pc.index_in(partition.accounts.column("program_id"), value_set=pa.array(programs, pa.string()))
    return np.asarray(found.fill_null(-1).to_numpy(), np.int64)


def table(
    programs: Sequence[str], horizon: Horizon, figures: Ints, columns: Sequence[Column], first: int = 0
) -> Iterator[pa.RecordBatch]:
    """Yield a row for each program and each day from number `first` on.

    figures: int64[figures, programs, days], for the columns after `program_id` and `date`, as these are named.
    """
    days = horizon.days[first:]
    schema = arrow_schema(columns)
    for number, program in enumerate(programs):
        values = {
            "program_id": pa.repeat(pa.scalar(program), len(days)),
            "date": pa.array(days, pa.date32()),
        }
        names = [column.name for column in columns if column.name not in values]
        values |= {
            name: pa.array(figure[number, first:]).cast(schema.field(name).type)
            for name, figure in zip(names, figures, strict=True)
        }
        batch = pa.RecordBatch.from_arrays([values[name] for name in schema.names], schema=schema)
        for begin in range(0, len(batch), SLICE_ROWS):
            yield batch.slice(begin, SLICE_ROWS)


Part = tuple[Ints, Ints]


def _of_balance(
    partition: BookedPartition, horizon: Horizon, *, expiries_only: bool = False
) -> Iterator[Part]:
    """Yield what changes active + pending - debt: key (account and day), and (change, 0)."""
    rows, booked = partition.rows, partition.booked
    for begin, end in _stretches(len(rows)):
        change = booked.points_change[begin:end]
        if expiries_only:
            change = np.where(rows.type[begin:end] == TransactionType.EXPIRED, change, 0)
        yield _part(
            partition,
            horizon,
            np.arange(begin, end),
            _day_of_rows(rows.created_at[begin:end], horizon),
            change,
            0,
        )
    for begin, end in _stretches(booked.expiry_lot.size):
        lot = booked.expiry_lot[begin:end]
        day = _day_of(booked.expiry_at[begin:end], rows.created_at[lot], horizon)
        yield _part(partition, horizon, lot, day, -booked.expiry_points[begin:end], 0)


def _of_pending(partition: BookedPartition, horizon: Horizon) -> Iterator[Part]:
    """Yield what changes pending points: key (account and day), and (0, change)."""
    rows, booked = partition.rows, partition.booked
    for begin, end in _stretches(len(rows)):
        lot = begin + np.flatnonzero(
            (rows.points[begin:end] > 0) & (rows.activates_at[begin:end] > rows.created_at[begin:end])
        )
        created = rows.created_at[lot]
        yield _part(partition, horizon, lot, _day_of_rows(created, horizon), rows.points[lot], 1)
        lot = lot[rows.activates_at[lot] <= booked.at]
        day = _day_of(rows.activates_at[lot], rows.created_at[lot], horizon)
        yield _part(partition, horizon, lot, day, -rows.points[lot], 1)
    # What was taken out of a lot while it was pending does not become active.
    for begin, end in _stretches(booked.allocation_lot.size):
        lot, debit = booked.allocation_lot[begin:end], booked.allocation_debit[begin:end]
        early = booked.allocation_kind[begin:end] == ALLOCATED_AT_DEBIT
        early &= booked.allocation_at[begin:end] < rows.activates_at[lot]
        lot, debit, points = lot[early], debit[early], booked.allocation_points[begin:end][early]
        day = _day_of_rows(rows.created_at[debit], horizon)
        yield _part(partition, horizon, lot, day, -points, 1)
        back = rows.activates_at[lot] <= booked.at
        lot, points = lot[back], points[back]
        day = _day_of(rows.activates_at[lot], rows.created_at[lot], horizon)
        yield _part(partition, horizon, lot, day, points, 1)


def _part(
    partition: BookedPartition, horizon: Horizon, row: Ints, day: Ints, points: Ints, column: int
) -> Part:
    change = np.zeros((row.size, 2), np.int64)
    change[:, column] = points
    return _summed([(partition.row_account[row] * len(horizon.days) + day, change)])


def _summed(parts: Iterable[Part]) -> Part:
    """Return the sum of all changes of each key, sorted by key."""
    keys, changes = zip(*parts, strict=True)
    key, change = np.concatenate(keys), np.concatenate(changes)
    order = np.argsort(key, kind="stable")
    key = key[order]
    first = np.flatnonzero(np.diff(key, prepend=-1))
    return key[first], np.add.reduceat(change[order], first, axis=0) if first.size else change[:0]


def _day_of_rows(created_at: Ints, horizon: Horizon) -> Ints:
    """Return the first day at whose end a row is there: what is created at the end is not."""
    return np.searchsorted(horizon.ends, created_at, side="right")


def _day_of(at: Ints, created_at: Ints, horizon: Horizon) -> Ints:
    """Return the first day at whose end something has happened to a lot: what happens at the end has."""
    return np.maximum(np.searchsorted(horizon.ends, at, side="left"), _day_of_rows(created_at, horizon))


def _stretches(count: int) -> Iterator[tuple[int, int]]:
    for begin in range(0, count, _AT_ONCE):
        yield begin, min(begin + _AT_ONCE, count)


def _check(partition: BookedPartition, held: States, balance: Ints, first: Ints) -> None:
    booked = partition.booked
    last = np.append(first[1:], held.account.size) - 1
    broken = balance[last] != (booked.active + booked.pending - booked.debt)[held.account[last]]
    broken |= held.pending[last] != booked.pending[held.account[last]]
    if broken.any():
        accounts = held.account[last][broken][:20].tolist()
        named = ", ".join(partition.account_name(account) for account in accounts)
        raise LedgerViolation(f"the daily figures do not lead to the balance for {named}")
