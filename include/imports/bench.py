"""What is worked out beside the ledger: rows of an import as Arrow files of scratch, joined and summed by DuckDB.

A large table lies in parts, by ranges of lines or by a hash, and a query goes part by part; so memory does not follow
the size of a file, and the ledger's server is asked only for what it alone knows.
"""

from __future__ import annotations

import errno
import re
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Protocol, Self

import duckdb
import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from include.errors import BadInput, Permanent, Problem
from include.ledger.hashing import text_hashes
from include.reports.engine.files import Spool
from include.shaping.engine import OUT_OF_RANGE, Engine

_TABLE = re.compile(r"\bloyalty_\w+")
_MEMORY = "128MB"


@dataclass(frozen=True)
class Sizes:
    """How much is worked on at a time: rows of a part by hash, rows and bytes of a part by lines, rows of a batch."""

    hashed_rows: int = 200_000
    line_rows: int = 100_000
    line_bytes: int = 16 << 20
    batch_rows: int = 32_768


class Split(Protocol):
    """How a table lies in parts: tables of one query are split alike."""

    @property
    def count(self) -> int:
        """Return how many parts there are by now."""

    def of(self, batch: pa.RecordBatch) -> NDArray[np.int64]:
        """Return the part of each row, from 0."""


class Hashed:
    """Parts by the hash of a text column."""

    def __init__(self, column: str, count: int) -> None:
        self.count, self._column = count, column

    def of(self, batch: pa.RecordBatch) -> NDArray[np.int64]:
        """Return the part of each row, from 0."""
        parts: NDArray[np.int64] = (text_hashes(batch.column(self._column)) % np.uint64(self.count)).astype(
            np.int64
        )
        return parts


class Lines:
    """Parts by ranges of the column `line`, which `grow` makes while rows come in their order."""

    def __init__(self, sizes: Sizes) -> None:
        self._most, self._begins, self._rows, self._bytes = sizes, [0], 0, 0

    @property
    def count(self) -> int:
        """Return how many parts there are by now."""
        return len(self._begins)

    def grow(self, batch: pa.RecordBatch) -> None:
        """Let a batch that comes next belong to the last part, or begin another where that is full."""
        rows, size = self._rows + len(batch), self._bytes + batch.nbytes
        if rows > self._most.line_rows or size > self._most.line_bytes:
            self._begins.append(batch.column("line")[0].as_py())
            rows, size = len(batch), batch.nbytes
        self._rows, self._bytes = rows, size

    def of(self, batch: pa.RecordBatch) -> NDArray[np.int64]:
        """Return the part of each row, from 0."""
        lines = batch.column("line").to_numpy()
        parts: NDArray[np.int64] = np.searchsorted(np.array(self._begins), lines, side="right") - 1
        return parts


class Table:
    """Rows of one schema, in parts."""

    def __init__(self, folder: Path, name: str, schema: pa.Schema, split: Split) -> None:
        self.schema, self.split, self.rows = schema, split, 0
        self._folder, self._name = folder, name
        self._spools: list[Spool] = []

    def write(self, batch: pa.RecordBatch) -> None:
        """Add rows that have the columns of the schema, in any order; what is missing is null."""
        if not len(batch):
            return
        self.rows += len(batch)
        [batch] = conformed([batch], self.schema)
        if self.split.count == 1:
            self._spool(0).write(batch)
            return
        parts = self.split.of(batch)
        order = np.argsort(parts, kind="stable")
        found, begins = np.unique(parts[order], return_index=True)
        if len(found) > 1:
            batch = batch.take(pa.array(order))
        for part, begin, end in zip(found, begins, [*begins[1:], len(batch)], strict=True):
            self._spool(int(part)).write(batch.slice(begin, end - begin))

    def part(self, number: int) -> Iterator[pa.RecordBatch]:
        """Yield the rows of one part."""
        return self._spools[number].batches() if number < len(self._spools) else iter(())

    def remove(self) -> None:
        """Remove the files."""
        for spool in self._spools:
            spool.remove()

    def _spool(self, part: int) -> Spool:
        while len(self._spools) <= part:
            self._spools.append(Spool(self._folder / f"{self._name}-{len(self._spools)}.arrow"))
        return self._spools[part]


