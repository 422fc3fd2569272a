"""A chart: what is asked of it, its table, its drawing, and the file that both come from."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

from include.charts.picture import Drawing
from include.pipeline.dashboards.frames import Frame
from include.pipeline.dashboards.reading import Figures, Row, Source
from include.pipeline.dashboards.table import Table


@dataclass(frozen=True)
class Asked:
    """Which run, program and days; personal: whether names of people may be shown."""

    figures: Figures
    program: str
    program_name: str
    frame: Frame
    personal: bool = False

    def rows(self, part: str) -> list[Row]:
        """Return the program's rows of a file; raise Unreadable."""
        return list(self.figures.rows(part, self.program))

    def days(self, part: str) -> list[Row]:
        """Return the program's rows of the days that are shown; raise Unreadable."""
        return [row for row in self.figures.rows(part, self.program) if row["date"] in self.frame.days]


@dataclass(frozen=True)
class Chart:
    """One chart. says: its figures in a sentence. of: the days, or the instant, that it is about.

    drawing: None where there is nothing to draw. note: what one must know to read it. holds_names: it shows people.
    """

    name: str
    title: str
    says: str
    of: str
    source: Source
    table: Table
    drawing: Drawing | None
    note: str = ""
    holds_names: bool = False
    keeps_width: bool = False


Make = Callable[[Asked], Chart]
MOST_BARS = 20


def not_all(count: int) -> str:
    """Return what must be said where there are more bars than are drawn, else nothing."""
    return f"The first {MOST_BARS} are drawn; the table has all {count}." if count > MOST_BARS else ""


def first_day(month: str) -> date:
    """Return the first day of a month that a file names: `2026-05`."""
    return date.fromisoformat(f"{month}-01")


def points(row: Row, name: str) -> Decimal:
    """Return a number of a row exactly; 0 where the file says nothing."""
    value: Any = row[name]
    return Decimal(0) if value is None else Decimal(value)
