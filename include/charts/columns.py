"""Columns: what came about in each stretch of time, upwards and downwards from zero, in parts of several colours."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from decimal import Decimal

from include.charts import axes
from include.charts.canvas import TEXT, Box, Canvas, boxes
from include.charts.words import Number, short, width

_APART = 5.0  # pixels between two labels


@dataclass(frozen=True)
class Part:
    """A part of each column: its name, tone and values, those below zero downwards."""

    name: str
    tone: str
    values: tuple[Number, ...]


@dataclass(frozen=True)
class Columns:
    """Stretches of time by their labels, and the parts. faint: stretches that are not over, or cut off."""

    unit: str
    labels: tuple[str, ...]
    parts: tuple[Part, ...]
    faint: frozenset[int] = frozenset()

    def height(self, width: float) -> float:
        """Return how high the picture is at a width."""
        return 240 if width < axes.NARROW else 260

    def draw(self, canvas: Canvas) -> None:
        """Draw it all over the canvas."""
        ups, downs = self._stacked()
        several = len(self.parts) > 1
        head = 26.0
        if several:
            head = axes.legend(canvas, [(part.name, part.tone) for part in self.parts]) + 34
        inner = axes.plot(canvas, [*ups, *downs], "" if several else self.unit, head=head)
        if several:
            canvas.text(0, head - 14, self.unit)
        axes.below(canvas, inner, self.labels, centred=True)
        count = len(self.labels)
        slot = inner.slot(count)
        canvas.slots(inner.left, slot, count, inner.top, inner.bottom)
        wide = max(1.0, min(slot * 0.72, 46.0))
        self._draw(canvas, inner, slot, wide)
        if not several:
            self._label(canvas, inner, slot)

    def _stacked(self) -> tuple[list[Decimal], list[Decimal]]:
        zero = Decimal(0)
        columns = list(zip(*(part.values for part in self.parts), strict=True))
        ups = [axes.total([value for value in column if value > 0]) for column in columns]
        downs = [axes.total([value for value in column if value < 0]) for column in columns]
        return ups or [zero], downs or [zero]

    def _draw(self, canvas: Canvas, inner: axes.Plot, slot: float, wide: float) -> None:
        tops = [Decimal(0)] * len(self.labels)
        bottoms = [Decimal(0)] * len(self.labels)
        for part in self.parts:
            whole: list[Box] = []
            faint: list[Box] = []
            for index, value in enumerate(part.values):
                base = tops if value > 0 else bottoms
                begin, base[index] = base[index], base[index] + value
                low, high = sorted((inner.up(begin), inner.up(base[index])))
                if high - low > 0.04:
                    box = (inner.left + index * slot + (slot - wide) / 2, low, wide, high - low)
                    (faint if index in self.faint else whole).append(box)
            if whole:
                canvas.path(boxes(whole), part.tone)
            if faint:
                canvas.path(boxes(faint), part.tone, faint=True)

    def _label(self, canvas: Canvas, inner: axes.Plot, slot: float) -> None:
        """Write the values over the columns: all of them where there is room, else the highest and the last."""
        (part,) = self.parts
        texts = [short(value, even=True) for value in part.values]
        every = all(width(text, 11) + _APART < slot for text in texts)
        chosen = set(range(len(texts))) if every else _telling(part.values)
        for index in sorted(index for index in chosen if part.values[index]):
            value = part.values[index]
            at = inner.up(value) - 5 if value >= 0 else inner.up(value) + TEXT
            middle = inner.left + (index + 0.5) * slot
            half = width(texts[index], 11) / 2
            middle = min(max(middle, inner.left + half), canvas.width - half)
            canvas.text(middle, at, texts[index], "ink", anchor="middle", size=11)


def _telling(values: Sequence[Number]) -> set[int]:
    highest = max(range(len(values)), key=lambda index: values[index], default=0)
    last = len(values) - 1
    # Two labels side by side would lie over each other.
    return {highest} if abs(last - highest) * 6 < len(values) else {highest, last}
