"""A report's columns as Spark's types: points are decimals with two places, instants are timestamps."""

from __future__ import annotations

from collections.abc import Sequence

import pyarrow as pa

from include.errors import Permanent
from include.ledger.catalog import ARROW_TYPES, FieldType
from include.ledger.columns import Column

_POINTS = pa.decimal128(18, 2)
_DDL = {
    pa.string(): "string",
    pa.binary(): "binary",
    pa.int32(): "int",
    pa.int64(): "bigint",
    pa.bool_(): "boolean",
    pa.date32(): "date",
    pa.timestamp("us", tz="UTC"): "timestamp",
    pa.list_(pa.string()): "array<string>",
}


def report_ddl(columns: Sequence[Column]) -> str:
    """Return the schema of a report's rows, in Spark's words."""
    return ", ".join(f"`{column.name}` {_ddl(_type(column))}" for column in columns)


def report_schema(columns: Sequence[Column]) -> pa.Schema:
    """Return the same as Arrow has it."""
    return pa.schema([(column.name, _type(column)) for column in columns])


def ddl(schema: pa.Schema) -> str:
    """Return the same of an Arrow schema."""
    return ", ".join(f"`{field.name}` {_ddl(field.type)}" for field in schema)


def spark_batch(columns: Sequence[Column], batch: pa.RecordBatch) -> pa.RecordBatch:
    """Return rows of a report as Spark takes them; Permanent for points beyond decimal(18, 2)."""
    arrays = []
    for column, array in zip(columns, batch.columns, strict=True):
        if column.type is FieldType.POINTS:
            try:
                arrays.append(array.view(pa.decimal64(18, 2)).cast(_POINTS))
            except pa.ArrowInvalid as error:
                raise Permanent(
                    f"column {column.name}: {error}: Spark holds points as decimal(18, 2)"
                ) from error
        else:
            arrays.append(array)
    return pa.RecordBatch.from_arrays(arrays, [column.name for column in columns])


def _type(column: Column) -> pa.DataType:
    return _POINTS if column.type is FieldType.POINTS else ARROW_TYPES[column.type]


def _ddl(kind: pa.DataType) -> str:
    if pa.types.is_decimal(kind):
        return f"decimal({kind.precision},{kind.scale})"
    return _DDL[kind]
