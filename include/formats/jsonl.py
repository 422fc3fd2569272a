"""JSON Lines: one object a line, in the order of the columns; numbers are exact and never pass a float."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import Any, BinaryIO, Literal, NoReturn

import numpy as np
import pyarrow as pa
from pydantic import Field

from include.formats import rows, styles
from include.formats.cells import Values
from include.formats.parallel import ordered_map
from include.formats.pieces import numbered_pieces
from include.ledger.catalog import FieldType
from include.ledger.columns import Column

KIND = "jsonl"
EXTENSION = ".jsonl"
MEDIA_TYPE = "application/jsonl"

_SHORT = {'"': '"', "\\": "\\", "\b": "b", "\f": "f", "\n": "n", "\r": "r", "\t": "t"}
_ESCAPES = rows.Escapes.of("\\", _SHORT, long=range(32))
_NUMBERS = frozenset({FieldType.POINTS, FieldType.MONEY, FieldType.RATE})


class Options(styles.TextStyle):
    """How values stand in JSON."""

    points: Literal["fixed", "plain"] = Field(
        "plain",
        description="plain: only the decimals needed (12.5, 100). fixed: two decimals always (12.50).",
    )
    numbers: Literal["number", "string"] = Field(
        "number",
        description="Points, money and rates as exact JSON numbers, or as strings for readers with floats.",
    )
    embedded: Literal["object", "string"] = Field(
        "object", description="Fields that hold JSON: as a JSON value (where they are valid), or as a string."
    )


def encode(columns: Sequence[Column], batches: Iterable[pa.RecordBatch], options: Options) -> Iterator[bytes]:
    """Yield one line per row; nothing when there are no rows."""
    layout = [_cell(index, column, options) for index, column in enumerate(columns)]
    writer = rows.Rows(layout, _ESCAPES, np.frombuffer(b"}\n", dtype=np.uint8))

    def piece(numbered: tuple[int, pa.RecordBatch]) -> bytes:
        pairs = zip(columns, numbered[1].columns, strict=True)
        return writer.join([_values(column, array, options) for column, array in pairs])

    yield from ordered_map(piece, numbered_pieces(batches))


def _cell(index: int, column: Column, options: Options) -> rows.Cell:
    name = json.dumps(column.name, ensure_ascii=False)
    bare = column.type in {FieldType.INTEGER, FieldType.BOOLEAN}
    bare = bare or (column.type in _NUMBERS and options.numbers == "number")
    bare = bare or _embeds(column, options)
    return rows.Cell(
        prefix=np.frombuffer(f"{',' if index else '{'}{name}:".encode(), dtype=np.uint8),
        null=np.frombuffer(b"null", dtype=np.uint8),
        quoting=rows.BARE if bare else rows.QUOTE_ALWAYS,
        quote=ord('"'),
        scanned=not bare,
    )


def _embeds(column: Column, options: Options) -> bool:
    return column.type is FieldType.JSON and options.embedded == "object"


def _values(column: Column, array: pa.Array, options: Options) -> Values:
    if _embeds(column, options):
        array = pa.array([None if text is None else _value(text) for text in array.to_pylist()], pa.string())
    return styles.values_of(column, array, options)


def _value(text: str) -> str:
    """Return the JSON value on one line, digits as they stand; a text that is not JSON becomes a string."""
    try:
        json.loads(text, parse_constant=_refuse)
    except (ValueError, RecursionError):
        return json.dumps(text, ensure_ascii=False)
    # Strings hold no raw line ends in valid JSON, so these are space between values.
    return text.replace("\r", " ").replace("\n", " ")


def _refuse(constant: str) -> NoReturn:
    raise ValueError(constant)


def read(file: BinaryIO, columns: Sequence[Column], options: Options) -> Iterator[Sequence[str | None]]:  # noqa: ARG001
    """Yield the rows as texts, parsed by the standard library (see `options.Format.read`)."""
    names = [column.name for column in columns]
    for number, line in enumerate(file, 1):
        try:
            row = json.loads(line, parse_float=Decimal, parse_int=Decimal, parse_constant=_refuse)
        except ValueError as error:
            raise ValueError(f"row {number} is not JSON: {error}") from error
        if not isinstance(row, dict) or list(row) != names:
            raise ValueError(f"row {number} does not have the columns {', '.join(names)}")
        yield [_text(value) for value in row.values()]


def _text(value: Any) -> str | None:
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, Decimal):
        return format(value, "f")
    return json.dumps(value, ensure_ascii=False, default=str)
