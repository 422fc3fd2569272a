"""Keeping only some programs of a report, and refusing the names of programs that do not exist."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

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
                Problem(
                    f"report {report}: programs", program, f"known programs are {names}", "unknown_program"
                )
                for program in unknown
            ]
        )


def mask(accounts: pa.Table, asked: Sequence[str]) -> NDArray[np.bool_]:
    """Return which accounts are of the asked programs: bool[accounts], all of them when none is named."""
    if not asked:
        return np.ones(len(accounts), np.bool_)
    kept = pc.is_in(accounts.column("program_id"), value_set=pa.array(asked))
    return np.asarray(kept.to_numpy(), np.bool_)


def keep(table: pa.Table, asked: Sequence[str]) -> pa.Table:
    """Return the rows of the asked programs; all when none is named."""
    return table.filter(pa.array(mask(table, asked))) if asked else table
