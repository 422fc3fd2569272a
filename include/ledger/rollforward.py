"""The points roll-forward: cumulative figures by cohort at a cut, and the period between two cuts.

docs/ledger.md section 6. `Cohorts` collects partitions at one cut; its memory depends on groups, cohorts and
components, not on rows (transfers apart, see `transfers.py`). `roll_forward` makes a period of two cuts, so
that a period's opening is the closing of the one before by construction. All points are hundredths.

Decided here, where the rules leave a choice: debt stands in cohort NONE from the debit until it is repaid;
then the points move from the repaying lot's cohort to NONE as `reclassified`, and the debit itself is not
booked again. Which cohort refunds and transfers are of is said in `rollforward_kernel.py`.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple, TypeVar

import numpy as np
from numpy.typing import NDArray

from include.ledger import rollforward_kernel as kernel
from include.ledger import transfers
from include.ledger.booking import Booked, book
from include.ledger.rows import Ints, Rows, TransactionType
from include.ledger.transfers import NO_ID, Halves, Transfers

NONE = -1  # the cohort of debt
_AT_ONCE = 250_000  # rows; what numpy makes on the way is as long
Scalar = TypeVar("Scalar", bound=np.generic)
Ids = Callable[[Ints], tuple[NDArray[np.uint64], NDArray[np.uint64]]]


@dataclass(frozen=True)
class Attribution:
    """How the accounts and rows of one partition are counted.

    group, program: per account, small numbers from 0. cohort: per row, the cohort (>= 0) that a lot of it is
    of, a month for instance. lot_class: per row, which class its remainder is counted in (all 0 when None).
    allocation_cohort: per allocation, the cohort of its instant; asked for only where development is wanted.
    ids: gives the 64-bit hashes of transaction_id and related_transaction_id (0 when null) of some rows.
    """

    group: Ints
    program: Ints
    cohort: NDArray[np.integer[Any]]
    ids: Ids
    lot_class: NDArray[np.integer[Any]] | None = None
    allocation_cohort: NDArray[np.integer[Any]] | None = None


class Given(NamedTuple):
    """What partitions were counted to: sums by cohort (int64[groups, components]), development, transfers."""

    sums: dict[int, Ints]
    developed: dict[tuple[int, int, int], int]
    transfers: transfers.Given


class Cohorts:
    """Cumulative figures at one cut, by (group, cohort).

    trace: whether points keep their cohort when they are refunded or transferred; False is faster, and enough
    when all cohorts are one. develop: whether redeemed points are kept by the cohort they were redeemed in.
    folder: where traces of transfers wait, in files without a name.
    """

    def __init__(
        self, *, classes: int = 1, trace: bool = True, develop: bool = False, folder: Path | None = None
    ) -> None:
        self.components = kernel.OUTSTANDING + classes
        self._trace = trace
        self._develop = develop
        self._sums: dict[int, Ints] = {}
        self._developed: defaultdict[tuple[int, int, int], int] = defaultdict(int)
        self._folder = folder
        self._transfers = Transfers(folder)

    def add(self, booked: Booked, attribution: Attribution) -> None:
        """Count one partition, booked with allocations."""
        cohorts = _Codes(attribution, booked)
        moves = _moves(booked) if self._trace else _no_moves()
        groups = int(attribution.group.max(initial=-1)) + 1
        programs = int(attribution.program.max(initial=-1)) + 1 if self._develop else 0
        booking = _booking(booked, attribution, cohorts)
        room = 4 * int(moves.lots.size) + int(moves.targets.size) + 1024
        while True:
            work = kernel.Work(
                booking=booking,
                moves=moves,
                sums=np.zeros((groups, cohorts.count, self.components), np.int64),
                developed=np.zeros((programs, *(cohorts.count,) * 2) if programs else (0, 0, 0), np.int64),
                traces=_room(room),
                state=_state(moves),
            )
            if kernel.accumulate(work):
                break
            room *= 2
        self._keep(work.sums, work.developed, cohorts)
        if self._trace:
            self._keep_traces(booked, attribution, cohorts, work)

    def given(self) -> Given:
        """Return what was counted, and count from nothing again."""
        found = Given(self._sums, dict(self._developed), self._transfers.given())
        self._sums, self._developed = {}, defaultdict(int)
        return found

    def take(self, given: Given, groups: Ints | None = None) -> None:
        """Count also what others have counted; groups: what their groups are called here, by number."""
        for cohort, sums in given.sums.items():
            own = np.arange(len(sums)) if groups is None else groups[: len(sums)]
            np.add.at(self._of(cohort, int(own.max()) + 1), own, sums)
        for key, points in given.developed.items():
            self._developed[key] += points

        def named(events: Ints) -> None:
            if groups is not None:
                events[:, 4] = groups[events[:, 4]]

        self._transfers.take(given.transfers, named)

    def figures(self) -> dict[tuple[int, int], Ints]:
        """Return the components of every (group, cohort) that has any; ends collecting."""
        self._settle_transfers()
        return {
            (group, cohort): sums[group].copy()
            for cohort, sums in sorted(self._sums.items())
            for group in np.flatnonzero(sums.any(axis=1)).tolist()
        }

    def developed(self) -> dict[tuple[int, int, int], int]:
        """Return redeemed points, refunds subtracted, by (program, cohort, cohort when it happened)."""
        self._settle_transfers()
        return dict(self._developed)

    def _keep(self, sums: Ints, developed: Ints, cohorts: _Codes) -> None:
        for code in np.flatnonzero(sums.any(axis=(0, 2))).tolist():
            self._of(cohorts.cohort(code), sums.shape[0])[: sums.shape[0]] += sums[:, code]
        at = np.nonzero(developed)
        keys = zip(at[0].tolist(), *(cohorts.values(codes).tolist() for codes in at[1:]), strict=True)
        for key, points in zip(keys, developed[at].tolist(), strict=True):
            self._developed[key] += points

    def _of(self, cohort: int, groups: int) -> Ints:
        sums = self._sums.setdefault(cohort, np.zeros((groups, self.components), np.int64))
        if len(sums) < groups:
            sums = np.vstack((sums, np.zeros((groups - len(sums), self.components), np.int64)))
            self._sums[cohort] = sums
        return sums

    def _keep_traces(
        self, booked: Booked, attribution: Attribution, cohorts: _Codes, work: kernel.Work
    ) -> None:
        events = work.traces.events[: work.state.counts[0]].copy()
        sent = work.traces.sent[: work.state.counts[1]].copy()
        months = events[:, 6] >= 0
        events[months, 6] = cohorts.values(events[months, 6])
        known = sent[:, 2] < 0
        sent[known, 1] = cohorts.values(sent[known, 1])
        received = np.flatnonzero(booked.rows.type == TransactionType.TRANSFERRED_IN)
        sending = np.flatnonzero(booked.rows.type == TransactionType.TRANSFERRED_OUT)
        self._transfers.add(
            _halves(booked, attribution, received), _halves(booked, attribution, sending), events, sent
        )

    def _settle_transfers(self) -> None:
        collected, self._transfers = self._transfers, Transfers(self._folder)
        for found in collected.attribute():
            for cohort in np.unique(found.cohort).tolist():
                here = found.cohort == cohort
                event, points = found.event[here], found.points[here]
                sums = self._of(cohort, int(event[:, 4].max()) + 1)
                np.add.at(sums, (event[:, 4], event[:, 3]), points)
                if self._develop:
                    self._settle_developed(cohort, event, points)

    def _settle_developed(self, cohort: int, event: Ints, points: Ints) -> None:
        dated = event[:, 6] >= 0
        event, points = event[dated], points[dated]
        keys, at = np.unique((event[:, 5] << 32) | event[:, 6], return_inverse=True)
        totals = np.zeros(keys.size, np.int64)
        np.add.at(totals, at, np.where(event[:, 3] == kernel.REFUNDED, -points, points))
        for key, total in zip(keys.tolist(), totals.tolist(), strict=True):
            self._developed[key >> 32, cohort, key & (2**32 - 1)] += total


class _Codes:
    """The cohorts of one partition as small numbers: NONE is 0, the others follow in order."""

    def __init__(self, attribution: Attribution, booked: Booked) -> None:
        later = attribution.allocation_cohort
        parts = [attribution.cohort] if later is None else [attribution.cohort, later]
        self._low = min((int(part.min()) for part in parts if part.size), default=0)
        high = max((int(part.max()) for part in parts if part.size), default=0)
        seen = np.zeros(high - self._low + 1, bool)
        for part in parts:
            for begin in range(0, part.size, _AT_ONCE):
                seen[part[begin : begin + _AT_ONCE] - self._low] = True
        self._values = np.concatenate(([NONE], np.flatnonzero(seen) + self._low))
        self._codes = np.cumsum(seen, dtype=np.int32)
        self.count = self._values.size
        self.rows = self._coded(attribution.cohort)
        # Without development nobody looks at months of allocations: one value, in no memory, stands for all.
        none = np.zeros(booked.allocation_at.size, np.int32)  # of NONE
        self.allocations = none if later is None else self._coded(later)

    def _coded(self, cohorts: NDArray[np.integer[Any]]) -> NDArray[np.int32]:
        codes = np.empty(cohorts.size, np.int32)
        for begin in range(0, cohorts.size, _AT_ONCE):
            some = slice(begin, begin + _AT_ONCE)
            codes[some] = self._codes[cohorts[some] - self._low]
        return codes

    def cohort(self, code: int) -> int:
        return int(self._values[code])

    def values(self, codes: Ints) -> Ints:
        return self._values[codes]


def _booking(booked: Booked, attribution: Attribution, cohorts: _Codes) -> kernel.Booking:
    rows = booked.rows
    classes = np.zeros(len(rows), np.int8) if attribution.lot_class is None else attribution.lot_class
    return kernel.Booking(
        account_start=_frozen(rows.account_start, np.int64),
        group=_frozen(attribution.group, np.int64),
        program=_frozen(attribution.program, np.int64),
        created_at=_frozen(rows.created_at, np.int64),
        type=_frozen(rows.type, np.uint8),
        points=_frozen(rows.points, np.int64),
        related=_frozen(rows.related, np.int64),
        cohort=_frozen(cohorts.rows, np.int32),
        lot_class=_frozen(classes, np.int8),
        left=_frozen(booked.left, np.int64),
        debt=_frozen(booked.debt, np.int64),
        expiry_lot=_frozen(booked.expiry_lot, np.int64),
        expiry_points=_frozen(booked.expiry_points, np.int64),
        debit=_frozen(booked.allocation_debit, np.int64),
        lot=_frozen(booked.allocation_lot, np.int64),
        allocated=_frozen(booked.allocation_points, np.int64),
        allocated_at=_frozen(booked.allocation_at, np.int64),
        kind=_frozen(booked.allocation_kind, np.uint8),
        month=_frozen(cohorts.allocations, np.int32),
    )


def _moves(booked: Booked) -> kernel.Moves:
    rows = booked.rows
    is_refund = (rows.type == TransactionType.REDEMPTION_REFUNDED) & (rows.points > 0)
    is_transfer = (rows.type == TransactionType.TRANSFERRED_IN) & (rows.points > 0)
    refunds = np.flatnonzero(is_refund)
    refunds = refunds[rows.related[refunds] >= 0]
    refunds = refunds[rows.type[rows.related[refunds]] == TransactionType.REDEEMED]
    refunds = refunds[np.argsort(rows.related[refunds], kind="stable")]
    targets, first = np.unique(rows.related[refunds], return_index=True)
    return kernel.Moves(
        lots=_frozen(np.flatnonzero(is_refund | is_transfer), np.int64),
        targets=_frozen(targets, np.int64),
        refund_first=_frozen(np.append(first, refunds.size), np.int64),
        refunds=_frozen(refunds, np.int64),
        keep_sent=True,
    )


def _no_moves() -> kernel.Moves:
    none = _frozen(np.empty(0, np.int64), np.int64)
    return kernel.Moves(none, none, _frozen(np.zeros(1, np.int64), np.int64), none, keep_sent=False)


def _state(moves: kernel.Moves) -> kernel.State:
    lots = np.zeros((moves.lots.size, 4), np.int64)
    lots[:, 0] = -1
    targets = np.zeros((moves.targets.size, 4), np.int64)
    targets[:, :2] = -1
    return kernel.State(np.zeros(4, np.int64), lots, targets, np.zeros(3, np.int64))


def _room(rows: int) -> kernel.Traces:
    widths = (kernel.EVENT_COLUMNS, kernel.SENT_COLUMNS, kernel.USED_COLUMNS, kernel.PIECE_COLUMNS)
    return kernel.Traces(*(np.empty((rows, width), np.int64) for width in widths))


def _halves(booked: Booked, attribution: Attribution, row: Ints) -> Halves:
    account = np.searchsorted(booked.rows.account_start, row, side="right") - 1
    identity, related = attribution.ids(row) if row.size else (np.empty(0, np.uint64),) * 2
    return Halves(
        row=row,
        id=identity.view(np.int64),
        related=np.where(related == NO_ID, np.uint64(NO_ID), related).view(np.int64),
        program=attribution.program[account],
        created_at=booked.rows.created_at[row],
        points=np.abs(booked.rows.points[row]),
        cohort=attribution.cohort[row].astype(np.int64),
    )


def _frozen(array: NDArray[Any], dtype: type[Scalar]) -> NDArray[Scalar]:
    # Read-only and contiguous, always: compiled code is specialised by both.
    view = np.ascontiguousarray(array, dtype).view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True)
class RollForward:
    """One line of the roll-forward, in hundredths of a point; every movement as a positive figure.

    opening + earned - earned_reversed - redeemed + refunded + adjusted + transferred_in - transferred_out
    - expired + reclassified - closing = difference, which is 0 in a sound ledger. closing = outstanding - debt.
    """

    opening: int
    earned: int
    earned_reversed: int
    redeemed: int
    refunded: int
    adjusted: int
    transferred_in: int
    transferred_out: int
    expired: int
    reclassified: int
    closing: int
    outstanding: int
    debt: int

    @property
    def difference(self) -> int:
        """Return by how much the line does not foot."""
        gained = self.earned + self.refunded + self.adjusted + self.transferred_in + self.reclassified
        lost = self.earned_reversed + self.redeemed + self.transferred_out + self.expired
        return self.opening + gained - lost - self.closing


def outstanding(figures: Ints) -> int:
    """Return active + pending of one cohort."""
    return int(figures[kernel.OUTSTANDING :].sum())


def issued(figures: Ints) -> int:
    """Return points issued in a cohort: earned, and adjusted upwards."""
    return int(figures[kernel.EARNED] + figures[kernel.ADJUSTED_UP])


def taken_back(figures: Ints) -> int:
    """Return points of a cohort that earn reversals took back, as debt repaid later too."""
    return int(figures[kernel.EARNED_REVERSED] + figures[kernel.REVERSED_LATER])


def redeemed(figures: Ints) -> int:
    """Return R: points of a cohort redeemed so far, as debt repaid later too, refunds subtracted."""
    return int(figures[kernel.REDEEMED] + figures[kernel.REDEEMED_LATER] - figures[kernel.REFUNDED])


def balance(figures: Ints) -> int:
    """Return outstanding less debt."""
    return outstanding(figures) - int(figures[kernel.DEBT])


def roll_forward(opening: Ints, start: Ints, end: Ints) -> RollForward:
    """Return the period between two cuts, for one line.

    opening: figures at the first cut of the accounts that were in the line then. start: figures at the first
    cut of the accounts that are in it at the second. end: figures at the second cut. `opening` and `start`
    differ only where accounts move between lines (tiers); what they bring or take is `reclassified`.
    """
    moved = end - start
    repaid = int(moved[kernel.DEBT_REPAID] - moved[kernel.REPAID])
    return RollForward(
        opening=balance(opening),
        earned=int(moved[kernel.EARNED]),
        earned_reversed=int(moved[kernel.EARNED_REVERSED]),
        redeemed=int(moved[kernel.REDEEMED]),
        refunded=int(moved[kernel.REFUNDED]),
        adjusted=int(moved[kernel.ADJUSTED_UP] - moved[kernel.ADJUSTED_DOWN]),
        transferred_in=int(moved[kernel.TRANSFERRED_IN]),
        transferred_out=int(moved[kernel.TRANSFERRED_OUT]),
        expired=int(moved[kernel.EXPIRED]),
        reclassified=repaid + balance(start) - balance(opening),
        closing=balance(end),
        outstanding=outstanding(end),
        debt=int(end[kernel.DEBT]),
    )


def warm() -> None:
    """Compile what counting cohorts needs, or load it from numba's cache: called once at install."""
    none, one = np.zeros(0, np.int64), np.zeros(1, np.int64)
    row = one + 1
    kind = np.full(1, TransactionType.TRANSFERRED_IN, np.uint8)
    rows = Rows(np.array([0, 1], np.int64), one, one, row, kind, row, one - 1)
    cohorts = Cohorts(develop=True)

    def ids(some: Ints) -> tuple[NDArray[np.uint64], NDArray[np.uint64]]:
        return np.ones(some.size, np.uint64), np.zeros(some.size, np.uint64)

    cohorts.add(book(rows, 1, allocations=True), Attribution(one, one, one, ids, allocation_cohort=none))
    cohorts.figures()
