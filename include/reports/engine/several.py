"""A report made of several others of one kind, each asked for another period: the rows of all, one after another."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence

import pyarrow as pa

from include.reports.engine.kept import Kept, Waiting
from include.reports.engine.replay import BookedPartition
from include.reports.model import Cut, Report

Made = Callable[[pa.RecordBatch], pa.RecordBatch]


class Several:
    """Each report's batches, as its own function makes them; what two of them need is booked once."""

    def __init__(self, reports: Sequence[tuple[Report, Made]]) -> None:
        self._reports = reports
        self._early = [Waiting() for _ in reports]
        self.cuts: tuple[Cut, ...] = tuple(dict.fromkeys(cut for report, _ in reports for cut in report.cuts))
        self.kept: tuple[Kept, ...] = (*self._early, *(kept for report, _ in reports for kept in report.kept))

    def on_partition(self, cut_index: int, partition: BookedPartition) -> Iterable[pa.RecordBatch]:
        """Hand the partition to each report that asked for it; nothing can be written yet."""
        for place, (report, _) in enumerate(self._reports):
            for index, cut in enumerate(report.cuts):
                if cut == self.cuts[cut_index]:
                    self._early[place].add(report.on_partition(index, partition))
        return ()

    def finish(self) -> Iterator[pa.RecordBatch]:
        """Return the rows of each report in turn."""
        for (report, made), early in zip(self._reports, self._early, strict=True):
            for batch in (*early.batches, *report.finish()):
                yield made(batch)