class Bench:
    """Tables of one import, by name (loyalty_...), in a folder of work. Close it, or use it as a context manager."""

    def __init__(self, folder: Path, sizes: Sizes | None = None) -> None:
        self.folder, self.sizes = folder, sizes or Sizes()
        self._tables: dict[str, Table] = {}
        self._idle: list[Engine] = []  # to make one costs more than most queries

    def hashed(self, column: str, rows: int) -> Hashed:
        """Return parts by the hash of a column for about so many rows; columns that go together have one number."""
        return Hashed(column, 1 + rows // self.sizes.hashed_rows)

    def lines(self) -> Lines:
        """Return parts by lines, none of which has come yet."""
        return Lines(self.sizes)

    def table(self, name: str, schema: pa.Schema, split: Split) -> Table:
        """Begin a table; give what rows are written to."""
        self.drop(name)
        self._tables[name] = Table(self.folder, name, schema, split)
        return self._tables[name]

    def fill(self, name: str, schema: pa.Schema, split: Split, batches: Iterable[pa.RecordBatch]) -> int:
        """Make a table of batches; return its rows."""
        table = self.table(name, schema, split)
        with self._refusals():
            for batch in batches:
                table.write(batch)
        return table.rows

    def rows(self, name: str) -> int:
        """Return how many rows a table has."""
        return self._tables[name].rows

    def query(self, sql: str, schema: pa.Schema) -> Iterator[pa.RecordBatch]:
        """Yield what a query gives, part by part, as `schema`. It names a table once."""
        tables = {name: self._tables[name] for name in sorted(set(_TABLE.findall(sql)))}
        with self._refusals(), self._engine() as engine:
            for part in range(max(table.split.count for table in tables.values())):
                for name, table in tables.items():
                    engine.add_batches(name, table.schema, table.part(part))
                yield from engine.run(sql, schema)
            for name in tables:
                engine.remove(name)

    def parts(self, name: str) -> int:
        """Return in how many parts a table lies."""
        return self._tables[name].split.count

    def part(self, name: str, number: int) -> pa.Table:
        """Return one part of a table that lies in parts by lines, in their order."""
        table = self._tables[name]
        rows = pa.Table.from_batches(table.part(number), table.schema).combine_chunks()
        lines = rows.column("line").to_numpy()
        return rows if (np.diff(lines) > 0).all() else rows.take(pa.array(np.argsort(lines)))

    def all(self, sql: str, **types: pa.DataType) -> list[tuple[Any, ...]]:
        """Return the rows that a query gives of every part, which are few; `types` are those of its columns."""
        schema = pa.schema(list(types.items()))
        return [tuple(row.values()) for batch in self.query(sql, schema) for row in batch.to_pylist()]

    def sums(self, sql: str, count: int) -> list[int]:
        """Return the sums over all parts of the `count` whole numbers that a query gives of each."""
        names = ", ".join(f"n{at}" for at in range(count))
        rows = self.all(
            f"SELECT {names} FROM ({sql}) AS sums({names})", **dict.fromkeys(names.split(", "), pa.int64())
        )
        return [sum(column) for column in zip(*rows, strict=True)]

    def rename(self, name: str, new: str) -> None:
        """Give a table another's place."""
        self.drop(new)
        self._tables[new] = self._tables.pop(name)

    def drop(self, name: str) -> None:
        """Remove a table, if it is there."""
        if name in self._tables:
            self._tables.pop(name).remove()

    @contextmanager
    def _engine(self) -> Iterator[Engine]:
        """Lend an engine to one query. It comes back where the query came to its end, and is closed otherwise."""
        if self._idle:
            engine = self._idle.pop()
        else:
            engine = Engine(self.folder, memory=_MEMORY, slice_rows=self.sizes.batch_rows)
        try:
            yield engine
        except BaseException:
            engine.close()
            raise
        self._idle.append(engine)

    def close(self) -> None:
        """Free everything but the tables, which lie in the folder of work."""
        while self._idle:
            self._idle.pop().close()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    @contextmanager
    def _refusals(self) -> Iterator[None]:
        """Say in our words what a disk, a number or memory has no room for."""
        try:
            yield
        except OUT_OF_RANGE:
            right = "the points of the file and its accounts add up to more than a ledger holds"
            raise BadInput([Problem("file", "points", right, "too_many_points")]) from None
        except duckdb.OutOfMemoryException as error:
            right = "too many rows are of one account: split the file"
            raise BadInput([Problem("file", "rows", right, "too_many_rows")]) from error
        except (OSError, duckdb.Error) as error:
            if getattr(error, "errno", None) == errno.ENOSPC or "No space left" in str(error):
                raise Permanent(f"no space is left in {self.folder}: {error}") from error
            raise


def conformed(batches: Iterable[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield batches with the columns and types of `schema`, what one lacks as nulls; SQLite knows no type of nulls."""
    for batch in batches:
        there = set(batch.schema.names)
        arrays = [
            batch.column(field.name).cast(field.type)
            if field.name in there
            else pa.nulls(len(batch), field.type)
            for field in schema
        ]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
