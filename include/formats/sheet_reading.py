"""Reading a workbook back: the cells of its sheets as their texts, streamed by the standard library's parsers.

A file of ours has no formula and no document type; one that has is refused. Texts come without the format's escapes.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from functools import lru_cache
from typing import IO
from xml.etree import ElementTree as ET
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile

from include.formats.workbook import sheet_name

_MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"
_RELATION = "{http://schemas.openxmlformats.org/officeDocument/2006/relationships}id"
_READ_BYTES = 1 << 18
_ESCAPE = re.compile("_x([0-9A-Fa-f]{4})_")

Row = list[str | None]


def sheets(book: IO[bytes], content: str) -> Iterator[tuple[str, Iterator[Row]]]:
    """Yield name and rows of each sheet of a content, `NAME`, `NAME (2)` and so on; of all where there is but one."""
    wanted = sheet_name(content)
    try:
        with ZipFile(book) as package:
            targets = {
                relation.attrib["Id"]: relation.attrib["Target"]
                for relation in small_part(package, "xl/_rels/workbook.xml.rels")
            }
            listed = [
                (sheet.attrib["name"], targets[sheet.attrib[_RELATION]])
                for sheet in small_part(package, "xl/workbook.xml").iter(f"{_MAIN}sheet")
            ]
            for name, target in listed:
                if len(listed) == 1 or name == wanted or name.startswith(f"{wanted} ("):
                    with package.open(f"xl/{target}") as part:
                        yield name, _rows(part)
    except (KeyError, BadZipFile, ET.ParseError) as error:
        raise ValueError(f"not a workbook of ours: {error}") from error


def small_part(package: ZipFile, name: str) -> ET.Element:
    """Return a part of a workbook as a tree. Raises ValueError where it has a document type, so no entity is read."""
    content = package.read(name).decode()  # as text, so that no encoding that it states hides a document type
    if "<!DOCTYPE" in content:
        raise ValueError(f"{name} has a document type")
    return ET.fromstring(content)  # noqa: S314 (without a document type there are no entities)


def _rows(part: IO[bytes]) -> Iterator[Row]:
    reader = _Reader()
    try:
        while chunk := part.read(_READ_BYTES):
            reader.parser.Parse(chunk, False)
            yield from reader.taken()
        reader.parser.Parse(b"", True)
    except (KeyError, BadZipFile, expat.ExpatError) as error:
        raise ValueError(f"not a sheet of ours: {error}") from error
    yield from reader.taken()


class _Reader:
    """Rows out of a parser's events."""

    def __init__(self) -> None:
        self._rows: list[Row] = []
        self._row: Row = []
        self._texts: list[str] = []
        self._in_value = False
        self._count = 0
        self.parser = expat.ParserCreate("UTF-8")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def taken(self) -> list[Row]:
        """Return the rows that are complete."""
        rows, self._rows = self._rows, []
        return rows

    def _doctype(self, *_: object) -> None:
        raise ValueError("a document type, which a workbook of ours never has")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if name == "c":
            place = column_of(attributes["r"])
            self._row.extend([None] * (place - len(self._row)))
            self._texts = []
        elif name in {"v", "t"}:
            self._in_value = True
        elif name == "row":
            self._count += 1
            if attributes["r"] != str(self._count):
                raise ValueError(f"row {attributes['r']} stands where row {self._count} should be")
            self._row = []
        elif name == "f":
            raise ValueError(f"row {self._count} holds a formula")

    def _text(self, text: str) -> None:
        if self._in_value:
            self._texts.append(text)

    def _end(self, name: str) -> None:
        if name in {"v", "t"}:
            self._in_value = False
        elif name == "c":
            self._row.append(unescaped("".join(self._texts)))
        elif name == "row":
            self._rows.append(self._row)


@lru_cache(maxsize=1 << 15)
def _column(letters: str) -> int:
    place = 0
    for letter in letters:
        place = place * 26 + ord(letter) - ord("A") + 1
    return place - 1


def column_of(reference: str) -> int:
    """Return the place, from 0, of the column of a cell such as `B12`."""
    return _column(reference.rstrip("0123456789"))


def unescaped(text: str) -> str:
    """Return a text without the format's escapes: `_x0041_` is A."""
    return _ESCAPE.sub(lambda match: chr(int(match[1], 16)), text)


def header_problem(header: Sequence[str | None] | None, names: Sequence[str]) -> str | None:
    """Return what is wrong with the first row of a sheet, as a sentence."""
    found = [cell or "" for cell in header or ()]
    found += [""] * (len(names) - len(found))
    return None if found == list(names) else f"the header is {found} instead of {list(names)}"
