"""The projection as a small drawing: the balance as steps, and what expires or becomes active as bars below."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

WIDTH, HEIGHT = 640, 140
_LEFT, _RIGHT, _TOP, _BOTTOM = 2, 2, 6, 2
_BARS = 34  # of the height


@dataclass(frozen=True)
class Bar:
    """One day's points that expire (down) or become active: a rectangle, and what it says."""

    x: float
    y: float
    width: float
    height: float
    kind: str
    title: str


@dataclass(frozen=True)
class Chart:
    """Coordinates in a box of WIDTH x HEIGHT. line: points of an SVG polyline. labels: the first day, one, the last."""

    line: str
    bars: tuple[Bar, ...]
    labels: tuple[str, ...]
    base: float


def chart(days: Sequence[Mapping[str, Any]], shown: Any) -> Chart:
    """Return the drawing of some days (rows of the report projection); `shown` writes points."""
    count = len(days)
    step = (WIDTH - _LEFT - _RIGHT) / count
    balances = [day["points_balance"] for day in days]
    highest, lowest = max(*balances, 0), min(*balances, 0)
    height = HEIGHT - _TOP - _BOTTOM - _BARS
    span = highest - lowest or 1

    def y(points: int) -> float:
        return float(round(_TOP + (highest - points) * height / span, 2))

    points = []
    for index, balance in enumerate(balances):
        left = round(_LEFT + index * step, 2)
        points += [f"{left},{y(balance)}", f"{round(left + step, 2)},{y(balance)}"]
    most = max(max(day["points_expiring"], day["points_activating"]) for day in days) or 1
    floor = HEIGHT - _BOTTOM
    bars = []
    for index, day in enumerate(days):
        for place, kind in enumerate(("expiring", "activating")):
            amount = day[f"points_{kind}"]
            if amount > 0:
                tall = round(max(2.0, amount * (_BARS - 6) / most), 2)
                width = round(step * 0.38, 2)
                x = round(_LEFT + index * step + step * (0.08 + 0.46 * place), 2)
                title = f"{_day(day['date'])}: {shown(amount)} {kind}"
                bars.append(Bar(x, floor - tall, width, tall, kind, title))
    labels = tuple(_day(days[index]["date"]) for index in (0, count // 2, count - 1))
    return Chart(" ".join(points), tuple(bars), labels, y(0))


def _day(day: date) -> str:
    return f"{day.day} {day:%b}"
