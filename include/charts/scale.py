"""Scales: where a value lies in a picture, and the round values at which lines are drawn. Zero is always on them."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from decimal import ROUND_CEILING, ROUND_FLOOR, Decimal

from include.charts.words import Number

_NICE = (Decimal(1), Decimal(2), Decimal("2.5"), Decimal(5), Decimal(10))


@dataclass(frozen=True)
class Scale:
    """From values `low` to `high` onto places `start` to `end`, as lengths grow."""

    low: Decimal
    high: Decimal
    start: float
    end: float

    def __call__(self, value: Number) -> float:
        """Return the place of a value."""
        share = float((Decimal(value) - self.low) / ((self.high - self.low) or 1))
        return self.start + share * (self.end - self.start)


def ticks(values: Iterable[Number], count: int = 4, *, low: Decimal = Decimal(0)) -> tuple[Decimal, ...]:
    """Return round values, about `count` steps, that hold every value and `low`; the first and last bound the scale."""
    found = [low, *(Decimal(value) for value in values)]
    least, most = min(found), max(found)
    if least == most:
        most = least + 1
    raw = (most - least) / count
    magnitude = Decimal(1).scaleb(raw.adjusted())
    step = next(magnitude * nice for nice in _NICE if magnitude * nice >= raw)
    if all(value == int(value) for value in found):
        step = max(step, Decimal(1))
    first = (least / step).to_integral_value(ROUND_FLOOR)
    last = (most / step).to_integral_value(ROUND_CEILING)
    return tuple(step * index for index in range(int(first), int(last) + 1))


def spread(count: int, most: int) -> list[int]:
    """Return at most `most` of `count` places, evenly, the last one always among them."""
    if count <= most:
        return list(range(count))
    step = -(-(count - 1) // max(1, most - 1))
    return sorted(range(count - 1, -1, -step))
