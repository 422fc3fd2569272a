"""The figures of accounts as booked at an instant: what a checkpoint holds, and what some reports need alone.

A row is an account, in the order of account hashes. Who it belongs to, its balances, when something happens to it next
without a new row, and how many rows and problems it has, for the record of a run.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from include.ledger.balances import balances
from include.ledger.booking import NEVER, RowProblem
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from include.ledger.rows import Ints
from include.reports.engine.kept import Kept
from include.reports.engine.notes import Notes
from include.reports.engine.replay import BookedPartition, instants
from include.reports.model import Asked, Cut, LocalSnapshot, Needs, Period, Report, arrow_schema

POINTS = ("active", "pending", "expired", "spent", "negative_balance", "points_balance", "lifetime_earned")
_PROBLEMS = tuple(f"{flag.name}".lower() for flag in RowProblem)
COLUMNS = (
    Column("account_hash", FieldType.INTEGER),  # the bits of a uint64
    Column("program_id", FieldType.ID),
    Column("subledger_id", FieldType.ID),
    Column("holder_kind", FieldType.ENUM),
    Column("holder_id", FieldType.ID),
    Column("card_id", FieldType.ID),
    Column("customer_id", FieldType.ID),
    *(Column(name, FieldType.POINTS) for name in POINTS),
    Column("last_activity_at", FieldType.INSTANT),
    Column("next_at", FieldType.INTEGER),  # us since the epoch, NEVER where nothing comes by itself
    Column("rows", FieldType.INTEGER),
    *(Column(name, FieldType.INTEGER) for name in _PROBLEMS),
)
SCHEMA = arrow_schema(COLUMNS)
ROW_GROUP_ROWS = 1 << 16


def figures(partition: BookedPartition) -> pa.Table:
    """Return the accounts of a partition with `COLUMNS`."""
    found = balances(partition.booked)
    rows = partition.rows
    more = {
        "account_hash": pa.array(partition.account_hash.view(np.int64)),
        "last_activity_at": instants(found.last_activity_at, none=-1),
        "next_at": pa.array(_next_at(partition)),
        "rows": pa.array(np.diff(rows.account_start)),
        **{name: pa.array(getattr(found, name)) for name in POINTS},
    }
    problem = partition.booked.problem
    for name, flag in zip(_PROBLEMS, RowProblem, strict=True):
        has = problem & np.uint16(flag) > 0 if problem.any() else np.zeros(problem.size, np.bool_)
        counts = np.add.reduceat(has, rows.account_start[:-1], dtype=np.int64)
        more[name] = pa.array(counts)
    table = partition.accounts
    arrays = [more[name] if name in more else table.column(name) for name in SCHEMA.names]
    return pa.table(arrays, names=SCHEMA.names).cast(SCHEMA)


def hashes(accounts: pa.Table | pa.RecordBatch) -> NDArray[np.uint64]:
    """Return the account hashes of figures."""
    return np.asarray(accounts.column("account_hash").to_numpy(), np.int64).view(np.uint64)


def note(notes: Notes, cut: Cut, accounts: pa.RecordBatch) -> None:
    """Add to `notes` what was seen of these accounts when they were booked at `cut`."""
    problems = {name: pc.sum(accounts.column(name)).as_py() or 0 for name in _PROBLEMS}
    seen = Notes(rows=pc.sum(accounts.column("rows")).as_py() or 0, accounts=len(accounts))
    seen.problems.update({name: count for name, count in problems.items() if count})
    notes.take(Notes(seen.rows, seen.accounts, seen.problems, cuts={cut: seen}))


def write(path: Path, batches: Iterable[pa.RecordBatch]) -> Path:
    """Write figures into a Parquet file; the same accounts give the same bytes, however they come."""
    text = ["program_id", "subledger_id", "holder_kind"]
    with pq.ParquetWriter(path, SCHEMA, compression="zstd", compression_level=1, use_dictionary=text) as file:
        for table in _groups(batches):
            file.write_table(table, row_group_size=ROW_GROUP_ROWS)
    return path


def read(path: Path, columns: Sequence[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the figures of a file in order, or some columns of them."""
    with pq.ParquetFile(path, pre_buffer=False) as file:
        yield from file.iter_batches(ROW_GROUP_ROWS, columns=columns, use_threads=False)


def _groups(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    waiting, rows = [], 0
    for batch in batches:
        waiting.append(batch)
        rows += len(batch)
        while rows >= ROW_GROUP_ROWS:
            table = pa.Table.from_batches(waiting, SCHEMA)
            yield table.slice(0, ROW_GROUP_ROWS).combine_chunks()
            waiting = table.slice(ROW_GROUP_ROWS).to_batches()
            rows -= ROW_GROUP_ROWS
    if rows:
        yield pa.Table.from_batches(waiting, SCHEMA).combine_chunks()


def _next_at(partition: BookedPartition) -> Ints:
    """Return, by account, the least instant after the cut at which a lot that is open there activates or expires."""
    rows, at = partition.rows, partition.booked.at
    is_open = (rows.points > 0) & (partition.booked.left > 0)
    instant = np.where(rows.activates_at > at, rows.activates_at, rows.expires_at)
    return np.minimum.reduceat(np.where(is_open, instant, NEVER), rows.account_start[:-1])


class FiguresModule:
    """The figures themselves as a report: what a run asks for beside its own, to keep them."""

    KIND = "figures"
    TITLE = "Figures"
    PERIOD: Period = "none"

    def needs(self, options: Any) -> Needs:  # noqa: ARG002
        """Return nothing beside what booking reads."""
        return {}

    def columns(self, options: Any) -> tuple[Column, ...]:  # noqa: ARG002
        """Return `COLUMNS`."""
        return COLUMNS

    def of_figures(self, options: Any) -> bool:  # noqa: ARG002
        """Say that figures are enough."""
        return True

    def report(self, asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:  # noqa: ARG002
        """Return the figures at `as_of`."""
        return _Figures(asked.cut)


class _Figures:
    def __init__(self, cut: Cut) -> None:
        self.cuts: tuple[Cut, ...] = (cut,)
        self.kept: tuple[Kept, ...] = ()

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        return list(figures(partition).combine_chunks().to_batches())

    def on_figures(self, accounts: pa.RecordBatch, first: int) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        return [accounts]

    def finish(self) -> Iterable[pa.RecordBatch]:
        return ()
