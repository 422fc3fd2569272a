"""What must hold in every run before anything leaves (docs/ledger.md sections 4 and 5), and what is reported.

The checks are sums of their own over the rows and what booking left of them; they share no code with it.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from include.ledger.booking import Booked
from include.ledger.compiled import compiled, read_only
from include.ledger.rows import Ints, RowProblem, TransactionType

_EXPIRED = int(TransactionType.EXPIRED)

PROBLEM_SENTENCES: dict[RowProblem, str] = {
    RowProblem.REVERSAL_TARGET_MISSING: "reverses no earlier lot of its account; booked like any debit",
    RowProblem.REVERSAL_TARGET_DOUBLED: "reverses a lot that was already reversed; the rest came from other lots",
    RowProblem.REVERSAL_OF_EXPIRED: "reverses a lot that has expired; the rest came from other lots",
    RowProblem.DEBIT_BEFORE_ANY_EARN: "takes points before the account had any",
    RowProblem.EXPIRED_MORE_THAN_OUTSTANDING: "expires more points than there were; the rest is counted nowhere",
    RowProblem.ZERO_POINTS: "has zero points and changes nothing",
    RowProblem.WITHOUT_EXPIRY: "brings in refunded or transferred points that never expire",
    RowProblem.CREATED_AFTER_KNOWN: "was created after the instant up to which rows are known",
    RowProblem.EXPIRY_TARGET_MISSING: "expires no earlier lot of its account; it expired nothing",
    RowProblem.EXPIRES_BEFORE_USABLE: "brings in points that expire before they can be used",
}


def problem_codes(problem: int) -> tuple[str, ...]:
    """The short stable names of the problems of one row: `('reversal_of_expired',)`."""
    return tuple(flag.name.lower() for flag in PROBLEM_SENTENCES if problem & flag and flag.name)


def identity_violations(booked: Booked) -> Ints:
    """Indices of the accounts whose figures do not add up; empty when all is well.

    sum(points of posted rows except type expired) - expired = active + pending - debt, to the hundredth;
    active or debt is zero; the figures are the sums of what is left of each lot, owed of each debit, expired
    by each event, and expired of each lot; and what posted expiries confirm is what is no longer unposted.
    """
    rows = booked.rows
    broken = np.zeros(rows.accounts_count, np.bool_)
    _check_identity(
        read_only(rows.account_start, np.int64),
        read_only(rows.type, np.uint8),
        read_only(rows.points, np.int64),
        read_only(booked.points_change, np.int64),
        read_only(booked.left, np.int64),
        read_only(booked.lapsed, np.int64),
        read_only(booked.active, np.int64),
        read_only(booked.pending, np.int64),
        read_only(booked.expired, np.int64),
        read_only(booked.debt, np.int64),
        read_only(booked.expiry_lot, np.int64),
        read_only(booked.expiry_points, np.int64),
        read_only(booked.expiry_unposted, np.int64),
        broken,
    )
    return np.flatnonzero(broken)


def chain_violations(booked: Booked) -> Ints:
    """Indices of the accounts whose history does not chain; empty when all is well.

    Each balance is the one before plus the change of its row or expiry, and the last is active + pending - debt.
    """
    rows = booked.rows
    broken = np.zeros(rows.accounts_count, np.bool_)
    _check_chain(
        read_only(rows.account_start, np.int64),
        read_only(booked.points_change, np.int64),
        read_only(booked.balance_after, np.int64),
        read_only(booked.active, np.int64),
        read_only(booked.pending, np.int64),
        read_only(booked.debt, np.int64),
        read_only(booked.expiry_points, np.int64),
        read_only(booked.expiry_balance_after, np.int64),
        read_only(booked.expiry_before_row, np.int64),
        broken,
    )
    return np.flatnonzero(broken)


@compiled
def _check_identity(
    account_start: Ints,
    kind: NDArray[np.uint8],
    points: Ints,
    change: Ints,
    left: Ints,
    lapsed_of: Ints,
    active: Ints,
    pending: Ints,
    expired: Ints,
    debt: Ints,
    expiry_lot: Ints,
    expiry_points: Ints,
    expiry_unposted: Ints,
    broken: NDArray[np.bool_],
) -> None:
    expiry = 0
    for account in range(broken.size):
        posted = outstanding = owed = lapsed = lapsed_lots = unconfirmed = 0
        sound = True
        for row in range(account_start[account], account_start[account + 1]):
            sound &= 0 <= left[row] <= abs(points[row])
            sound &= 0 <= lapsed_of[row] <= max(points[row] - left[row], 0)
            lapsed_lots += lapsed_of[row]
            if kind[row] == _EXPIRED:
                lapsed -= change[row]
                unconfirmed -= change[row] - points[row] - left[row]
                continue
            sound &= change[row] == points[row]
            posted += points[row]
            if points[row] > 0:
                outstanding += left[row]
            else:
                owed += left[row]
        while expiry < expiry_lot.size and expiry_lot[expiry] < account_start[account + 1]:
            sound &= expiry_points[expiry] > 0
            sound &= 0 <= expiry_unposted[expiry] <= expiry_points[expiry]
            lapsed += expiry_points[expiry]
            unconfirmed += expiry_points[expiry] - expiry_unposted[expiry]
            expiry += 1
        sound &= posted - expired[account] == active[account] + pending[account] - debt[account]
        sound &= outstanding == active[account] + pending[account]
        sound &= owed == debt[account] and lapsed == expired[account] == lapsed_lots
        sound &= unconfirmed == 0
        sound &= active[account] == 0 or debt[account] == 0
        broken[account] = not sound


@compiled
def _check_chain(
    account_start: Ints,
    change: Ints,
    balance_after: Ints,
    active: Ints,
    pending: Ints,
    debt: Ints,
    expiry_points: Ints,
    expiry_balance: Ints,
    expiry_before: Ints,
    broken: NDArray[np.bool_],
) -> None:
    expiry = 0
    for account in range(broken.size):
        first, end = account_start[account], account_start[account + 1]
        balance = 0
        sound = True
        for row in range(first, end + 1):
            # An expiry before the first row of the next account would read the same: there is none, as
            # nothing expires before its lot is created.
            while expiry < expiry_before.size and expiry_before[expiry] == row and row > first:
                balance -= expiry_points[expiry]
                sound &= expiry_balance[expiry] == balance
                expiry += 1
            if row < end:
                balance += change[row]
                sound &= balance_after[row] == balance
        broken[account] = not sound or balance != active[account] + pending[account] - debt[account]
