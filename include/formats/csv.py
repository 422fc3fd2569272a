"""CSV and its family (`;` `|` TAB): RFC 4180 by default, every part of the dialect an option.

Formula neutralising (profile `human`): a spreadsheet takes a text for a formula when, after spaces and
apostrophes, it begins with = + - @, TAB, CR, LF or a full-width = + - @. Such a text gets one apostrophe in
front; removing one apostrophe in front of such a text gives back the original, always. Numbers never change.
"""

from __future__ import annotations

import csv as stdlib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, BinaryIO, Literal, Self

import numpy as np
import pyarrow as pa
from pydantic import AfterValidator, Field, model_validator

from include.errors import BadInput, Problem
from include.formats import rows, styles
from include.formats.cells import Bytes, text_cells
from include.formats.parallel import ordered_map
from include.formats.pieces import ROWS_AT_ONCE, numbered_pieces
from include.ledger.columns import Column

KIND = "csv"
EXTENSION = ".csv"
MEDIA_TYPE = "text/csv"

_NEWLINES = {"lf": "\n", "crlf": "\r\n"}
_CODECS = {"utf-8": "utf-8", "utf-8-bom": "utf-8", "utf-16": "utf-16-le", "latin-1": "latin-1"}
_MARKS = {"utf-8-bom": b"\xef\xbb\xbf", "utf-16": b"\xff\xfe"}


def _one_byte(text: str) -> str:
    if len(text) != 1 or not text.isascii() or text in "\r\n\0" or text.isalnum() or text in "+-.":
        raise ValueError("one ASCII character that is not a letter, a digit, a sign, a point or a line end")
    return text


Mark = Annotated[str, AfterValidator(_one_byte)]


class Options(styles.TextStyle):
    """The dialect of a CSV file."""

    delimiter: Mark = Field(",", description="What separates fields: , ; | or a TAB.")
    enclosure: Mark = Field('"', description="The quote character; inside quotes it is doubled.")
    quoting: Literal["minimal", "text", "all", "none"] = Field(
        "minimal",
        description="minimal: where needed. text: every text that is not null. all: everything. none: never; "
        "a value that needs quotes is an error.",
    )
    newline: Literal["lf", "crlf"] = "lf"
    header: bool = Field(True, description="Whether the first line holds the names of the columns.")
    encoding: Literal["utf-8", "utf-8-bom", "utf-16", "latin-1"] = Field(
        "utf-8", description="utf-8-bom is what Excel recognises. latin-1 refuses what it cannot hold."
    )
    decimal_sign: Literal[".", ","] = "."
    null_text: str = Field(
        "",
        max_length=32,
        description="What stands for null. A text equal to it is quoted, unless it is empty.",
    )
    profile: Literal["human", "machine"] = Field(
        "human",
        description="human: texts that a spreadsheet would run as formulas get an apostrophe in front.",
    )

    @model_validator(mode="after")
    def _fits(self) -> Self:
        if self.delimiter == self.enclosure:
            raise ValueError("delimiter and enclosure must differ")
        if self.enclosure == "'" and self.profile == "human":
            raise ValueError(
                "the apostrophe neutralises formulas in profile human; another enclosure is needed"
            )
        if self.null_text[:1] == "'":
            raise ValueError("null_text may not begin with an apostrophe, which marks neutralised texts")
        if set(self.null_text) & {self.delimiter, self.enclosure, "\r", "\n"}:
            raise ValueError("null_text may hold no delimiter, enclosure or line end")
        return self


def encode(columns: Sequence[Column], batches: Iterable[pa.RecordBatch], options: Options) -> Iterator[bytes]:
    """Yield the file's bytes: the header, also when there are no rows, then rows in their order.

    Raises BadInput naming row and column for a value that the encoding or `quoting: none` cannot write.
    """
    writer = _Writer(columns, options)
    yield _MARKS.get(options.encoding, b"")
    if options.header:
        yield writer.header()
    # Its rows are the shortest of all formats.
    yield from ordered_map(writer.piece, numbered_pieces(batches, 2 * ROWS_AT_ONCE))


