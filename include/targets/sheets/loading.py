"""Bringing rows to where one step can put them in place: into that step itself, or onto a hidden tab beside.

Few rows travel with the step. Many are written onto a hidden tab first, in as few requests as their size allows; the
step then copies them. Each attempt has hidden tabs of its own: one that was thought dead cannot write into ours.
"""

from __future__ import annotations

import re
import secrets as tokens
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any

from include.errors import LoyaltyError, Permanent
from include.targets.protocol import PART_PREFIX, Parcel, part_prefix
from include.targets.sheets.book import MOST_CELLS, Book, Request, Spreadsheet, Tab, area_of, chunks_of
from include.targets.sheets.cells import Row, Value
from include.targets.sheets.client import encoded

# Of all rows that travel with the step: as cells they take four times the bytes that they take as values.
INLINE_BYTES = 6_000_000
_MOMENT = "%Y%m%dT%H%M%SZ"
_MADE = re.compile(re.escape(PART_PREFIX) + r"[0-9a-z]+-(\d{8}T\d{6}Z)-[0-9a-f]+-\d+")
_ENVELOPE = 512  # bytes of a request, and of each area in it, beside the rows


@dataclass(frozen=True)
class Job:
    """Rows to bring. height: how many there are; width: how many columns."""

    height: int
    width: int
    rows: Iterable[Row]


@dataclass
class Load:
    """Rows that one step can put in place: `rows` that travel with it, or those of the hidden tab `staged`."""

    height: int
    width: int
    rows: Sequence[Row] = ()
    staged: Tab | None = None
    waiting: list[Iterator[tuple[list[Row], list[bytes]]]] = field(default_factory=list, repr=False)

    def put(self, sheet_id: int, at: int, first: int, end: int) -> Request:
        """Return the request that puts rows `first` to before `end` onto a tab, from its row `at` on."""
        if self.staged is None:
            return {
                "updateCells": {
                    "start": {"sheetId": sheet_id, "rowIndex": at, "columnIndex": 0},
                    "rows": cells_of(self.rows[first:end]),
                    "fields": "userEnteredValue",
                }
            }
        columns = {"startColumnIndex": 0, "endColumnIndex": self.width}
        source = {"sheetId": self.staged.id, "startRowIndex": first, "endRowIndex": end, **columns}
        goal = {"sheetId": sheet_id, "startRowIndex": at, "endRowIndex": at + end - first, **columns}
        return {
            "copyPaste": {
                "source": source,
                "destination": goal,
                "pasteType": "PASTE_VALUES",
                "pasteOrientation": "NORMAL",
            }
        }


