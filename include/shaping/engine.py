"""DuckDB for what needs more than one batch: bounded memory, spill to scratch, no access to anything else.

Rows come in as Arrow streams, read once each by a query; DuckDB opens no file and no URL of its own.
"""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Self

import duckdb
import pyarrow as pa

_MEMORY = "160MB"
# Rows leave in slices of this many, so that what a later step copies stays small.
_SLICE_ROWS = 15_000

OUT_OF_RANGE = (duckdb.OutOfRangeException, duckdb.ConversionException)


class Engine:
    """A DuckDB for one query at a time. Close it, or use it as a context manager; what it spilled goes with it."""

    def __init__(self, scratch: Path, *, memory: str = _MEMORY, slice_rows: int = _SLICE_ROWS) -> None:
        self._slice_rows = slice_rows
        self._failure: Exception | None = None
        self._spill = tempfile.mkdtemp(prefix="duckdb-", dir=scratch)
        settings: dict[str, str | bool | int | float | list[str]] = {
            "memory_limit": memory,
            "threads": 2,
            "temp_directory": self._spill,
            "preserve_insertion_order": False,  # every query says its order
            "autoload_known_extensions": False,
            "autoinstall_known_extensions": False,
        }
        self._connection = duckdb.connect(":memory:", config=settings)
        self._connection.execute("SET TimeZone = 'UTC'")
        self._connection.execute("SET enable_external_access = false")  # last: it locks the folder above

    def add_reader(self, name: str, reader: pa.RecordBatchReader) -> None:
        """Register a stream under a name; a query reads it once."""
        self._connection.register(name, reader)

    def add_batches(self, name: str, schema: pa.Schema, batches: Iterable[pa.RecordBatch]) -> None:
        """Register batches under a name; what is raised while they are made comes out of `run` as it is."""

        def watched() -> Iterator[pa.RecordBatch]:
            try:
                yield from batches
            except Exception as error:
                self._failure = error
                raise

        self.add_reader(name, pa.RecordBatchReader.from_batches(schema, watched()))

    def remove(self, name: str) -> None:
        """Forget the stream of this name."""
        self._connection.unregister(name)

    def execute(self, sql: str) -> None:
        """Run a statement that gives no rows."""
        self._connection.execute(sql)

    def run(self, sql: str, schema: pa.Schema, **values: object) -> Iterator[pa.RecordBatch]:
        """Yield the rows of a query as batches of `schema`; `values` are bound to $names in it."""
        for batch in self._results(sql, values):
            arrays = [batch.column(field.name).cast(field.type) for field in schema]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    def _results(self, sql: str, values: dict[str, object]) -> Iterator[pa.RecordBatch]:
        try:
            result = self._connection.sql(sql, params=values)
            yield from result.to_arrow_reader(self._slice_rows)
        except Exception:
            if self._failure is not None:
                raise self._failure from None
            raise

    def close(self) -> None:
        """Free everything."""
        self._connection.close()
        shutil.rmtree(self._spill, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()
