"""What is to be posted: the rows of a rehearsal, and the ids that they have in the ledger.

A row's transaction_id follows from the import's id and the row's number, so what was committed is found again, by
whoever comes after a crash, and cannot be booked twice.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.errors import BadInput, Problem
from include.imports.effects import RowStatus
from include.imports.options import Options
from include.snapshots.erased import Erased

_BATCH_ROWS = 65_536
_NUMBER_DIGITS = 8


class Plan(NamedTuple):
    """What is posted: the rows of a rehearsal, as whose. `mode` is that of the import, `path` its rows."""

    import_id: str
    options: Options
    path: Path
    by: str
    rows: int
    erased: Erased | None


def transaction_ids(import_id: str, lines: pa.Array) -> pa.Array:
    """Return the ids that rows of an import have in the ledger."""
    numbers = pc.utf8_lpad(lines.cast(pa.string()), _NUMBER_DIGITS, "0")
    return pc.binary_join_element_wise(pa.scalar(import_id), numbers, "-")


def done_rows(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a rehearsal that are to be booked, in the order of the file; columns: those alone."""
    wanted = None if columns is None else [*columns, "status"]
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=wanted):
            kept = batch.filter(pc.equal(batch.column("status"), RowStatus.DONE.value))
            if len(kept):
                yield kept


def again(why: str) -> BadInput:
    """Return the error for rows that do not do what the rehearsal said."""
    right = f"{why} since the rehearsal: rehearse again"
    return BadInput([Problem("import", "rehearsal", right, "rehearse_again")])
