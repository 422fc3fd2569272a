"""The rows of a worksheet as a stream: typed cells, a frozen header, widths of columns, a filter.

Texts stand in the cells themselves and are typed as texts, so a spreadsheet never runs one as a formula.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Literal, NamedTuple

import numpy as np
import pyarrow as pa
from pydantic import BaseModel, ConfigDict, Field

from include.errors import BadInput, Problem
from include.formats import styles
from include.formats.cells import Cells, text_cells
from include.formats.markup import Forbidden, Markup, Tag
from include.formats.parallel import ordered_map
from include.formats.pieces import numbered_pieces
from include.formats.sheet_cells import sheet_cells
from include.formats.sheet_styles import HEADER, TEXT, style_of
from include.ledger.catalog import FieldType
from include.ledger.columns import Column

MOST_ROWS, MOST_COLUMNS, MOST_CHARACTERS = 1_048_576, 16_384, 32_767
_SAMPLE_ROWS = 1_000  # whose texts decide how wide a column is
_NARROWEST, _WIDEST = 8, 60  # characters
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
# The format's own escape; an underscore that would begin one is escaped itself.
_ESCAPED = re.compile("[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\ufffe\uffff]|_(?=x[0-9A-Fa-f]{4}_)")
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"


class Look(BaseModel):
    """How the values of a sheet look."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    points: Literal["fixed", "plain"] = Field(
        "fixed", description="fixed: points and money show two decimals always. plain: only those needed."
    )
    dates: Literal["iso8601", "dd/mm/yyyy", "mm/dd/yyyy"] = Field(
        "iso8601", description="How dates, and the dates of instants, show. iso8601: 2026-03-01."
    )
    instants: Literal["seconds", "milliseconds"] = Field(
        "seconds", description="To what instants are cut; a spreadsheet keeps no more than milliseconds."
    )
    timezone: styles.Zone = Field(
        "UTC", description="The zone in which instants are shown: a cell of a spreadsheet has none."
    )
    header: bool = Field(True, description="Whether the first row, which does not scroll, holds the names.")
    autofilter: bool = Field(True, description="Whether the header offers to filter and sort.")

    @property
    def unit(self) -> int:
        """What instants are cut to, in microseconds."""
        return 1_000_000 if self.instants == "seconds" else 1_000


class Sheet(NamedTuple):
    """One content of a workbook. `name` is made safe, and different from the others, when it is written."""

    name: str
    columns: Sequence[Column]
    batches: Iterable[pa.RecordBatch]
    look: Look


