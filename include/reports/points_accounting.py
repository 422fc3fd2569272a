"""Points accounting: the roll-forward that finance teams know, one row per program and period.

The figures are liability's (docs/ledger.md section 6). What adds points by hand or transfer counts as earned, what
takes them away as earned reversed, each net over the period, so that every row foots:
start + earned - reversed - redeemed + reimbursed - expired = end.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa

from include.definitions.zones import zone
from include.errors import LedgerViolation
from include.ledger.columns import Column
from include.reports import glossary, liability, programs
from include.reports.engine.derived import Derived, Rows
from include.reports.model import Asked, LocalSnapshot, Needs, Period, Report, arrow_schema

KIND = "points_accounting"
TITLE = "Points accounting"
PERIOD: Period = "required"

_COLUMNS = glossary.columns(
    KIND,
    (
        "program_id",
        "program_name",
        "date",
        "earned",
        "earned_reversed",
        "redeemed",
        "refunded",
        "expired",
        "outstanding_start",
        "outstanding_end",
        "outstanding_difference",
    ),
)
# By hand, by transfer, between issue months and tiers: each net over the period.
_OTHERS = (("adjusted", 1), ("transferred_in", 1), ("transferred_out", -1), ("reclassified", 1))

Options = programs.Options


def needs(options: Options) -> Needs:
    """Return the relations and columns that the report reads where the ledger has them."""
    return liability.needs(_inner(options))


def columns(options: Options) -> tuple[Column, ...]:  # noqa: ARG001
    """Return the output columns in order."""
    return _COLUMNS


def report(asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
    """Return the roll-forward of `[start, end)`; raise BadInput as liability does."""
    assert isinstance(asked.options, Options)
    inner = Asked(asked.start, asked.end, asked.as_of, asked.known_at, _inner(asked.options), asked.timezone)
    last_day = last_day_of(asked)

    def made(rows: Rows) -> Iterator[pa.RecordBatch]:
        lines = [_line(row, last_day) for batch in rows for row in batch.to_pylist()]
        yield pa.RecordBatch.from_pylist(lines, schema=arrow_schema(_COLUMNS))

    return Derived(liability.report(inner, snapshot, scratch), made)


def last_day_of(asked: Asked) -> Any:
    """Return the local day on which the period ends: that of its last instant."""
    return datetime.fromtimestamp((asked.as_of - 1) / 1_000_000, UTC).astimezone(zone(asked.timezone)).date()


def _inner(options: Options) -> liability.Options:
    return liability.Options(programs=options.programs, method="none")


def _line(row: dict[str, Any], last_day: Any) -> dict[str, Any]:
    others = sum(sign * row[name] for name, sign in _OTHERS)
    line = {
        "program_id": row["program_id"],
        "program_name": row["program_name"],
        "date": last_day,
        "earned": row["earned"] + max(others, 0),
        "earned_reversed": row["earned_reversed"] + max(-others, 0),
        "redeemed": row["redeemed"],
        "refunded": row["refunded"],
        "expired": row["expired"],
        "outstanding_start": row["opening"],
        "outstanding_end": row["closing"],
        "outstanding_difference": row["closing"] - row["opening"],
    }
    moved = line["earned"] - line["earned_reversed"] - line["redeemed"] + line["refunded"] - line["expired"]
    if moved != line["outstanding_difference"]:
        raise LedgerViolation(
            f"the points accounting of program {row['program_id']} does not foot: {moved} hundredths moved, "
            f"{line['outstanding_difference']} is the difference"
        )
    return line
