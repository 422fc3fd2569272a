"""Booking: how the rows of a ledger use lots up to an instant (docs/ledger.md sections 3 to 5).

`book` replays whole accounts; booking_kernel.py holds the compiled replay, ordering.py brings rows into the
order that it wants. Where the rules leave a choice, this is ours:

- A posted `expired` row without a related lot confirms unposted derived expiries oldest first (in the order
  in which they happened); its excess uses usable lots only. One that names a lot confirms that lot's derived
  expiry, then uses what is left of that lot if it is active; a pending lot is not touched. One that names
  something else than an earlier lot of the account covers nothing (`EXPIRY_TARGET_MISSING` beside
  `EXPIRED_MORE_THAN_OUTSTANDING`).
- Any earlier lot may be reversed. A reversal is doubled when an earlier one named the same lot and both
  together exceed what the lot brought in: an order given back in two parts is no problem. It is of an expired
  lot when some of the lot expired and what is left does not cover it.
- A debit is before any earn when no lot was created before it in its account; posted expiries have their own
  problem for that.
- A zero-point row changes nothing. It stands with the creations of its instant if its type only makes lots,
  else with the debits.
- `related` of all other types says nothing about lots.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import DTypeLike, NDArray

from include.errors import LedgerViolation
from include.ledger import booking_kernel as kernel
from include.ledger import row_checks
from include.ledger.compiled import read_only
from include.ledger.hashing import account_hashes, text_hashes
from include.ledger.ordering import AccountColumns, account_starts, sort_order, sorted_accounts
from include.ledger.rows import (
    NEVER,
    NO_RELATED,
    RELATED_NOT_FOUND,
    Ints,
    RowProblem,
    Rows,
    TransactionType,
)

__all__ = [
    "NEVER",
    "NO_RELATED",
    "RELATED_NOT_FOUND",
    "AccountColumns",
    "Booked",
    "RowFigures",
    "RowProblem",
    "Rows",
    "TransactionType",
    "account_starts",
    "book",
    "sort_order",
    "sorted_accounts",
    "warm",
]

# Gives arrays of so many zeros: np.zeros, or one whose arrays do not stay in memory.
Room: TypeAlias = Callable[[int, DTypeLike], NDArray[Any]]

ALLOCATED_AT_DEBIT, ALLOCATED_AS_REPAYMENT, ALLOCATED_AS_EXPIRY = (
    kernel.AT_DEBIT,
    kernel.REPAYMENT,
    kernel.POSTED_EXPIRY,
)


@dataclass(frozen=True)
class RowFigures:
    """Figures of a stretch of rows, each int64 in hundredths except `problem` (uint16, RowProblem flags)."""

    points_change: Ints  # of a posted expiry: minus its excess only
    balance_after: Ints  # active + pending - debt
    confirmed: Ints  # of a posted expiry: what it confirms of derived expiries; else 0
    uncovered: Ints  # of a posted expiry: what nothing could cover; else 0
    remaining: Ints  # of a lot: what is left of it; else 0
    debt_left: Ints  # of a debit: what is still owed; else 0
    problem: NDArray[np.uint16]


@dataclass(frozen=True)
class Booked:
    """The ledger of some accounts at `at`. Points are int64 hundredths, instants int64 microseconds.

    `left` is what is still open of a row, in the meaning of its kind; `row_figures` splits it. The
    properties of single rows allocate a whole column at each access: for many rows take stretches.
    """

    rows: Rows
    at: int
    # per row
    points_change: Ints
    balance_after: Ints
    left: Ints
    lapsed: Ints  # of a lot: what of it expired, by itself or by a posted expiry; else 0
    problem: NDArray[np.uint16]
    # per account
    active: Ints
    pending: Ints
    expired: Ints
    debt: Ints
    redeemed: Ints
    refunded: Ints
    lifetime_earned: Ints
    posted: Ints  # sum of the rows except those of type expired
    last_activity_at: Ints  # -1: none
    # per derived expiry, by account in the order in which they happened
    expiry_lot: Ints
    expiry_at: Ints
    expiry_points: Ints
    expiry_balance_after: Ints
    expiry_before_row: Ints  # the row before which it happened; the end of the account after its last row
    expiry_unposted: Ints  # what no posted row has confirmed by `at`
    # per allocation, by account in the order in which they happened; empty unless asked for
    allocation_debit: Ints
    allocation_lot: Ints
    allocation_points: Ints
    allocation_at: Ints
    allocation_kind: NDArray[np.uint8]  # 0 at the debit, 1 debt repaid by a later lot, 2 by a posted expiry

    def row_figures(self, start: int, stop: int) -> RowFigures:
        """The figures of the rows start:stop."""
        points, left = self.rows.points[start:stop], self.left[start:stop]
        change = self.points_change[start:stop]
        is_expiry = self.rows.type[start:stop] == TransactionType.EXPIRED
        is_lot = points > 0
        uncovered = np.where(is_expiry, left, 0)
        return RowFigures(
            points_change=change,
            balance_after=self.balance_after[start:stop],
            confirmed=np.where(is_expiry, change - points - left, 0),
            uncovered=uncovered,
            remaining=np.where(is_lot, left, 0),
            debt_left=np.where(is_lot | is_expiry, 0, left),
            problem=self.problem[start:stop],
        )

    @property
    def confirmed(self) -> Ints:
        """Per row: what a posted expiry confirms."""
        return self.row_figures(0, len(self.rows)).confirmed

    @property
    def remaining(self) -> Ints:
        """Per row: what is left of a lot."""
        return self.row_figures(0, len(self.rows)).remaining

    @property
    def debt_left(self) -> Ints:
        """Per row: what is still owed of a debit."""
        return self.row_figures(0, len(self.rows)).debt_left


def book(rows: Rows, at: int, *, allocations: bool, room: Room = np.zeros) -> Booked:
    """Replays the rows, and the expiries and activations with instant <= at.

    `room` gives the arrays that are as long as the rows. Every row must have `created_at < at < NEVER`.
    Raises ValueError for rows that break what `Rows` promises (they were to be refused before),
    LedgerViolation for sums beyond 64 bits.
    """
    ledger = _ledger(rows)
    count, accounts = ledger.points.size, ledger.account_start.size - 1
    most_lots, all_lots = _inspected(ledger, at)
    # Zeros take memory only where they are written: an upper bound costs nothing.
    kept = count if allocations else 0
    work = kernel.Work(
        points_change=room(count, np.int64),
        balance_after=room(count, np.int64),
        left=room(count, np.int64),
        problem=room(count, np.uint16),
        expiry_lot=room(all_lots, np.int64),
        expiry_points=room(all_lots, np.int64),
        expiry_balance_after=room(all_lots, np.int64),
        expiry_before_row=room(all_lots, np.int64),
        expiry_unposted=room(all_lots, np.int64),
        allocation_debit=room(kept, np.int64),
        allocation_lot=room(kept, np.int64),
        allocation_points=room(kept, np.int64),
        allocation_at=room(kept, np.int64),
        allocation_kind=room(kept, np.uint8),
        usable=np.empty(most_lots, np.int32),
        waiting=np.empty(most_lots, np.int32),
        reversed_points=room(count, np.int64),
        lapsed=room(count, np.int64),
    )
    states = np.zeros(1, kernel.STATE)
    states["keep"] = allocations
    figures = np.empty((9, accounts), np.int64)
    expiries, allocated = kernel.book_accounts(ledger, at, work, figures, states)
    lots = work.expiry_lot[:expiries]
    expiry_at = np.take(ledger.expires_at, lots, out=room(expiries, np.int64), mode="clip")
    np.maximum(expiry_at, ledger.activates_at[lots], out=expiry_at)
    return Booked(
        rows=rows,
        at=at,
        points_change=work.points_change,
        balance_after=work.balance_after,
        left=work.left,
        lapsed=work.lapsed,
        problem=work.problem,
        active=figures[0],
        pending=figures[1],
        expired=figures[2],
        debt=figures[3],
        redeemed=figures[4],
        refunded=figures[5],
        lifetime_earned=figures[6],
        posted=figures[7],
        last_activity_at=figures[8],
        expiry_lot=lots,
        expiry_at=expiry_at,
        expiry_points=work.expiry_points[:expiries],
        expiry_balance_after=work.expiry_balance_after[:expiries],
        expiry_before_row=work.expiry_before_row[:expiries],
        expiry_unposted=work.expiry_unposted[:expiries],
        allocation_debit=work.allocation_debit[:allocated],
        allocation_lot=work.allocation_lot[:allocated],
        allocation_points=work.allocation_points[:allocated],
        allocation_at=work.allocation_at[:allocated],
        allocation_kind=work.allocation_kind[:allocated],
    )


def _ledger(rows: Rows) -> kernel.Ledger:
    return kernel.Ledger(
        account_start=read_only(rows.account_start, np.int64),
        created_at=read_only(rows.created_at, np.int64),
        activates_at=read_only(rows.activates_at, np.int64),
        expires_at=read_only(rows.expires_at, np.int64),
        type=read_only(rows.type, np.uint8),
        points=read_only(rows.points, np.int64),
        related=read_only(rows.related, np.int64),
    )


_WRONG = {
    row_checks.UNSORTED: "is out of order",
    row_checks.NOT_BEFORE_AT: "was not created before the instant asked for",
    row_checks.BAD_DATES: "activates before it was created, or never",
    row_checks.BAD_TYPE: "has an unknown type",
    row_checks.WRONG_SIGN: "has a sign that its type does not allow",
}


def _inspected(ledger: kernel.Ledger, at: int) -> tuple[int, int]:
    """(most lots of one account, all lots)."""
    lengths = {getattr(ledger, name).size for name in ledger._fields if name != "account_start"}
    if lengths != {int(ledger.account_start[-1])} or ledger.account_start[0] != 0:
        raise ValueError(
            f"the accounts end at row {ledger.account_start[-1]}, the columns have {lengths} rows"
        )
    if ledger.points.size >= 2**31 or not -NEVER < at < NEVER:
        raise ValueError(f"{ledger.points.size} rows at {at} are out of range")
    wrong, row, most_lots, all_lots = row_checks.inspect(ledger, at)
    if wrong == row_checks.TOO_LARGE:
        raise LedgerViolation(f"the points of the account that begins at row {row} exceed 64 bits in sum")
    if wrong != row_checks.SOUND:
        raise ValueError(f"row {row} {_WRONG[wrong]}")
    return most_lots, all_lots


def warm() -> None:
    """Compiles all of booking, or loads it from numba's cache, by booking one row: to be called at install.

    The cache lies beside these files, or in NUMBA_CACHE_DIR where that is set; without it the first run of a
    process pays some ten seconds.
    """
    # Only here: invariants check what this module gives, so they import it.
    from include.ledger.invariants import chain_violations, identity_violations

    text = pa.array(["one"])
    account = AccountColumns(text, text, text, text)
    hashes, one = account_hashes(*account), np.ones(1, np.int64)
    text_hashes(text)
    order = sort_order(hashes, one, one.astype(np.uint8) * TransactionType.EARNED, one, text, account)
    rows = Rows(
        account_starts(hashes, account), one, one, one + 1, order.astype(np.uint8), one, one * NO_RELATED
    )
    booked = book(rows, 2, allocations=True)
    if identity_violations(booked).size or chain_violations(booked).size:
        raise AssertionError("one earned point does not add up")
