"""What the ways to put a table on a tab have in common: which tab it is, what it says of deliveries, how it grows."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from include.errors import NeedsPerson
from include.targets.protocol import Outcome, Seen
from include.targets.sheets.book import Book, Request, Spreadsheet, Tab, number_of
from include.targets.sheets.cells import Row, key_of
from include.targets.sheets.charts import mark_tab
from include.targets.sheets.dressing import dress, note
from include.targets.sheets.loading import Job, Load, cells_of
from include.targets.sheets.stamping import stamp_id

if TYPE_CHECKING:
    from include.targets.google_sheets import Options
    from include.targets.sheets.tables import Delivery, Table

# A tab of one row cannot have it frozen.
LEAST_ROWS = 2


@dataclass
class Place:
    """A table and the tab that it goes to. made: the spreadsheet is one that we have just made."""

    sheet: Spreadsheet
    options: Options
    delivery: Delivery
    table: Table
    book: Book
    zone: str
    made: bool
    told: Callable[[], None]
    outcome: Outcome = field(default=Outcome.CREATED, init=False)

    @property
    def tab(self) -> Tab | None:
        """The tab as it is now; None where it is still to be made."""
        return self.book.tab(self.table.tab)

    @property
    def id(self) -> int:
        """The tab's id, also before it is made."""
        tab = self.tab
        return tab.id if tab else number_of("tab", self.delivery.key, self.table.tab)

    @property
    def number(self) -> int:
        """The id of the stamp that this delivery leaves on the tab."""
        return stamp_id(self.delivery.key, self.table.tab)

    @property
    def address(self) -> str:
        """Where a person finds the tab."""
        return f"{self.sheet.address}#gid={self.id}"

    @property
    def width(self) -> int:
        """How many columns the table has."""
        return len(self.table.columns)

    @property
    def is_done(self) -> bool:
        """Whether this delivery has been here."""
        return self.book.stamp(self.number)

    def state(self) -> Seen:
        """Say whether this delivery is there, can be there, or is in conflict with what is there."""
        if self.is_done:
            return Seen.SAME
        try:
            self.check()
        except NeedsPerson:
            return Seen.OTHER
        return Seen.ABSENT

    def check(self) -> None:
        """Raise NeedsPerson where something is in the way."""
        raise NotImplementedError

    def job(self) -> Job:
        """Return the rows to bring."""
        raise NotImplementedError

    def requests(self, load: Load) -> Iterator[Request]:
        """Yield what puts them in place, and writes down that it was done."""
        raise NotImplementedError

    def verify(self) -> None:
        """Read back what is there now; raise NeedsPerson where it is not what was sent."""

    def rows(self) -> Iterator[Row]:
        """Yield the table's rows, and tell of each."""
        for row in self.table.values(self.zone):
            self.told()
            yield row

    def height(self, rows: int) -> int:
        """Return how many rows the tab has at most, once so many have been brought."""
        return (self.tab.rows if self.tab else 0) + rows

    def growth(self, rows: int) -> int:
        """Return how many cells the spreadsheet grows by at most, once so many rows have been brought."""
        tab, height = self.tab, max(LEAST_ROWS, self.height(rows))
        if tab is None:
            return height * self.width
        return height * max(self.width, tab.columns) - tab.rows * tab.columns

    def grown(self, rows: int) -> Iterator[Request]:
        """Yield what makes the tab, or makes it large enough for so many rows."""
        tab = self.tab
        if tab is None:
            grid = {"rowCount": max(LEAST_ROWS, rows), "columnCount": self.width}
            yield {
                "addSheet": {
                    "properties": {"sheetId": self.id, "title": self.table.tab, "gridProperties": grid}
                }
            }
            return
        rows = max(LEAST_ROWS, rows)
        for dimension, more in (("ROWS", rows - tab.rows), ("COLUMNS", self.width - tab.columns)):
            if more > 0:
                yield {"appendDimension": {"sheetId": tab.id, "dimension": dimension, "length": more}}

    def finished(self, *, rows: int, fresh: bool) -> Iterator[Request]:
        """Yield looks, note, and the tab's own mark. rows: to which the grid has grown."""
        tab = self.tab
        if fresh or (tab is not None and rows > tab.rows):
            yield from dress(self.options, self.table.columns, self.id, fresh=fresh)
        if self.options.note:
            yield note(self.delivery, self.table, self.id)
        if tab is None or tab.wanted is None:
            yield mark_tab(self.id, self.table.tab)

    def added(self, load: Load, first: int, end: int, last: int) -> Iterator[Request]:
        """Yield what puts rows after the last one that holds anything; `last`: its place, counted from 1.

        Google finds that row itself for rows that travel with the step. For copied ones, rows are inserted: what
        somebody has written there meanwhile moves down, and is not overwritten.
        """
        if end <= first:
            return
        if load.staged is None:
            yield {
                "appendCells": {
                    "sheetId": self.id,
                    "rows": cells_of(load.rows[first:end]),
                    "fields": "userEnteredValue",
                }
            }
            return
        tab = self.tab
        if tab is None or last >= tab.rows:
            yield {"appendDimension": {"sheetId": self.id, "dimension": "ROWS", "length": end - first}}
        else:
            area = {
                "sheetId": self.id,
                "dimension": "ROWS",
                "startIndex": last,
                "endIndex": last + end - first,
            }
            yield {"insertDimension": {"range": area, "inheritFromBefore": last > 0}}
        yield load.put(self.id, last, first, end)

    def conflict(self, why: str, remedy: str) -> NeedsPerson:
        """Return the error for what a person must look at."""
        return NeedsPerson(f"{self.address} (tab {self.table.tab}): {why}. {remedy}")

    def check_header(self, found: Sequence[object]) -> None:
        """Raise NeedsPerson where the tab's first row is not the table's header."""
        names = self.table.header
        there = [str(value) for value in found][: len(names)]
        if there != names:
            raise self.conflict(
                f"its first row is {', '.join(there) or 'empty'}, and the export's columns are {', '.join(names)}",
                "Give the tab these columns, or let `tab` name another one",
            )

    def after(self) -> Tab:
        """Return the tab as it is now, after the step."""
        tab = self.sheet.look().tab(self.table.tab)
        if tab is None:
            raise self.conflict("it is gone", "Somebody may have removed it in this moment; deliver again")
        return tab

    def fingerprint(self) -> str:
        """Return what says whether two deliveries bring the same rows, looking the same."""
        options = self.options
        parts = [options.instants, self.zone, str(options.header), *self.table.header]
        parts += [piece.stated.uncompressed_sha256 for piece in self.table.pieces]
        return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:32]


def same_row(one: Row, other: Row) -> bool:
    """Return whether two rows show the same, whatever empty cells follow."""
    longest = max(len(one), len(other))
    padded = ([*row, *[None] * (longest - len(row))] for row in (one, other))
    return all(key_of(left) == key_of(right) for left, right in zip(*padded, strict=True))
