"""What charts with a horizontal axis share: the room for it, lines at round values, labels of days, the legend."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from include.charts.canvas import TEXT, Canvas, polyline
from include.charts.scale import Scale, spread, ticks
from include.charts.words import Number, short, width

NARROW = 480  # pixels, below which a picture has fewer labels
_HEAD, _FOOT, _GAP = 26.0, 26.0, 8.0


@dataclass(frozen=True)
class Plot:
    """The inner room of a picture, and the scale upwards."""

    left: float
    right: float
    top: float
    bottom: float
    up: Scale

    @property
    def zero(self) -> float:
        """Where 0 lies."""
        return self.up(0)

    def slot(self, count: int) -> float:
        """Return the width that each of `count` places has."""
        return (self.right - self.left) / max(1, count)


def plot(
    canvas: Canvas, values: Sequence[Number], unit: str, *, right: float = 4.0, head: float = _HEAD
) -> Plot:
    """Draw lines at round values, the unit above them, and return the room between."""
    steps = ticks(values)
    labels = [short(step) for step in steps]
    left = max(width(label, TEXT) for label in labels) + _GAP
    top, bottom = head, canvas.height - _FOOT
    up = Scale(steps[0], steps[-1], bottom, top)
    for step, label in zip(steps, labels, strict=True):
        at = up(step)
        canvas.stroke(polyline([(left, at), (canvas.width - right, at)]), "axis" if step == 0 else "grid", 1)
        canvas.text(left - _GAP, at + TEXT / 3, label, anchor="end")
    canvas.text(0, TEXT, unit)
    return Plot(left, canvas.width - right, top, bottom, up)


def below(canvas: Canvas, inner: Plot, labels: Sequence[str], *, centred: bool) -> None:
    """Write as many labels below as there is room for, the last one among them.

    centred: each stands in the middle of its place, else places are points from edge to edge.
    """
    count = len(labels)
    widest = max((width(label, TEXT) for label in labels), default=1.0)
    most = max(2, int((inner.right - inner.left) / (widest + 2 * _GAP)))
    for index in spread(count, most):
        places = (index + 0.5) * inner.slot(count) if centred else index * inner.slot(count - 1)
        at = inner.left + places
        half = width(labels[index], TEXT) / 2
        at = min(max(at, inner.left + half - _GAP), canvas.width - half)
        canvas.text(at, canvas.height - _GAP, labels[index], anchor="middle")


def legend(canvas: Canvas, entries: Sequence[tuple[str, str]], left: float = 0.0, top: float = 0.0) -> float:
    """Write names with their colours (name, tone), in as many lines as they need; return where the last one ends."""
    at, line = left, top + TEXT
    for name, tone in entries:
        needed = 16 + width(name, TEXT) + 14
        if at > left and at + needed > canvas.width:
            at, line = left, line + 18
        canvas.rect(at, line - 9, 10, 10, tone, round_=2)
        canvas.text(at + 15, line, name)
        at += needed
    return line


def apart(places: Sequence[float], least: float, low: float, high: float) -> list[float]:
    """Return places moved so that they are at least so far apart, in the same order, within bounds if they can be."""
    order = sorted(range(len(places)), key=lambda index: places[index])
    moved = list(places)
    for before, index in zip([None, *order], order, strict=False):
        floor = low if before is None else moved[before] + least
        moved[index] = max(moved[index], floor)
    ceiling = high
    for index in reversed(order):
        moved[index] = min(moved[index], ceiling)
        ceiling = moved[index] - least
    return moved


def total(values: Sequence[Number | None]) -> Decimal:
    """Return the exact sum of what is there."""
    return sum((Decimal(value) for value in values if value is not None), Decimal(0))
