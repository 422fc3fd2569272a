"""What is seen while rows are booked, for the record of a run."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field

import numpy as np

from include.ledger.booking import RowProblem
from include.reports.engine.replay import BookedPartition
from include.reports.model import Cut


@dataclass
class Notes:
    """What was seen on the way, for the run's record: rows and accounts of the largest cut, reported problems.

    left_out: by name of the job, what the ledger lacks of what it needs. cuts: the same figures of each cut.
    """

    rows: int = 0
    accounts: int = 0
    problems: Counter[str] = field(default_factory=Counter)
    left_out: dict[str, tuple[str, ...]] = field(default_factory=dict)
    cuts: dict[Cut, Notes] = field(default_factory=dict)

    def add(self, found: Collection[BookedPartition]) -> None:
        """Add what is seen of a partition, as booked at each cut that has rows of it."""
        for one in found:
            self.cuts.setdefault(one.cut, Notes()).count(one)
        if found:
            self.count(max(found, key=lambda one: len(one.rows)))

    def count(self, one: BookedPartition) -> None:
        """Add what is seen of a partition at one cut."""
        self.rows += len(one.rows)
        self.accounts += one.rows.accounts_count
        problem = one.booked.problem
        if problem.any():
            counts = np.bincount(problem[problem > 0])
            bits = np.arange(len(counts))
            for flag in RowProblem:
                seen = int(counts[bits & flag.value > 0].sum())
                if seen:
                    self.problems[str(flag.name).lower()] += seen

    def take(self, others: Notes) -> None:
        """Add what was seen elsewhere, of other partitions."""
        self.rows += others.rows
        self.accounts += others.accounts
        self.problems += others.problems
        for cut, seen in others.cuts.items():
            self.cuts.setdefault(cut, Notes()).take(seen)

    def of(self, cuts: Iterable[Cut]) -> Notes:
        """Return what was seen of the largest of these cuts, the first of several: others have no part in it."""
        found = [self.cuts[cut] for cut in cuts if cut in self.cuts]
        return max(found, key=lambda one: one.rows, default=Notes())
