"""Reports that one DuckDB query gives, and relations that gain columns by joins.

SQL is fixed text of the model files; values are bound. A stream is registered under a name and read once, so a
query says MATERIALIZED where it reads one twice. What nobody reads is not asked for.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import pyarrow as pa

from include.ledger.catalog import RELATIONS
from include.ledger.catalog import arrow_schema as relation_schema
from include.ledger.columns import Column
from include.reports import files, relation_rows
from include.reports.engine import Engine
from include.reports.joins import Batches
from include.reports.model import Asked, Cut, LocalSnapshot, arrow_schema
from include.reports.relation import filled
from include.reports.replay import BookedPartition

_READ_ROWS = 16_384
# docs/ledger.md section 1: what came about at T or later is not part of the state at T.
BEFORE = "coalesce({0} < make_timestamptz($as_of::BIGINT), true)"


@dataclass(frozen=True)
class Stream:
    """Rows that a query reads under a name."""

    schema: pa.Schema
    read: Callable[[], Batches]


@dataclass(frozen=True)
class Part:
    """Columns that one join adds: SQL expressions by name, the join, and the streams that it reads."""

    columns: Mapping[str, str]
    join: str = ""
    streams: Mapping[str, Stream] = field(default_factory=dict)


class Queried:
    """A report (`model.Report`) of what one query gives; it needs no booking unless `cuts` says so."""

    cuts: tuple[Cut, ...] = ()

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
        self,
        sql: str,
        streams: Mapping[str, Stream],
        names: Sequence[str] | None = None,
        **values: object,
    ) -> Iterator[pa.RecordBatch]:
        """Yield what a query gives: the columns in `names`, all of the report's when None; the others are null.

        `$as_of` and `$start` stand for what is asked (us).
        """
        values |= {"as_of": self.asked.as_of, "start": self.asked.start}
        used = {name: value for name, value in values.items() if f"${name}" in sql}
        given = [column for column in self.columns if names is None or column.name in names]
        with Engine(self.scratch) as engine:
            for name, each in streams.items():
                engine.add_batches(name, each.schema, each.read())
            for batch in engine.run(sql, arrow_schema(given), **used):
                yield filled(batch, self.columns)


class Widened(Queried):
    """A relation with the columns of `parts` beside its own fields, one row each, by key."""

    def __init__(
        self,
        asked: Asked,
        snapshot: LocalSnapshot,
        scratch: Path,
        columns: Sequence[Column],
        relation: str,
        parts: Sequence[Part],
    ) -> None:
        super().__init__(asked, scratch, columns)
        self.relation = RELATIONS[relation]
        self.snapshot = snapshot
        self.parts = [part for part in parts if asked.wants(*part.columns)]

    def finish(self) -> Iterator[pa.RecordBatch]:
        """Return the relation's rows that are asked for, with what the joins add."""
        made = {name: sql for part in self.parts for name, sql in part.columns.items()}
        names = [column.name for column in self.columns if self.asked.wants(column.name)]
        names = names or list(self.relation.key)
        selected = ", ".join(f"{made.get(name, f'base.{name}')} AS {name}" for name in names)
        joins = "\n".join(part.join for part in self.parts)
        order = ", ".join(f"base.{name}" for name in self.relation.key)
        sql = f"SELECT {selected} FROM base\n{joins}\nORDER BY {order}"
        # The filter may speak of columns that only the joins give.
        asked = replace(self.asked, keep=None)
        streams = {"base": asked_stream(asked, self.snapshot, self.relation.name)}
        for part in self.parts:
            streams |= part.streams
        yield from self.query(sql, streams, names, **self.values())

    def values(self) -> dict[str, object]:
        """Return the values that the parts' SQL names beside `as_of` and `start`."""
        return {}


def stream(snapshot: LocalSnapshot, relation: str, columns: Sequence[str]) -> Stream:
    """Return all rows of a relation; what the ledger lacks is empty or null."""

    def read() -> Batches:
        paths = snapshot.files.get(relation, ())
        return files.batches(relation, paths, columns, batch_rows=_READ_ROWS)

    return Stream(relation_schema(RELATIONS[relation], columns), read)


def asked_stream(
    asked: Asked, snapshot: LocalSnapshot, relation: str, columns: Sequence[str] | None = None
) -> Stream:
    """Return the rows of a relation that are asked for (`relation_rows`)."""
    schema = relation_schema(RELATIONS[relation], columns)
    return Stream(schema, lambda: relation_rows.rows(asked, snapshot, RELATIONS[relation], schema.names))


def named(snapshot: LocalSnapshot, relation: str, key: str, renamed: Mapping[str, str]) -> Part:
    """Return the part that looks up a relation by a key that the base has too; `renamed` are its columns by name."""
    picked = ", ".join(f"min({column}) AS {name}" for name, column in renamed.items())
    join = f"""
LEFT JOIN (SELECT {key}, {picked} FROM {relation} GROUP BY {key}) of_{relation}
ON of_{relation}.{key} = base.{key}
"""
    expressions = {name: f"of_{relation}.{name}" for name in renamed}
    return Part(expressions, join, {relation: stream(snapshot, relation, (key, *renamed.values()))})
