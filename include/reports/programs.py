"""Keeping only some programs of a report: the option that asks for it, and refusing programs that do not exist."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from include.errors import BadInput, Problem
from include.reports.engine import files
from include.reports.model import LocalSnapshot

COLUMNS = ("program_id", "name", "currency", "time_zone")


class Options(BaseModel):
    """`programs` keeps only these."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    programs: tuple[str, ...] = ()


def check(snapshot: LocalSnapshot, report: str, asked: Sequence[str]) -> None:
    """Raise BadInput when a report is asked for programs that the ledger does not have."""
    if not asked:
        return
    known = _known(snapshot)
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


def ids(snapshot: LocalSnapshot, asked: Sequence[str]) -> list[str]:
    """Return the asked programs, all of the ledger's when none is named, as UTF-8 bytes ascend."""
    return sorted(asked or _known(snapshot), key=str.encode)


def _known(snapshot: LocalSnapshot) -> set[str]:
    known: set[str] = set()
    for batch in files.batches(
        "programs", snapshot.files.get("programs", ()), ("program_id",), batch_rows=1024
    ):
        known.update(batch.column(0).to_pylist())
    return known


def externals(snapshot: LocalSnapshot) -> dict[str, int | None]:
    """Return the number of each program in systems that know programs by integers."""
    read = files.batches(
        "programs", snapshot.files.get("programs", ()), ("program_id", "external_id"), batch_rows=1024
    )
    return {
        program: number
        for batch in read
        for program, number in zip(batch.column(0).to_pylist(), batch.column(1).to_pylist(), strict=True)
    }


def external(ids: pa.Array, numbers: Mapping[str, int | None]) -> pa.Array:
    """Return these numbers (int64) for program ids, which may be a dictionary column: each text is looked up once."""
    coded = ids if pa.types.is_dictionary(ids.type) else ids.dictionary_encode()
    found = pa.array([numbers.get(program) for program in coded.dictionary.to_pylist()], pa.int64())
    return found.take(coded.indices)


def mask(accounts: pa.Table, asked: Sequence[str]) -> NDArray[np.bool_]:
    """Return which accounts are of the asked programs: bool[accounts], all of them when none is named."""
    if not asked:
        return np.ones(len(accounts), np.bool_)
    kept = pc.is_in(accounts.column("program_id"), value_set=pa.array(asked))
    return np.asarray(kept.to_numpy(), np.bool_)


def keep(table: pa.Table, asked: Sequence[str]) -> pa.Table:
    """Return the rows of the asked programs; all when none is named."""
    return table.filter(pa.array(mask(table, asked))) if asked else table
