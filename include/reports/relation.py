"""A relation of the ledger as a model: all its fields, one row each, ordered by key.

There is one for every relation of the catalog, without a file of its own; a model file of the same name stands
for it where there is more to say (`vouchers` with what is left on them). Which rows: `relation_rows`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from functools import reduce
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq
from pydantic import BaseModel, ConfigDict

from include.ledger.catalog import ARROW_TYPES, RELATIONS, FieldType, Relation
from include.ledger.columns import Column
from include.reports.engine import relation_rows
from include.reports.engine.joins import Batches
from include.reports.engine.kept import Kept
from include.reports.engine.replay import BookedPartition
from include.reports.model import Asked, Cut, LocalSnapshot, Needs, Period, Report, arrow_schema


class NoOptions(BaseModel):
    """A relation has no options: filters say which rows, and fields which columns."""

    model_config = ConfigDict(extra="forbid", frozen=True)


class RelationModel:
    """What a model's file declares, for one relation."""

    Options: type[BaseModel] = NoOptions

    def __init__(self, relation: Relation) -> None:
        self.relation = relation
        self.KIND = relation.name
        self.TITLE = relation.name.replace("_", " ").capitalize()
        self.PERIOD: Period = "none" if relation.moment is None else "optional"

    def needs(self, options: BaseModel) -> Needs:  # noqa: ARG002
        """Return the relations and columns that the model reads where the ledger has them."""
        return {self.KIND: self.relation.names}

    def columns(self, options: BaseModel) -> tuple[Column, ...]:  # noqa: ARG002
        """Return the output columns in order."""
        return relation_rows.columns_of(self.relation)

    def spans(self, asked: Asked) -> dict[str, relation_rows.Span]:
        """Return the moments outside which no row is read (`models.spans`)."""
        return {self.KIND: relation_rows.span(asked, self.relation)}

    def report(self, asked: Asked, snapshot: LocalSnapshot, scratch: Path) -> Report:
        """Return the rows of the period, or before `as_of`; raise BadInput when the ledger has no such relation."""
        snapshot.require(self.KIND, {self.KIND: ()})
        return _Rows(asked, snapshot, self.relation, scratch)


def load(name: str) -> RelationModel:
    """Return the model of a relation; KeyError when there is no such relation."""
    return RelationModel(RELATIONS[name])


class _Rows:
    def __init__(self, asked: Asked, snapshot: LocalSnapshot, relation: Relation, scratch: Path) -> None:
        self.cuts: tuple[Cut, ...] = ()
        self.kept: tuple[Kept, ...] = ()
        self._asked = asked
        self._snapshot = snapshot
        self._relation = relation
        self._scratch = scratch

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:  # noqa: ARG002
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        given = load(self._relation.name).columns(NoOptions())
        wanted = [column for column in given if self._asked.wants(column.name)]
        for batch in in_key_order(self._asked, self._snapshot, self._relation, wanted, self._scratch):
            yield filled(batch, given)


def in_key_order(
    asked: Asked,
    snapshot: LocalSnapshot,
    relation: Relation,
    wanted: Sequence[Column],
    scratch: Path,
    *,
    dictionaries: bool = True,
) -> Batches:
    """Yield the rows of a relation that are asked for, by key; ids as UTF-8 bytes.

    A ledger gives most relations in the order of their keys anyway: what is in order already is not sorted,
    and keeps its dictionary columns unless `dictionaries` is false.
    """
    names = [column.name for column in wanted]
    if _is_ordered(relation_rows.rows(asked, snapshot, relation, relation.key), relation.key):
        dictionary = _dictionary_columns(snapshot, relation, names) if dictionaries else ()
        yield from relation_rows.rows(asked, snapshot, relation, names, dictionary=dictionary)
        return
    from include.shaping.ordering import ordered

    keys = [Column(name, relation.field(name).type) for name in relation.key if name not in names]
    columns = [*wanted, *keys]
    read = relation_rows.rows(asked, snapshot, relation, [column.name for column in columns])
    for batch in ordered(read, columns, list(relation.key), scratch):
        yield batch.select(names)


def filled(batch: pa.RecordBatch, columns: Sequence[Column]) -> pa.RecordBatch:
    """Return the batch with all of `columns`, in order; those that nobody reads are null."""
    schema = arrow_schema(columns)
    there = set(batch.schema.names)
    arrays = [
        batch.column(field.name) if field.name in there else pa.nulls(len(batch), field.type)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(arrays, schema.names)


def _is_ordered(batches: Batches, key: Sequence[str]) -> bool:
    """Return whether no row comes before the one it follows; a null in a key is left to sorting."""
    last: pa.RecordBatch | None = None
    for batch in batches:
        if any(column.null_count for column in batch.columns):
            return False
        before = batch if last is None else _joined(last, batch)
        if not _ascends(before, key):
            return False
        last = batch.slice(len(batch) - 1)
    return True


def _ascends(rows: pa.RecordBatch, key: Sequence[str]) -> bool:
    pairs = [(rows.column(name).slice(0, len(rows) - 1), rows.column(name).slice(1)) for name in key]
    # From the last part of the key to the first: less there, or equal and in order in what follows.
    first, *others = [(pc.less(a, b), pc.less_equal(a, b), pc.equal(a, b)) for a, b in reversed(pairs)]
    in_order = reduce(lambda rest, part: pc.or_(part[0], pc.and_(part[2], rest)), others, first[1])
    return bool(pc.all(in_order).as_py() is not False)


def _joined(last: pa.RecordBatch, batch: pa.RecordBatch) -> pa.RecordBatch:
    columns = [pa.concat_arrays([a, b]) for a, b in zip(last.columns, batch.columns, strict=True)]
    return pa.RecordBatch.from_arrays(columns, schema=batch.schema)


def _dictionary_columns(snapshot: LocalSnapshot, relation: Relation, names: Sequence[str]) -> list[str]:
    """Return the text columns whose values repeat: the first file has them as dictionaries."""
    paths = snapshot.files.get(relation.name, ())
    if not paths:
        return []
    metadata = pq.read_metadata(paths[0])
    if not metadata.num_row_groups:
        return []
    chunks = [metadata.row_group(0).column(index) for index in range(metadata.num_columns)]
    texts = {name for name in names if ARROW_TYPES[relation.field(name).type] == ARROW_TYPES[FieldType.TEXT]}
    return [
        chunk.path_in_schema
        for chunk in chunks
        if chunk.has_dictionary_page and chunk.path_in_schema in texts
    ]
