"""JSON: one array of objects, one object a line; the objects are those of JSON Lines."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import BinaryIO, cast

import pyarrow as pa

from include.formats import jsonl
from include.ledger.columns import Column

KIND = "json"
EXTENSION = ".json"
MEDIA_TYPE = "application/json"


class Options(jsonl.Options):
    """How values stand in JSON."""


def encode(columns: Sequence[Column], batches: Iterable[pa.RecordBatch], options: Options) -> Iterator[bytes]:
    """Yield the array: `[`, a line for each row, `]`."""
    begun = False
    for lines in jsonl.encode(columns, batches, options):
        # A line end stands nowhere but after a row: inside a string it is escaped.
        yield (b",\n" if begun else b"[\n") + lines.removesuffix(b"\n").replace(b"\n", b",\n")
        begun = True
    yield b"\n]\n" if begun else b"[\n]\n"


def read(file: BinaryIO, columns: Sequence[Column], options: Options) -> Iterator[Sequence[str | None]]:
    """Yield the rows as texts, parsed by the standard library (see `options.Format.read`)."""
    return jsonl.read(cast("BinaryIO", _lines(file)), columns, options)


def _lines(file: BinaryIO) -> Iterator[bytes]:
    """Yield the objects without the commas between them, which must all be there."""
    if file.readline() != b"[\n":
        raise ValueError("the file does not begin with [ on a line of its own")
    held: bytes | None = None
    for number, line in enumerate(file):
        if line == b"]\n":
            if held is not None:
                yield held
            if file.read(1):
                raise ValueError("something follows the array")
            return
        if held is not None:
            if not held.endswith(b",\n"):
                raise ValueError(f"row {number} is not followed by a comma")
            yield held[:-2]
        held = line
    raise ValueError("the array is not closed")
