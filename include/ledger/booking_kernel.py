"""Booking, compiled: the replay of docs/ledger.md section 3 over the rows of whole accounts.

Two heaps per account hold its open lots. `usable` is ordered by rule 2, so that its top is at once the lot
that the next debit uses and the lot that expires next; `waiting` (created, not yet active) is ordered by
activation. Time passes lazily: before a row is booked, the expiries and activations up to it are. Every row
enters and leaves each heap at most once, so an account of n rows costs O(n log n).

Lots and debits are row indices. `left[row]` is what is still open of a row: of a lot its remainder, of a
debit what is owed, of a posted expiry what nothing could cover. numba's cache looks only at this file: who
changes lot_heaps.py or the numbers in rows.py changes this one too.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from include.ledger.compiled import compiled
from include.ledger.lot_heaps import pop, precedes, push
from include.ledger.rows import NEVER, NO_RELATED, Ints, RowProblem, TransactionType

_EARNED = int(TransactionType.EARNED)
_REVERSED = int(TransactionType.EARNED_REVERSED)
_REDEEMED = int(TransactionType.REDEEMED)
_REFUNDED = int(TransactionType.REDEMPTION_REFUNDED)
_ADJUSTED = int(TransactionType.ADJUSTED)
_EXPIRED = int(TransactionType.EXPIRED)
_TRANSFERRED_IN = int(TransactionType.TRANSFERRED_IN)

_REVERSAL_TARGET_MISSING = int(RowProblem.REVERSAL_TARGET_MISSING)
_REVERSAL_TARGET_DOUBLED = int(RowProblem.REVERSAL_TARGET_DOUBLED)
_REVERSAL_OF_EXPIRED = int(RowProblem.REVERSAL_OF_EXPIRED)
_DEBIT_BEFORE_ANY_EARN = int(RowProblem.DEBIT_BEFORE_ANY_EARN)
_EXPIRED_TOO_MUCH = int(RowProblem.EXPIRED_MORE_THAN_OUTSTANDING)
_ZERO_POINTS = int(RowProblem.ZERO_POINTS)
_WITHOUT_EXPIRY = int(RowProblem.WITHOUT_EXPIRY)
_EXPIRY_TARGET_MISSING = int(RowProblem.EXPIRY_TARGET_MISSING)
_EXPIRES_BEFORE_USABLE = int(RowProblem.EXPIRES_BEFORE_USABLE)

AT_DEBIT, REPAYMENT, POSTED_EXPIRY = 0, 1, 2  # kinds of allocation


class State:
    """Where booking stands: one record of 64-bit integers, so that compiled functions can share it."""

    first: int  # row of the account, of its
    active: int
    pending: int
    debt: int
    expired: int
    lots: int  # created so far
    usable: int  # size of the heap
    waiting: int  # size of the heap
    oldest_debt: int  # no debit before this row is owed anything
    expiries: int  # derived so far, in all accounts
    first_expiry: int  # of the account
    oldest_unposted: int  # no expiry of the account before this one is unposted
    allocations: int  # so far, in all accounts
    keep: int  # whether allocations are kept


STATE = np.dtype([(name, np.int64) for name in State.__annotations__])


class Ledger(NamedTuple):
    """The rows, read only."""

    account_start: Ints
    created_at: Ints
    activates_at: Ints
    expires_at: Ints
    type: NDArray[np.uint8]
    points: Ints
    related: Ints


class Work(NamedTuple):
    """What booking writes: per row, then per derived expiry, then per allocation; and its own heaps."""

    points_change: Ints
    balance_after: Ints
    left: Ints
    problem: NDArray[np.uint16]
    expiry_lot: Ints
    expiry_points: Ints
    expiry_balance_after: Ints
    expiry_before_row: Ints
    expiry_unposted: Ints
    allocation_debit: Ints
    allocation_lot: Ints
    allocation_points: Ints
    allocation_at: Ints
    allocation_kind: NDArray[np.uint8]
    usable: NDArray[np.int32]
    waiting: NDArray[np.int32]
    reversed_points: Ints  # of a lot: by the reversals that named it
    lapsed: Ints  # of a lot: what of it expired, by itself or by a posted expiry


@compiled
def creates(kind: int, points: int) -> bool:
    """Whether a row stands with the creations of its instant (a zero-point row by what its type makes)."""
    if points != 0:
        return points > 0
    return kind in (_EARNED, _REFUNDED, _TRANSFERRED_IN)


@compiled
def _allocate(work: Work, state: State, debit: int, lot: int, points: int, at: int, kind: int) -> None:
    work.left[lot] -= points
    if state.keep:
        i = state.allocations
        work.allocation_debit[i] = debit
        work.allocation_lot[i] = lot
        work.allocation_points[i] = points
        work.allocation_at[i] = at
        work.allocation_kind[i] = kind
        state.allocations += 1


@compiled
def _expire(work: Work, state: State, lot: int, before_row: int) -> None:
    points = work.left[lot]
    work.left[lot] = 0
    work.lapsed[lot] += points
    state.expired += points
    i = state.expiries
    work.expiry_lot[i] = lot
    work.expiry_points[i] = points
    work.expiry_unposted[i] = points
    work.expiry_balance_after[i] = state.active + state.pending - state.debt
    work.expiry_before_row[i] = before_row
    state.expiries += 1


@compiled
def _expire_at(ledger: Ledger, work: Work, state: State, instant: int, before_row: int) -> None:
    """Rules 3 and 7 at one instant, in the order of rule 2."""
    expires_at, activates_at = ledger.expires_at, ledger.activates_at
    while True:
        ends = state.usable > 0 and expires_at[work.usable[0]] == instant
        unused = (
            state.waiting > 0
            and activates_at[work.waiting[0]] == instant
            and expires_at[work.waiting[0]] <= instant
        )
        if unused and ends:
            unused = precedes(work.waiting[0], work.usable[0], expires_at, activates_at)
        if unused:
            lot = work.waiting[0]
            pop(work.waiting, state.waiting, activates_at, expires_at)
            state.waiting -= 1
            state.pending -= work.left[lot]
        elif ends:
            lot = work.usable[0]
            pop(work.usable, state.usable, expires_at, activates_at)
            state.usable -= 1
            state.active -= work.left[lot]
        else:
            return
        if work.left[lot] > 0:
            _expire(work, state, lot, before_row)


@compiled
def _repay(ledger: Ledger, work: Work, state: State, lot: int, instant: int) -> None:
    """Rule 4: a lot that becomes usable repays the oldest debts. Debts are debit rows with something left."""
    while state.debt > 0 and work.left[lot] > 0:
        debit = state.oldest_debt
        while ledger.points[debit] >= 0 or ledger.type[debit] == _EXPIRED or work.left[debit] == 0:
            debit += 1
        state.oldest_debt = debit
        points = min(work.left[debit], work.left[lot])
        work.left[debit] -= points
        state.debt -= points
        state.active -= points
        _allocate(work, state, debit, lot, points, instant, REPAYMENT)


@compiled
def _pass_time(ledger: Ledger, work: Work, state: State, until: int, before_row: int) -> None:
    """Books the expiries and activations with instant <= until, before the row `before_row`."""
    expires_at, activates_at = ledger.expires_at, ledger.activates_at
    while True:
        instant = NEVER
        if state.usable > 0:
            instant = expires_at[work.usable[0]]
        if state.waiting > 0:
            instant = min(instant, activates_at[work.waiting[0]])
        if instant > until:
            return
        _expire_at(ledger, work, state, instant, before_row)
        while state.waiting > 0 and activates_at[work.waiting[0]] == instant:
            lot = work.waiting[0]
            pop(work.waiting, state.waiting, activates_at, expires_at)
            state.waiting -= 1
            if work.left[lot] > 0:
                state.pending -= work.left[lot]
                state.active += work.left[lot]
                _repay(ledger, work, state, lot, instant)
            if work.left[lot] > 0:
                push(work.usable, state.usable, lot, expires_at, activates_at)
                state.usable += 1


@compiled
def _use_lots(ledger: Ledger, work: Work, state: State, row: int, demand: int, kind: int) -> int:
    """Rule 2: takes up to `demand` from usable lots; returns what they could not give."""
    while demand > 0 and state.usable > 0:
        lot = work.usable[0]
        points = min(work.left[lot], demand)
        if points > 0:
            demand -= points
            state.active -= points
            if kind == POSTED_EXPIRY:
                work.lapsed[lot] += points
            _allocate(work, state, row, lot, points, ledger.created_at[row], kind)
        if work.left[lot] == 0:
            pop(work.usable, state.usable, ledger.expires_at, ledger.activates_at)
            state.usable -= 1
    return demand


@compiled
def _related_lot(ledger: Ledger, state: State, row: int) -> int:
    """The lot that a row names, if it is an earlier lot of the account; else -1."""
    lot = ledger.related[row]
    if lot < state.first or lot >= row or ledger.points[lot] <= 0:
        return -1
    return int(lot)


@compiled
def _expiry_of(ledger: Ledger, work: Work, state: State, lot: int) -> int:
    """Which derived expiry was the lot's; -1 if none. They stand in order of instant, then of rule 2."""
    low, high = state.first_expiry, state.expiries
    instant = max(ledger.expires_at[lot], ledger.activates_at[lot])
    while low < high:
        middle = (low + high) >> 1
        other = work.expiry_lot[middle]
        other_instant = max(ledger.expires_at[other], ledger.activates_at[other])
        if other_instant < instant or (
            other_instant == instant and precedes(other, lot, ledger.expires_at, ledger.activates_at)
        ):
            low = middle + 1
        else:
            high = middle
    return low if low < state.expiries and work.expiry_lot[low] == lot else -1


