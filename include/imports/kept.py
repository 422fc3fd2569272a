"""The files that people get of an import, made from its rows: what became of each, and a file that takes them back.

A file that takes an import back can be read, edited and imported by hand; `undo.py` does it lot by lot.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO, NamedTuple

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from numpy.typing import NDArray

from include.formats import csv
from include.imports.effects import RowOutcome, RowStatus
from include.imports.figures import hundredths
from include.imports.plan import done_rows, transaction_ids
from include.imports.results import RESULT, ResultFile
from include.ledger.catalog import ARROW_TYPES, FieldType
from include.ledger.columns import Column
from include.state.tables import instant

_BATCH_ROWS = 32_768
_OUTCOME = (
    "line", "status", "message", "customer_id", "email", "card_id", "customer", "card", "points", "balance_before",
    "balance_after", "activates", "expires", "birthday", "old_birthday",
)  # fmt: skip
_POINTS = (
    Column("customer_id", FieldType.ID),
    Column("card_id", FieldType.ID),
    Column("subledger_id", FieldType.ID),
    Column("points", FieldType.POINTS),
    Column("reason", FieldType.TEXT),
)
_BIRTHDAYS = (Column("customer_id", FieldType.ID), Column("Birthday(MM/DD)", FieldType.TEXT))


class Written(NamedTuple):
    """A file that was written: hex SHA-256, bytes."""

    sha256: str
    bytes: int


def write_result(rows: Path, import_id: str | None, out: BinaryIO) -> Written:
    """Write what became of each row. import_id: of what was posted; None for a rehearsal, which has no transactions."""
    with ResultFile(out) as file:
        for batch in _all(rows):
            file.write(_result(batch, import_id))
    return Written(file.sha256, file.bytes)


def write_undo(rows: Path, import_id: str, out: BinaryIO, *, points: bool) -> Written:
    """Write the rows that take an import back: points with the other sign, or the birthdays that were there."""
    digest, size = hashlib.sha256(), 0
    columns = _POINTS if points else _BIRTHDAYS
    for piece in csv.encode(columns, _undone(rows, import_id, columns, points=points), csv.Options()):
        out.write(piece)
        digest.update(piece)
        size += len(piece)
    return Written(digest.hexdigest(), size)


def outcomes(rows: BinaryIO, only: RowStatus | None, offset: int, limit: int) -> list[RowOutcome]:
    """Return some rows in the order of the file, those of one status alone where one is named.

    Of row groups that have none of them, no more is read than whether they do.
    """
    found: list[RowOutcome] = []
    with pq.ParquetFile(rows, pre_buffer=False) as file:
        for group in range(file.num_row_groups):
            wanted = _wanted(file, group, only)
            if offset >= len(wanted):
                offset -= len(wanted)
                continue
            places = wanted[offset : offset + limit - len(found)]
            some = file.read_row_group(group, columns=list(_OUTCOME)).take(pa.array(places))
            found += [_outcome(row) for row in some.to_pylist()]
            offset = 0
            if len(found) >= limit:
                break
    return found


def _wanted(file: pq.ParquetFile, group: int, only: RowStatus | None) -> NDArray[np.int64]:
    """Return the places in a row group of the rows of a status, all where none is named."""
    if only is None:
        return np.arange(file.metadata.row_group(group).num_rows)
    status = file.read_row_group(group, columns=["status"]).column("status")
    return np.flatnonzero(pc.equal(status, only.value).to_numpy())


def _all(rows: Path) -> Iterator[pa.RecordBatch]:
    with pq.ParquetFile(rows, pre_buffer=False) as file:
        yield from file.iter_batches(_BATCH_ROWS)


def _outcome(row: dict[str, object]) -> RowOutcome:
    def points(name: str) -> object:
        value = row[name]
        return None if value is None else hundredths(int(str(value)))

    def at(name: str) -> object:
        value = row[name]
        return None if value is None else instant(int(str(value)))

    plain = {name: row[name] for name in ("status", "customer", "card")}
    return RowOutcome.model_validate(
        {
            **plain,
            "row": row["line"],
            "member": row["card_id"] or row["customer_id"] or row["email"] or "",
            "points": points("points"),
            "balance_before": points("balance_before"),
            "balance_after": points("balance_after"),
            "starts": at("activates"),
            "expires": at("expires"),
            "birthday_before": row["old_birthday"],
            "birthday_after": row["birthday"],
            "message": row["message"] or "",
        }
    )


def _result(batch: pa.RecordBatch, import_id: str | None) -> pa.RecordBatch:
    done = pc.equal(batch.column("status"), RowStatus.DONE.value)
    columns = {name: batch.column(name) for name in RESULT.names if name in batch.schema.names}
    columns["row"] = batch.column("line")
    columns["customer_id"] = pc.coalesce(batch.column("customer"), batch.column("customer_id"))
    columns["card_id"] = pc.coalesce(batch.column("card"), batch.column("card_id"))
    columns["subledger_id"] = batch.column("subledger")
    if import_id is not None:
        booked = pc.and_(done, batch.column("points").is_valid())
        ids = transaction_ids(import_id, batch.column("line"))
        columns["transaction_id"] = pc.if_else(booked, ids, None)
    return pa.RecordBatch.from_pydict(columns)


def _undone(
    rows: Path, import_id: str, columns: tuple[Column, ...], *, points: bool
) -> Iterator[pa.RecordBatch]:
    schema = pa.schema([(column.name, ARROW_TYPES[column.type]) for column in columns])
    for batch in done_rows(rows):
        if points:
            arrays = [
                batch.column("customer"),
                batch.column("card"),
                batch.column("subledger"),
                pc.negate(batch.column("points")),
                pa.repeat(f"takes back {import_id}", len(batch)),
            ]
        else:
            arrays = [batch.column("customer"), batch.column("old_birthday")]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
