"""Mode upsert: rows whose key is there already are brought up to date, the others are added, none is removed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from include.errors import BadInput, Permanent, Problem
from include.targets.sheets.book import Request, Tab
from include.targets.sheets.cells import Row, key_of, row_hash
from include.targets.sheets.loading import Job, Load
from include.targets.sheets.placing import Place
from include.targets.sheets.stamping import KEPT, stamp

_MOST_RUNS = 20_000


class Upserting(Place):
    """One table in mode upsert."""

    _empty = True
    _last = 0

    def check(self) -> None:
        """Raise NeedsPerson where the tab has other columns, or a key twice."""
        self._there: dict[tuple[str, ...], tuple[int, int]] = {}
        tab = self.tab
        if tab is not None:
            self._there = self._read(tab)

    def _read(self, tab: Tab) -> dict[tuple[str, ...], tuple[int, int]]:
        """Return where each key stands, counted from 0, and the hash of its row."""
        found: dict[tuple[str, ...], tuple[int, int]] = {}
        header = self.options.header
        for place, row in self.sheet.rows(tab, self.width):
            self._last = place + 1
            if self._empty and header:
                self.check_header(row)
                self._empty = False
                continue
            self._empty = False
            key = self._key(row)
            if key in found:
                first, second = found[key][0] + 1, place + 1
                raise self.conflict(
                    f"rows {first} and {second} have the same {', '.join(self.options.key)}",
                    "Remove one of them, and deliver again",
                )
            found[key] = (place, row_hash(row))
        return found

    def _key(self, row: Row) -> tuple[str, ...]:
        names = self.table.header
        # Among what changed, a row stands as it was before and as it is after, with one key.
        kinds = names[:1] if self.table.pieces[0].stated.holds == "changes" else []
        places = [names.index(name) for name in (*kinds, *self.options.key)]
        return tuple(key_of(row[place]) if place < len(row) else "" for place in places)

    def job(self) -> Job:
        """Return the rows that differ, in the order of the tab, then those that are new."""
        self._wanted: dict[tuple[str, ...], int] = {}
        changed: list[tuple[int, Row]] = []
        new: list[Row] = []
        for number, row in enumerate(self.rows(), 1):
            key, content = self._key(row), row_hash(row)
            if key in self._wanted:
                right = f"{', '.join(self.options.key)} must be different in every row; it is there twice"
                raise BadInput([Problem(f"row {number}", str(key), right, "doubled_key")])
            self._wanted[key] = content
            if key not in self._there:
                new.append(row)
            elif self._there[key][1] != content:
                changed.append((self._there[key][0], row))
        changed.sort(key=lambda each: each[0])
        self._places = [place for place, _ in changed]
        header: list[Row] = [self.table.header] if self.options.header and self._empty else []
        rows: list[Row] = [*(row for _, row in changed), *header, *new]
        return Job(len(rows), self.width, rows)

    def height(self, rows: int) -> int:
        """Return how many rows the tab has: those that change are there already."""
        return super().height(rows) - len(self._places)

    def requests(self, load: Load) -> Iterator[Request]:
        """Yield a change for each run of rows, and the additions."""
        tab = self.tab
        changed = len(self._places)
        if tab is None:
            yield from self.grown(load.height)
            if load.height:
                yield load.put(self.id, 0, 0, load.height)
        else:
            yield from self.grown(0)
            runs = list(_runs(self._places))
            if len(runs) > _MOST_RUNS:
                raise Permanent(
                    f"{self.address}: {len(runs):,} places on the tab change, and one step can do {_MOST_RUNS:,}; sort "
                    "the tab as the export is, or use mode replace"
                )
            for first, end in runs:
                yield load.put(self.id, self._places[first], first, end)
            yield from self.added(load, changed, load.height, self._last)
        grown = load.height - changed + (tab.rows if tab else 0)
        yield from self.finished(rows=grown, fresh=self._empty)
        value = {"key": self.delivery.key[:16]}
        yield from stamp(self.id, tab, self.number, value, keep=KEPT)

    def verify(self) -> None:
        """Read the tab; every row of the delivery must be there once."""
        self._empty = True
        there = self._read(self.after())
        wrong = [key for key, content in self._wanted.items() if there.get(key, (0, 0))[1] != content]
        if wrong or len(there) < len(self._there.keys() | self._wanted.keys()):
            shown = f"such as {wrong[0]}" if wrong else "rows are missing"
            raise self.conflict(
                f"{len(wrong):,} rows are not what was sent, {shown}",
                "Somebody may have moved rows in this moment: look at File > Version history, and deliver again",
            )


def _runs(places: Sequence[int]) -> Iterator[tuple[int, int]]:
    """Yield the runs of places that follow each other, as indices of `places`."""
    first = 0
    for index in range(1, len(places) + 1):
        if index == len(places) or places[index] != places[index - 1] + 1:
            yield first, index
            first = index