class _Writer:
    """The layout of one file: made once, used by several threads; only what was seen of dictionaries changes."""

    def __init__(self, columns: Sequence[Column], options: Options) -> None:
        self._columns, self._options = columns, options
        self._end = _bytes(_NEWLINES[options.newline])
        quote, delimiter = options.enclosure, options.delimiter
        self._escapes = rows.Escapes.of(quote, {quote: quote}, asking=quote + delimiter + "\r\n")
        self._layout = [self._cell(index, column) for index, column in enumerate(columns)]
        self._rows = rows.Rows(self._layout, self._escapes, self._end)

    def _cell(self, index: int, column: Column) -> rows.Cell:
        options = self._options
        text = column.type in styles.TEXT_TYPES
        alone = len(self._columns) == 1  # an empty line would be no row to most readers
        quoting = {"none": rows.NEVER_QUOTE, "all": rows.QUOTE_ALWAYS}.get(
            options.quoting, rows.QUOTE_WHEN_NEEDED
        )
        if options.quoting == "text" and text:
            quoting = rows.QUOTE_ALWAYS
        null = options.null_text
        if options.quoting == "all" or (alone and not null and options.quoting != "none"):
            null = options.enclosure + null + options.enclosure
        return rows.Cell(
            prefix=_bytes(options.delimiter if index else ""),
            null=_bytes(null),
            quoting=quoting,
            quote=ord(options.enclosure),
            scanned=True,
            neutralised=text and options.profile == "human",
            quote_empty=alone,
        )

    def header(self) -> bytes:
        """Return the line of names, written by the rules of text."""
        names = [pa.array([column.name], pa.string()) for column in self._columns]
        texts = [text_cells(name) for name in names]
        human = self._options.profile == "human"
        layout = [
            rows.Cell(cell.prefix, _bytes(""), cell.quoting, cell.quote, scanned=True, neutralised=human)
            for cell in self._layout
        ]
        try:
            line = rows.Rows(layout, self._escapes, self._end).join(texts)
        except rows.NeedsQuotes as needs:
            raise self._refused(0, needs.column, names[needs.column][0].as_py()) from None
        return self._encoded(line, 0, pa.record_batch(names, names=[column.name for column in self._columns]))

    def piece(self, numbered: tuple[int, pa.RecordBatch]) -> bytes:
        """Return the bytes of some rows, of which the first has this number in the file."""
        first_row, batch = numbered
        options = self._options
        arrays = zip(self._columns, batch.columns, strict=True)
        values = [styles.values_of(column, array, options, options.decimal_sign) for column, array in arrays]
        if options.quoting == "none" and len(values) == 1 and not options.null_text and values[0].nulls.any():
            raise self._refused(first_row + int(values[0].nulls.argmax()), 0, "")
        try:
            text = self._rows.join(values)
        except rows.NeedsQuotes as needs:
            raise self._refused(first_row + needs.row, needs.column, needs.text) from None
        return self._encoded(text, first_row, batch)

    def _refused(self, row: int, column: int, value: str) -> BadInput:
        right = "needs quotes, and the file's option is quoting: none; choose minimal, or another delimiter"
        return BadInput([Problem(self._place(row, column), value, right, "needs_quotes")])

    def _place(self, row: int, column: int) -> str:
        return f"row {row}, column {self._columns[column].name}" if row else "header"

    def _encoded(self, text: bytes, first_row: int, batch: pa.RecordBatch) -> bytes:
        codec = _CODECS[self._options.encoding]
        if codec == "utf-8":
            return text
        try:
            return text.decode().encode(codec)
        except UnicodeEncodeError as error:
            character = str(error.object)[error.start]
            for index, array in enumerate(batch.columns):
                for row, value in enumerate(array.cast(pa.string()).to_pylist()):
                    if value is not None and character in value:
                        place = self._place(first_row + row if first_row else 0, index)
                        right = f"{self._options.encoding} cannot hold {character!r}; choose utf-8 or utf-16"
                        raise BadInput([Problem(place, value, right, "not_in_encoding")]) from None
            raise


def _bytes(text: str) -> Bytes:
    return np.frombuffer(text.encode(), dtype=np.uint8)


def read(file: BinaryIO, columns: Sequence[Column], options: Options) -> Iterator[Sequence[str | None]]:
    """Yield the rows as texts, parsed by the standard library (see `options.Format.read`)."""
    human = options.profile == "human"
    kinds = [column.type in styles.TEXT_TYPES for column in columns]
    numbers = [column.type in styles.NUMBER_TYPES for column in columns]
    for line in shown(file, columns, options):
        yield [
            None if cell == options.null_text
            else restore(cell) if human and is_text
            else cell.replace(",", ".") if is_number
            else cell
            for cell, is_text, is_number in zip(line, kinds, numbers, strict=True)
        ]  # fmt: skip


def shown(file: BinaryIO, columns: Sequence[Column], options: Options) -> Iterator[list[str]]:
    """Yield the rows as the texts that stand in the file, unquoted: with its decimal sign, apostrophes and null text.

    Raises ValueError that names the line where the file is not of these columns.
    """
    codec = {"utf-8-bom": "utf-8-sig", "utf-16": "utf-16"}.get(options.encoding, options.encoding)
    quoting: Literal[0, 3] = stdlib.QUOTE_NONE if options.quoting == "none" else stdlib.QUOTE_MINIMAL
    stdlib.field_size_limit(1 << 30)
    with io.TextIOWrapper(file, encoding=codec, newline="") as text:
        lines = stdlib.reader(
            text, delimiter=options.delimiter, quotechar=options.enclosure, quoting=quoting, strict=True
        )
        names = [column.name for column in columns]
        human = options.profile == "human"
        try:
            if options.header:
                header = next(lines, [])
                if [restore(name) if human else name for name in header] != names:
                    raise ValueError(f"the header is {header} instead of {names}")
            for number, line in enumerate(lines, 1):
                if len(line) != len(columns):
                    raise ValueError(f"row {number} has {len(line)} fields instead of {len(columns)}")
                yield line
        except (stdlib.Error, UnicodeError) as error:
            raise ValueError(f"line {lines.line_num}: {error}") from error


_FORMULA = re.compile(
    "[ '\\u00a0\\u2000-\\u200f\\u202f\\u3000\\ufeff]*[=+\\-@\\t\\r\\n\\uff1d\\uff0b\\uff0d\\uff20]"
)


def restore(text: str) -> str:
    """Return the text as it was before neutralising."""
    return text[1:] if text[:1] == "'" and is_formula(text[1:]) else text


def is_formula(text: str) -> bool:
    """Say whether a spreadsheet may take a text for a formula, by the rule of this file."""
    return _FORMULA.match(text) is not None
