"""Parquet: typed columns in groups of a fixed number of rows; points are decimals, instants are in UTC.

The bytes depend on the rows alone, and on the version of the library, which writes its name into the file
(`created_by`) and is pinned.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, date, datetime, timedelta
from typing import Any, BinaryIO, Literal

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import BaseModel, ConfigDict, Field

from include.errors import BadInput, Problem
from include.formats import styles
from include.formats.seekable import seekable
from include.ledger.catalog import ARROW_TYPES, FieldType
from include.ledger.columns import Column

KIND = "parquet"
EXTENSION = ".parquet"
MEDIA_TYPE = "application/vnd.apache.parquet"

GROUP_ROWS = 122_880  # a multiple of what engines process at once; it bounds the memory
_POINTS_LIMIT = 10**18  # hundredths, beyond what decimal(18, 2) holds
_ZSTD_LEVEL = 3
_ROWS_READ = 8192
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# decimal64 holds the same 64-bit integers of hundredths: nothing is converted. The file's type is DECIMAL(18, 2).
_TYPES = ARROW_TYPES | {FieldType.POINTS: pa.decimal64(18, 2)}


class Options(BaseModel):
    """How columns are stored."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    codec: Literal["zstd", "snappy", "none"] = Field(
        "zstd",
        description="Compression of the columns. zstd: smallest. snappy: for readers that know no other.",
    )


def encode(columns: Sequence[Column], batches: Iterable[pa.RecordBatch], options: Options) -> Iterator[bytes]:
    """Yield the file. Raises BadInput naming row and column for points of more than 16 digits before the point."""
    import pyarrow.parquet as pq

    schema = pa.schema([pa.field(column.name, _TYPES[column.type]) for column in columns])
    sink = _Sink()
    # Few values in many rows gain by a dictionary; ids would only fill one and then give it up.
    repeated = [column.name for column in columns if column.type in {FieldType.ENUM, FieldType.TEXT}]
    with pq.ParquetWriter(
        sink, schema, compression=options.codec, compression_level=_ZSTD_LEVEL if options.codec == "zstd" else None,
        use_dictionary=repeated, store_schema=False, store_decimal_as_integer=True, write_page_checksum=True,
        version="2.6", data_page_version="1.0",
    ) as writer:  # fmt: skip
        first_row = 1
        for group in _groups(columns, batches):
            _check(columns, group, first_row)
            arrays = [_stored(column, group.column(index)) for index, column in enumerate(columns)]
            writer.write_table(pa.Table.from_arrays(arrays, schema=schema), row_group_size=GROUP_ROWS)
            first_row += group.num_rows
            yield sink.taken()
    yield sink.taken()


class _Sink:
    """What a writer wrote since it was last asked."""

    closed = False

    def __init__(self) -> None:
        self._held: list[bytes] = []

    def write(self, data: Any) -> int:
        self._held.append(bytes(data))
        return len(data)

    def taken(self) -> bytes:
        taken, self._held = b"".join(self._held), []
        return taken

    def flush(self) -> None:
        """Nothing waits anywhere else."""

    def close(self) -> None:
        """What is held stays until it is taken."""


def _groups(columns: Sequence[Column], batches: Iterable[pa.RecordBatch]) -> Iterator[pa.Table]:
    """Yield the rows in tables of GROUP_ROWS, the last one shorter, dictionaries written out."""
    held: list[pa.RecordBatch] = []
    count = 0
    for whole in batches:
        batch = pa.record_batch([styles.plain(array) for array in whole.columns], [c.name for c in columns])
        while count + batch.num_rows >= GROUP_ROWS:
            taken = GROUP_ROWS - count
            yield pa.Table.from_batches([*held, batch.slice(0, taken)]).combine_chunks()
            batch, held, count = batch.slice(taken), [], 0
        if batch.num_rows:
            held.append(batch)
            count += batch.num_rows
    if held:
        yield pa.Table.from_batches(held).combine_chunks()


def _check(columns: Sequence[Column], group: pa.Table, first_row: int) -> None:
    for index, column in enumerate(columns):
        if column.type is not FieldType.POINTS:
            continue
        array = group.column(index).combine_chunks()
        lowest, highest = pc.min_max(array).as_py().values()
        if lowest is None or -_POINTS_LIMIT < lowest <= highest < _POINTS_LIMIT:
            continue
        wide = pc.or_(pc.less_equal(array, -_POINTS_LIMIT), pc.greater_equal(array, _POINTS_LIMIT))
        row = pc.index(wide, True).as_py()
        place = f"row {first_row + row}, column {column.name}"
        right = "Parquet holds points as decimal(18, 2), below 10**16; correct the value, or choose another format"
        raise BadInput([Problem(place, f"{array[row].as_py()} hundredths", right, "too_many_points")])


def _stored(column: Column, values: pa.ChunkedArray) -> pa.Array:
    array = values.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = array.chunk(0) if array.num_chunks else pa.array([], array.type)
    kind = _TYPES[column.type]
    if column.type is FieldType.POINTS:
        return array.cast(pa.int64()).view(kind)
    try:
        return array.cast(kind)
    except pa.ArrowInvalid as error:
        right = f"Parquet holds this column as {kind}; correct the value, or choose another format"
        raise BadInput([Problem(f"column {column.name}", str(error), right, "not_in_parquet")]) from error


def read(file: BinaryIO, columns: Sequence[Column], options: Options) -> Iterator[Sequence[str | None]]:  # noqa: ARG001
    """Yield the rows as texts, read by DuckDB (see `options.Format.read`)."""
    import duckdb

    with seekable(file) as whole, duckdb.connect() as engine:
        engine.execute("set threads = 1")
        try:
            schema = engine.execute("select name from parquet_schema(?) offset 1", [whole.name]).fetchall()
            if [name for (name,) in schema] != [column.name for column in columns]:
                raise ValueError(f"the columns are {', '.join(name for (name,) in schema)}")
            # By place: the engine would take names for the same that differ in case alone.
            places = ", ".join(f"c{index}" for index in range(len(columns)))
            asked = ", ".join(_selected(column, f"c{index}") for index, column in enumerate(columns))
            rows = engine.execute(f"select {asked} from read_parquet(?) as file({places})", [whole.name])
            while some := rows.fetchmany(_ROWS_READ):
                for row in some:
                    yield [_text(value, column) for value, column in zip(row, columns, strict=True)]
        except duckdb.Error as error:
            raise ValueError(str(error).splitlines()[0]) from error


def _selected(column: Column, place: str) -> str:
    return f"epoch_us({place})" if column.type is FieldType.INSTANT else place


def _text(value: Any, column: Column) -> str | None:
    if value is None:
        return None
    if column.type is FieldType.INSTANT:
        return (_EPOCH + timedelta(microseconds=value)).isoformat().replace("+00:00", "Z")
    if isinstance(value, date):
        return value.isoformat()
    if isinstance(value, bool):
        return str(value).lower()
    return format(value, "f") if column.type in _DECIMALS else str(value)


_DECIMALS = frozenset({FieldType.POINTS, FieldType.MONEY, FieldType.RATE})
