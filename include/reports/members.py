"""Members: how many customers of each program have points at the end of each day, and for how many it is the first.

docs/ledger.md section 4: a member is a customer with active or pending points, on own accounts or cards. A
customer counts as new on the first day, of all days since the ledger began, that ends so.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.ledger.catalog import BOOKING_COLUMNS
from include.ledger.columns import Column
from include.ledger.hashing import text_hashes
from include.reports import daily, glossary, programs
from include.reports.engine import owners
from include.reports.engine.files import Spool
from include.reports.engine.joins import hash_range
from include.reports.engine.kept import Kept
from include.reports.engine.replay import BookedPartition, Ints
from include.reports.engine.splitting import Scatter
from include.reports.model import SLICE_ROWS, Asked, Cut, LocalSnapshot, Needs, Period, Report

KIND = "members"
TITLE = "Members by day"
PERIOD: Period = "required"

_COLUMNS = glossary.columns(KIND, ("program_id", "date", "new_members", "total_members"))
_AT_ONCE = 250_000

Options = programs.Options


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return {
        "transactions": BOOKING_COLUMNS,
        "programs": programs.COLUMNS,
        "cards": owners.NEEDS["cards"],
    }


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the days of the period; raise BadInput for a program that the ledger does not have."""
    assert isinstance(asked.options, Options)
    programs.check(snapshot, KIND, asked.options.programs)
    return _Members(asked, programs.ids(snapshot, asked.options.programs), snapshot, scratch)


class _Members:
    def __init__(self, asked: Asked, chosen: list[str], snapshot: LocalSnapshot, scratch: Path) -> None:
        self.cuts: tuple[Cut, ...] = (Cut(asked.as_of, asked.known_at, allocations=True),)
        # Who was a member before the period is not new in it: the days since the ledger began count.
        self._horizon = daily.all_days(asked, snapshot)
        self._first = self._horizon.days.index(daily.period_days(asked, snapshot).days[0])
        self._programs = chosen
        self._snapshot = snapshot
        self._scratch = scratch
        self._stays = Spool(scratch / "stays.arrow")
        self.kept: tuple[Kept, ...] = (self._stays,)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        account, begin, end = _stays(daily.states(partition, self._horizon), len(self._horizon.days))
        program = daily.program_numbers(partition, self._programs)[account]
        kept = program >= 0
        who = partition.accounts.select(["card_id", "customer_id"]).take(pa.array(account[kept]))
        for name, values in (("program", program), ("begin", begin), ("end", end)):
            who = who.append_column(name, pa.array(values[kept]))
        for batch in who.to_batches(max_chunksize=SLICE_ROWS):
            self._stays.write(batch)
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        figures = np.zeros((2, len(self._programs), len(self._horizon.days) + 1), np.int64)
        scatter = Scatter(self._scratch, "stays", max(1, -(-self._stays.rows // _AT_ONCE)))
        for batch in owners.with_owners(self._stays.batches(), self._snapshot, self._scratch):
            mine = batch.filter(batch.column("customer_id").is_valid())
            if len(mine):
                hashes = text_hashes(mine.column("customer_id"))
                scatter.add(mine, hash_range(hashes, len(scatter.pieces())))
        scatter.close()
        for piece in scatter.pieces():
            if piece.rows:
                _count(piece.table(), figures)
                piece.remove()
        figures[1] = np.cumsum(figures[1], axis=1)
        yield from daily.table(self._programs, self._horizon, figures[:, :, :-1], _COLUMNS, self._first)


def _stays(held: daily.States, days: int) -> tuple[Ints, Ints, Ints]:
    """Return the stretches of days that end with points: account, first day, and the day after the last."""
    outstanding = held.active + held.pending > 0
    first = np.diff(held.account, prepend=-1) != 0
    begins = outstanding & (first | ~np.roll(outstanding, 1))
    # A stretch lasts until the account's next change to nothing, else beyond the last day.
    change = np.flatnonzero(begins | ~outstanding)
    begin = np.flatnonzero(begins[change])
    following = change[np.minimum(begin + 1, change.size - 1)]
    at = change[begin]
    ends = (begin + 1 < change.size) & (held.account[following] == held.account[at])
    return held.account[at], held.day[at], np.where(ends, held.day[following], days)


def _count(stays: pa.Table, figures: Ints) -> None:
    """Add the stays of some customers to `figures`: new members, and the change of members, on each day.

    figures: int64[2, programs, days + 1]. A customer is a member while any of the accounts has points.
    """
    days = figures.shape[2] - 1
    names = pc.dictionary_encode(stays.column("customer_id")).combine_chunks()
    program = stays.column("program").to_numpy()
    who = program * len(names.dictionary) + names.indices.to_numpy()
    begin, end = stays.column("begin").to_numpy(), stays.column("end").to_numpy()
    order = np.lexsort((begin, who))
    who, begin, end, program = who[order], begin[order], end[order], program[order]
    # Stretches of one customer that meet become one: how far the ones before reach, customer after customer.
    _, number = np.unique(who, return_inverse=True)
    reach = np.maximum.accumulate(number * (days + 2) + end)
    before = np.concatenate(([-1], reach[:-1]))
    starts = number * (days + 2) + begin > before
    at = np.flatnonzero(starts)
    last = np.append(at[1:], who.size) - 1
    np.add.at(figures[1], (program[at], begin[at]), 1)
    np.add.at(figures[1], (program[at], reach[last] - number[last] * (days + 2)), -1)
    first = np.flatnonzero(np.diff(number, prepend=-1))
    np.add.at(figures[0], (program[first], begin[first]), 1)
