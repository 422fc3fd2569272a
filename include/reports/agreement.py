"""Do the reports of one run say the same? History sums to balances, balances to liability, redemptions to liability.

All reports of a run read one snapshot at one (T, K), so what two of them say of one program is equal to the
hundredth (docs/ledger.md sections 4 to 7), or something is broken and nothing may be delivered.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Sequence
from itertools import combinations
from types import MappingProxyType

import pyarrow as pa

from include.reports.model import Asked

_HELD, _OUTSTANDING = "points held at the end", "points outstanding at the end"
_MOVED, _REDEEMED = "points moved in the period", "points redeemed in the period"
# By model: each quantity as a sum of columns with their signs.
_QUANTITIES = MappingProxyType({
    "balance": {_HELD: {"active": 1, "pending": 1, "negative_balance": -1}},
    "history": {_MOVED: {"points_change": 1}},
    "liability": {
        _HELD: {"closing": 1}, _OUTSTANDING: {"outstanding": 1}, _MOVED: {"closing": 1, "opening": -1},
        _REDEEMED: {"redeemed": 1},
    },
    "ageing": {_OUTSTANDING: {"outstanding": 1}},
    "points_accounting": {
        _HELD: {"outstanding_end": 1}, _MOVED: {"outstanding_difference": 1}, _REDEEMED: {"redeemed": 1},
    },
    "redemption": {_REDEEMED: {"points_cost": 1}},
    "rewards_by_day": {_REDEEMED: {"points_cost": 1}},
    "rollforward_by_day": {
        _MOVED: {
            "earned": 1, "earned_reversed": -1, "redeemed": -1, "refunded": 1, "adjusted": 1, "transferred_in": 1,
            "transferred_out": -1, "expired": -1,
        },
        _REDEEMED: {"redeemed": 1},
    },
})  # fmt: skip


class Tally:
    """What one report of a run says, by quantity and program, in hundredths of a point.

    is_whole: whether all of its rows were added up; an export of the first few rows reads no further.
    """

    def __init__(self, export: str, model: str, asked: Asked) -> None:
        self.export = export
        self.programs: tuple[str, ...] = tuple(getattr(asked.options, "programs", ()))
        part_of_it = getattr(asked.options, "holders", "all") != "all"
        self._columns = {} if part_of_it else dict(_QUANTITIES.get(model, {}))
        if asked.start is None and _MOVED in self._columns:
            # All that ever moved is what is held.
            self._columns[_HELD] = self._columns.pop(_MOVED)
        self.sums: dict[str, Counter[str]] = {name: Counter() for name in self._columns}
        self.is_whole = False

    @property
    def reads(self) -> frozenset[str]:
        """Return the report's columns that are added up."""
        figures = frozenset(name for signs in self._columns.values() for name in signs)
        return figures | {"program_id"} if figures else figures

    def watch(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Yield the report's batches as they come, whole, adding them up."""
        for batch in batches:
            self._add(batch)
            yield batch
        self.is_whole = True

    def _add(self, batch: pa.RecordBatch) -> None:
        for name, signs in self._columns.items():
            figures = pa.table(
                [batch.column("program_id"), *(batch.column(x) for x in signs)], ["program", *signs]
            )
            for group in figures.group_by("program").aggregate([(x, "sum") for x in signs]).to_pylist():
                moved = sum(sign * (group[f"{x}_sum"] or 0) for x, sign in signs.items())
                self.sums[name][str(group["program"])] += moved


def disagreements(tallies: Sequence[Tally]) -> list[str]:
    """Return a sentence for each quantity of a program of which two reports of the run say different things.

    A report that was not read to its end says nothing.
    """
    found = []
    for one, other in combinations((each for each in tallies if each.is_whole), 2):
        for name in one.sums.keys() & other.sums.keys():
            mine, theirs = one.sums[name], other.sums[name]
            covered = [set(each.programs) for each in (one, other) if each.programs]
            asked = set.intersection(*covered) if covered else mine.keys() | theirs.keys()
            found += [
                f"{name} of program {program}: {one.export} says {_shown(mine[program])}, "
                f"{other.export} says {_shown(theirs[program])}"
                for program in sorted(asked)
                if mine[program] != theirs[program]
            ]
    return sorted(found)


def _shown(hundredths: int) -> str:
    sign = "-" if hundredths < 0 else ""
    return f"{sign}{abs(hundredths) // 100:,}.{abs(hundredths) % 100:02}"
