"""Redemption by cohort: how much of the points issued in a month was redeemed by the end of each month since.

docs/ledger.md section 6: a cohort is an issue month in the program's time zone, what was taken back of it not
counted; refunds are subtracted, and transfers keep their cohort. Age 0 is the issue month itself; the last age of a
cohort is the month that T lies within, until T. It is the triangle that the chain ladder develops.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from include.errors import LedgerViolation
from include.ledger import rollforward
from include.ledger.ageing import month_number, month_text
from include.ledger.catalog import BOOKING_COLUMNS
from include.ledger.columns import Column
from include.ledger.rows import Ints
from include.reports import glossary
from include.reports.engine.kept import Kept
from include.reports.engine.replay import BookedPartition
from include.reports.liabilities import programs as liability_programs
from include.reports.liabilities.points import Points
from include.reports.liabilities.programs import Program
from include.reports.model import Asked, Cut, LocalSnapshot, Needs, Period, Report, arrow_schema

KIND = "redemption_by_cohort"
TITLE = "Redemption by issue month and age"
PERIOD: Period = "none"

_COLUMNS = glossary.columns(
    KIND, ("program_id", "issue_month", "age_months", "issued", "redeemed", "share_redeemed")
)
_END = 1  # of the two cuts that `Points` collects, the one that is asked for
_RATE_PLACES = Decimal(1).scaleb(-8)


class Options(BaseModel):
    """`months` newest issue months, the one that T lies within included; `programs` keeps only these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    months: int = Field(default=24, ge=1, le=120)
    programs: tuple[str, ...] = ()


def needs(options: Options) -> Needs:  # noqa: ARG001
    """Return the relations and columns that the model reads where the ledger has them."""
    return {"transactions": BOOKING_COLUMNS, **liability_programs.NEEDS}


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the cohorts as of T; raise BadInput for a program that the ledger does not have."""
    assert isinstance(asked.options, Options)
    return _Cohorts(asked, asked.options, snapshot, scratch)


class _Cohorts:
    def __init__(self, asked: Asked, options: Options, snapshot: LocalSnapshot, scratch: Path) -> None:
        self.cuts: tuple[Cut, ...] = (Cut(asked.as_of, asked.known_at, allocations=True),)
        self._at = asked.as_of
        self._months = options.months
        self._programs = liability_programs.read(snapshot, KIND, options.programs)
        self._points = Points(
            self._programs, None, scratch, months=True, develop=True, complete=not options.programs
        )
        self.kept: tuple[Kept, ...] = (self._points,)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        self._points.add(_END, partition)
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        _, _, lines = self._points.lines()
        rows: list[dict[str, Any]] = []
        for program in self._programs.values():
            developed = self._points.developed(_END, program.program_id)
            current = month_number(self._at - 1, program.zone)
            figures = {
                month: row
                for (owner, _, month), row in lines.items()
                if owner == program.program_id and current - self._months < month
            }
            for month, row in sorted(figures.items()):
                if month != rollforward.NONE:
                    rows += _cohort(program, month, row, developed.get(month, {}), current)
        yield pa.RecordBatch.from_pylist(rows, schema=arrow_schema(_COLUMNS))


def _cohort(
    program: Program, month: int, figures: Ints, redeemed: dict[int, int], current: int
) -> Iterator[dict[str, Any]]:
    """Yield the ages of one cohort; LedgerViolation where they do not lead to what was redeemed of it in all."""
    issued = rollforward.issued(figures) - rollforward.taken_back(figures)
    total = sum(points for when, points in redeemed.items() if when < month)
    for at in range(month, current + 1):
        total += redeemed.get(at, 0)
        share = None if issued <= 0 else (Decimal(total) / Decimal(issued)).quantize(_RATE_PLACES)
        yield {
            "program_id": program.program_id,
            "issue_month": month_text(month),
            "age_months": at - month,
            "issued": issued,
            "redeemed": total,
            "share_redeemed": share,
        }
    if total != rollforward.redeemed(figures):
        raise LedgerViolation(
            f"points of program {program.program_id} issued in {month_text(month)}: {total} hundredths redeemed "
            f"month by month, {rollforward.redeemed(figures)} in all"
        )
