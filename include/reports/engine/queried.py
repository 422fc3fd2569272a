"""Queries over streams of rows, by DuckDB in bounded memory.

SQL is fixed text of the model files; values are bound. A stream is registered under a name and read once, so a
query says MATERIALIZED where it reads one twice. A query groups or sorts, which can spill; lookups of rows by a
key are `joins`, since several of them in one query need memory at once.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa

from include.ledger.catalog import RELATIONS
from include.ledger.catalog import arrow_schema as relation_schema
from include.ledger.columns import Column
from include.reports.engine import files, relation_rows
from include.reports.engine.duckdb import Engine
from include.reports.engine.joins import Batches, Side, left_join
from include.reports.engine.kept import Kept
from include.reports.engine.replay import BookedPartition
from include.reports.model import Asked, Cut, LocalSnapshot

_READ_ROWS = 16_384
# Rows of one lookup in memory: several of them run one behind the other.
_IN_MEMORY = 60_000
# docs/ledger.md section 1: what came about at T or later is not part of the state at T.
BEFORE = "coalesce({0} < make_timestamptz($as_of::BIGINT), true)"


@dataclass(frozen=True)
class Stream:
    """Rows that a query reads under a name."""

    schema: pa.Schema
    read: Callable[[], Batches]


class Queried:
    """A report (`model.Report`) that needs no booking unless `cuts` says so; `finish` gives all rows."""

    cuts: tuple[Cut, ...] = ()
    kept: tuple[Kept, ...] = ()

    def __init__(self, asked: Asked, scratch: Path, columns: Sequence[Column]) -> None:
        self.asked = asked
        self.scratch = scratch
        self.columns = columns

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        """Take a partition; a report without cuts gets none."""
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        """Return all rows."""
        raise NotImplementedError

    def query(
        self, sql: str, streams: Mapping[str, Stream], schema: pa.Schema, **values: object
    ) -> Iterator[pa.RecordBatch]:
        """Yield what a query gives; `$as_of` and `$start` stand for what is asked (us)."""
        values |= {"as_of": self.asked.as_of, "start": self.asked.start}
        used = {name: value for name, value in values.items() if f"${name}" in sql}
        with Engine(self.scratch) as engine:
            for name, each in streams.items():
                engine.add_batches(name, each.schema, each.read())
            yield from engine.run(sql, schema, **used)

    def looked_up(
        self, rows: Batches, sql: str, streams: Mapping[str, Stream], schema: pa.Schema, **values: object
    ) -> Batches:
        """Yield rows with what a query gives for the key that its first column is; null where it gives nothing."""
        found = self._spooled(self.query(sql, streams, schema, **values))
        yield from self.joined(rows, Side(schema.names[0], found.rows, schema, found.batches))
        found.remove()

    def stored(self, batches: Batches, schema: pa.Schema) -> Stream:
        """Return batches as a stream, made now: no two queries run at a time."""
        return Stream(schema, self._spooled(batches).batches)

    def joined(self, rows: Batches, side: Side) -> Batches:
        """Yield rows with the other columns of `side`."""
        return left_join(rows, side, self.scratch, in_memory=_IN_MEMORY)

    def _spooled(self, batches: Batches) -> files.Spool:
        found = files.Spool.unnamed(self.scratch)
        for batch in batches:
            found.write(batch)
        return found


def stream(snapshot: LocalSnapshot, relation: str, columns: Sequence[str]) -> Stream:
    """Return all rows of a relation; what the ledger lacks is empty or null."""

    def read() -> Batches:
        paths = snapshot.files.get(relation, ())
        return files.batches(relation, paths, columns, batch_rows=_READ_ROWS)

    return Stream(relation_schema(RELATIONS[relation], columns), read)


def asked_stream(asked: Asked, snapshot: LocalSnapshot, relation: str, columns: Sequence[str]) -> Stream:
    """Return the rows of a relation that are asked for (`relation_rows`)."""
    schema = relation_schema(RELATIONS[relation], columns)
    return Stream(schema, lambda: relation_rows.rows(asked, snapshot, RELATIONS[relation], schema.names))
