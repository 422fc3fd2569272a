"""XML: one element a row, its fields as elements or attributes, and the schema (XSD) that such a file fulfils.

A null has no element and no attribute; an empty text has an empty one. Names of columns become names of XML:
what these may not hold becomes `_` (`Journal No.` is `Journal_No.`), and a second column that would get the same
name gets `_2`. XML 1.0 has no way to write control characters, so they are refused, or replaced where asked.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from typing import Annotated, BinaryIO, Literal
from xml.parsers import expat
from xml.sax.saxutils import escape

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import AfterValidator, Field

from include.errors import BadInput, Problem
from include.formats import styles
from include.formats.markup import Forbidden, Markup, Tag
from include.formats.parallel import ordered_map
from include.formats.pieces import numbered_pieces
from include.ledger.catalog import FieldType
from include.ledger.columns import Column

KIND = "xml"
EXTENSION = ".xml"
MEDIA_TYPE = "application/xml"

# Letters that every parser takes in a name, also those of before the fifth edition of XML 1.0 (expat among them).
_NAME_START = (
    "A-Z_a-z\u00c0-\u00d6\u00d8-\u00f6\u00f8-\u0131\u0134-\u013e\u0141-\u0148\u014a-\u017e\u0391-\u03a1\u03a3-\u03ce"
    "\u0410-\u044f\u0451-\u045c\u3041-\u3094\u30a1-\u30fa\u4e00-\u9fa5\uac00-\ud7a3"
)
_NOT_IN_NAME = re.compile(f"[^{_NAME_START}0-9.-]")
_NAME = re.compile(f"[{_NAME_START}][{_NAME_START}0-9.-]*")
_ENTITIES = {"&": "&amp;", "<": "&lt;", ">": "&gt;", "\r": "&#13;"}
# A parser turns line ends and tabs of attributes into spaces, unless they are entities.
_IN_ATTRIBUTES = {**_ENTITIES, '"': "&quot;", "\n": "&#10;", "\t": "&#9;"}
_FORBIDDEN = "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x{fffe}\\x{ffff}]"
_READ_BYTES = 1 << 18


def _name(text: str) -> str:
    if not _NAME.fullmatch(text) or text[:3].lower() == "xml":
        raise ValueError(
            "a name of letters, digits, . - and _ that begins with a letter or _, and not with xml"
        )
    return text


_Name = Annotated[str, AfterValidator(_name)]


class Options(styles.TextStyle):
    """How rows stand in XML."""

    root: _Name = Field("rows", description="Name of the element that holds all.")
    row: _Name = Field("row", description="Name of each row's element.")
    fields: Literal["elements", "attributes"] = Field(
        "elements", description="Whether a row's fields are elements in it, or attributes of it."
    )
    control: Literal["refuse", "replace"] = Field(
        "refuse",
        description="What happens to control characters, which XML cannot hold. refuse: an error that names row "
        "and column. replace: U+FFFD stands in their place.",
    )


def names(columns: Sequence[Column]) -> list[str]:
    """Return the element or attribute name of each column: safe, and different from each other."""
    found: list[str] = []
    for column in columns:
        name = _NOT_IN_NAME.sub("_", column.name)
        if not _NAME.fullmatch(name) or name[:3].lower() == "xml":
            name = "_" + name
        wanted, number = name, 2
        while name in found:
            name, number = f"{wanted}_{number}", number + 1
        found.append(name)
    return found


def encode(columns: Sequence[Column], batches: Iterable[pa.RecordBatch], options: Options) -> Iterator[bytes]:
    """Yield the document. Raises BadInput naming row and column for a character that XML cannot hold."""
    writer = _Writer(columns, options)
    yield f'<?xml version="1.0" encoding="UTF-8"?>\n<{options.root}>\n'.encode()
    yield from ordered_map(writer.piece, numbered_pieces(batches))
    yield f"</{options.root}>\n".encode()


class _Writer:
    """The layout of one file: made once, used by several threads."""

    def __init__(self, columns: Sequence[Column], options: Options) -> None:
        self._columns, self._options = columns, options
        row = options.row
        pairs = list(zip(names(columns), columns, strict=True))
        if options.fields == "attributes":
            tags = [Tag(f' {name}="', '"', escaped=self._escaped(column)) for name, column in pairs]
            self._markup = Markup(tags, row=Tag(f"<{row}", ""), end="/>\n", entities=_IN_ATTRIBUTES)
        else:
            tags = [Tag(f"<{name}>", f"</{name}>", escaped=self._escaped(column)) for name, column in pairs]
            self._markup = Markup(tags, row=Tag(f"<{row}>", ""), end=f"</{row}>\n", entities=_ENTITIES)

    def _escaped(self, column: Column) -> bool:
        pattern = {FieldType.INSTANT: self._options.instants, FieldType.DATE: self._options.dates}
        return column.type in styles.TEXT_TYPES or bool(set("&<>\"'") & set(pattern.get(column.type, "")))

    def piece(self, numbered: tuple[int, pa.RecordBatch]) -> bytes:
        """Return the bytes of some rows, of which the first has this number in the file."""
        first_row, batch = numbered
        arrays = list(batch.columns)
        while True:
            pairs = zip(self._columns, arrays, strict=True)
            cells = [styles.cells_of(column, array, self._options) for column, array in pairs]
            try:
                return self._markup.join(cells, {}, first_row)
            except Forbidden as found:
                array = styles.plain(arrays[found.column])
                if self._options.control == "refuse":
                    raise self._refused(first_row, found, array) from None
                arrays[found.column] = pc.replace_substring_regex(array, _FORBIDDEN, "\ufffd")

    def _refused(self, first_row: int, found: Forbidden, array: pa.Array) -> BadInput:
        place = f"row {first_row + found.row}, column {self._columns[found.column].name}"
        right = "holds a control character, which XML cannot; correct it, or set the file's option control: replace"
        return BadInput([Problem(place, array[found.row].as_py(), right, "not_in_xml")])


# The schema

_TYPES = {
    FieldType.POINTS: "points",
    FieldType.MONEY: "money",
    FieldType.RATE: "rate",
    FieldType.INTEGER: "xs:long",
    FieldType.BOOLEAN: "xs:boolean",
}
_DECIMALS = {"points": 2, "money": 4, "rate": 8}


def schema(columns: Sequence[Column], options: Options) -> bytes:
    """Return the XSD 1.0 of every file that `encode` makes of these columns."""
    lines = [
        '<?xml version="1.0" encoding="UTF-8"?>',
        '<xs:schema xmlns:xs="http://www.w3.org/2001/XMLSchema">',
        *(line for name, places in _DECIMALS.items() for line in _decimal_type(name, places)),
        f'  <xs:element name="{options.root}">',
        "    <xs:complexType>",
        "      <xs:sequence>",
        f'        <xs:element name="{options.row}" minOccurs="0" maxOccurs="unbounded">',
        "          <xs:complexType>",
        *_fields(columns, options),
        "          </xs:complexType>",
        "        </xs:element>",
        "      </xs:sequence>",
        "    </xs:complexType>",
        "  </xs:element>",
        "</xs:schema>",
    ]
    return "\n".join([*lines, ""]).encode()


def _decimal_type(name: str, places: int) -> list[str]:
    return [
        f'  <xs:simpleType name="{name}">',
        '    <xs:restriction base="xs:decimal">',
        f'      <xs:fractionDigits value="{places}"/>',
        "    </xs:restriction>",
        "  </xs:simpleType>",
    ]


def _fields(columns: Sequence[Column], options: Options) -> list[str]:
    elements = options.fields == "elements"
    kind, optional = ("element", ' minOccurs="0"') if elements else ("attribute", "")
    pad = " " * (14 if elements else 12)
    lines = []
    for name, column in zip(names(columns), columns, strict=True):
        opening = f'{pad}<xs:{kind} name="{name}" type="{_type(column, options)}"{optional}'
        if name == column.name:
            lines.append(opening + "/>")
        else:
            title = escape(column.name, {"\r": "&#13;"})
            text = f"<xs:annotation><xs:documentation>{title}</xs:documentation></xs:annotation>"
            lines.append(f"{opening}>{text}</xs:{kind}>")
    if not elements:
        return lines
    return ["            <xs:sequence>", *lines, "            </xs:sequence>"]


def _type(column: Column, options: Options) -> str:
    if column.type is FieldType.INSTANT:
        return "xs:dateTime" if options.instants == "iso8601" else "xs:string"
    if column.type is FieldType.DATE:
        return "xs:date" if options.dates in {"iso8601", "excel"} else "xs:string"
    return _TYPES.get(column.type, "xs:string")


# Reading


def read(file: BinaryIO, columns: Sequence[Column], options: Options) -> Iterator[Sequence[str | None]]:
    """Yield the rows as texts, parsed by expat (see `options.Format.read`)."""
    reader = _Reader(names(columns), options)
    try:
        while chunk := file.read(_READ_BYTES):
            reader.parser.Parse(chunk, False)
            yield from reader.taken()
        reader.parser.Parse(b"", True)
    except expat.ExpatError as error:
        raise ValueError(f"not XML: {error}") from error
    yield from reader.taken()


class _Reader:
    """Rows out of a parser's events. A document type is refused: ours have none, and it could hold a bomb."""

    def __init__(self, fields: Sequence[str], options: Options) -> None:
        self._places = {name: index for index, name in enumerate(fields)}
        self._options = options
        self._path: list[str] = []
        self._rows: list[list[str | None]] = []
        self._count = 0
        self.parser = expat.ParserCreate("UTF-8")
        self.parser.buffer_text = True
        self.parser.StartDoctypeDeclHandler = self._doctype
        self.parser.StartElementHandler = self._start
        self.parser.EndElementHandler = self._end
        self.parser.CharacterDataHandler = self._text

    def taken(self) -> list[list[str | None]]:
        """Return the rows that are complete."""
        open_row = self._rows[-1:] if len(self._path) > 1 else []
        rows, self._rows = self._rows[: len(self._rows) - len(open_row)], open_row
        return rows

    def _doctype(self, *_: object) -> None:
        raise ValueError("a document type, which the file of an export never has")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        expected = (self._options.root, self._options.row)
        depth = len(self._path)
        self._path.append(name)
        if depth < 2:
            if name != expected[depth]:
                raise ValueError(f"row {self._count + 1}: the element {name} instead of {expected[depth]}")
            if depth == 1:
                self._count += 1
                self._rows.append([None] * len(self._places))
                for field, value in attributes.items():
                    self._rows[-1][self._place(field)] = value
            return
        if depth > 2:
            raise ValueError(f"row {self._count}: an element inside a field: {name}")
        self._rows[-1][self._place(name)] = ""

    def _place(self, field: str) -> int:
        if field not in self._places:
            raise ValueError(
                f"row {self._count} has the field {field}, which is none of {', '.join(self._places)}"
            )
        return self._places[field]

    def _text(self, text: str) -> None:
        if len(self._path) == 3:
            row, place = self._rows[-1], self._places[self._path[2]]
            row[place] = (row[place] or "") + text
        elif text.strip():
            raise ValueError(f"row {self._count}: text outside of fields: {text.strip()[:40]!r}")

    def _end(self, _name: str) -> None:
        self._path.pop()
