"""XLSX as text columns, streamed: the first sheet, whose first row names the columns.

Numbers are what the person typed: the shortest text that gives the cell's number. What a spreadsheet has changed
already is refused where it counts: a formula, a date made of a text, a number of more than 15 digits.
"""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator
from functools import lru_cache
from typing import IO, BinaryIO
from xml.etree import ElementTree as ET
from xml.parsers import expat
from zipfile import ZipFile

import numpy as np
import pyarrow as pa

from include.errors import BadInput, Problem
from include.formats import sheet_reading
from include.formats.sheet_cells import moment_of
from include.imports.rows import Raw, RawProblem

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_TEXTS = "xl/sharedStrings.xml"
_WHOLE = {_TEXTS, "xl/workbook.xml", "xl/styles.xml", "xl/_rels/workbook.xml.rels"}
_READ_BYTES, _BATCH_ROWS = 1 << 18, 20_000
_DATE_FORMATS = frozenset({*range(14, 23), *range(27, 37), *range(45, 48), *range(50, 59)})
_DATE_LETTERS = re.compile(r"[dmyhs]", re.IGNORECASE)
_NOT_LETTERS = re.compile(r'"[^"]*"|\[[^\]]*\]|\\.')  # of a number format: texts, colours, escaped characters
_EXACT = 10**15
_COLUMNS = 16_384
_SMALL_BYTES, _SHARED_BYTES = 16 << 20, 512 << 20  # of the parts that are read as a whole

_Cell = tuple[int, str, str]  # column, text, code of what is wrong ('' where nothing is)
_RIGHT = {
    "formula": "is a formula; paste its value instead",
    "date_cell": "is a date that the spreadsheet made; format the column as Text and write it again",
    "shortened_number": "a spreadsheet keeps 15 digits of a number; format the column as Text and write it again",
    "error_cell": "is an error of the spreadsheet",
}  # fmt: skip


