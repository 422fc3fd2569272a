"""Ageing: outstanding points by months since issue and months to expiry, as of an instant.

docs/ledger.md section 6. Points that were refunded or transferred keep the age of the lots that they came
from. Debt has neither age nor expiry and stands in a row of its own, so that the rows of a program add up to
its roll-forward's closing. Checked in every run: they are what the accounts hold; else LedgerViolation.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from include.errors import LedgerViolation
from include.ledger import rollforward_kernel as kernel
from include.ledger.ageing import BUCKETS, EXPIRY_BUCKETS, age_buckets, expiry_buckets
from include.ledger.catalog import BOOKING_COLUMNS, FieldType
from include.ledger.columns import Column
from include.ledger.rollforward import NONE, Attribution, Cohorts
from include.ledger.rows import Ints
from include.reports.engine.kept import Kept, Sums
from include.reports.engine.replay import BookedPartition
from include.reports.liabilities import programs as liability_programs
from include.reports.liabilities.accounts import ids_of, program_codes
from include.reports.model import Asked, Cut, LocalSnapshot, Needs, Period, Report, arrow_schema

KIND = "ageing"
TITLE = "Ageing of points"
PERIOD: Period = "none"

_AT_ONCE = 250_000  # rows; what numpy makes on the way is as long

_COLUMNS = (
    Column("program_id", FieldType.ID),
    Column("program_name", FieldType.TEXT),
    Column("currency", FieldType.TEXT),
    Column("as_of", FieldType.INSTANT),
    Column("months_since_issue", FieldType.TEXT),
    Column("months_to_expiry", FieldType.TEXT),
    Column("active", FieldType.POINTS),
    Column("pending", FieldType.POINTS),
    Column("outstanding", FieldType.POINTS),
    Column("debt", FieldType.POINTS),
)


class Options(BaseModel):
    """`programs` keeps only these; empty means all."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    programs: tuple[str, ...] = ()


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the report reads where the ledger has them."""
    return {"transactions": BOOKING_COLUMNS, "programs": liability_programs.NEEDS["programs"]}


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the ages as of `as_of`; raise BadInput for a program that the ledger does not have."""
    options = Options.model_validate(asked.options.model_dump())
    return _Ageing(asked, options, snapshot, scratch)


class _Ageing:
    def __init__(self, asked: Asked, options: Options, snapshot: LocalSnapshot, scratch: Path) -> None:
        self._at = asked.as_of
        self.cuts: tuple[Cut, ...] = (Cut(asked.as_of, asked.known_at, allocations=True),)
        self._complete = not options.programs
        self._programs = liability_programs.read(snapshot, KIND, options.programs)
        self._cohorts = Cohorts(classes=2 * len(EXPIRY_BUCKETS), folder=scratch)
        self._held = np.zeros(len(self._programs), np.int64)
        self.kept: tuple[Kept, ...] = (self._cohorts, Sums(self._held))

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        program = program_codes(partition, list(self._programs), complete=self._complete)
        booked = partition.booked
        held = booked.active + booked.pending - booked.debt
        np.add.at(self._held, program[program >= 0], held[program >= 0])
        age, lot_class = self._ages(partition, program)
        group = np.where(program < 0, len(self._programs), program)
        attribution = Attribution(
            group=group,
            program=group,
            cohort=age,
            lot_class=lot_class,
            ids=ids_of(partition),
        )
        self._cohorts.add(booked, attribution)
        return ()

    def _ages(self, partition: BookedPartition, program: Ints) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """Return the bucket of age of each row, and the class of its lot: by expiry, then whether it waits."""
        rows = partition.rows
        age, lot_class = np.zeros(len(rows), np.int8), np.zeros(len(rows), np.int8)
        for begin in range(0, len(rows), _AT_ONCE):
            some = slice(begin, begin + _AT_ONCE)
            of_row = program[partition.row_account[some]]
            created_at, expires_at = rows.created_at[some], rows.expires_at[some]
            for i, known in enumerate(self._programs.values()):
                own = of_row == i
                age[some][own] = age_buckets(created_at[own], self._at, known.zone)
                lot_class[some][own] = 2 * expiry_buckets(expires_at[own], self._at, known.zone)
            lot_class[some] += rows.activates_at[some] > self._at
        return age, lot_class

    def finish(self) -> Iterator[pa.RecordBatch]:
        found = self._cohorts.figures()
        rows: list[dict[str, Any]] = []
        for i, program in enumerate(self._programs.values()):
            said: dict[str, Any] = {
                "program_id": program.program_id,
                "program_name": program.name,
                "currency": program.currency,
                "as_of": self._at,
            }
            own = {age: figures for (group, age), figures in found.items() if group == i}
            lines = [
                said | line for age in range(len(BUCKETS)) if age in own for line in _lines(age, own[age])
            ]
            debt = int(own[NONE][kernel.DEBT]) if NONE in own else 0
            if debt:
                lines.append(said | {"active": 0, "pending": 0, "outstanding": 0, "debt": debt})
            held = sum(line["outstanding"] - line["debt"] for line in lines)
            if held != self._held[i]:
                raise LedgerViolation(
                    f"the ages of program {program.program_id} count {held} hundredths of a point, "
                    f"its accounts hold {self._held[i]}"
                )
            rows += lines
        yield pa.RecordBatch.from_pylist(rows, schema=arrow_schema(_COLUMNS))


def _lines(age: int, figures: Ints) -> Iterator[dict[str, Any]]:
    by_expiry = figures[kernel.OUTSTANDING :].reshape(len(EXPIRY_BUCKETS), 2)
    for expiry in np.flatnonzero(by_expiry.any(axis=1)).tolist():
        active, pending = by_expiry[expiry].tolist()
        yield {
            "months_since_issue": BUCKETS[age],
            "months_to_expiry": EXPIRY_BUCKETS[expiry],
            "active": active,
            "pending": pending,
            "outstanding": active + pending,
            "debt": 0,
        }