class SheetWriter:
    """Writes one content into as many sheets as it needs: `part` once for each, while it `goes_on`."""

    def __init__(self, sheet: Sheet) -> None:
        if len(sheet.columns) > MOST_COLUMNS:
            right = f"a sheet has at most {MOST_COLUMNS:,} columns; choose fewer fields"
            raise BadInput(
                [Problem(sheet.name, f"{len(sheet.columns):,} columns", right, "too_many_columns")]
            )
        self._columns, self._look = sheet.columns, sheet.look
        first, rest = _sampled(sheet.batches)
        self._widths = [self._width(index, first) for index in range(len(sheet.columns))]
        self._pieces = numbered_pieces(itertools.chain(first, rest))
        self._waiting: tuple[int, pa.RecordBatch] | None = None
        self._rows = 0  # of the sheet that is being written, with its header
        self.goes_on = True
        self._tags = [_tag(index, column, sheet.look) for index, column in enumerate(sheet.columns)]
        self._markup, self._unescaped = self._markups(self._tags)

    def part(self) -> Iterator[bytes]:
        """Yield the part of the next sheet."""
        pane = '<pane ySplit="1" topLeftCell="A2" activePane="bottomLeft" state="frozen"/>'
        view = f'<sheetViews><sheetView workbookViewId="0">{pane if self._look.header else ""}</sheetView></sheetViews>'
        widths = "".join(
            f'<col min="{number}" max="{number}" width="{width}" customWidth="1"/>'
            for number, width in enumerate(self._widths, 1)
        )
        yield (
            '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
            f'<worksheet xmlns="{_MAIN}">{view}<cols>{widths}</cols><sheetData>\n'
        ).encode()
        self._rows = int(self._look.header)
        if self._look.header:
            yield self._header()
        yield from ordered_map(self._bytes, self._sheet_pieces())
        self.goes_on = self._waiting is not None
        filtered = f'<autoFilter ref="{self._area()}"/>' if self.filtered else ""
        yield f"</sheetData>{filtered}</worksheet>".encode()

    @property
    def filtered(self) -> str:
        """The area of the filter on the sheet that was just written, as `$A$1:$C$7`; empty without one."""
        if not (self._look.autofilter and self._look.header):
            return ""
        first, last = self._area().split(":")
        return ":".join(re.sub(r"([A-Z]+)(\d+)", r"$\1$\2", corner) for corner in (first, last))

    def _area(self) -> str:
        return f"A1:{_letters(len(self._columns) - 1)}{max(self._rows, 1)}"

    def _sheet_pieces(self) -> Iterator[tuple[int, int, pa.RecordBatch]]:
        """Yield (row on the sheet, row of the content, piece) while they fit on the sheet; keep what does not."""
        pieces = self._pieces if self._waiting is None else itertools.chain([self._waiting], self._pieces)
        self._waiting = None
        for first_row, piece in pieces:
            free = MOST_ROWS - self._rows
            if free:
                kept = piece.slice(0, free)
                yield self._rows + 1, first_row, kept
                self._rows += kept.num_rows
            if piece.num_rows > free:
                self._waiting = first_row + free, piece.slice(free)
                return

    def _header(self) -> bytes:
        names = [text_cells(pa.array([_escaped(column.name)], pa.string())) for column in self._columns]
        tags = [_text_tag(index, HEADER) for index in range(len(self._columns))]
        return self._markups(tags)[1].join(names, {}, 1)

    def _markups(self, tags: Sequence[Tag]) -> tuple[Markup, Markup]:
        """Return the layout for texts as they come, and the one for texts that hold escapes."""
        row = Tag('">', "", head='<row r="', numbered=True)
        strict, loose = (
            Markup(tags, row=row, end="</row>\n", entities=_ENTITIES, underscores=underscores)
            for underscores in (True, False)
        )
        return strict, loose

    def _bytes(self, numbered: tuple[int, int, pa.RecordBatch]) -> bytes:
        """Return the bytes of some rows."""
        sheet_row, first_row, batch = numbered
        made = [
            sheet_cells(column, array, self._look.timezone, self._look.unit)
            for column, array in zip(self._columns, batch.columns, strict=True)
        ]
        cells = [one.cells for one in made]
        odd = {index: one.odd for index, one in enumerate(made) if one.odd is not None}
        self._check_lengths(cells, first_row)
        try:
            return self._markup.join(cells, odd, sheet_row)
        except Forbidden:
            texts = [column.type in styles.TEXT_TYPES for column in self._columns]
            cells = [
                _escaped_cells(cell) if is_text else cell for cell, is_text in zip(cells, texts, strict=True)
            ]
            return self._unescaped.join(cells, odd, sheet_row)

    def _check_lengths(self, cells: Sequence[Cells], first_row: int) -> None:
        for column, texts in zip(self._columns, cells, strict=True):
            for row in np.flatnonzero(np.diff(texts.offsets) > MOST_CHARACTERS):
                text = texts.text(int(row))
                if len(text.encode("utf-16-le")) > 2 * MOST_CHARACTERS:
                    place = f"row {first_row + int(row)}, column {column.name}"
                    right = f"a cell holds at most {MOST_CHARACTERS:,} characters; leave the field out, or use CSV"
                    raise BadInput([Problem(place, text, right, "too_long_for_cell")])

    def _width(self, index: int, sample: Sequence[pa.RecordBatch]) -> int:
        column, left = self._columns[index], _SAMPLE_ROWS
        widest = len(column.name) + 3 if self._look.header else 0  # room for the filter's button
        for batch in sample:
            array = styles.plain(batch.column(index).slice(0, left))
            left -= len(array)
            if not len(array):
                continue
            if column.type in styles.TEXT_TYPES:
                lines = (len(line) for text in array.to_pylist() if text for line in text.splitlines())
                widest = max(widest, *lines, 0)
            elif column.type is FieldType.INSTANT:
                widest = max(widest, 19)
            else:
                cells = sheet_cells(column, array, self._look.timezone, self._look.unit).cells
                thousands_and_decimals = 5
                widest = max(widest, int(np.diff(cells.offsets).max()) + thousands_and_decimals)
        return min(max(widest + 1, _NARROWEST), _WIDEST)


def _sampled(batches: Iterable[pa.RecordBatch]) -> tuple[list[pa.RecordBatch], Iterator[pa.RecordBatch]]:
    """Return the batches of the first rows, and the others."""
    rest, first, rows = iter(batches), [], 0
    while rows < _SAMPLE_ROWS and (batch := next(rest, None)) is not None:
        first.append(batch)
        rows += batch.num_rows
    return first, rest


def _letters(index: int) -> str:
    """Return a column's letters: A is 0, AA is 26."""
    letters = ""
    while index >= 0:
        letters = chr(ord("A") + index % 26) + letters
        index = index // 26 - 1
    return letters


def _text_tag(index: int, style: int) -> Tag:
    before = f'" s="{style}" t="inlineStr"><is><t xml:space="preserve">'
    return Tag(before, "</t></is></c>", head=f'<c r="{_letters(index)}', numbered=True, escaped=True)


def _tag(index: int, column: Column, look: Look) -> Tag:
    text = _text_tag(index, TEXT)
    if column.type in styles.TEXT_TYPES:
        return text
    style = style_of(column.type, points=look.points, dates=look.dates, instants=look.instants)
    before = '" t="b"><v>' if column.type is FieldType.BOOLEAN else f'" s="{style}"><v>'
    return Tag(before, "</v></c>", head=text.head, numbered=True, odd=(text.before, text.after))


def _escaped(text: str) -> str:
    return _ESCAPED.sub(lambda match: f"_x{ord(match[0]):04X}_", text)


def _escaped_cells(cells: Cells) -> Cells:
    nulls = cells.nulls if len(cells.nulls) else np.zeros(cells.rows, np.bool_)
    texts = [None if null else _escaped(cells.text(row)) for row, null in enumerate(nulls)]
    return text_cells(pa.array(texts, pa.string()))
