"""Expiry by month: the points of today that will expire in each of the coming months, if nothing is added or used.

docs/ledger.md section 4, last line. The months add up to what the projection says of the same days; an expiry at
the first instant of a month belongs to the month before, where the points are gone at its end.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from datetime import UTC, date, datetime, timedelta
from pathlib import Path

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from include.definitions.periods import first_of, first_of_next
from include.definitions.zones import local, start_of, zone
from include.errors import LedgerViolation
from include.ledger.ageing import instant
from include.ledger.catalog import BOOKING_COLUMNS
from include.ledger.columns import Column
from include.reports import daily, glossary, programs
from include.reports.engine.kept import Kept, Sums
from include.reports.engine.replay import BookedPartition
from include.reports.horizon import Horizon, changes
from include.reports.model import Asked, Cut, LocalSnapshot, Needs, Period, Report, arrow_schema

KIND = "expiry_by_month"
TITLE = "Points that will expire, by month"
PERIOD: Period = "none"

_COLUMNS = glossary.columns(KIND, ("program_id", "month", "points_expiring", "points_activating", "closing"))
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)


class Options(BaseModel):
    """`months` whole months after T, and before them the rest of a month that T lies within.

    `programs` keeps only these.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    months: int = Field(default=12, ge=1, le=60)
    programs: tuple[str, ...] = ()


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return {"transactions": BOOKING_COLUMNS, "programs": programs.COLUMNS}


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:  # noqa: ARG001
    """Return the months from `as_of` on; raise BadInput for a program that the ledger does not have."""
    assert isinstance(asked.options, Options)
    programs.check(snapshot, KIND, asked.options.programs)
    return _Expiry(asked, asked.options, programs.ids(snapshot, asked.options.programs))


def months_after(as_of: int, count: int, timezone: str) -> Horizon:
    """Return the rest of the local month that T lies within, where there is one, and the next `count`, by first day."""
    where = zone(timezone)
    first = first_of("month", local(_EPOCH + timedelta(microseconds=as_of), where).date())
    begun = instant(start_of(first, where)) < as_of
    firsts: list[date] = [first]
    while len(firsts) < count + begun + 1:
        firsts.append(first_of_next("month", firsts[-1]))
    ends = [instant(start_of(one, where)) for one in firsts[1:]]
    return Horizon(tuple(firsts[:-1]), np.array(ends, np.int64))


class _Expiry:
    def __init__(self, asked: Asked, options: Options, chosen: list[str]) -> None:
        self._horizon = months_after(asked.as_of, options.months, asked.timezone)
        self.cuts: tuple[Cut, ...] = (
            asked.cut, Cut(asked.as_of, asked.known_at, until=self._horizon.last),
        )  # fmt: skip
        self._programs = chosen
        self._now: BookedPartition | None = None
        count = len(self._horizon.days)
        self._figures = np.zeros((2, len(chosen), count), np.int64)
        self._held = np.zeros((2, len(chosen)), np.int64)  # now, and at the horizon
        self.kept: tuple[Kept, ...] = (Sums(self._figures, self._held),)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:
        program = daily.program_numbers(partition, self._programs)
        booked, kept = partition.booked, program >= 0
        held = booked.active + booked.pending - booked.debt
        np.add.at(self._held[cut_index], program[kept], held[kept])
        if cut_index == 0:
            self._now = partition
            return ()
        now, self._now = self._now, None
        assert now is not None
        found = changes(now, partition, self._horizon)
        mine = program[found.account]
        counted = mine >= 0
        for place, figure in enumerate(self._figures):
            np.add.at(figure, (mine[counted], found.day[counted]), found.points[counted, place])
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        expiring, activating = self._figures
        closing = self._held[0][:, None] - np.cumsum(expiring, axis=1)
        for index in np.flatnonzero(closing[:, -1] != self._held[1]).tolist():
            raise LedgerViolation(
                f"the coming months of program {self._programs[index]} lead to {closing[index, -1]} hundredths of a "
                f"point, booking until then to {self._held[1][index]}"
            )
        months = [f"{one:%Y-%m}" for one in self._horizon.days]
        schema = arrow_schema(_COLUMNS)
        for number, program in enumerate(self._programs):
            values = [[program] * len(months), months, *(x[number] for x in (expiring, activating, closing))]
            arrays = [pa.array(x).cast(field.type) for x, field in zip(values, schema, strict=True)]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)
