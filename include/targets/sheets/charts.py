"""Charts of the columns of numbers, on a tab of their own; where people move them, they stay."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any

from include.errors import BadInput, Problem
from include.formats.styles import NUMBER_TYPES
from include.ledger.columns import Column
from include.ledger.fields import FieldType
from include.targets.sheets.book import OF_TAB, Book, Request, number_of

if TYPE_CHECKING:
    from include.targets.google_sheets import Charts
    from include.targets.sheets.tables import Table

_MOST_CHARTS = 6
_ROWS_APART = 20
_SUMMED = (FieldType.POINTS, FieldType.MONEY)


def charts(
    chosen: Charts, title: str, book: Book, tables: Sequence[tuple[Table, int]], *, header: bool
) -> Iterator[Request]:
    """Yield the requests that make or renew the charts on the tab of this title.

    tables: with the id of the tab that each is on. Raises BadInput for a tab that is a table's, and unknown columns.
    """
    if title.casefold() in {table.tab.casefold() for table, _ in tables}:
        right = "rows stand on the tab of this name; give the charts one of their own"
        raise BadInput([Problem("charts.tab", title, right, "doubled_tab")])
    tab = book.tab(title)
    sheet_id = tab.id if tab else number_of("tab", title, *(table.tab for table, _ in tables))
    if tab is None:
        yield {"addSheet": {"properties": {"sheetId": sheet_id, "title": title}}}
        yield mark_tab(sheet_id, title)
    there = {chart for each in book.tabs for chart in each.charts}
    place = len(tab.charts) if tab else 0  # below those that are there
    for table, source in tables:
        for column in _columns(chosen, table):
            number = number_of("chart", table.tab, table.columns[column].name)
            spec = _spec(chosen, table, source, column, header=header)
            if number in there:
                yield {"updateChartSpec": {"chartId": number, "spec": spec}}
            else:
                anchor = {"sheetId": sheet_id, "rowIndex": place * _ROWS_APART, "columnIndex": 0}
                position = {"overlayPosition": {"anchorCell": anchor}}
                yield {"addChart": {"chart": {"chartId": number, "spec": spec, "position": position}}}
            place += 1


def mark_tab(sheet_id: int, wanted: str) -> Request:
    """Return the request that writes down how the definition calls a tab."""
    from include.targets.sheets.client import encoded

    return {
        "createDeveloperMetadata": {
            "developerMetadata": {
                "metadataKey": OF_TAB,
                "metadataValue": encoded({"tab": wanted}).decode(),
                "location": {"sheetId": sheet_id},
                "visibility": "DOCUMENT",
            }
        }
    }


def _columns(chosen: Charts, table: Table) -> list[int]:
    """Return the columns to draw: those chosen, else points and money, else the first numbers."""
    columns = table.columns
    names = [column.name for column in columns]
    if chosen.columns:
        missing = [name for name in chosen.columns if name not in names]
        if missing:
            right = f"is none of the columns of {table.tab}: {', '.join(names)}"
            raise BadInput([Problem("charts.columns", name, right, "unknown_column") for name in missing])
        return [names.index(name) for name in chosen.columns]
    summed = [index for index, column in enumerate(columns) if column.type in _SUMMED]
    numbers = [index for index, column in enumerate(columns) if column.type in NUMBER_TYPES]
    return (summed or numbers)[:_MOST_CHARTS]


def _along(columns: Sequence[Column]) -> int:
    """Return the column that names the points of a chart: the first that is no number."""
    return next((index for index, column in enumerate(columns) if column.type not in NUMBER_TYPES), 0)


def _spec(chosen: Charts, table: Table, source: int, column: int, *, header: bool) -> dict[str, Any]:
    def area(index: int) -> dict[str, Any]:
        sources = {
            "sheetId": source,
            "startRowIndex": 0,
            "endRowIndex": max(1, int(header) + min(table.rows, chosen.rows)),
            "startColumnIndex": index,
            "endColumnIndex": index + 1,
        }
        return {"sourceRange": {"sources": [sources]}}

    name = table.columns[column].name
    more = table.rows > chosen.rows
    return {
        "title": f"{table.tab}: {name}" + (f" (first {chosen.rows} rows)" if more else ""),
        "basicChart": {
            "chartType": chosen.kind.upper(),
            "legendPosition": "NO_LEGEND",
            "headerCount": int(header),
            "domains": [{"domain": area(_along(table.columns))}],
            "series": [
                {"series": area(column), "targetAxis": "BOTTOM_AXIS" if chosen.kind == "bar" else "LEFT_AXIS"}
            ],
        },
    }
