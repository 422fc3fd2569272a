"""Rows in the order that a definition asks for, whatever their number."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from include.definitions.order import keys
from include.ledger.columns import Column
from include.shaping import paths
from include.shaping.engine import Engine


def ordered(
    batches: Iterable[pa.RecordBatch], columns: Sequence[Column], order: Sequence[str], scratch: Path
) -> Iterator[pa.RecordBatch]:
    """Yield rows in order: text by its UTF-8 bytes, nulls last both ways; ties stay as they came.

    columns: the fields there are; the batches have those that are read, by name, and leave as they came, with
    dictionaries written out. Memory is bounded: what does not fit is sorted in `scratch`.
    """
    incoming = iter(batches)
    first = next(incoming, None)
    if first is None:
        return
    names = first.schema.names
    directions = ["DESC" if descending else "ASC" for _, descending in keys(order)]
    sorting = [paths.value(first, columns, name) for name, _ in keys(order)]
    plain = [_plain(array.type) for array in (*first.columns, *sorting)]
    # Columns go by their places: a header may be any text.
    fields = [pa.field(f"c{index}", kind) for index, kind in enumerate(plain)]
    schema = pa.schema([*fields, pa.field("place", pa.int64())])

    def numbered() -> Iterator[pa.RecordBatch]:
        count = 0
        for batch in _chain(first, incoming):
            values = [paths.value(batch, columns, name) for name, _ in keys(order)]
            arrays = [array.cast(kind) for array, kind in zip((*batch.columns, *values), plain, strict=True)]
            places = pa.array(range(count, count + len(batch)), pa.int64())
            yield pa.RecordBatch.from_arrays([*arrays, places], schema=schema)
            count += len(batch)

    given = fields[: len(names)]
    by = [f"{key.name} {way} NULLS LAST" for key, way in zip(fields[len(names) :], directions, strict=True)]
    select = ", ".join(field.name for field in given)
    with Engine(scratch) as engine:
        engine.add_batches("rows", schema, numbered())
        sql = f"SELECT {select} FROM rows ORDER BY {', '.join([*by, 'place'])}"
        for batch in engine.run(sql, pa.schema(given)):
            yield pa.RecordBatch.from_arrays(batch.columns, names=names)


def _chain(first: pa.RecordBatch, rest: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    yield first
    yield from rest


def _plain(kind: pa.DataType) -> pa.DataType:
    return kind.value_type if pa.types.is_dictionary(kind) else kind
