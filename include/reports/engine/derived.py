"""A report made of the rows of another report: the same cuts and partitions, other rows at the end."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

import pyarrow as pa

from include.reports.engine.kept import Kept, Waiting
from include.reports.engine.replay import BookedPartition
from include.reports.model import Cut, Report

Rows = Iterator[pa.RecordBatch]


class Derived:
    """`make` is given every batch of the inner report, in order, when all partitions were seen."""

    def __init__(self, inner: Report, make: Callable[[Rows], Rows]) -> None:
        self._inner = inner
        self._make = make
        self._early = Waiting()

    @property
    def cuts(self) -> tuple[Cut, ...]:
        """Return the inner report's."""
        return self._inner.cuts

    @property
    def kept(self) -> tuple[Kept, ...]:
        """Return what waits here, and what the inner report keeps."""
        return (self._early, *self._inner.kept)

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:
        """Hand the partition on; nothing can be written yet."""
        self._early.add(self._inner.on_partition(cut_index, partition))
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        """Return the rows made."""

        def rows() -> Rows:
            yield from self._early.batches
            yield from self._inner.finish()

        return self._make(rows())