def load(
    sheet: Spreadsheet, book: Book, parcel: Parcel, jobs: Sequence[Job], most_bytes: int, growth: int
) -> tuple[list[Load], list[Request]]:
    """Bring the rows of all jobs; return them, and the requests that tidy up, to be part of the step.

    most_bytes: of one request. growth: how many cells the step itself adds. Raises Permanent when the spreadsheet
    would hold more cells than it can.
    """
    loads, room = [], min(INLINE_BYTES, most_bytes * 6 // 10)
    for job in jobs:
        found, used = _inline_or_waiting(job, most_bytes - 2 * _ENVELOPE, room)
        room -= used
        loads.append(found)
    waiting = [each for each in loads if each.waiting]
    leftovers = [tab for tab in book.tabs if tab.title.startswith(part_prefix(parcel))]
    tidy: list[Request] = [{"deleteSheet": {"sheetId": tab.id}} for tab in leftovers]
    kept = book.cells - sum(tab.rows * tab.columns for tab in leftovers)
    needed = growth + sum(each.height * each.width for each in waiting)
    if kept + needed > MOST_CELLS:
        raise Permanent(
            f"{sheet.address}: the spreadsheet holds {kept:,} cells, empty ones too, and this delivery needs "
            f"{needed:,} more, while it is made; Google allows {MOST_CELLS:,}. Remove tabs, rows or columns that "
            "nobody needs, leave out columns of the export, or deliver to another spreadsheet"
        )
    if not waiting:
        return loads, tidy
    name = f"{part_prefix(parcel)}{datetime.now(UTC):{_MOMENT}}-{tokens.token_hex(4)}"
    for index, each in enumerate(waiting):
        number = 1 + tokens.randbelow((1 << 31) - 2)
        each.staged = Tab(number, f"{name}-{index}", True, each.height, each.width)
    tabs = [each.staged for each in waiting if each.staged]
    sheet.change([*tidy, *map(_added, tabs)], done=tabs[0].id)
    tidy = [{"deleteSheet": {"sheetId": tab.id}} for tab in tabs]
    with tidied(sheet, tidy):
        _fill(sheet, waiting, most_bytes)
    return loads, tidy


@contextmanager
def tidied(sheet: Spreadsheet, tidy: Sequence[Request]) -> Iterator[None]:
    """Remove the hidden tabs when what is done meanwhile fails; the janitor finds what even that leaves."""
    try:
        yield
    except LoyaltyError:
        remove(sheet, tidy)
        raise


def remove(sheet: Spreadsheet, tidy: Sequence[Request]) -> None:
    """Remove hidden tabs one by one, since some may be gone; what stays is the janitor's."""
    for each in tidy:
        with suppress(LoyaltyError):
            sheet.change([each])


def made_at(tab: Tab) -> datetime | None:
    """Return when a hidden tab of ours was made; None for every other tab."""
    found = _MADE.fullmatch(tab.title)
    return datetime.strptime(found[1], _MOMENT).replace(tzinfo=UTC) if found and tab.hidden else None


def cells_of(rows: Iterable[Row]) -> list[Any]:
    """Return rows as the cells of a request; an empty one clears what was there."""
    return [{"values": [_cell(value) for value in row]} for row in rows]


def _cell(value: Value) -> dict[str, Any]:
    if value is None or value == "":
        return {}
    kind = (
        "boolValue" if isinstance(value, bool) else "stringValue" if isinstance(value, str) else "numberValue"
    )
    return {"userEnteredValue": {kind: value}}


def _inline_or_waiting(job: Job, most_bytes: int, room: int) -> tuple[Load, int]:
    chunks = chunks_of(job.rows, most_bytes)
    first = next(chunks)
    second = next(chunks, None)
    if second is None and sum(map(len, first[1])) < room:
        size = len(encoded(cells_of(first[0])))
        if size <= room:
            return Load(job.height, job.width, rows=first[0]), size
    seen = iter([first] if second is None else [first, second])
    return Load(job.height, job.width, waiting=[seen, chunks]), 0


def _added(tab: Tab) -> Request:
    grid = {"rowCount": tab.rows, "columnCount": tab.columns}
    about = {"sheetId": tab.id, "title": tab.title, "hidden": True, "gridProperties": grid}
    return {"addSheet": {"properties": about}}


def _fill(sheet: Spreadsheet, waiting: Sequence[Load], most_bytes: int) -> None:
    """Write the rows onto their hidden tabs; small chunks share a request."""
    held: list[bytes] = []
    size = 0
    for area in _areas(waiting):
        if held and size + len(area) + _ENVELOPE > most_bytes:
            sheet.fill(_body(held))
            held, size = [], 0
        held.append(area)
        size += len(area) + 1
    if held:
        sheet.fill(_body(held))


def _areas(waiting: Sequence[Load]) -> Iterator[bytes]:
    for each in waiting:
        assert each.staged is not None
        first = 0
        for chunks in each.waiting:
            for _, texts in chunks:
                end = first + len(texts)
                if texts:
                    area = encoded(area_of(each.staged.title, first, end, each.width))
                    yield b'{"range":' + area + b',"values":[' + b",".join(texts) + b"]}"
                first = end
        if first != each.height:
            raise Permanent(f"the file has {first:,} rows, and its manifest speaks of {each.height:,}")


def _body(areas: Sequence[bytes]) -> bytes:
    return b'{"valueInputOption":"RAW","data":[' + b",".join(areas) + b"]}"
