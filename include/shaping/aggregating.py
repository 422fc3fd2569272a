"""Rows into groups: counts, exact sums and averages, smallest and largest values.

DuckDB sees points, money and rates as integers of their last place, sums them in 128 bits and refuses to go
beyond; nothing is ever a float.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import pyarrow as pa

from include.definitions.aggregation import Aggregated, type_of
from include.definitions.fields import resolve
from include.errors import BadInput, Problem
from include.ledger.catalog import ARROW_TYPES
from include.ledger.columns import Column
from include.ledger.fields import PLACES, FieldType
from include.shaping import paths
from include.shaping.engine import OUT_OF_RANGE, Engine

_WHOLE = pa.decimal128(38, 0)
_DECIMALS = (FieldType.MONEY, FieldType.RATE)

# Half up means away from zero, so that a credit rounds like the debit that undoes it. k: units of the result in
# one unit of the values.
_HALF_UP = """
    CREATE MACRO half_up(s, n, k) AS CASE
        WHEN n = 0 THEN NULL
        WHEN s < 0 THEN -((-s * k * 2 + n) // (n * 2))
        ELSE (s * k * 2 + n) // (n * 2)
    END
"""


def aggregated_columns(columns: Sequence[Column], aggregation: Sequence[Aggregated]) -> tuple[Column, ...]:
    """Return the columns of the groups, in the order of the aggregation."""
    found = []
    for chosen in aggregation:
        column = _column(columns, chosen)
        kind = type_of(chosen.function, column.type)
        found.append(Column(chosen.title, kind, column.pii and chosen.shows_values))
    return tuple(found)


def aggregated(
    batches: Iterable[pa.RecordBatch],
    columns: Sequence[Column],
    aggregation: Sequence[Aggregated],
    scratch: Path,
) -> Iterator[pa.RecordBatch]:
    """Yield one row for each group, ordered by the groups' values (text by UTF-8 bytes, nulls last).

    columns: the fields there are; the batches have those that are read, by name. Sums of money and rates are
    decimal128(38) of their places. Raises BadInput where a sum is larger than its type.
    """
    read = [_column(columns, chosen) for chosen in aggregation]
    schema = pa.schema([pa.field(f"c{index}", _inner(column.type)) for index, column in enumerate(read)])

    def rows() -> Iterator[pa.RecordBatch]:
        for batch in batches:
            arrays = [
                _whole(paths.value(batch, columns, column.name).cast(ARROW_TYPES[column.type]))
                if column.type in _DECIMALS
                else paths.value(batch, columns, column.name).cast(ARROW_TYPES[column.type])
                for column in read
            ]
            yield pa.RecordBatch.from_arrays(arrays, schema=schema)

    outputs = [_output(chosen, column.type) for chosen, column in zip(aggregation, read, strict=True)]
    names = [chosen.title for chosen in aggregation]
    with Engine(scratch) as engine:
        engine.execute(_HALF_UP)
        engine.add_batches("rows", schema, rows())
        leaving = pa.schema([pa.field(f"o{i}", _leaving(*output)) for i, output in enumerate(outputs)])
        try:
            for batch in engine.run(_sql(aggregation, read), leaving):
                arrays = [
                    _finished(array, name, *output)
                    for array, name, output in zip(batch.columns, names, outputs, strict=True)
                ]
                yield pa.RecordBatch.from_arrays(arrays, names=names)
        except OUT_OF_RANGE as error:
            raise _too_large("aggregation", str(error)) from None


def _sql(aggregation: Sequence[Aggregated], read: Sequence[Column]) -> str:
    parts, groups = [], []
    for index, (chosen, column) in enumerate(zip(aggregation, read, strict=True)):
        name = f"c{index}"
        places = PLACES.get(type_of(chosen.function, column.type), 0) - PLACES.get(column.type, 0)
        average = f"half_up(sum({name})::HUGEINT, count({name})::HUGEINT, {10**places}::HUGEINT)"
        expression = {
            "group": name,
            "count": "count(*)",
            "sum": f"sum({name})::HUGEINT",
            "average": average,
            "min": f"min({name})",
            "max": f"max({name})",
        }[chosen.function]
        parts.append(f"{expression} AS o{index}")
        groups += [name] if chosen.function == "group" else []
    by = ", ".join(groups)
    order = ", ".join(f"{name} NULLS LAST" for name in groups)
    return f"SELECT {', '.join(parts)} FROM rows GROUP BY {by} ORDER BY {order}"


def _output(chosen: Aggregated, kind: FieldType) -> tuple[FieldType, bool]:
    """Return the type of a result, and whether DuckDB computes it as a whole number of 128 bits."""
    return type_of(chosen.function, kind), chosen.function in ("sum", "average")


def _inner(kind: FieldType) -> pa.DataType:
    return _WHOLE if kind in _DECIMALS else ARROW_TYPES[kind]


def _leaving(kind: FieldType, computed: bool) -> pa.DataType:
    return _WHOLE if computed else _inner(kind)


def _finished(array: pa.Array, name: str, kind: FieldType, computed: bool) -> pa.Array:
    if kind in _DECIMALS:
        exact = _rescaled(array, pa.decimal128(38, PLACES[kind]))
        return exact if computed else exact.cast(ARROW_TYPES[kind])
    try:
        return array.cast(ARROW_TYPES[kind])
    except pa.ArrowInvalid as error:
        raise _too_large(name, str(error)) from None


def _whole(array: pa.Array) -> pa.Array:
    """Return decimals as whole numbers of their last place."""
    return _rescaled(array, _WHOLE)


def _rescaled(array: pa.Array, kind: pa.DataType) -> pa.Array:
    """Return the same 128-bit numbers read with another number of places."""
    return pa.Array.from_buffers(kind, len(array), array.buffers(), offset=array.offset)


def _column(columns: Sequence[Column], chosen: Aggregated) -> Column:
    column = resolve(columns, chosen.field)
    assert column is not None, "problems() comes first"
    return column


def _too_large(name: str, detail: str) -> BadInput:
    right = f"a sum is larger than its type holds, split it into more groups ({detail.splitlines()[0]})"
    return BadInput([Problem("aggregation", name, right, "sum_too_large")])
