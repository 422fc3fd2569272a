"""How a tab looks: header, frozen row, number formats, widths, the note that says where it came from.

Looks are given when we make a tab, or when its columns change or its grid grows; what people change meanwhile stays.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from include.ledger.columns import Column
from include.ledger.fields import FieldType
from include.targets.sheets.book import Request

if TYPE_CHECKING:
    from include.targets.google_sheets import Options
    from include.targets.sheets.tables import Delivery, Table

_NUMBER, _TEXT = "NUMBER", "TEXT"
_FORMATS: dict[FieldType, tuple[str, str]] = {
    FieldType.POINTS: (_NUMBER, "#,##0.00"),
    FieldType.MONEY: (_NUMBER, "#,##0.00##"),
    FieldType.INTEGER: (_NUMBER, "0"),
    FieldType.RATE: (_NUMBER, "0.########"),
    FieldType.DATE: ("DATE", "yyyy-mm-dd"),
    FieldType.INSTANT: ("DATE_TIME", "yyyy-mm-dd hh:mm:ss"),
    # What looks like a number stays a text when a person edits it.
    FieldType.ID: (_TEXT, "@"),
}
_PIXELS = {
    FieldType.INSTANT: 150,
    FieldType.DATE: 90,
    FieldType.ID: 140,
    FieldType.TEXT: 180,
    FieldType.JSON: 240,
}
_LEAST_PIXELS, _MOST_PIXELS, _CHARACTER_PIXELS, _EDGE_PIXELS = 80, 320, 8, 24


def dress(options: Options, columns: Sequence[Column], sheet_id: int, *, fresh: bool) -> Iterator[Request]:
    """Yield the requests for the looks of a tab. fresh: whether header and widths are set too."""
    look = options.look
    area: dict[str, Any]
    if look.formats:
        yield from _formats(options, columns, sheet_id)
    if not fresh:
        return
    if options.header:
        area = {"sheetId": sheet_id, "startRowIndex": 0, "endRowIndex": 1, "endColumnIndex": len(columns)}
        shape: dict[str, Any] = {"textFormat": {"bold": look.bold}}
        fields = ["userEnteredFormat.textFormat.bold"]
        if look.background:
            shape["backgroundColorStyle"] = {"rgbColor": _color(look.background)}
            fields.append("userEnteredFormat.backgroundColorStyle")
        cell = {"userEnteredFormat": shape}
        yield {"repeatCell": {"range": area, "cell": cell, "fields": ",".join(fields)}}
        if look.freeze:
            about = {"sheetId": sheet_id, "gridProperties": {"frozenRowCount": 1}}
            yield {"updateSheetProperties": {"properties": about, "fields": "gridProperties.frozenRowCount"}}
    if look.widths:
        for index, column in enumerate(columns):
            area = {"sheetId": sheet_id, "dimension": "COLUMNS", "startIndex": index, "endIndex": index + 1}
            shape = {"pixelSize": _pixels(column)}
            yield {"updateDimensionProperties": {"range": area, "properties": shape, "fields": "pixelSize"}}


def note(delivery: Delivery, table: Table, sheet_id: int) -> Request:
    """Return the request for the note on the first cell: whose export it is, of when, and of which run."""
    about, origin = delivery.parcel.about, delivery.manifest.origin
    lines = [
        about.name or origin.export_id,
        f"Period: {about.period}" if about.period else "",
        f"As of: {origin.as_of.isoformat()}" if origin.as_of else "",
        f"Revision: {origin.revision}" if origin.revision else "",
        f"Rows: {table.rows:,}",
        f"Run: {origin.run_key}",
        f"Manifest: {delivery.manifest_sha256}",
    ]
    text = "\n".join(line for line in lines if line)
    start = {"sheetId": sheet_id, "rowIndex": 0, "columnIndex": 0}
    return {"updateCells": {"start": start, "rows": [{"values": [{"note": text}]}], "fields": "note"}}


def _formats(options: Options, columns: Sequence[Column], sheet_id: int) -> Iterator[Request]:
    for index, column in enumerate(columns):
        kind, pattern = _FORMATS.get(column.type, ("", ""))
        if not kind or (column.type is FieldType.INSTANT and options.instants == "text"):
            continue
        area = {
            "sheetId": sheet_id,
            "startRowIndex": int(options.header),
            "startColumnIndex": index,
            "endColumnIndex": index + 1,
        }
        cell = {"userEnteredFormat": {"numberFormat": {"type": kind, "pattern": pattern}}}
        yield {"repeatCell": {"range": area, "cell": cell, "fields": "userEnteredFormat.numberFormat"}}


def _color(text: str) -> dict[str, float]:
    parts = [int(text[at : at + 2], 16) / 255 for at in (1, 3, 5)]
    return dict(zip(("red", "green", "blue"), parts, strict=True))


def _pixels(column: Column) -> int:
    needed = len(column.name) * _CHARACTER_PIXELS + _EDGE_PIXELS
    return min(_MOST_PIXELS, max(needed, _PIXELS.get(column.type, _LEAST_PIXELS)))