class Workbook:
    """The first sheet of a workbook. Raises BadInput where it has entities, or is none that can be read."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self._name = name
        self.notes: tuple[str, ...] = ()
        try:
            self._package = ZipFile(file)
            self._check_parts()
            self._part = self._first_sheet()
            self._styles = self._date_styles()
            self._texts = self._shared_texts()
        except (KeyError, IndexError, ET.ParseError, expat.ExpatError, ValueError) as error:
            raise self._bad(f"is no workbook that can be read: {error}") from error
        self._rows = self._all_rows()

    def first(self) -> list[str]:
        """Return the texts of the first row; nothing where the sheet is empty."""
        number, cells = next(self._rows, (1, []))
        if number != 1:
            self._rows = iter(())
            return []
        width = max((place for place, _, _ in cells), default=-1) + 1
        if width > _COLUMNS:
            raise self._bad(f"a sheet has at most {_COLUMNS} columns")
        header = [""] * width
        for place, text, _ in cells:
            header[place] = text
        return header

    def batches(self, width: int) -> Iterator[Raw]:
        """Yield the rows after the first, of `width` columns."""
        numbers: list[int] = []
        rows: list[list[str]] = []
        problems: list[RawProblem] = []
        for number, cells in self._rows:
            row = [""] * width
            for place, text, code in cells:
                if place < width:
                    row[place] = text
                    if code:
                        problems.append(RawProblem(number, place, text, _RIGHT[code], code))
                elif text:
                    right = f"the row has a value in column {place + 1} and the header has {width} columns"
                    problems.append(RawProblem(number, None, text, right, "too_many_columns"))
            numbers.append(number)
            rows.append(row)
            if len(rows) == _BATCH_ROWS:
                yield _raw(numbers, rows, width, problems)
                numbers, rows, problems = [], [], []
        if rows:
            yield _raw(numbers, rows, width, problems)

    def _check_parts(self) -> None:
        for part in self._package.infolist():
            limit = _SHARED_BYTES if part.filename == _TEXTS else _SMALL_BYTES
            if part.filename in _WHOLE and part.file_size > limit:
                raise ValueError(f"{part.filename} has more than {limit} bytes; send it as CSV")

    def _first_sheet(self) -> str:
        relations = sheet_reading.small_part(self._package, "xl/_rels/workbook.xml.rels")
        targets = {relation.attrib["Id"]: relation.attrib["Target"] for relation in relations}
        book = sheet_reading.small_part(self._package, "xl/workbook.xml")
        every = list(book.iter(f"{_MAIN}sheet"))
        shown = [s for s in every if s.attrib.get("state", "visible") == "visible"] or every
        sheets = [(s.attrib["name"], targets[s.attrib[_RELATION]]) for s in shown]
        first, target = sheets[0]
        if f"{first} (2)" in dict(sheets):
            raise self._bad(
                f"its rows go on in the sheet {first} (2); an import reads one sheet, so send it as CSV"
            )
        if len(every) > 1:
            hidden = f", of those that are not hidden ({len(shown)})" if len(shown) < len(every) else ""
            self.notes = (f"the first of {len(every)} sheets{hidden}, {first}",)
        return target.removeprefix("/") if target.startswith("/") else f"xl/{target}"

    def _date_styles(self) -> frozenset[str]:
        """Return the cell styles that show a number as a date."""
        if "xl/styles.xml" not in self._package.namelist():
            return frozenset()
        styles = sheet_reading.small_part(self._package, "xl/styles.xml")
        own = {
            one.attrib["numFmtId"]
            for one in styles.iter(f"{_MAIN}numFmt")
            if _DATE_LETTERS.search(_NOT_LETTERS.sub("", one.attrib["formatCode"]))
        }
        formats = styles.find(f"{_MAIN}cellXfs")
        used = [one.attrib.get("numFmtId", "0") for one in formats] if formats is not None else []
        return frozenset(str(i) for i, one in enumerate(used) if one in own or int(one) in _DATE_FORMATS)

    def _shared_texts(self) -> _SharedTexts:
        reader = _SharedTexts()
        if _TEXTS in self._package.namelist():
            with self._package.open(_TEXTS) as part:
                for _ in _parsed(part, reader.parser):
                    pass
        return reader

    def _all_rows(self) -> Iterator[tuple[int, list[_Cell]]]:
        reader = _Sheet(self._texts, self._styles)
        try:
            with self._package.open(self._part) as part:
                for _ in _parsed(part, reader.parser):
                    yield from reader.taken()
        except (KeyError, IndexError, expat.ExpatError, ValueError) as error:
            raise self._bad(f"its sheet cannot be read: {error}") from error

    def _bad(self, right: str) -> BadInput:
        return BadInput([Problem(self._name, "", right, "bad_workbook")])


def _raw(numbers: list[int], rows: list[list[str]], width: int, problems: list[RawProblem]) -> Raw:
    columns = [pa.array(column, pa.string()) for column in zip(*rows, strict=True)] if width else []
    return Raw(np.array(numbers, np.int64), columns, problems)


def _parsed(part: IO[bytes], parser: expat.XMLParserType) -> Iterator[None]:
    """Parse a part piece by piece, and come back after each."""
    while chunk := part.read(_READ_BYTES):
        parser.Parse(chunk, False)
        yield
    parser.Parse(b"", True)
    yield


def _parser() -> expat.XMLParserType:
    """Return a parser of parts without a document type, so without entities."""
    parser = expat.ParserCreate("UTF-8")
    parser.buffer_text = True

    def refused(*_: object) -> None:
        raise ValueError("it has a document type, and may have entities")

    parser.StartDoctypeDeclHandler = refused
    return parser


def _sound(text: str) -> str:
    """Return a text without the format's escapes; half of a character, which they can make, becomes U+FFFD."""
    text = sheet_reading.unescaped(text)
    return (
        text if text.isascii() else text.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")
    )


