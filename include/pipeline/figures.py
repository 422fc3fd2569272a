"""The figures of runs: rows and totals of each, and how they went over time."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from decimal import Decimal
from typing import Any, NamedTuple

from include.state.history import Figures

ROWS = "rows"


class Series(NamedTuple):
    """One figure over runs, the oldest first; None where a run does not have it."""

    name: str
    values: tuple[Decimal | None, ...]

    @property
    def last(self) -> Decimal | None:
        """The value of the newest run."""
        return self.values[-1]

    @property
    def change(self) -> Decimal | None:
        """How far the newest run is from the one before; None where one of the two does not have it."""
        if len(self.values) < 2 or self.values[-1] is None or self.values[-2] is None:
            return None
        return self.values[-1] - self.values[-2]


def totals(artefacts: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    """Return the rows and the exact totals of a run's files: of one export in several files their sums.

    In a pack the names of its exports stand before those of the totals. What tells of changes is no total.
    """
    found: dict[str, Decimal] = {}
    for each in artefacts:
        if "rows" not in each or each.get("holds", ROWS) != ROWS:
            continue
        before = f"{each['export']}: " if each.get("export") else ""
        figures = {ROWS: each["rows"], **each.get("totals", {})}
        for name, value in figures.items():
            called = f"{before}{name}"
            found[called] = found.get(called, Decimal(0)) + Decimal(value)
    return found


def series(runs: Sequence[Figures]) -> tuple[Series, ...]:
    """Return every figure that the newest run has, over all of the runs; none without runs."""
    if not runs:
        return ()
    figures = [totals(run.artefacts) for run in runs]
    return tuple(Series(name, tuple(each.get(name) for each in figures)) for name in figures[-1])
