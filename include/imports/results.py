"""The file that tells for each row what became of it: CSV in the order of rows, written while rows come."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from typing import BinaryIO, Self

import pyarrow as pa

from include.formats import csv
from include.ledger.catalog import ARROW_TYPES, FieldType
from include.ledger.columns import Column

RESULT_COLUMNS = (
    Column("row", FieldType.INTEGER),
    Column("customer_id", FieldType.ID),
    Column("email", FieldType.TEXT, pii=True),
    Column("card_id", FieldType.ID),
    Column("subledger_id", FieldType.ID),
    Column("points", FieldType.POINTS),
    Column("status", FieldType.ENUM),  # done, skipped or wrong
    Column("message", FieldType.TEXT),
    Column("balance_before", FieldType.POINTS),
    Column("balance_after", FieldType.POINTS),
    Column("transaction_id", FieldType.ID),
)
RESULT = pa.schema([
    (column.name, pa.string() if column.type is FieldType.ENUM else ARROW_TYPES[column.type])
    for column in RESULT_COLUMNS
])  # fmt: skip


class ResultFile:
    """A result as it is written to `out`; a context manager. Texts that a spreadsheet would run get an apostrophe.

    sha256, bytes and rows are those of the whole once it is closed.
    """

    def __init__(self, out: BinaryIO) -> None:
        self._out, self._digest = out, hashlib.sha256()
        self.bytes = self.rows = 0
        self._put(csv.encode(RESULT_COLUMNS, (), csv.Options()))

    def write(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Add rows of RESULT, points in hundredths; columns that are left out stay empty."""
        if not rows.num_rows:
            return
        missing = pa.nulls(rows.num_rows)
        given = set(rows.schema.names)
        table = pa.table(
            [(rows[one.name] if one.name in given else missing).cast(one.type) for one in RESULT],
            schema=RESULT,
        )
        batches = table.combine_chunks().to_batches()
        self._put(csv.encode(RESULT_COLUMNS, batches, csv.Options(header=False)))
        self.rows += rows.num_rows

    def _put(self, pieces: Iterator[bytes]) -> None:
        for piece in pieces:
            self._out.write(piece)
            self._digest.update(piece)
            self.bytes += len(piece)

    @property
    def sha256(self) -> str:
        """Return the hash of what was written so far."""
        return self._digest.hexdigest()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._out.flush()
