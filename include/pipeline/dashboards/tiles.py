"""Tiles: the few figures that come first, each beside the same figure of the period before."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal

from include.charts.words import exact, full_day, money, signed
from include.definitions.zones import last_day_before
from include.pipeline.dashboards.chart import Asked, points
from include.pipeline.dashboards.frames import Days
from include.pipeline.dashboards.reading import Row, Unreadable


@dataclass(frozen=True)
class Tile:
    """A figure, what it was before (None: not known), and of when both are."""

    title: str
    value: Decimal
    unit: str
    before: Decimal | None
    when: str
    before_when: str = ""
    chart: str = ""
    is_money: bool = False

    @property
    def shown(self) -> str:
        """The figure in full."""
        return money(self.value) if self.is_money else exact(self.value)

    @property
    def share(self) -> str:
        """By how much it changed: `+3.2 %`; empty where nothing can be said."""
        if self.before is None or self.before == 0:
            return ""
        share = (self.value - self.before) / abs(self.before) * 100
        return f"{signed(share.quantize(Decimal('0.1')))} %"

    @property
    def direction(self) -> str:
        """`up`, `down` or `same`."""
        if self.before is None or self.share == "0 %":
            return "same"
        return "up" if self.value > self.before else "down"


def tiles(asked: Asked) -> list[Tile]:
    """Return the tiles; one whose file is not there is left out."""
    found: list[Tile] = []
    for make in (_liability, _outstanding, _members, _new_members, _earned, _redeemed, _expired):
        try:
            tile = make(asked)
        except Unreadable:
            continue
        if tile is not None:
            found.append(tile)
    return found


def _outstanding(asked: Asked) -> Tile | None:
    return _at_end(asked, "Outstanding points", "points", ("active", "pending"), "points")


def _members(asked: Asked) -> Tile | None:
    return _at_end(asked, "Members", "members", ("total_members",), "members")


def _new_members(asked: Asked) -> Tile | None:
    return _over(asked, "New members", "members", ("new_members",), "new-members")


def _earned(asked: Asked) -> Tile | None:
    return _over(asked, "Earned", "rollforward", ("earned",), "bridge")


def _redeemed(asked: Asked) -> Tile | None:
    return _over(asked, "Redeemed", "rollforward", ("redeemed",), "bridge")


def _expired(asked: Asked) -> Tile | None:
    return _over(asked, "Expired", "rollforward", ("expired",), "bridge")


def _liability(asked: Asked) -> Tile | None:
    """Return the liability at the last month's end within the frame's end, or as of the run, and a month before."""
    rows = asked.rows("liability")
    ends = [
        (last_day_before(datetime.fromisoformat(row["period_end"]), asked.figures.where), row) for row in rows
    ]
    ends = [each for each in ends if each[0] <= asked.frame.days.last]
    if not ends:
        return None
    (day, row), before = ends[-1], ends[-2] if len(ends) > 1 else None
    return Tile(
        "Liability", points(row, "liability_closing"), str(row["currency"] or ""),
        None if before is None else points(before[1], "liability_closing"), f"on {full_day(day)}",
        "" if before is None else full_day(before[0]), "liability", is_money=True,
    )  # fmt: skip


def _at_end(asked: Asked, title: str, part: str, names: tuple[str, ...], chart: str) -> Tile | None:
    """Return a figure at the end of the frame, and at the end of the day before it begins."""
    rows = asked.rows(part)
    value = _on(rows, f"{asked.frame.days.last}", names)
    if value is None:
        return None
    before_day = _day_before(asked.frame.days)
    unit = "customers" if part == "members" else "points"
    return Tile(
        title, value, unit, _on(rows, before_day.isoformat(), names), f"on {full_day(asked.frame.days.last)}",
        full_day(before_day), chart,
    )  # fmt: skip


def _over(asked: Asked, title: str, part: str, names: tuple[str, ...], chart: str) -> Tile | None:
    """Return a sum over the frame, and over the days before it."""
    rows = asked.rows(part)
    before = asked.frame.before
    unit = "customers" if part == "members" else "points"
    return Tile(
        title, _sum(rows, asked.frame.days, names), unit, None if before is None else _sum(rows, before, names),
        str(asked.frame.days), "" if before is None else str(before), chart,
    )  # fmt: skip


def _on(rows: list[Row], day: str, names: tuple[str, ...]) -> Decimal | None:
    found = next((row for row in rows if row["date"] == day), None)
    return None if found is None else sum((points(found, name) for name in names), Decimal(0))


def _sum(rows: list[Row], days: Days, names: tuple[str, ...]) -> Decimal:
    return sum((points(row, name) for row in rows if row["date"] in days for name in names), Decimal(0))


def _day_before(days: Days) -> date:
    return days.first - timedelta(days=1)
