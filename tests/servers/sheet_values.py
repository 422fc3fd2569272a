"""The methods of the Sheets API, for the stub: cells by A1 notation, and the spreadsheet as a whole."""

from __future__ import annotations

import re
from typing import Any

from include.targets.sheets.book import column_name
from tests.servers.workbook import Formula, Invalid, Sheet, Workbook, trimmed


def found(book: Workbook, text: str) -> tuple[Sheet, int, int, int, int]:
    """The tab and the area of an A1 notation: top, left, bottom, right."""
    match = re.fullmatch(r"(?:'((?:[^']|'')+)'|([^'!]+))(?:!([A-Z]+)(\d*)(?::([A-Z]+)(\d*))?)?", text)
    try:
        sheet = book.sheet((match[1] or match[2]).replace("''", "'")) if match else None
    except KeyError:
        sheet = None
    if match is None or sheet is None:
        raise Invalid(f"Unable to parse range: {text}")
    if match[3] is None:
        return sheet, 0, 0, sheet.height, sheet.width
    top, left = int(match[4] or 1) - 1, _column(match[3])
    bottom = int(match[6] or (sheet.height if match[5] else top + 1))
    right = _column(match[5]) + 1 if match[5] else left + 1
    if bottom > sheet.height or right > sheet.width:
        raise Invalid(
            f"Range ({text}) exceeds grid limits. Max rows: {sheet.height}, max columns: {sheet.width}"
        )
    return sheet, top, left, bottom, right


def get(book: Workbook, text: str, option: str) -> dict[str, Any]:
    """The answer of values.get."""
    sheet, top, left, bottom, right = found(book, text)
    last = min(bottom, sheet.last)
    rows = [trimmed(sheet.rows.get(place, [])[left:right]) for place in range(top, last)]
    while rows and not rows[-1]:
        rows.pop()
    shown = [[_shown(cell, option) for cell in row] for row in rows]
    return {"range": text, "majorDimension": "ROWS", **({"values": shown} if shown else {})}


def put(book: Workbook, text: str, values: list[list[Any]], option: str) -> int:
    """Write from the top left of an area on; null leaves a cell as it is. Returns how many rows."""
    sheet, top, left, bottom, right = found(book, text)
    if len(values) > bottom - top or any(len(row) > right - left for row in values):
        raise Invalid(f"Requested writing within range [{text}], but tried writing beyond it")
    for place, row in enumerate(values, top):
        held = sheet.rows.get(place, [])
        held = held + [None] * (left + len(row) - len(held))
        cells = [
            held[left + index] if cell is None else _parsed(cell, option) for index, cell in enumerate(row)
        ]
        sheet.write(place, left, cells)
    return len(values)


def _parsed(value: Any, option: str) -> Any:
    if isinstance(value, list | dict):
        raise Invalid("Invalid values: a cell must be a text, a number or a truth")
    if option == "USER_ENTERED" and isinstance(value, str):
        if value.startswith("="):
            return Formula(value)
        if re.fullmatch(r"-?[\d,]+(\.\d+)?", value):
            return float(value.replace(",", ""))
    return value


def _shown(cell: Any, option: str) -> Any:
    if cell is None:
        return ""
    if isinstance(cell, Formula):
        return str(cell) if option == "FORMULA" else "#NAME?"
    if option != "FORMATTED_VALUE":
        return cell
    return str(cell).upper() if isinstance(cell, bool) else str(cell)


def _column(letters: str) -> int:
    number = 0
    for letter in letters:
        number = number * 26 + ord(letter) - 64
    return number - 1


Query = dict[str, list[str]]


def _get(book: Workbook, names: dict[str, str], query: Query, body: Any) -> Any:
    return book.document()


def _batch(book: Workbook, names: dict[str, str], query: Query, body: Any) -> Any:
    return {"spreadsheetId": book.id, "replies": book.batch(body.get("requests", []))}


def _values_get(book: Workbook, names: dict[str, str], query: Query, body: Any) -> Any:
    return get(book, names["range"], query.get("valueRenderOption", ["FORMATTED_VALUE"])[0])


def _values_batch_get(book: Workbook, names: dict[str, str], query: Query, body: Any) -> Any:
    found = [_values_get(book, {"range": area}, query, None) for area in query.get("ranges", [])]
    return {"spreadsheetId": book.id, "valueRanges": found}


def _values_batch_update(book: Workbook, names: dict[str, str], query: Query, body: Any) -> Any:
    option = _input(body.get("valueInputOption"))
    done = [put(book, each["range"], each.get("values", []), option) for each in body.get("data", [])]
    return {"spreadsheetId": book.id, "totalUpdatedRows": sum(done)}


def _values_update(book: Workbook, names: dict[str, str], query: Query, body: Any) -> Any:
    rows = put(book, names["range"], body.get("values", []), _input(query.get("valueInputOption", [""])[0]))
    return {"spreadsheetId": book.id, "updatedRange": names["range"], "updatedRows": rows}


def _values_append(book: Workbook, names: dict[str, str], query: Query, body: Any) -> Any:
    sheet, *_ = found(book, names["range"])
    last, rows = sheet.last, body.get("values", [])
    sheet.height = max(sheet.height, last + len(rows))
    sheet.width = max(sheet.width, *(len(row) for row in rows))
    area = f"'{sheet.title}'!A{last + 1}:{column_name(sheet.width)}{last + len(rows)}"
    put(book, area, rows, _input(query.get("valueInputOption", [""])[0]))
    return {"spreadsheetId": book.id, "updates": {"updatedRange": area, "updatedRows": len(rows)}}


def _values_clear(book: Workbook, names: dict[str, str], query: Query, body: Any) -> Any:
    sheet, top, left, bottom, right = found(book, names["range"])
    for place in [place for place in sheet.rows if top <= place < bottom]:
        sheet.write(place, left, [None] * (min(right, len(sheet.rows[place])) - left))
    return {"spreadsheetId": book.id, "clearedRange": names["range"]}


METHODS = {
    "sheets.spreadsheets.get": _get,
    "sheets.spreadsheets.batchUpdate": _batch,
    "sheets.spreadsheets.values.get": _values_get,
    "sheets.spreadsheets.values.batchGet": _values_batch_get,
    "sheets.spreadsheets.values.batchUpdate": _values_batch_update,
    "sheets.spreadsheets.values.update": _values_update,
    "sheets.spreadsheets.values.append": _values_append,
    "sheets.spreadsheets.values.clear": _values_clear,
}


def _input(option: str | None) -> str:
    if option not in {"RAW", "USER_ENTERED"}:
        raise Invalid("'valueInputOption' is required but not specified")
    return option