@compiled
def _book_posted_expiry(ledger: Ledger, work: Work, state: State, row: int) -> int:
    """Rule 6. Returns how many points expired by this row (its excess over what it confirms)."""
    demand = -ledger.points[row]
    excess = 0
    if ledger.related[row] == NO_RELATED:
        while demand > 0 and state.oldest_unposted < state.expiries:
            confirmed = min(demand, work.expiry_unposted[state.oldest_unposted])
            work.expiry_unposted[state.oldest_unposted] -= confirmed
            demand -= confirmed
            if work.expiry_unposted[state.oldest_unposted] == 0:
                state.oldest_unposted += 1
        excess = demand
        demand = _use_lots(ledger, work, state, row, demand, POSTED_EXPIRY)
        excess -= demand
    else:
        lot = _related_lot(ledger, state, row)
        if lot < 0:
            work.problem[row] |= _EXPIRY_TARGET_MISSING
        else:
            expiry = _expiry_of(ledger, work, state, lot)
            if expiry >= 0:
                confirmed = min(demand, work.expiry_unposted[expiry])
                work.expiry_unposted[expiry] -= confirmed
                demand -= confirmed
            if ledger.activates_at[lot] <= ledger.created_at[row] and work.left[lot] > 0:
                excess = min(demand, work.left[lot])
                demand -= excess
                if excess > 0:
                    state.active -= excess
                    work.lapsed[lot] += excess
                    _allocate(work, state, row, lot, excess, ledger.created_at[row], POSTED_EXPIRY)
    if demand > 0:
        work.problem[row] |= _EXPIRED_TOO_MUCH
    work.left[row] = demand
    state.expired += excess
    return excess


