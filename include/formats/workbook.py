"""A workbook of several sheets as a stream: the parts that a spreadsheet file has besides its rows.

Nothing in it tells when or where it was made. What belongs here: the package, names of sheets, styles. The rows
are in `sheet`.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from xml.sax.saxutils import escape, quoteattr

from include.formats.sheet import Sheet, SheetWriter
from include.formats.sheet_styles import styles_part
from include.formats.zip_entries import ZipEntries

NAME_CHARACTERS = 31
_HEAD = '<?xml version="1.0" encoding="UTF-8" standalone="yes"?>\n'
_MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_TYPE = "application/vnd.openxmlformats-officedocument.spreadsheetml"
_ROOT = (
    f'{_HEAD}<Relationships xmlns="{_RELATIONS}"><Relationship Id="rId1" Type="{_OFFICE}/officeDocument" '
    'Target="xl/workbook.xml"/></Relationships>'
)


def workbook(sheets: Iterable[Sheet]) -> Iterator[bytes]:
    """Yield the file. Rows that do not fit on a sheet go on on the next one, named `name (2)`, with its header.

    Raises BadInput naming row and column for what a cell cannot hold, and for more than 4 GiB of rows.
    """
    package, names, filters = ZipEntries(), SheetNames(), []
    # Programs that tell a file's kind by its beginning look for this part.
    yield from package.entry("_rels/.rels", [_ROOT.encode()])
    yield from package.entry("xl/styles.xml", [styles_part()])
    for sheet in sheets:
        writer = SheetWriter(sheet)
        number = 1
        while writer.goes_on:
            names.add(sheet.name, number)
            yield from package.entry(f"xl/worksheets/sheet{len(names.used)}.xml", writer.part())
            filters.append(writer.filtered)
            number += 1
    yield from package.entry("xl/workbook.xml", [_workbook_part(names.used, filters)])
    yield from package.entry("xl/_rels/workbook.xml.rels", [_relations_part(len(names.used))])
    yield from package.entry("[Content_Types].xml", [_types_part(len(names.used))])
    yield package.end()


class SheetNames:
    """The names of a workbook's sheets: safe, and different from each other for a program that ignores case."""

    def __init__(self) -> None:
        self.used: list[str] = []

    def add(self, wanted: str, number: int = 1) -> str:
        """Return the name of the sheet that is the `number`-th of this content, and remember it."""
        taken = {name.casefold() for name in self.used}
        while (name := sheet_name(wanted, number)).casefold() in taken:
            number += 1
        self.used.append(name)
        return name


def sheet_name(wanted: str, number: int = 1) -> str:
    """Return the name that a spreadsheet takes for the `number`-th sheet of a content of this name."""
    tail = f" ({number})" if number > 1 else ""
    name = re.sub(r"[\[\]:*?/\\\x00-\x1f\x7f\ufffe\uffff]", "-", wanted).strip("' ") or "Sheet"
    if name.casefold() == "history":  # what Excel keeps for itself
        name += "-"
    units = name.encode("utf-16-le")[: 2 * (NAME_CHARACTERS - len(tail))]
    return units.decode("utf-16-le", "ignore").rstrip("' ") + tail


def _workbook_part(names: list[str], filters: list[str]) -> bytes:
    sheets = "".join(
        f'<sheet name={quoteattr(name)} sheetId="{number}" r:id="rId{number}"/>'
        for number, name in enumerate(names, 1)
    )
    defined = "".join(
        f'<definedName name="_xlnm._FilterDatabase" localSheetId="{index}" hidden="1">'
        + escape(f"'{name.replace(chr(39), chr(39) * 2)}'!{area}")
        + "</definedName>"
        for index, (name, area) in enumerate(zip(names, filters, strict=True))
        if area
    )
    defined = f"<definedNames>{defined}</definedNames>" if defined else ""
    return (
        f'{_HEAD}<workbook xmlns="{_MAIN}" xmlns:r="{_OFFICE}"><bookViews><workbookView/></bookViews>'
        f"<sheets>{sheets}</sheets>{defined}</workbook>"
    ).encode()


def _relations_part(count: int) -> bytes:
    parts = [("worksheet", f"worksheets/sheet{number}.xml") for number in range(1, count + 1)]
    parts.append(("styles", "styles.xml"))
    relations = "".join(
        f'<Relationship Id="rId{number}" Type="{_OFFICE}/{kind}" Target="{target}"/>'
        for number, (kind, target) in enumerate(parts, 1)
    )
    return f'{_HEAD}<Relationships xmlns="{_RELATIONS}">{relations}</Relationships>'.encode()


def _types_part(count: int) -> bytes:
    parts = [("/xl/workbook.xml", "sheet.main"), ("/xl/styles.xml", "styles")]
    parts += [(f"/xl/worksheets/sheet{number}.xml", "worksheet") for number in range(1, count + 1)]
    overrides = "".join(
        f'<Override PartName="{name}" ContentType="{_TYPE}.{kind}+xml"/>' for name, kind in parts
    )
    return (
        f'{_HEAD}<Types xmlns="http://schemas.openxmlformats.org/package/2006/content-types">'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Default Extension="xml" ContentType="application/xml"/>{overrides}</Types>'
    ).encode()
