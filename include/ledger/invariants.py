"""What must hold in every run before anything leaves (docs/ledger.md sections 4 and 5), and what is reported.

The checks are sums of their own over the rows and what booking left of them; they share no code with it.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

from include.ledger.booking import Booked
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
    active or debt is zero; the figures are the sums of what is left of each lot, owed of each debit, and
    expired by each event; and what posted expiries confirm is what is no longer unposted.
    """
    broken = np.zeros(booked.rows.accounts_count, np.bool_)
    _check_identity(
        *_read_only(booked.rows.account_start, booked.rows.type, booked.rows.points),
        *_read_only(booked.points_change, booked.left),
        *_read_only(booked.active, booked.pending, booked.expired, booked.debt),
        *_read_only(booked.expiry_lot, booked.expiry_points, booked.expiry_unposted),
        broken,
    )
    return np.flatnonzero(broken)


def chain_violations(booked: Booked) -> Ints:
    """Indices of the accounts whose history does not chain; empty when all is well.

    Each balance is the one before plus the change of its row or expiry, and the last is active + pending - debt.
    """
    broken = np.zeros(booked.rows.accounts_count, np.bool_)
    _check_chain(
        *_read_only(booked.rows.account_start, booked.points_change, booked.balance_after),
        *_read_only(booked.active, booked.pending, booked.debt),
        *_read_only(booked.expiry_points, booked.expiry_balance_after, booked.expiry_before_row),
        broken,
    )
    return np.flatnonzero(broken)


def _read_only(*arrays: NDArray[np.generic]) -> list[NDArray[np.generic]]:
    # Compiled code is specialised by mutability: one version of it serves all.
    views = [np.ascontiguousarray(array).view() for array in arrays]
    for view in views:
        view.flags.writeable = False
    return views


@njit(nogil=True, cache=True)
def _check_identity(
    account_start,
    kind,
    points,
    change,
    left,
    active,
    pending,
    expired,
    debt,
    expiry_lot,
    expiry_points,
    expiry_unposted,
    broken,
):
    expiry = 0
    for account in range(broken.size):
        posted = outstanding = owed = lapsed = unconfirmed = 0
        sound = True
        for row in range(account_start[account], account_start[account + 1]):
            sound &= 0 <= left[row] <= abs(points[row])
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
        sound &= owed == debt[account] and lapsed == expired[account]
        sound &= unconfirmed == 0
        sound &= active[account] == 0 or debt[account] == 0
        broken[account] = not sound


@njit(nogil=True, cache=True)
def _check_chain(
    account_start, change, balance_after, active, pending, debt, expiry_points, expiry_balance, expiry_before, broken
):
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
