"""A spreadsheet as it is now: its tabs, what deliveries have written down on them, its cells."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from include.errors import Transient
from include.targets.sheets.cells import Row
from include.targets.sheets.client import Google, Lost, encoded, pause
from include.targets.sheets.refusals import Refused

MOST_CELLS = 10_000_000
# Of one answer: about 12 MB of JSON, and 100 MB of memory.
READ_CELLS = 1_200_000
Request = Mapping[str, Any]
STAMP, OF_TAB = "loyalty_delivery", "loyalty_tab"
ADDRESS = "https://docs.google.com/spreadsheets/d/"
_FIELDS = (
    "properties(title,timeZone),sheets(properties(sheetId,title,hidden,gridProperties(rowCount,columnCount)),"
    "developerMetadata(metadataId,metadataKey,metadataValue),charts(chartId))"
)
_REPEATS = 4


@dataclass(frozen=True)
class Mark:
    """What a delivery wrote down on a tab, as developer metadata. The spreadsheet has each id once."""

    id: int
    key: str
    value: Mapping[str, Any]


@dataclass(frozen=True)
class Tab:
    """A tab of the spreadsheet; `rows` and `columns` are those of its grid, empty ones too."""

    id: int
    title: str
    hidden: bool = False
    rows: int = 0
    columns: int = 0
    marks: tuple[Mark, ...] = ()
    charts: tuple[int, ...] = ()

    @property
    def stamps(self) -> list[Mark]:
        """What deliveries wrote down, the oldest first."""
        found = [mark for mark in self.marks if mark.key == STAMP]
        return sorted(found, key=lambda mark: int(mark.value.get("n", 0)))

    @property
    def wanted(self) -> str | None:
        """How the definition called the tab, whatever people call it now."""
        return next((str(mark.value.get("tab")) for mark in self.marks if mark.key == OF_TAB), None)


@dataclass(frozen=True)
class Book:
    """The spreadsheet at the moment of the look."""

    title: str
    zone: str
    tabs: tuple[Tab, ...] = field(default=())

    @property
    def cells(self) -> int:
        """Return how many cells it has."""
        return sum(tab.rows * tab.columns for tab in self.tabs)

    def tab(self, wanted: str) -> Tab | None:
        """Return the tab that deliveries made for this name, even renamed; else the one of this title."""
        ours = [tab for tab in self.tabs if tab.wanted == wanted]
        named = [tab for tab in self.tabs if tab.title.casefold() == wanted.casefold()]
        return next(iter([*ours, *named]), None)

    def stamp(self, number: int) -> bool:
        """Return whether a delivery wrote this id down."""
        return any(mark.id == number for tab in self.tabs for mark in tab.marks)


class Spreadsheet:
    """One spreadsheet at Google. Methods raise Permanent or Transient, with remedies."""

    def __init__(self, google: Google, identity: str) -> None:
        self.google, self.id = google, identity
        self.address = f"{ADDRESS}{identity}/edit"
        google.place = self.address

    def look(self) -> Book:
        """Return what it holds, in one request."""
        found = self._ask("get", f"spreadsheets/{self.id}", fields=_FIELDS)
        about = found.get("properties", {})
        tabs = tuple(_tab(sheet) for sheet in found.get("sheets", []))
        return Book(about.get("title", ""), about.get("timeZone", "UTC"), tabs)

    def rows(self, tab: Tab, columns: int) -> Iterator[tuple[int, Row]]:
        """Yield the rows that hold anything in the first columns, with their place from 0, read in large blocks."""
        columns = min(columns, tab.columns)
        block = max(1, READ_CELLS // max(1, columns))
        for first in range(0, tab.rows if columns else 0, block):
            area = area_of(tab.title, first, min(first + block, tab.rows), columns)
            for place, row in enumerate(self.values(area), first):
                if any(value not in {"", None} for value in row):
                    yield place, row

    def values(self, area: str) -> list[Row]:
        """Return the values of an area in A1 notation: as they are, not as they show."""
        path = f"spreadsheets/{self.id}/values:batchGet"
        found = self._ask(
            "get", path, ranges=area, valueRenderOption="UNFORMATTED_VALUE", majorDimension="ROWS"
        )
        return list(found["valueRanges"][0].get("values", []))

    def fill(self, body: bytes) -> None:
        """Write values where nothing else is; twice is once."""
        path = f"spreadsheets/{self.id}/values:batchUpdate"
        self._ask("post", path, body, repeatable=True, fields="spreadsheetId")

    def change(self, requests: Sequence[Request], done: int | None = None) -> bool:
        """Carry out all of these or none, once. done: a mark's id, or a tab's, whose being there says that it was.

        Returns whether Google has confirmed it; else `done` is there, and another attempt may have brought it.

        An answer that is lost is looked for, and only what was not carried out is sent again. Google refuses an id
        that is there already, so that even a request that comes late changes nothing twice.
        """
        path, body = f"spreadsheets/{self.id}:batchUpdate", encoded({"requests": list(requests)})
        for attempt in range(_REPEATS):
            try:
                self.google.sheets("post", path, body, fields="spreadsheetId")
            except Lost:
                if self._has(done):
                    return False
                pause(attempt)
            except Refused as refused:
                if done is not None and refused.status == 400 and self._has(done):
                    return False
                if attempt and refused.status == 400:
                    raise Transient(f"{self.address}: somebody changed it meanwhile") from None
                raise self.google.named(refused) from None
            else:
                return True
        raise Transient(f"{self.address}: Google does not carry it out, {_REPEATS} times; try again later")

    def _has(self, number: int | None) -> bool:
        if number is None:
            return False
        book = self.look()
        return book.stamp(number) or any(tab.id == number for tab in book.tabs)

    def _ask(self, method: str, path: str, body: bytes | None = None, **more: Any) -> Any:
        try:
            return self.google.sheets(method, path, body, **more)
        except Refused as refused:
            raise self.google.named(refused) from None


def number_of(*parts: str) -> int:
    """Return the id that these parts always give: positive, of 31 bits."""
    return int.from_bytes(hashlib.sha256("\0".join(parts).encode()).digest()[:4], "big") >> 1 or 1


def area_of(title: str, first: int, end: int, columns: int) -> str:
    """Return rows `first` (from 0) to before `end` of the first columns in A1 notation."""
    quoted = title.replace("'", "''")
    return f"'{quoted}'!A{first + 1}:{column_name(columns)}{end}"


def column_name(number: int) -> str:
    """Return the letters of a column, counted from 1."""
    name = ""
    while number:
        number, rest = divmod(number - 1, 26)
        name = chr(65 + rest) + name
    return name


def chunks_of(rows: Iterable[Row], most_bytes: int) -> Iterator[tuple[list[Row], list[bytes]]]:
    """Yield rows, and each as JSON, in as few chunks as the size of a request allows."""
    held: list[Row] = []
    texts: list[bytes] = []
    size = 0
    for row in rows:
        text = encoded(list(row))
        if held and size + len(text) + 1 > most_bytes:
            yield held, texts
            held, texts, size = [], [], 0
        held.append(row)
        texts.append(text)
        size += len(text) + 1
    yield held, texts


def _tab(sheet: Mapping[str, Any]) -> Tab:
    about, grid = sheet["properties"], sheet["properties"].get("gridProperties", {})
    marks = [
        Mark(each["metadataId"], each["metadataKey"], _value(each.get("metadataValue", "")))
        for each in sheet.get("developerMetadata", [])
        if each.get("metadataKey") in {STAMP, OF_TAB}
    ]
    return Tab(
        about.get("sheetId", 0),
        about["title"],
        bool(about.get("hidden")),
        grid.get("rowCount", 0),
        grid.get("columnCount", 0),
        tuple(marks),
        tuple(chart["chartId"] for chart in sheet.get("charts", [])),
    )


def _value(text: str) -> Mapping[str, Any]:
    try:
        found = json.loads(text)
    except ValueError:
        return {}
    return found if isinstance(found, Mapping) else {}
