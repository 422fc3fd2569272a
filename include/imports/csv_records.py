"""CSV (also ; TAB |) as text columns, in pieces that end where a row ends; strict about quotes, as RFC 4180 is.

A quote that is never closed would swallow the rest of the file, so quotes are looked at before rows are made:
one opens only where a value begins, and closes only where it ends. Line ends may be mixed; one inside quotes is text.
"""

from __future__ import annotations

import codecs
from collections.abc import Iterator
from typing import BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import csv

from include.errors import BadInput, Problem
from include.imports.rows import Raw, RawProblem

_BLOCK_BYTES = 1 << 20
_QUOTE, _LF = 0x22, 0x0A
_DAMAGED = "\ufffd"
_MARKS = ((codecs.BOM_UTF8, "utf-8"), (codecs.BOM_UTF16_LE, "utf-16-le"), (codecs.BOM_UTF16_BE, "utf-16-be"))


def encoding_of(start: bytes) -> tuple[str, int]:
    """Return the encoding of a file that begins so, and how many bytes its byte order mark has."""
    for mark, name in _MARKS:
        if start.startswith(mark):
            return name, len(mark)
    if len(start) > 1 and 0 in start[:2] and start[:2] != b"\0\0":
        return ("utf-16-le" if start[1] == 0 else "utf-16-be"), 0
    return "utf-8", 0


class Records:
    """The rows of a CSV file, whose stream stands at its first byte. `name` is what problems call the file."""

    def __init__(self, stream: BinaryIO, name: str, record_bytes: int) -> None:
        self._name, self._record_bytes = name, record_bytes
        start = stream.read(_BLOCK_BYTES)
        self.encoding, skipped = encoding_of(start)
        self._blocks = _normal(self._utf8(start[skipped:], stream))
        self._rest = b""
        self._row = 1
        self._delimiter = ord(",")

    def first(self) -> str:
        """Return the first row as text, without its line end; '' where the file is empty."""
        piece = self._next_piece()
        if not piece:
            return ""
        ends = _row_ends(piece)
        end = int(ends[0]) + 1 if len(ends) else len(piece)
        self._rest, self._row = piece[end:] + self._rest, 2
        return piece[:end].decode("utf-8", "replace").rstrip("\n")

    def batches(self, width: int, delimiter: str) -> Iterator[Raw]:
        """Yield the rows after the first, of `width` columns. Raises BadInput at a quote that spoils the rest."""
        self._delimiter = ord(delimiter)
        while piece := self._next_piece():
            self._check_quotes(piece)
            yield self._parsed(piece, width, delimiter)

    def _utf8(self, start: bytes, stream: BinaryIO) -> Iterator[bytes]:
        decoder = None if self.encoding == "utf-8" else codecs.getincrementaldecoder(self.encoding)()
        block = start
        while block:
            next_block = stream.read(_BLOCK_BYTES)
            try:
                yield block if decoder is None else decoder.decode(block, final=not next_block).encode()
            except UnicodeError:
                right = "the file is not UTF-16 to its end; save it as CSV UTF-8"
                raise self._bad("", right, "not_utf16") from None
            block = next_block

    def _next_piece(self) -> bytes:
        """Return whole rows, or what is left at the end."""
        data = self._rest
        while True:
            end = _last_row_end(data)
            if end and len(data) >= _BLOCK_BYTES // 2:
                break
            if not end and len(data) > self._record_bytes:
                self._check_quotes(data)
                right = f"a row has at most {self._record_bytes} bytes"
                raise self._bad("", right, "row_too_long", self._row)
            block = next(self._blocks, b"")
            if not block:
                end = len(data)
                break
            data += block
        self._rest = data[end:]
        return data[:end]

    def _check_quotes(self, piece: bytes) -> None:
        """Raise BadInput at the first quote that stands where none may, or that no other closes."""
        data = np.frombuffer(piece, np.uint8)
        quotes = np.flatnonzero(data == _QUOTE)
        if not len(quotes):
            return
        before = np.where(quotes > 0, data[quotes - 1], _LF)
        after = data[np.minimum(quotes + 1, len(data) - 1)]
        after[quotes == len(data) - 1] = _LF
        opens = np.arange(len(quotes)) % 2 == 0
        around = np.where(opens, before, after)
        wrong = np.flatnonzero((around != self._delimiter) & (around != _LF) & (around != _QUOTE))
        if len(wrong) and opens[wrong[0]]:
            right = 'a quote stands inside a value; put the whole value in quotes and write "" for it'
            raise self._bad_quote(piece, int(quotes[wrong[0]]), right, "stray_quote")
        if len(wrong):
            right = (
                'a quote opens here and is not closed where the value ends; a quote in a value is written ""'
            )
            raise self._bad_quote(piece, _opening(quotes, int(wrong[0])), right, "unclosed_quote")
        if len(quotes) % 2:
            right = 'a quote opens here and is never closed; a quote in a value is written ""'
            raise self._bad_quote(piece, _opening(quotes, len(quotes)), right, "unclosed_quote")

    def _bad_quote(self, piece: bytes, place: int, right: str, code: str) -> BadInput:
        return self._bad(_around(piece, place), right, code, self._row_at(piece, place))

    def _row_at(self, data: bytes, place: int) -> int:
        return self._row + len(_row_ends(data[:place]))

    def _parsed(self, piece: bytes, width: int, delimiter: str) -> Raw:
        problems: list[RawProblem] = []
        damaged = b"\0" in piece
        try:
            piece.decode()
        except UnicodeDecodeError:
            piece, damaged = piece.decode("utf-8", "replace").encode(), True
        first, skipped = self._row, dict[int, csv.InvalidRow]()

        def note(row: csv.InvalidRow) -> str:
            skipped[first + row.number - 2] = row
            return "skip"

        names = [str(place) for place in range(width)]
        # A blank row in front: the parser takes a mark off what it thinks the first bytes of a file.
        guarded = b"\n" + piece
        table = csv.read_csv(
            pa.py_buffer(guarded),
            read_options=csv.ReadOptions(use_threads=False, block_size=len(guarded) + 1, column_names=names),
            parse_options=csv.ParseOptions(
                delimiter=delimiter,
                newlines_in_values=True,
                ignore_empty_lines=False,
                invalid_row_handler=note,
            ),
            convert_options=csv.ConvertOptions(
                column_types=dict.fromkeys(names, pa.string()), strings_can_be_null=False, check_utf8=False
            ),
        )
        table = table.slice(1)
        count = table.num_rows + len(skipped)
        self._row += count
        rows = np.arange(first, first + count)
        columns = [_one(column) for column in table.columns]
        if skipped:
            wrong = np.fromiter(skipped, np.int64, len(skipped))
            kept = np.flatnonzero(~np.isin(rows, wrong))
            places = np.full(count, -1)
            places[kept] = np.arange(len(kept))
            indices = pa.array(places, mask=places < 0)
            columns = [column.take(indices).fill_null("") for column in columns]
            problems += [_width_problem(number, row) for number, row in sorted(skipped.items())]
        if damaged:
            problems += _damaged(rows, columns)
        return Raw(rows, columns, problems)

    def _bad(self, value: str, right: str, code: str, row: int | None = None) -> BadInput:
        where = f"{self._name}: row {row}" if row else self._name
        return BadInput([Problem(where, value, right, code)])


