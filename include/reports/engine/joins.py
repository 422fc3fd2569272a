"""Joins of report rows with other relations, in the order of the rows and in bounded memory.

Every join here is "at most one row for each key": a customer's name, a redemption's voucher. A relation that
fits in memory is looked up there. A larger one is cut, with the keys that ask for it, into ranges of the key's
hash, looked up range by range, and the answers are put back into the order of the rows (docs/architecture.md,
Engine). Texts are compared exactly; a hash only says where to look.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.ledger.catalog import RELATIONS
from include.ledger.catalog import arrow_schema as relation_schema
from include.ledger.hashing import text_hashes
from include.ledger.text_index import TextIndex
from include.reports.engine import files
from include.reports.engine.splitting import Piece, Scatter
from include.reports.model import SLICE_ROWS, LocalSnapshot

# Rows of a relation that are looked up in one go: some 100 bytes each, and as much again while they are indexed.
ROWS_IN_MEMORY = 150_000
_READ_ROWS = 32_768
_PLACE = "place of the row"

Batches = Iterator[pa.RecordBatch]


@dataclass(frozen=True)
class Side:
    """A relation to look up: `read` gives its rows, in which `key` should be unique; `rows` is at least how many.

    Where a key is there twice, the row that comes first by the column `first_by` counts.
    """

    key: str
    rows: int
    schema: pa.Schema
    read: Callable[[], Batches]
    first_by: str | None = None

    @cached_property
    def index(self) -> Index:
        """The rows, all in memory, for whoever looks them up: read once, and held as long as the side is."""
        return Index(_table(self.read(), self.schema), self.key, self.first_by)

    def of(self, keys: pa.Array) -> dict[str, pa.Array]:
        """Return the other columns for `keys`, as `Index.of`; nothing is read where nobody asks."""
        if keys.null_count == len(keys):
            return {
                field.name: pa.nulls(len(keys), field.type) for field in self.schema if field.name != self.key
            }
        return self.index.of(keys)


def relation(
    snapshot: LocalSnapshot,
    name: str,
    key: str,
    renamed: dict[str, str],
    *,
    keep: Callable[[pa.RecordBatch], pa.Array] | None = None,
    first_by: str | None = None,
) -> Side:
    """Return a relation of the snapshot as a side; `renamed` says what its columns, the key too, are called.

    `keep` gives the mask of the rows that count, from columns under the relation's own names.
    """
    columns, paths = tuple(renamed), snapshot.files.get(name, ())

    def read() -> Batches:
        for batch in files.batches(name, paths, columns, batch_rows=_READ_ROWS):
            kept = batch.filter(keep(batch)) if keep else batch
            yield kept.rename_columns([renamed[column] for column in columns])

    fields = relation_schema(RELATIONS[name], columns)
    schema = pa.schema([pa.field(renamed[field.name], field.type) for field in fields])
    first = renamed[first_by] if first_by else None
    return Side(renamed[key], files.row_count(paths), schema, read, first)


def left_join(rows: Batches, side: Side, folder: Path, *, in_memory: int = ROWS_IN_MEMORY) -> Batches:
    """Yield `rows` with the other columns of `side` added: of the row whose key is theirs, else null.

    `rows` have a column of the key's name. Their order stays, their batches are cut anew.
    """
    return left_joins(rows, [side], folder, in_memory=in_memory)


def left_joins(
    rows: Batches, sides: Sequence[Side], folder: Path, *, in_memory: int = ROWS_IN_MEMORY
) -> Batches:
    """Yield `rows` as after a `left_join` with each side; they wait once for all that do not fit in memory.

    `rows` have all the keys: no side gives one.
    """
    small = [side for side in sides if side.rows <= in_memory]
    large = [side for side in sides if side.rows > in_memory]
    for batch in _with_large(rows, large, folder, in_memory) if large else rows:
        more: dict[str, pa.Array] = {}
        for side in small:
            more |= side.of(batch.column(side.key))
        yield _extended(batch, more)


def _with_large(rows: Batches, sides: Sequence[Side], folder: Path, in_memory: int) -> Batches:
    waiting = files.Spool.unnamed(folder)
    name = waiting.path.stem
    ranges = [_Ranges(side, folder, f"{name}-{number}", in_memory) for number, side in enumerate(sides)]
    for batch in rows:
        for each in ranges:
            each.ask(batch, waiting.rows)
        waiting.write(batch)
    answers = zip(*(each.answers(waiting.rows) for each in ranges), strict=True)
    for batch, found in zip(rechunked(waiting.batches(), SLICE_ROWS), answers, strict=True):
        yield _extended(
            batch, {name: answer.column(name) for answer in found for name in answer.schema.names}
        )
    waiting.remove()


class Index:
    """A table to look up by `key`; of rows with the same key the first by the column `first_by` counts."""

    def __init__(self, table: pa.Table, key: str, first_by: str | None = None) -> None:
        keys = _column(table, key)
        order = np.arange(len(table))
        if first_by:
            order = pc.sort_indices(table.column(first_by)).to_numpy().astype(np.int64)
        if keys.null_count:
            order = order[keys.is_valid().to_numpy(zero_copy_only=False)[order]]
        self._rows = TextIndex(keys, text_hashes(keys), order)
        self._others = {name: _column(table, name) for name in table.column_names if name != key}

    def of(self, keys: pa.Array) -> dict[str, pa.Array]:
        """Return the other columns for `keys`, null where there is none."""
        rows = self._rows.find(keys, text_hashes(keys))
        if keys.null_count:
            rows[keys.is_null().to_numpy(zero_copy_only=False)] = -1
        at = pa.array(rows, mask=rows < 0)
        return {name: column.take(at) for name, column in self._others.items()}


class _Ranges:
    """A side that is looked up in ranges of the key's hash; its files' names begin with `name`."""

    def __init__(self, side: Side, folder: Path, name: str, in_memory: int) -> None:
        self._side = side
        self._folder = folder
        self._name = name
        self._count = -(-side.rows // in_memory)
        self._block = in_memory // SLICE_ROWS * SLICE_ROWS or SLICE_ROWS
        self._asking = self._scatter("asking", self._count)

    def ask(self, rows: pa.RecordBatch, before: int) -> None:
        """Take the keys of more rows, of which there were so many before."""
        keys = rows.column(self._side.key)
        place = pa.array(np.arange(len(rows)) + before)
        asked = pa.RecordBatch.from_arrays([keys, place], [self._side.key, _PLACE])
        if keys.null_count:
            asked = asked.filter(keys.is_valid())
        self._asking.add(asked, self._range(asked.column(0)))

    def answers(self, total: int) -> Batches:
        """Yield the other columns in the order of the rows, a slice at a time."""
        self._asking.close()
        ordered = self._scatter("ordered", -(-total // self._block))
        if any(piece.rows for piece in self._asking.pieces()):
            known = self._scatter("known", self._count)
            for batch in self._side.read():
                known.add(batch, self._range(batch.column(self._side.key)))
            known.close()
            for questions, relation_rows in zip(self._asking.pieces(), known.pieces(), strict=True):
                self._answer(questions, relation_rows, ordered)
        ordered.close()
        for index, piece in enumerate(ordered.pieces()):
            first = index * self._block
            yield from self._in_order(piece, first, min(self._block, total - first))

    def _scatter(self, what: str, parts: int) -> Scatter:
        return Scatter(self._folder, f"{self._name}-{what}", parts)

    def _answer(self, questions: Piece, relation_rows: Piece, ordered: Scatter) -> None:
        index = Index(_table(relation_rows.batches(), self._side.schema), self._side.key, self._side.first_by)
        for batch in questions.batches():
            place = batch.column(_PLACE)
            answer = pa.RecordBatch.from_pydict({**index.of(batch.column(self._side.key)), _PLACE: place})
            ordered.add(answer, (place.to_numpy() // self._block).astype(np.uint16))
        questions.remove()
        relation_rows.remove()

    def _in_order(self, piece: Piece, first: int, count: int) -> Batches:
        """Yield the answers for the places from `first` on, null where nothing was asked."""
        schema = pa.schema([field for field in self._side.schema if field.name != self._side.key])
        table = piece.table() if piece.rows else schema.append(pa.field(_PLACE, pa.int64())).empty_table()
        at = np.full(count, -1, np.int64)
        at[table.column(_PLACE).to_numpy() - first] = np.arange(len(table))
        table = table.drop_columns([_PLACE]).take(pa.array(at, mask=at < 0)).combine_chunks()
        yield from table.to_batches(max_chunksize=SLICE_ROWS)
        piece.remove()

    def _range(self, keys: pa.Array) -> NDArray[np.uint16]:
        return hash_range(text_hashes(keys), self._count)


def hash_range(hashes: NDArray[np.uint64], count: int) -> NDArray[np.uint16]:
    """Return the range, of `count` contiguous ones, that each 64-bit hash falls into."""
    return (((hashes >> np.uint64(32)) * np.uint64(count)) >> np.uint64(32)).astype(np.uint16)


def rechunked(batches: Batches, rows: int) -> Batches:
    """Yield the same rows in batches of exactly `rows`; the last may be smaller."""
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += len(batch)
        if count >= rows:
            table = pa.Table.from_batches(held)
            whole = count // rows * rows
            for start in range(0, whole, rows):
                yield _one_batch(table.slice(start, rows))
            held = table.slice(whole).to_batches()
            count -= whole
    if count:
        yield _one_batch(pa.Table.from_batches(held))


def _one_batch(table: pa.Table) -> pa.RecordBatch:
    return table.combine_chunks().to_batches()[0]


def _extended(batch: pa.RecordBatch, more: dict[str, pa.Array]) -> pa.RecordBatch:
    return pa.RecordBatch.from_pydict({**dict(zip(batch.schema.names, batch.columns, strict=True)), **more})


def _table(batches: Batches, schema: pa.Schema) -> pa.Table:
    return pa.Table.from_batches(batches, schema=schema)


def _column(table: pa.Table, name: str) -> pa.Array:
    column = table.column(name)
    return column.chunk(0) if column.num_chunks == 1 else column.combine_chunks()


def chosen(batches: Batches, schema: pa.Schema) -> Batches:
    """Yield the columns of `schema`, in its order."""
    for batch in batches:
        yield pa.RecordBatch.from_arrays([batch.column(name) for name in schema.names], schema=schema)
