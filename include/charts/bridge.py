"""Bridge: how what there was became what there is, step by step. All steps are to one scale.

Where the steps are small beside the whole, a scale from zero would hide them: then it begins higher, the two bars of
the whole are visibly cut, and the picture says where the scale begins.
"""

from __future__ import annotations

from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise

from include.charts.axes import NARROW
from include.charts.canvas import TEXT, Canvas, polyline
from include.charts.scale import Scale, ticks
from include.charts.words import Number, exact, fitted, short, signed, width

_CUT_FROM = Decimal("0.6")  # of the highest value: if all others lie above, the scale is cut
_ROW, _BAR, _HEAD, _FOOT = 30.0, 18.0, 24.0, 22.0


@dataclass(frozen=True)
class Step:
    """What was added to the running value, or taken from it."""

    name: str
    value: Number


@dataclass(frozen=True)
class Bridge:
    """From `opening` by the steps to `closing`; ValueError in `draw` where they do not lead there."""

    unit: str
    opening: Step
    steps: tuple[Step, ...]
    closing: Step

    def height(self, width: float) -> float:
        """Return how high the picture is at a width."""
        row = _ROW + 14 if width < NARROW else _ROW
        return _HEAD + (len(self.steps) + 2) * row + _FOOT

    def draw(self, canvas: Canvas) -> None:
        """Draw it all over the canvas."""
        heights = self._running()
        low = min(heights)
        cut = low > max(heights) * _CUT_FROM and low > 0
        begin = low - (max(heights) - low) * Decimal("0.6") if cut else Decimal(0)
        steps = ticks(heights, low=begin)
        begin = steps[0] if cut else min(steps[0], Decimal(0))
        left, right = self._margins(canvas)
        across = Scale(begin, max(heights), left, canvas.width - right)
        narrow = canvas.width < NARROW
        self._axis(canvas, across, [step for step in steps if begin <= step <= max(heights)])
        if cut:
            said = f"The scale begins at {exact(begin)}: the bars of opening and closing are cut."
            short_said = f"Scale begins at {short(begin)}; cut bars"
            canvas.text(0, canvas.height - 4, short_said if narrow else said, size=11)
        self._rows(canvas, across, heights, cut=cut, left=left)

    def _running(self) -> list[Decimal]:
        heights = [Decimal(self.opening.value)]
        for step in self.steps:
            heights.append(heights[-1] + Decimal(step.value))
        if heights[-1] != self.closing.value:
            raise ValueError(f"the steps lead to {heights[-1]}, and the closing is {self.closing.value}")
        return heights

    def _margins(self, canvas: Canvas) -> tuple[float, float]:
        every = (self.opening, *self.steps, self.closing)
        values = max(width(signed(step.value), TEXT) for step in every) + 12
        if canvas.width < NARROW:
            return 0.0, values
        return min(max(width(step.name, TEXT) for step in every) + 14, canvas.width * 0.34), values

    def _axis(self, canvas: Canvas, across: Scale, steps: list[Decimal]) -> None:
        canvas.text(0, TEXT, self.unit)
        shown = steps[:: 2 if canvas.width < NARROW else 1]
        # Where the scale begins far from zero, what tells its values apart may be lost in short numbers.
        labels = [short(step) for step in shown]
        if len({*labels}) < len(labels):
            labels = [exact(step) for step in shown]
        for step, label in zip(shown, labels, strict=True):
            at = across(step)
            canvas.stroke(polyline([(at, _HEAD - 4), (at, canvas.height - _FOOT)]), "grid", 1)
            if at - width(label, TEXT) / 2 > width(self.unit, TEXT) + 8:
                canvas.text(at, TEXT, label, anchor="middle", size=11)

    def _rows(self, canvas: Canvas, across: Scale, heights: list[Decimal], *, cut: bool, left: float) -> None:
        narrow = canvas.width < NARROW
        row = _ROW + 14 if narrow else _ROW
        begin = across.low
        canvas.slots(0, row, len(self.steps) + 2, _HEAD, canvas.height - _FOOT, way="down")
        spans = [(begin, heights[0])]
        spans += list(pairwise(heights))
        spans.append((begin, heights[-1]))
        every = (self.opening, *self.steps, self.closing)
        for index, (step, (start, end)) in enumerate(zip(every, spans, strict=True)):
            is_total = index in (0, len(every) - 1)
            top = _HEAD + index * row
            if narrow:
                canvas.text(0, top + TEXT, fitted(step.name, TEXT, canvas.width), "ink", bold=is_total)
                top += 16
            else:
                name = fitted(step.name, TEXT, left - 14)
                canvas.text(left - 12, top + _ROW / 2 + TEXT / 3, name, "ink", anchor="end", bold=is_total)
                top += (_ROW - _BAR) / 2
            low, high = sorted((across(start), across(end)))
            tone = "total" if is_total else "up" if end >= start else "down"
            text = exact(step.value) if is_total else signed(step.value)
            canvas.rect(low, top, max(high - low, 1.0), _BAR, tone, f"{step.name}: {text}")
            if is_total and cut:
                _cut(canvas, low + 10, top)
            canvas.text(
                high + 6, top + _BAR / 2 + TEXT / 3, text, "ink" if is_total else "soft", bold=is_total
            )
            if index < len(every) - 1:
                at = across(end)
                canvas.stroke(polyline([(at, top + _BAR), (at, top + row)]), "axis", 1, dash="2 2")


def _cut(canvas: Canvas, at: float, top: float) -> None:
    """Cut a bar by a slanting band of paper, wider than any line."""
    slant = f"M{at:.1f} {top - 2:.1f}l6 0l-6 {_BAR + 4:.1f}l-6 0z"
    canvas.path(slant, "paper")
