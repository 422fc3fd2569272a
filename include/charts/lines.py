"""Lines: what there was of something at each point of time. They begin at zero, and carry their names at their ends."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from include.charts import axes
from include.charts.canvas import TEXT, Canvas, polyline
from include.charts.theme import SERIES
from include.charts.words import Number, fitted, short, width

_LABEL_LINES = 2 * TEXT + 8


@dataclass(frozen=True)
class Line:
    """A name and a value at each point; None: nothing is known of it then."""

    name: str
    values: tuple[Number | None, ...]


@dataclass(frozen=True)
class Lines:
    """Points of time by their labels, and the lines; the ground under a single line is tinted."""

    unit: str
    labels: tuple[str, ...]
    lines: tuple[Line, ...]

    def height(self, width: float) -> float:
        """Return how high the picture is at a width."""
        return 240 if width < axes.NARROW else 260

    def draw(self, canvas: Canvas) -> None:
        """Draw it all over the canvas."""
        known = [value for line in self.lines for value in line.values if value is not None]
        names = [fitted(line.name, TEXT, canvas.width / 4) for line in self.lines]
        values = [short(next((x for x in reversed(line.values) if x is not None), 0)) for line in self.lines]
        room = max((width(text, TEXT) * 1.06 for text in (*names, *values)), default=0.0) + 14
        inner = axes.plot(canvas, known, self.unit, right=room)
        axes.below(canvas, inner, self.labels, centred=False)
        count = len(self.labels)
        canvas.slots(inner.left, inner.slot(count - 1), count, inner.top, inner.bottom, way="along")
        ends = []
        for line, tone in zip(self.lines, SERIES, strict=False):
            ends.append(_drawn(canvas, inner, line, tone, alone=len(self.lines) == 1))
        low, high = inner.top + 4, inner.bottom - TEXT - 8
        for at, tone, name, value in zip(
            axes.apart(ends, _LABEL_LINES, low, high), SERIES, names, values, strict=False
        ):
            canvas.text(inner.right + 8, at + 2, name, tone, bold=True)
            canvas.text(inner.right + 8, at + 2 + TEXT + 3, value)


def _drawn(canvas: Canvas, inner: axes.Plot, line: Line, tone: str, *, alone: bool) -> float:
    """Draw a line, in pieces where nothing is known in between; return where it ends."""
    step = inner.slot(len(line.values) - 1)
    piece: list[tuple[float, float]] = []
    last = inner.zero
    for index, value in enumerate((*line.values, None)):
        if value is not None:
            piece.append((inner.left + index * step, inner.up(value)))
        elif piece:
            _piece(canvas, inner, piece, tone, alone=alone)
            last = piece[-1][1]
            canvas.dot(*piece[-1], tone)
            piece = []
    return last


def _piece(
    canvas: Canvas, inner: axes.Plot, points: Sequence[tuple[float, float]], tone: str, *, alone: bool
) -> None:
    if alone and len(points) > 1:
        ground = [(points[0][0], inner.zero), *points, (points[-1][0], inner.zero)]
        canvas.area(f"{polyline(ground)}z", tone)
    canvas.stroke(polyline(points), tone)
