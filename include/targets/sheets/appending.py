"""Mode append: the rows of each delivery after those of the deliveries before, once."""

from __future__ import annotations

from collections.abc import Iterator

from include.targets.sheets.book import Request, Tab, area_of
from include.targets.sheets.cells import Row
from include.targets.sheets.loading import Job, Load
from include.targets.sheets.placing import Place
from include.targets.sheets.stamping import KEPT, stamp


class Appending(Place):
    """One table in mode append."""

    _empty = True

    def check(self) -> None:
        """Raise NeedsPerson where the tab has other columns, or may have the period's rows of an earlier revision."""
        tab = self.tab
        if tab is None:
            return
        parcel = self.delivery.parcel
        if (
            self.delivery.manifest.origin.revision
            and not parcel.is_said_absent
            and self._may_have_period(tab)
        ):
            raise self.conflict(
                f"it has the rows of {parcel.about.period} already, and this restatement would add them once more",
                "Correct them with the file of changes, then `loyalty deliveries resolve KEY --arrived`; to add all "
                "rows of the restatement, resolve it as --not-arrived and retry it. Mode upsert restates by itself",
            )
        _, first = next(self.sheet.rows(tab, self.width), (0, None)) if not tab.stamps else (0, self._first())
        self._empty = first is None
        if first is not None and self.options.header:
            self.check_header(first)

    def _may_have_period(self, tab: Tab) -> bool:
        """Whether a delivery brought this period, also where what it wrote down may be dropped, or says less."""
        periods = [mark.value.get("of") for mark in tab.stamps]
        return self.delivery.period in periods or None in periods or len(periods) > KEPT

    def _first(self) -> Row:
        """Return the first row of a tab on which deliveries have been: one small request."""
        tab = self.tab
        assert tab is not None
        found = self.sheet.values(area_of(tab.title, 0, 1, min(self.width, tab.columns)))
        return found[0] if found else ()

    def job(self) -> Job:
        """Return the rows, after the header where there is none yet."""
        header = int(self.options.header and self._empty)
        return Job(self.table.rows + header, self.width, self._all(header=bool(header)))

    def _all(self, *, header: bool) -> Iterator[Row]:
        if header:
            yield self.table.header
        yield from self.rows()

    def requests(self, load: Load) -> Iterator[Request]:
        """Yield the additions."""
        tab = self.tab
        if tab is None:
            yield from self.grown(load.height)
            if load.height:
                yield load.put(self.id, 0, 0, load.height)
        else:
            yield from self.grown(0)
            yield from self.added(load, 0, load.height, 0 if load.staged is None else self._last())
        grown = load.height + (tab.rows if tab else 0)
        yield from self.finished(rows=grown, fresh=self._empty)
        value = {"key": self.delivery.key[:16], "of": self.delivery.period}
        yield from stamp(self.id, tab, self.number, value, keep=KEPT)

    def _last(self) -> int:
        """Return the place of the last row that holds anything, counted from 1."""
        tab = self.tab
        assert tab is not None
        last = 0
        for place, _ in self.sheet.rows(tab, tab.columns):
            last = place + 1
        return last
