"""A small line of how a figure went, as the points of an SVG polyline; numbers in, text out."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import NamedTuple

WIDTH, HEIGHT, MARGIN = 160, 36, 3


class Sparkline(NamedTuple):
    """Lines (one more for each gap of missing values) and the place of the last value."""

    lines: tuple[str, ...]
    last: tuple[str, str] | None


def sparkline(values: Sequence[Decimal | None]) -> Sparkline:
    """Return the values as lines of WIDTH x HEIGHT, the largest on top; equal values lie in the middle."""
    known = [value for value in values if value is not None]
    if not known:
        return Sparkline((), None)
    low, span = min(known), max(known) - min(known)
    step = Decimal(WIDTH - 2 * MARGIN) / max(len(values) - 1, 1)
    lines: list[list[str]] = [[]]
    last = None
    for at, value in enumerate(values):
        if value is None:
            lines.append([])
            continue
        height = (value - low) / span if span else Decimal("0.5")
        x, y = f"{MARGIN + at * step:.1f}", f"{HEIGHT - MARGIN - height * (HEIGHT - 2 * MARGIN):.1f}"
        lines[-1].append(f"{x},{y}")
        last = x, y
    return Sparkline(tuple(" ".join(line) for line in lines if line), last)
