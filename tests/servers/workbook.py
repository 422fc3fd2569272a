"""A spreadsheet as Google keeps it, for the stub of `sheets`: grids, hidden tabs, metadata, all or nothing.

Only what deliveries and their tests use is here; anything else is refused, so that a test cannot pass by chance.
A cell is None, or a text, number or truth, or `Formula`.
"""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import Any

MOST_CELLS = 10_000_000
MOST_CHARACTERS = 50_000
MOST_METADATA = 30_000


class Invalid(Exception):
    """A 400 with Google's words."""


class Formula(str):
    """What a person, or USER_ENTERED, has made a formula."""

    __slots__ = ()


@dataclass
class Sheet:
    """One tab. rows: those that hold anything, by place; each is replaced, never changed."""

    id: int
    title: str
    height: int = 1000
    width: int = 26
    hidden: bool = False
    frozen: int = 0
    protected: bool = False
    rows: dict[int, list[Any]] = field(default_factory=dict)
    notes: dict[tuple[int, int], str] = field(default_factory=dict)
    formats: dict[tuple[int, int], dict[str, Any]] = field(default_factory=dict)
    widths: dict[int, int] = field(default_factory=dict)
    metadata: dict[int, dict[str, Any]] = field(default_factory=dict)
    charts: dict[int, dict[str, Any]] = field(default_factory=dict)

    @property
    def last(self) -> int:
        """How many rows there are down to the last that holds anything."""
        return (
            max(
                (place for place, row in self.rows.items() if any(cell is not None for cell in row)),
                default=-1,
            )
            + 1
        )

    def table(self) -> list[list[Any]]:
        """All values, as a person sees them: without empty cells at the ends."""
        return [trimmed(self.rows.get(place, [])) for place in range(self.last)]

    def copied(self) -> Sheet:
        """One that can be thrown away again."""
        made = copy.copy(self)
        for name in ("rows", "notes", "formats", "widths", "metadata", "charts"):
            setattr(made, name, dict(getattr(self, name)))
        return made

    def write(self, row: int, column: int, cells: list[Any]) -> None:
        if self.protected:
            raise Invalid(
                "You are trying to edit a protected cell or object. Please contact the spreadsheet owner."
            )
        if row >= self.height or column + len(cells) > self.width:
            raise Invalid(
                f"Range ('{self.title}') exceeds grid limits. Max rows: {self.height}, max columns: {self.width}"
            )
        if any(isinstance(cell, str) and len(cell) > MOST_CHARACTERS for cell in cells):
            raise Invalid("Your input contains more than the maximum of 50000 characters in a single cell.")
        held = list(self.rows.get(row, []))
        held.extend([None] * (column + len(cells) - len(held)))
        held[column : column + len(cells)] = [None if cell == "" else cell for cell in cells]
        self.rows[row] = held


