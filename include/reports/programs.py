"""Keeping only some programs of a report, and refusing the names of programs that do not exist."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa
import pyarrow.compute as pc

from include.errors import BadInput, Problem
from include.reports import files
from include.reports.model import LocalSnapshot

COLUMNS = ("program_id", "name", "currency", "time_zone")


def check(snapshot: LocalSnapshot, report: str, asked: Sequence[str]) -> None:
    """Raise BadInput when a report is asked for programs that the ledger does not have."""
    if not asked:
        return
    paths = snapshot.files.get("programs", ())
    known: set[str] = set()
    for batch in files.batches("programs", paths, ("program_id",), batch_rows=1024):
        known.update(batch.column(0).to_pylist())
    unknown = [program for program in asked if program not in known]
    if unknown:
        names = ", ".join(sorted(known)[:20])
        raise BadInput(
            [
                Problem(f"report {report}: programs", program, f"known programs are {names}", "unknown_program")
                for program in unknown
            ]
        )


def keep(table: pa.Table, asked: Sequence[str]) -> pa.Table:
    """Return the rows of the asked programs; all when none is named."""
    if not asked:
        return table
    return table.filter(pc.is_in(table.column("program_id"), value_set=pa.array(asked)))
