"""What a report keeps between partitions, as it travels from the process that saw them to the one that finishes.

Everything here is exact: integers that add up, and rows that wait in order. So it changes no figure who saw which
partition (docs/architecture.md, Engine).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import pyarrow as pa

from include.ledger.rows import Ints


class Kept(Protocol):
    """Something that a report keeps between partitions."""

    def given(self) -> Any:
        """Return what is kept, as something that can be pickled, and keep nothing any more."""
        ...

    def take(self, given: Any) -> None:
        """Keep, after what is kept already, what another one of the same report gave."""
        ...


class Sums:
    """Figures (int64) that only ever grow by adding, in place."""

    def __init__(self, *figures: Ints) -> None:
        self._figures = figures

    def given(self) -> tuple[Ints, ...]:
        """Return copies; the figures themselves become 0."""
        found = tuple(figure.copy() for figure in self._figures)
        for figure in self._figures:
            figure[...] = 0
        return found

    def take(self, given: tuple[Ints, ...]) -> None:
        """Add."""
        for figure, more in zip(self._figures, given, strict=True):
            np.add(figure, more, out=figure)


class Waiting:
    """Batches that wait in memory."""

    def __init__(self) -> None:
        self.batches: list[pa.RecordBatch] = []

    def add(self, batches: Iterable[pa.RecordBatch]) -> None:
        """Keep more of them."""
        self.batches += batches

    def given(self) -> list[pa.RecordBatch]:
        """Return them."""
        found, self.batches = self.batches, []
        return found

    def take(self, given: list[pa.RecordBatch]) -> None:
        """Append."""
        self.batches += given