@dataclass
class Workbook:
    """One spreadsheet. editors: who may write; readers: who may read; empty: everybody may."""

    id: str
    title: str = "Loyalty"
    zone: str = "Europe/Paris"
    sheets: dict[int, Sheet] = field(default_factory=dict)
    editors: set[str] = field(default_factory=set)
    readers: set[str] = field(default_factory=set)
    most_cells: int = MOST_CELLS

    def sheet(self, title: str) -> Sheet:
        """The tab of a title; KeyError when there is none."""
        for sheet in self.sheets.values():
            if sheet.title.casefold() == title.casefold():
                return sheet
        raise KeyError(title)

    @property
    def shown(self) -> dict[str, list[list[Any]]]:
        """What a reader sees: the tabs that are not hidden, with their values."""
        return {sheet.title: sheet.table() for sheet in self.sheets.values() if not sheet.hidden}

    def document(self) -> dict[str, Any]:
        """The answer of spreadsheets.get, without cells."""
        return {
            "spreadsheetId": self.id,
            "properties": {"title": self.title, "timeZone": self.zone},
            "sheets": [
                {
                    "properties": {
                        "sheetId": sheet.id,
                        "title": sheet.title,
                        "hidden": sheet.hidden,
                        "gridProperties": {"rowCount": sheet.height, "columnCount": sheet.width},
                    },
                    "developerMetadata": list(sheet.metadata.values()),
                    "charts": list(sheet.charts.values()),
                }
                for sheet in self.sheets.values()
            ],
        }

    def batch(self, requests: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Carry out all of these, or none."""
        if not requests:
            raise Invalid("Must specify at least one request.")
        before, replies = self.sheets, []
        self.sheets = {number: sheet.copied() for number, sheet in before.items()}
        try:
            for index, request in enumerate(requests):
                ((name, body),) = request.items()
                try:
                    step = getattr(self, f"_{name}")  # what is not here is a test's mistake
                    replies.append(step(body) or {})
                except Invalid as error:
                    raise Invalid(f"Invalid requests[{index}].{name}: {error}") from None
            self._check()
        except BaseException:
            self.sheets = before
            raise
        return replies

    def _check(self) -> None:
        if sum(sheet.height * sheet.width for sheet in self.sheets.values()) > self.most_cells:
            raise Invalid(
                f"This action would increase the number of cells in the workbook above the limit of {self.most_cells} cells."
            )
        if all(sheet.hidden for sheet in self.sheets.values()):
            raise Invalid("You can't remove all the visible sheets in a document.")
        for sheet in self.sheets.values():
            size = sum(
                len(each["metadataKey"]) + len(each["metadataValue"]) for each in sheet.metadata.values()
            )
            if size > MOST_METADATA:
                raise Invalid("Developer metadata exceeds the storage limit of the sheet.")

    def _at(self, number: int) -> Sheet:
        if number not in self.sheets:
            raise Invalid(f"No grid with id: {number}")
        return self.sheets[number]

    def _addSheet(self, body: dict[str, Any]) -> dict[str, Any]:
        about = body["properties"]
        number = about.get("sheetId", max(self.sheets, default=0) + 1)
        if number in self.sheets or number < 0:
            raise Invalid(f"A sheet with id {number} already exists. Please specify a different id.")
        if any(sheet.title.casefold() == about["title"].casefold() for sheet in self.sheets.values()):
            raise Invalid(
                f'A sheet with the name "{about["title"]}" already exists. Please enter another name.'
            )
        if len(about["title"]) > 100:
            raise Invalid("Sheet names cannot be longer than 100 characters.")
        grid = about.get("gridProperties", {})
        sheet = Sheet(number, about["title"], grid.get("rowCount", 1000), grid.get("columnCount", 26))
        if sheet.height < 1 or sheet.width < 1:
            raise Invalid("A sheet must have at least one row and one column.")
        sheet.hidden, sheet.frozen = about.get("hidden", False), grid.get("frozenRowCount", 0)
        self.sheets[number] = sheet
        return {"addSheet": {"properties": {"sheetId": number, "title": sheet.title, "gridProperties": grid}}}

    def _deleteSheet(self, body: dict[str, Any]) -> None:
        self._at(body["sheetId"])
        del self.sheets[body["sheetId"]]

    def _updateSheetProperties(self, body: dict[str, Any]) -> None:
        sheet = self._at(body["properties"]["sheetId"])
        if body["fields"] != "gridProperties.frozenRowCount":
            raise NotImplementedError(body["fields"])
        sheet.frozen = body["properties"]["gridProperties"]["frozenRowCount"]
        if sheet.frozen >= sheet.height:
            raise Invalid("You can't freeze all visible rows on the sheet.")

    def _appendDimension(self, body: dict[str, Any]) -> None:
        sheet = self._at(body["sheetId"])
        if body["length"] < 1:
            raise Invalid("length must be positive")
        if body["dimension"] == "ROWS":
            sheet.height += body["length"]
        else:
            sheet.width += body["length"]

    def _insertDimension(self, body: dict[str, Any]) -> None:
        area = body["range"]
        sheet, first, count = (
            self._at(area["sheetId"]),
            area["startIndex"],
            area["endIndex"] - area["startIndex"],
        )
        if area["dimension"] != "ROWS" or count < 1:
            raise NotImplementedError(area)
        if first >= sheet.height:
            raise Invalid(f"range.startIndex[{first}] must be less than the grid size ({sheet.height})")
        sheet.rows = {place + count * (place >= first): row for place, row in sheet.rows.items()}
        sheet.height += count

    def _updateDimensionProperties(self, body: dict[str, Any]) -> None:
        area = body["range"]
        sheet = self._at(area["sheetId"])
        for index in range(area["startIndex"], area["endIndex"]):
            sheet.widths[index] = body["properties"]["pixelSize"]

    def _updateCells(self, body: dict[str, Any]) -> None:
        if "range" in body:
            sheet, top, left, bottom, right = self._area(body["range"])
            if body.get("rows") or body["fields"] != "userEnteredValue":
                raise NotImplementedError("range with rows")
            for place in [place for place in sheet.rows if top <= place < bottom]:
                held = sheet.rows[place]
                sheet.write(place, left, [None] * (min(right, len(held)) - left))
            return
        start = body["start"]
        sheet = self._at(start["sheetId"])
        for index, row in enumerate(body["rows"]):
            place, column = start["rowIndex"] + index, start["columnIndex"]
            if body["fields"] == "note":
                for offset, cell in enumerate(row["values"]):
                    sheet.notes[place, column + offset] = cell["note"]
            elif body["fields"] == "userEnteredValue":
                sheet.write(place, column, [_entered(cell) for cell in row.get("values", [])])
            else:
                raise NotImplementedError(body["fields"])

    def _appendCells(self, body: dict[str, Any]) -> None:
        sheet = self._at(body["sheetId"])
        if body["fields"] != "userEnteredValue":
            raise NotImplementedError(body["fields"])
        last = sheet.last
        sheet.height = max(sheet.height, last + len(body["rows"]))
        for index, row in enumerate(body["rows"]):
            sheet.write(last + index, 0, [_entered(cell) for cell in row.get("values", [])])

    def _copyPaste(self, body: dict[str, Any]) -> None:
        source, top, left, bottom, right = self._area(body["source"])
        goal, to, beside, end, edge = self._area(body["destination"])
        if body["pasteType"] != "PASTE_VALUES" or (end - to, edge - beside) != (bottom - top, right - left):
            raise NotImplementedError(body)
        for place in range(top, bottom):
            held = source.rows.get(place, [])
            row = held[left:right] + [None] * (right - left - len(held[left:right]))
            goal.write(to + place - top, beside, row)

    def _repeatCell(self, body: dict[str, Any]) -> None:
        sheet, top, left, _, right = self._area(body["range"])
        for column in range(left, right):
            held = sheet.formats.get((top, column), {})
            sheet.formats[top, column] = {**held, **body["cell"]["userEnteredFormat"]}

    def _area(self, area: dict[str, Any]) -> tuple[Sheet, int, int, int, int]:
        sheet = self._at(area["sheetId"])
        top, left = area.get("startRowIndex", 0), area.get("startColumnIndex", 0)
        bottom, right = area.get("endRowIndex", sheet.height), area.get("endColumnIndex", sheet.width)
        if not (0 <= top < bottom <= sheet.height and 0 <= left < right <= sheet.width):
            raise Invalid(f"GridRange {area} exceeds grid limits ({sheet.height} x {sheet.width})")
        return sheet, top, left, bottom, right

    def _createDeveloperMetadata(self, body: dict[str, Any]) -> None:
        about = body["developerMetadata"]
        used = {number for sheet in self.sheets.values() for number in sheet.metadata}
        number = about.get("metadataId", max(used, default=0) + 1)
        if number in used or number < 1:
            raise Invalid(f"The metadata id {number} is already in use.")
        self._at(about["location"]["sheetId"]).metadata[number] = {**about, "metadataId": number}

    def _deleteDeveloperMetadata(self, body: dict[str, Any]) -> None:
        number = body["dataFilter"]["developerMetadataLookup"]["metadataId"]
        for sheet in self.sheets.values():
            sheet.metadata.pop(number, None)

    def _addChart(self, body: dict[str, Any]) -> None:
        chart = body["chart"]
        if any(chart["chartId"] in sheet.charts for sheet in self.sheets.values()):
            raise Invalid(f"A chart with id {chart['chartId']} already exists")
        for each in _sources(chart["spec"]):
            self._area(each)
        self._at(chart["position"]["overlayPosition"]["anchorCell"]["sheetId"]).charts[chart["chartId"]] = (
            chart
        )

    def _updateChartSpec(self, body: dict[str, Any]) -> None:
        for sheet in self.sheets.values():
            if body["chartId"] in sheet.charts:
                for each in _sources(body["spec"]):
                    self._area(each)
                sheet.charts[body["chartId"]] = {**sheet.charts[body["chartId"]], "spec": body["spec"]}
                return
        raise Invalid(f"No chart with id: {body['chartId']}")


def _sources(spec: dict[str, Any]) -> list[dict[str, Any]]:
    chart = spec["basicChart"]
    parts = [each["domain"] for each in chart["domains"]] + [each["series"] for each in chart["series"]]
    return [source for part in parts for source in part["sourceRange"]["sources"]]


def _entered(cell: dict[str, Any]) -> Any:
    value = cell.get("userEnteredValue")
    if value is None:
        return None
    ((kind, held),) = value.items()
    return Formula(held) if kind == "formulaValue" else held


def trimmed(row: list[Any]) -> list[Any]:
    end = len(row)
    while end and row[end - 1] is None:
        end -= 1
    return row[:end]