@compiled
def _book_debit(ledger: Ledger, work: Work, state: State, row: int) -> None:
    """Rules 2, 4 and 5."""
    demand = -ledger.points[row]
    now = ledger.created_at[row]
    if state.lots == 0:
        work.problem[row] |= _DEBIT_BEFORE_ANY_EARN
    if ledger.type[row] == _REVERSED:
        lot = _related_lot(ledger, state, row)
        if lot < 0:
            work.problem[row] |= _REVERSAL_TARGET_MISSING
        else:
            earlier = work.reversed_points[lot]
            if earlier > 0 and earlier + demand > ledger.points[lot]:
                work.problem[row] |= _REVERSAL_TARGET_DOUBLED
            work.reversed_points[lot] = earlier + demand
            if work.lapsed[lot] > 0 and work.left[lot] < demand:
                work.problem[row] |= _REVERSAL_OF_EXPIRED
            points = min(work.left[lot], demand)
            if points > 0:
                demand -= points
                if ledger.activates_at[lot] <= now:
                    state.active -= points
                else:
                    state.pending -= points
                _allocate(work, state, row, lot, points, now, AT_DEBIT)
    demand = _use_lots(ledger, work, state, row, demand, AT_DEBIT)
    work.left[row] = demand
    state.debt += demand


