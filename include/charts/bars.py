"""Bars: how much there is of each of several things, the largest first, each with its name and its exact value."""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal

from include.charts.axes import NARROW
from include.charts.canvas import TEXT, Canvas
from include.charts.words import Number, fitted, width

_ROW, _BAR, _HEAD = 28.0, 16.0, 20.0


@dataclass(frozen=True)
class Bar:
    """A name, a value from 0 on, and how the value is written; `lighter` is the part of it that was given back."""

    name: str
    value: Number
    text: str
    tone: str = "s1"
    lighter: Number = 0


@dataclass(frozen=True)
class Bars:
    """The bars in order, from zero."""

    unit: str
    bars: tuple[Bar, ...]

    def height(self, width: float) -> float:
        """Return how high the picture is at a width."""
        rows = len(self.bars) * (_ROW if width >= NARROW else _ROW + 14)
        return _HEAD + max(rows, _ROW) + 4

    def draw(self, canvas: Canvas) -> None:
        """Draw it all over the canvas."""
        canvas.text(0, TEXT, self.unit)
        narrow = canvas.width < NARROW
        row = _ROW + 14 if narrow else _ROW
        canvas.slots(0, row, len(self.bars), _HEAD, canvas.height, way="down")
        most = max((Decimal(bar.value) for bar in self.bars), default=Decimal(0)) or Decimal(1)
        values = max((width(bar.text, TEXT) for bar in self.bars), default=0.0) * 1.04 + 10
        longest = max((width(bar.name, TEXT) for bar in self.bars), default=0.0)
        left = 0.0 if narrow else min(longest + 12, canvas.width * 0.34)
        room = canvas.width - left - values
        for index, bar in enumerate(self.bars):
            top = _HEAD + index * row
            if narrow:
                canvas.text(0, top + TEXT, fitted(bar.name, TEXT, canvas.width), "ink")
                top += 16
            else:
                name = fitted(bar.name, TEXT, left - 12)
                canvas.text(left - 10, top + _ROW / 2 + TEXT / 3, name, "ink", anchor="end")
                top += (_ROW - _BAR) / 2
            length = float(Decimal(bar.value) / most) * room
            back = float(Decimal(bar.lighter) / most) * room
            said = f"{bar.name}: {bar.text}"
            canvas.rect(left, top, max(length - back, 0.5), _BAR, bar.tone, said)
            if back > 0.3:
                canvas.rect(left + length - back, top, back, _BAR, bar.tone, said, faint=True)
            canvas.text(left + length + 6, top + _BAR / 2 + TEXT / 3, bar.text)