def _normal(blocks: Iterator[bytes]) -> Iterator[bytes]:
    """Yield the bytes with every line end as LF; a CR at the end of a block waits for what follows."""
    waiting = False
    for block in blocks:
        text = b"\r" + block if waiting else block
        waiting = text.endswith(b"\r")
        text = text.removesuffix(b"\r")
        if text:  # nothing would be taken for the end
            yield text.replace(b"\r\n", b"\n").replace(b"\r", b"\n") if b"\r" in text else text
    if waiting:
        yield b"\n"


def _one(column: pa.ChunkedArray) -> pa.Array:
    return (
        column.chunk(0)
        if column.num_chunks == 1
        else pa.concat_arrays([pa.array([], pa.string()), *column.chunks])
    )


def _row_ends(data: bytes) -> NDArray[np.int64]:
    """Return where the line ends outside quotes are: those with an even number of quotes before them."""
    array = np.frombuffer(data, np.uint8)
    ends = np.flatnonzero(array == _LF)
    quotes = np.flatnonzero(array == _QUOTE)
    return ends[np.searchsorted(quotes, ends) % 2 == 0] if len(quotes) else ends


def _last_row_end(data: bytes) -> int:
    """Return how many bytes are whole rows."""
    if b'"' not in data:
        return data.rfind(b"\n") + 1
    ends = _row_ends(data)
    return int(ends[-1]) + 1 if len(ends) else 0


def _opening(quotes: NDArray[np.int64], closing: int) -> int:
    """Return where the value's quote opened that quote number `closing` closes; two side by side are text."""
    while closing > 1 and quotes[closing - 1] == quotes[closing - 2] + 1:
        closing -= 2
    return int(quotes[closing - 1])


def _around(data: bytes, place: int) -> str:
    return data[place : place + 40].split(b"\n")[0].decode("utf-8", "replace")


def _width_problem(number: int, row: csv.InvalidRow) -> RawProblem:
    found, wanted = row.actual_columns, row.expected_columns
    right = f"the row has {found} columns and the header {wanted}" + (
        "; a value that holds the separator needs quotes" if found > wanted else ""
    )
    return RawProblem(
        number, None, row.text, right, "too_many_columns" if found > wanted else "too_few_columns"
    )


def _damaged(rows: NDArray[np.int64], columns: list[pa.Array]) -> list[RawProblem]:
    """Name the cells that hold a NUL byte, or bytes that were not UTF-8."""
    problems = []
    for place, column in enumerate(columns):
        for index, text in enumerate(column.to_pylist()):
            if "\0" in text:
                problems.append(
                    RawProblem(int(rows[index]), place, text, "holds a NUL byte; remove it", "nul_byte")
                )
            elif _DAMAGED in text:
                right = "is not UTF-8 (Latin-1, perhaps); save the file as CSV UTF-8"
                problems.append(RawProblem(int(rows[index]), place, text, right, "not_utf8"))
    return problems