@compiled
def _book_creation(ledger: Ledger, work: Work, state: State, row: int) -> None:
    work.left[row] = ledger.points[row]
    state.pending += ledger.points[row]
    state.lots += 1
    push(work.waiting, state.waiting, row, ledger.activates_at, ledger.expires_at)
    state.waiting += 1
    kind = ledger.type[row]
    if ledger.expires_at[row] == NEVER and kind in (_REFUNDED, _TRANSFERRED_IN):
        work.problem[row] |= _WITHOUT_EXPIRY
    if ledger.expires_at[row] <= ledger.activates_at[row]:
        work.problem[row] |= _EXPIRES_BEFORE_USABLE


@compiled
def book_accounts(
    ledger: Ledger, at: int, work: Work, figures: Ints, states: NDArray[np.void]
) -> tuple[int, int]:
    """Books every account up to `at`; returns the counts of derived expiries and of allocations.

    figures: int64[9, accounts], filled with active, pending, expired, debt, redeemed, refunded,
    lifetime_earned, posted, last_activity_at (-1: none). states: one zeroed STATE record whose `keep` says
    whether allocations are kept.
    """
    state = states[0]
    for account in range(ledger.account_start.size - 1):
        first, end = ledger.account_start[account], ledger.account_start[account + 1]
        state.first = first
        state.oldest_debt = first
        state.first_expiry = state.expiries
        state.oldest_unposted = state.expiries
        state.active = state.pending = state.debt = state.expired = state.lots = 0
        state.usable = state.waiting = 0
        redeemed = refunded = earned = posted = 0
        last_activity_at = -1
        for row in range(first, end):
            kind, points = ledger.type[row], ledger.points[row]
            change = points
            if creates(kind, points):
                # Creations come before the expiries and activations of their instant, debits after.
                _pass_time(ledger, work, state, ledger.created_at[row] - 1, row)
                if points > 0:
                    _book_creation(ledger, work, state, row)
            else:
                _pass_time(ledger, work, state, ledger.created_at[row], row)
                if kind == _EXPIRED:
                    change = -_book_posted_expiry(ledger, work, state, row)
                elif points < 0:
                    _book_debit(ledger, work, state, row)
            if points == 0:
                work.problem[row] |= _ZERO_POINTS
            work.points_change[row] = change
            work.balance_after[row] = state.active + state.pending - state.debt
            if kind != _EXPIRED:
                posted += points
                last_activity_at = ledger.created_at[row]
            if kind == _EARNED:
                earned += points
            elif kind == _REDEEMED:
                redeemed -= points
            elif kind == _REFUNDED:
                refunded += points
        _pass_time(ledger, work, state, at, end)
        figures[0, account], figures[1, account] = state.active, state.pending
        figures[2, account], figures[3, account] = state.expired, state.debt
        figures[4, account], figures[5, account] = redeemed, refunded
        figures[6, account], figures[7, account] = earned, posted
        figures[8, account] = last_activity_at
    return state.expiries, state.allocations
