"""Points by program, tier and issue month at the cuts of a liability report, collected over partitions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from include.errors import LedgerViolation
from include.ledger import rollforward
from include.ledger.ageing import months_of
from include.ledger.rollforward import Attribution, Cohorts, RollForward
from include.ledger.rows import Ints
from include.reports.engine.replay import BookedPartition
from include.reports.liabilities.accounts import ids_of, program_codes
from include.reports.liabilities.programs import Program
from include.reports.liabilities.tiers import NO_TIER, Tiers

Key = tuple[str, str | None, int]
Lines = dict[Key, Ints]
_START, _END = 0, 1
_Months = NDArray[np.int32]
_AT_ONCE = 250_000  # rows; what numpy makes on the way is as long


class Given(NamedTuple):
    """What partitions were counted to: groups (program, tiers) by number, points held, and both cuts' cohorts."""

    groups: list[tuple[int, str | None, str | None]]
    held: list[Ints]
    cohorts: list[rollforward.Given]


class Points:
    """Cumulative figures at the start and at the end of a period.

    At the start, accounts are grouped by the tier that they have then and the one they have at the end, so
    that what moves between tiers is known without a figure per account. months: whether cohorts are issue
    months in the program's zone; else all are one. develop: as `Cohorts`. complete: whether `programs` should
    be all that the ledger has.
    """

    def __init__(
        self,
        programs: Mapping[str, Program],
        tiers: Tiers | None,
        scratch: Path,
        *,
        months: bool,
        develop: bool,
        complete: bool,
    ) -> None:
        self._programs = programs
        self._complete = complete
        self._ids = list(programs)
        self._tiers = tiers
        self._months = months
        self._develop = develop
        self._groups: dict[tuple[int, int, int], int] = {}
        self._cohorts = [Cohorts(trace=months, develop=develop, folder=scratch) for _ in (_START, _END)]
        self._held = [np.zeros(len(programs), np.int64) for _ in (_START, _END)]
        self._found: list[dict[tuple[int, int], Ints]] | None = None

    @property
    def components(self) -> int:
        """How many components a figure has."""
        return self._cohorts[_END].components

    def add(self, cut_index: int, partition: BookedPartition) -> None:
        """Count a partition booked at the start (0) or at the end (1); accounts of other programs are left out."""
        program = program_codes(partition, self._ids, complete=self._complete)
        booked = partition.booked
        kept = program >= 0
        held = booked.active + booked.pending - booked.debt
        np.add.at(self._held[cut_index], program[kept], held[kept])
        cohort, allocated = self._issue_months(partition, program)
        attribution = Attribution(
            group=self._group(cut_index, partition, program),
            program=np.where(kept, program, len(self._ids)),
            cohort=cohort,
            allocation_cohort=allocated,
            ids=ids_of(partition),
        )
        self._cohorts[cut_index].add(booked, attribution)

    def given(self) -> Given:
        """Return what was counted, and count from nothing again."""
        held = [figure.copy() for figure in self._held]
        groups = [(program, self._tier(then), self._tier(later)) for program, then, later in self._groups]
        found = Given(groups, held, [cohorts.given() for cohorts in self._cohorts])
        self._groups = {}
        for figure in self._held:
            figure[:] = 0
        return found

    def take(self, given: Given) -> None:
        """Count also what others have counted."""
        groups = np.empty(len(given.groups), np.int64)
        for number, (program, then, later) in enumerate(given.groups):
            key = (program, self._tier_code(then), self._tier_code(later))
            groups[number] = self._groups.setdefault(key, len(self._groups))
        for own, more in zip(self._held, given.held, strict=True):
            np.add(own, more, out=own)
        for cohorts, counted in zip(self._cohorts, given.cohorts, strict=True):
            cohorts.take(counted, groups)

    def lines(self) -> tuple[Lines, Lines, Lines]:
        """Return figures at the start by the tier held then, at the start by the tier held at the end, and at
        the end; each by (program id, tier, issue month). Ends collecting.
        """
        self._found = [cohorts.figures() for cohorts in self._cohorts]
        groups = {group: key for key, group in self._groups.items()}
        opening: Lines = {}
        start: Lines = {}
        end: Lines = {}
        for cut_index, figures in enumerate(self._found):
            for (group, month), row in figures.items():
                program, then, later = groups[group]
                if program < len(self._ids):
                    if cut_index == _START:
                        self._count(opening, program, then, month, row)
                    self._count(start if cut_index == _START else end, program, later, month, row)
        return opening, start, end

    def developed(self, cut_index: int, program_id: str) -> dict[int, dict[int, int]]:
        """Return redeemed points of a program by issue month, then by the month of redeeming."""
        found: defaultdict[int, dict[int, int]] = defaultdict(dict)
        if self._develop:
            for (program, issued, month), points in self._cohorts[cut_index].developed().items():
                if program == self._ids.index(program_id):
                    found[issued][month] = points
        return dict(found)

    def check(self, rolled: Mapping[Key, RollForward]) -> None:
        """Raise LedgerViolation unless the lines of each program hold what its accounts hold."""
        totals = [np.zeros(len(self._ids), np.int64) for _ in (_START, _END)]
        for key, line in rolled.items():
            totals[_START][self._ids.index(key[0])] += line.opening
            totals[_END][self._ids.index(key[0])] += line.closing
        for counted, held in zip(totals, self._held, strict=True):
            for i in np.flatnonzero(counted != held).tolist():
                raise LedgerViolation(
                    f"the liability of program {self._ids[i]} counts {counted[i]} hundredths of a point, "
                    f"its accounts hold {held[i]}"
                )

    def _count(self, lines: Lines, program: int, tier: int, month: int, row: Ints) -> None:
        key = (self._ids[program], self._tier(tier), month)
        lines[key] = lines[key] + row if key in lines else row.copy()

    def _tier(self, code: int) -> str | None:
        return None if self._tiers is None else self._tiers.names[code]

    def _tier_code(self, name: str | None) -> int:
        return NO_TIER if self._tiers is None or name is None else self._tiers.code(name)

    def _group(self, cut_index: int, partition: BookedPartition, program: Ints) -> Ints:
        then = later = np.full(program.size, NO_TIER, np.int64)
        tiers = 1
        if self._tiers is not None:
            later = self._tiers.of(partition, _END)
            if cut_index == _START:
                then = self._tiers.of(partition, _START)
            tiers = len(self._tiers.names)
        known = np.where(program < 0, len(self._ids), program)
        codes = (known * tiers + then) * tiers + later
        seen = np.flatnonzero(np.bincount(codes))
        groups = np.zeros(int(seen.max(initial=0)) + 1, np.int64)
        for code in seen.tolist():
            key = (code // tiers // tiers, code // tiers % tiers, code % tiers)
            groups[code] = self._groups.setdefault(key, len(self._groups))
        found: Ints = groups[codes]
        return found

    def _issue_months(self, partition: BookedPartition, program: Ints) -> tuple[_Months, _Months | None]:
        rows, booked = partition.rows, partition.booked
        if not self._months:
            return np.zeros(len(rows), np.int32), None
        account = partition.row_account
        issued = self._in_zone(rows.created_at, lambda some: program[account[some]])
        if not self._develop:
            return issued, None
        debit = booked.allocation_debit
        return issued, self._in_zone(booked.allocation_at, lambda some: program[account[debit[some]]])

    def _in_zone(self, instants: Ints, program_of: Callable[[slice], Ints]) -> _Months:
        """Return the months of the instants; `program_of` gives the programs of a stretch of them."""
        zones = [x.zone for x in self._programs.values()]
        months = np.zeros(instants.size, np.int32)
        for begin in range(0, instants.size, _AT_ONCE):
            some = slice(begin, begin + _AT_ONCE)
            if all(zone == zones[0] for zone in zones[1:]):
                months[some] = months_of(instants[some], zones[0]) if zones else 0
                continue
            program = program_of(some)
            for i, zone in enumerate(zones):
                own = program == i
                months[some][own] = months_of(instants[some][own], zone)
        return months