@lru_cache(maxsize=64)
def _local(name: str) -> str:
    """Return a name without its prefix: some libraries write `x:row`."""
    return name.rpartition(":")[2]


class _SharedTexts:
    """The texts that cells refer to by number, end to end: as a million objects they would take thrice the room.

    What is beside a text for its pronunciation (rPh) is no part of it.
    """

    def __init__(self) -> None:
        self._bytes, self._ends = bytearray(), array("Q", [0])
        self._pieces: list[str] = []
        self._in_text = self._beside = False
        self.parser = _parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def _start(self, name: str, _: dict[str, str]) -> None:
        name = _local(name)
        self._in_text = name == "t" and not self._beside
        self._beside = self._beside or name == "rPh"

    def _end(self, name: str) -> None:
        self._in_text = False
        name = _local(name)
        if name == "rPh":
            self._beside = False
        elif name == "si":
            self._bytes += _sound("".join(self._pieces)).encode()
            self._ends.append(len(self._bytes))
            self._pieces = []

    def _text(self, text: str) -> None:
        if self._in_text:
            self._pieces.append(text)

    def __getitem__(self, number: int) -> str:
        """Return a text; IndexError where there is none of that number."""
        if number < 0:
            raise IndexError(number)
        return self._bytes[self._ends[number] : self._ends[number + 1]].decode()


class _Sheet:
    """Rows out of a sheet's events: number and cells."""

    def __init__(self, texts: _SharedTexts, date_styles: frozenset[str]) -> None:
        self._texts, self._date_styles = texts, date_styles
        self._rows: list[tuple[int, list[_Cell]]] = []
        self._cells: list[_Cell] = []
        self._pieces: list[str] = []
        self._number = self._place = 0
        self._type = self._style = ""
        self._in_value = self._formula = False
        self.parser = _parser()
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def taken(self) -> list[tuple[int, list[_Cell]]]:
        """Return the rows that are complete."""
        rows, self._rows = self._rows, []
        return rows

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        name = _local(name)
        if name == "c":
            place = attributes.get("r")
            self._place = sheet_reading.column_of(place) if place else self._place + 1
            self._type, self._style = attributes.get("t", "n"), attributes.get("s", "")
            self._pieces, self._formula = [], False
        elif name in {"v", "t"}:
            self._in_value = True
        elif name == "f":
            self._formula = True
        elif name == "row":
            self._number = int(attributes.get("r", self._number + 1))
            self._cells, self._place = [], -1

    def _text(self, text: str) -> None:
        if self._in_value:
            self._pieces.append(text)

    def _end(self, name: str) -> None:
        name = _local(name)
        if name in {"v", "t"}:
            self._in_value = False
        elif name == "c" and (self._pieces or self._formula):
            self._cells.append(self._cell("".join(self._pieces)))
        elif name == "row":
            self._rows.append((self._number, self._cells))

    def _cell(self, value: str) -> _Cell:
        if self._formula:
            return self._place, value, "formula"
        if self._type in {"s", "b"}:
            shown = self._texts if self._type == "s" else ("FALSE", "TRUE")
            return self._place, shown[int(value)], ""
        if self._type in {"inlineStr", "str"}:
            return self._place, _sound(value), ""
        if self._type == "e":
            return self._place, value, "error_cell"
        if self._type == "d" or self._style in self._date_styles:
            return self._place, _moment(value), "date_cell"
        return (self._place, *_number(value))


def _moment(serial: str) -> str:
    try:
        return moment_of(serial).isoformat(" ")
    except (ArithmeticError, ValueError):
        return serial


def _number(value: str) -> tuple[str, str]:
    """Return a number as it was typed: 1.1 is stored as 1.1000000000000001."""
    if value.isdecimal() and len(value) <= 15:
        return value, ""
    number = float(value)
    if abs(number) >= _EXACT:
        return value, "shortened_number"
    return (str(int(number)) if number.is_integer() else repr(number)), ""
