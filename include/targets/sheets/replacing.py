"""Mode replace: a tab shows the last delivery and nothing else.

The tab itself stays, and its content is exchanged in one step: formulas, charts and filters of other tabs that refer
to it go on working, and colours, widths and what stands to the right of the table stay.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import replace
from typing import Any

from include.targets.protocol import Outcome
from include.targets.sheets.book import Request, Tab, area_of
from include.targets.sheets.cells import Digest, Row
from include.targets.sheets.loading import Job, Load
from include.targets.sheets.placing import LEAST_ROWS, Place, same_row
from include.targets.sheets.stamping import stamp


class Replacing(Place):
    """One table in mode replace."""

    _same = False

    def check(self) -> None:
        """Raise NeedsPerson for a later delivery, and for what people have written."""
        tab = self.tab
        if tab is None:
            return
        last = tab.stamps[-1].value if tab.stamps else None
        if last is not None:
            self._check_age(last)
        if self.options.on_edit == "overwrite" or (last is None and self.made):
            return
        width = int(last["width"]) if last else max(self.width, tab.columns)
        found = Digest()
        found.add(row for _, row in self.sheet.rows(tab, width))
        if last is None:
            if found.rows:
                raise self.conflict(
                    "it holds rows that no delivery has put there",
                    "Let `tab` name another tab, empty this one, or set on_edit: overwrite",
                )
        elif found.text != last.get("cells"):
            raise self.conflict(
                "somebody has changed its rows since the last delivery",
                "Keep what matters (File > Version history shows who changed what), undo it there, and deliver again; "
                "or set on_edit: overwrite",
            )
        else:
            self._same = last.get("files") == self.fingerprint()

    def _check_age(self, last: Any) -> None:
        if self.options.on_older == "conflict" and str(last.get("age", "")) > self.delivery.age:
            raise self.conflict(
                "it shows a later delivery of this export, which this one would replace",
                "Leave it so and resolve this delivery; or put {period} into `tab`; or set on_older: overwrite",
            )

    def height(self, rows: int) -> int:
        """Return how many rows the tab has: it grows, and never shrinks."""
        return max(rows, self.tab.rows if self.tab else 0)

    def job(self) -> Job:
        """Return header and rows; none where they are there already."""
        self.digest = Digest()
        if self._same and self.tab is not None:
            return Job(0, self.width, ())
        return Job(self.table.rows + self.options.header, self.width, self._all())

    def _all(self) -> Iterator[Row]:
        if self.options.header:
            self.digest.add([self.table.header])
            yield self.table.header
        for row in self.rows():
            self.digest.add([row])
            yield row

    def requests(self, load: Load) -> Iterator[Request]:
        """Yield the exchange."""
        tab = self.tab
        last = tab.stamps[-1].value if tab and tab.stamps else {}
        if self._same:
            self.outcome, cells = Outcome.ALREADY_THERE, last["cells"]
        else:
            self.outcome = Outcome.CREATED if tab is None else Outcome.REPLACED
            cells = self.digest.text
            yield from self.grown(load.height)
            if tab is not None:
                width = max(self.width, int(last.get("width", tab.columns if not self.made else 0)))
                area = {"sheetId": self.id, "startColumnIndex": 0, "endColumnIndex": width}
                yield {"updateCells": {"range": area, "fields": "userEnteredValue"}}
            if load.height:
                yield load.put(self.id, 0, 0, load.height)
        header = hashlib.sha256("\0".join(self.table.header).encode()).hexdigest()[:16]
        fresh = tab is None or last.get("header") != header
        yield from self.finished(rows=load.height, fresh=fresh)
        value = {
            "key": self.delivery.key[:16],
            "age": self.delivery.age,
            "width": self.width,
            "cells": cells,
            "files": self.fingerprint(),
            "header": header,
            "manifest": self.delivery.manifest_sha256,
        }
        yield from stamp(self.id, tab, self.number, value, keep=0)

    def after(self) -> Tab:
        """Return the tab as the step leaves it, without asking."""
        tab, height = self.tab, max(LEAST_ROWS, self.table.height)
        if tab is None:
            return Tab(self.id, self.table.tab, False, height, self.width)
        return replace(tab, rows=max(tab.rows, height), columns=max(tab.columns, self.width))

    def verify(self) -> None:
        """Read the tab, and compare it with what was sent."""
        if self._same:
            return
        tab = self.after()
        found = Digest()
        first: Row | None = None
        for place, row in self.sheet.rows(tab, self.width):
            first = row if place == 0 else first
            found.add([row])
        whole = not self.options.header or same_row(first or (), self.table.header)
        if found.text != self.digest.text or not whole:
            area = area_of(tab.title, 0, tab.rows, self.width)
            raise self.conflict(
                f"{area} does not hold what was sent: {found.rows:,} rows instead of "
                f"{self.digest.rows:,}, or other values",
                "Somebody may have changed it in this moment: look at File > Version history, and deliver again",
            )
