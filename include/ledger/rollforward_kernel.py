"""Cohorts of booked points, compiled: the issue month that a movement belongs to (docs/ledger.md section 6).

Everything is a sum of integers over (group of accounts, cohort, component). A lot is of the cohort that it
was created in, except that points keep their cohort when they move:

- A refund is of the cohorts of the lots that its redemption had used, first used first; several refunds of
  one redemption take up where the one before stopped. What the redemption had not taken from a lot before
  the refund's instant, and a refund without a known redemption, is of the refund's own cohort.
- A transfer is of the cohorts that the other half had used. That half lies in another account and perhaps in
  another partition, so what touches such a lot is kept as a trace, (row, offset into its points, points), and
  `transfers.py` resolves it at the end.

Points of one lot leave it in the order in which they came in. Everything compiled stays in this one file:
numba's cache looks only at the file of the function that is called.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from include.ledger.compiled import compiled
from include.ledger.rows import Ints, TransactionType

EARNED, EARNED_REVERSED, REDEEMED, REFUNDED, ADJUSTED_UP, ADJUSTED_DOWN, EXPIRED = range(7)
TRANSFERRED_IN, TRANSFERRED_OUT = 7, 8
REPAID = 9  # points of a cohort that repaid debt
REDEEMED_LATER, REVERSED_LATER = 10, 11  # of those, the debt of redemptions and of earn reversals
DEBT, DEBT_REPAID = 12, 13  # of cohort `none` only
OUTSTANDING = 14  # and one component more for each further class of lots
NO_COHORT = 0  # index of cohort `none`
AT_DEBIT, AS_REPAYMENT, AS_EXPIRY = 0, 1, 2  # kinds of allocation, as booking has them

_REDEMPTION = int(TransactionType.REDEEMED)
_REFUND = int(TransactionType.REDEMPTION_REFUNDED)
_POSTED_EXPIRY = int(TransactionType.EXPIRED)
_TRANSFER_IN = int(TransactionType.TRANSFERRED_IN)
_TRANSFER_OUT = int(TransactionType.TRANSFERRED_OUT)
_REVERSAL = int(TransactionType.EARNED_REVERSED)

_CREATED = np.array([EARNED, -1, -1, REFUNDED, ADJUSTED_UP, -1, TRANSFERRED_IN, -1], np.int64)
_DEBITED = np.array([-1, EARNED_REVERSED, REDEEMED, -1, ADJUSTED_DOWN, -1, -1, TRANSFERRED_OUT], np.int64)


class Booking(NamedTuple):
    """A booked partition as the kernel reads it."""

    account_start: Ints
    group: Ints  # per account
    program: Ints  # per account: index into `developed`
    created_at: Ints
    type: NDArray[np.uint8]
    points: Ints
    related: Ints
    cohort: NDArray[np.int32]  # per row: index of the cohort that it is created in
    lot_class: NDArray[np.int8]  # per row: which component above OUTSTANDING its remainder is counted in
    left: Ints
    debt: Ints  # per account
    expiry_lot: Ints
    expiry_points: Ints
    debit: Ints
    lot: Ints
    allocated: Ints
    allocated_at: Ints
    kind: NDArray[np.uint8]
    month: NDArray[np.int32]  # per allocation: index of the cohort that is created when it happens


class Moves(NamedTuple):
    """Lots whose points came from other lots, each by row. Empty when cohorts are not asked for."""

    lots: Ints  # refunds and transfers in, ascending
    targets: Ints  # redemptions that refunds name, ascending
    refund_first: (
        Ints  # targets + 1: the refunds of target i are refunds[refund_first[i]:refund_first[i + 1]]
    )
    refunds: Ints  # rows, ascending within a target
    keep_sent: bool  # whether to trace what transfers send


class Traces(NamedTuple):
    """Room for what cannot be attributed inside a partition; columns as `Tracked` in transfers.py says."""

    events: NDArray[np.int64]  # transfer row, offset, points, component, group, program, month
    sent: NDArray[np.int64]  # transferred_out row, cohort or -1, transfer row or -1, offset, points
    used: NDArray[np.int64]  # pieces that refunded redemptions used: cohort, row, offset, points, at, next
    pieces: NDArray[np.int64]  # pieces of refunds: cohort, row, offset, points


EVENT_COLUMNS, SENT_COLUMNS, USED_COLUMNS, PIECE_COLUMNS = 7, 5, 6, 4


class State(NamedTuple):
    """What the kernel remembers while it walks."""

    counts: Ints  # how many events, sent, used and pieces are filled
    lots: Ints  # per moved lot: first piece (-1: not built), end, current piece, points gone of it
    targets: Ints  # per target: head and tail of its used pieces, next refund, points refunded
    piece: Ints  # the piece in hand: cohort (-1: a transfer's), transfer row, offset


class Work(NamedTuple):
    """All that the kernel reads and writes; sums and developed as `accumulate` says."""

    booking: Booking
    moves: Moves
    sums: NDArray[np.int64]
    developed: NDArray[np.int64]
    traces: Traces
    state: State


@compiled
def _find(rows: Ints, row: int) -> int:
    """Where `row` stands in ascending `rows`; -1 where it does not."""
    low, high = 0, rows.size
    while low < high:
        middle = (low + high) >> 1
        if rows[middle] < row:
            low = middle + 1
        else:
            high = middle
    return low if low < rows.size and rows[low] == row else -1


@compiled
def _emit(work: Work, points: int, component: int, account: int, month: int) -> bool:
    """Counts points of the piece in hand; those of a transfer become a trace. False when there is no room."""
    cohort, group = work.state.piece[0], work.booking.group[account]
    if cohort >= 0:
        work.sums[group, cohort, component] += points
        if work.developed.size and month >= 0:
            work.developed[work.booking.program[account], cohort, month] += (
                -points if component == REFUNDED else points
            )
        return True
    if work.state.counts[0] == work.traces.events.shape[0]:
        return False
    event = work.traces.events[work.state.counts[0]]
    event[0], event[1], event[2], event[3] = work.state.piece[1], work.state.piece[2], points, component
    event[4], event[5], event[6] = group, work.booking.program[account], month
    work.state.counts[0] += 1
    return True


@compiled
def _add_piece(work: Work, cohort: int, row: int, offset: int, points: int) -> bool:
    at = work.state.counts[3]
    if at == work.traces.pieces.shape[0]:
        return False
    piece = work.traces.pieces[at]
    piece[0], piece[1], piece[2], piece[3] = cohort, row, offset, points
    work.state.counts[3] += 1
    return True


@compiled
def _build_refund(work: Work, target: int, row: int, lot: int) -> bool:
    """Finds the pieces of one refund among what its redemption had used before it."""
    points, at = work.booking.points[row], work.booking.created_at[row]
    work.state.lots[lot, 0] = work.state.lots[lot, 2] = work.state.counts[3]
    skip = 0
    i = -1
    if target >= 0:
        skip = work.state.targets[target, 3]
        work.state.targets[target, 3] += points
        i = work.state.targets[target, 0]
    while i >= 0 and points > 0:
        used = work.traces.used[i]
        i = used[5]
        if used[4] >= at:
            continue
        if skip >= used[3]:
            skip -= used[3]
            continue
        taken = min(points, used[3] - skip)
        if not _add_piece(work, used[0], used[1], used[2] + skip, taken):
            return False
        points -= taken
        skip = 0
    if points > 0 and not _add_piece(work, work.booking.cohort[row], -1, 0, points):
        return False
    work.state.lots[lot, 1] = work.state.counts[3]
    return True


@compiled
def _open_refund(work: Work, row: int, lot: int, account: int) -> bool:
    """Builds a refund, and before it the earlier ones of the same redemption; counts them as refunded."""
    target = _find(work.moves.targets, work.booking.related[row])
    while work.state.lots[lot, 0] < 0:
        built_row, built = row, lot
        if target >= 0:
            built_row = work.moves.refunds[work.moves.refund_first[target] + work.state.targets[target, 2]]
            built = _find(work.moves.lots, built_row)
            work.state.targets[target, 2] += 1
        if not _build_refund(work, target, built_row, built):
            return False
        for i in range(work.state.lots[built, 0], work.state.lots[built, 1]):
            piece = work.traces.pieces[i]
            work.state.piece[0], work.state.piece[1], work.state.piece[2] = piece[0], piece[1], piece[2]
            month = work.booking.cohort[built_row]
            if not _emit(work, piece[3], REFUNDED, account, month):
                return False
    return True


@compiled
def _next_piece(work: Work, row: int, points: int) -> int:
    """Takes the next piece of at most `points` out of a lot, into the hand; returns its points."""
    kind = work.booking.type[row]
    lot = -1
    if kind in (_REFUND, _TRANSFER_IN):
        lot = _find(work.moves.lots, row)
    if lot < 0:
        work.state.piece[0], work.state.piece[1], work.state.piece[2] = work.booking.cohort[row], -1, 0
        return points
    at = work.state.lots[lot]
    if kind == _TRANSFER_IN:
        work.state.piece[0], work.state.piece[1], work.state.piece[2] = -1, row, at[3]
        at[3] += points
        return points
    piece = work.traces.pieces[at[2]]
    taken = int(min(points, piece[3] - at[3]))
    work.state.piece[0], work.state.piece[1], work.state.piece[2] = piece[0], piece[1], piece[2] + at[3]
    at[3] += taken
    if at[3] == piece[3]:
        at[2] += 1
        at[3] = 0
    return taken


@compiled
def _log_use(work: Work, target: int, points: int, at: int) -> bool:
    """Remembers the piece in hand as used by a redemption that is refunded."""
    i = work.state.counts[2]
    if i == work.traces.used.shape[0]:
        return False
    used = work.traces.used[i]
    used[0], used[1], used[2], used[3] = work.state.piece[0], work.state.piece[1], work.state.piece[2], points
    used[4], used[5] = at, -1
    if work.state.targets[target, 0] < 0:
        work.state.targets[target, 0] = i
    else:
        work.traces.used[work.state.targets[target, 1], 5] = i
    work.state.targets[target, 1] = i
    work.state.counts[2] += 1
    return True


@compiled
def _log_sent(work: Work, row: int, points: int) -> bool:
    """Remembers the piece in hand as sent by a transfer."""
    i = work.state.counts[1]
    if i == work.traces.sent.shape[0]:
        return False
    sent = work.traces.sent[i]
    sent[0], sent[1], sent[2] = row, work.state.piece[0], work.state.piece[1]
    sent[3], sent[4] = work.state.piece[2], points
    work.state.counts[1] += 1
    return True


@compiled
def _count_allocation(work: Work, i: int, account: int) -> bool:
    debit, lot, left, kind = (
        work.booking.debit[i],
        work.booking.lot[i],
        work.booking.allocated[i],
        work.booking.kind[i],
    )
    group, type_ = work.booking.group[account], work.booking.type[debit]
    component, again, month = _DEBITED[type_], -1, -1
    if kind == AS_EXPIRY:
        component = EXPIRED
    elif kind == AS_REPAYMENT:
        component = REPAID
        work.sums[group, NO_COHORT, DEBT_REPAID] += left
        if type_ == _REDEMPTION:
            again = REDEEMED_LATER
        elif type_ == _REVERSAL:
            again = REVERSED_LATER
    else:
        work.sums[group, NO_COHORT, component] -= left  # the whole debit was counted there
        if type_ == _REDEMPTION:
            month = work.booking.month[i]
    target = _find(work.moves.targets, debit) if type_ == _REDEMPTION and work.moves.targets.size else -1
    while left > 0:
        points = _next_piece(work, lot, left)
        left -= points
        if not _emit(work, points, component, account, month):
            return False
        if again >= 0:
            later = work.booking.month[i] if again == REDEEMED_LATER else -1
            if not _emit(work, points, again, account, later):
                return False
        if target >= 0 and not _log_use(work, target, points, work.booking.allocated_at[i]):
            return False
        if (
            type_ == _TRANSFER_OUT
            and kind == AT_DEBIT
            and work.moves.keep_sent
            and not _log_sent(work, debit, points)
        ):
            return False
    return True


@compiled
def _count_rest(work: Work, row: int, left: int, component: int, account: int) -> bool:
    while left > 0:
        points = _next_piece(work, row, left)
        left -= points
        if not _emit(work, points, component, account, -1):
            return False
    return True


@compiled
def _count_row(work: Work, row: int, account: int) -> bool:
    """Counts what a row says by itself: a creation in its cohort, a debit in `none` until it is allocated."""
    kind, points = work.booking.type[row], work.booking.points[row]
    if points > 0:
        lot = _find(work.moves.lots, row) if kind in (_REFUND, _TRANSFER_IN) else -1
        work.state.piece[0], work.state.piece[1], work.state.piece[2] = work.booking.cohort[row], -1, 0
        if lot >= 0:
            if kind == _REFUND:
                return True
            work.state.piece[0], work.state.piece[1] = -1, row
        month = work.booking.cohort[row] if kind == _REFUND else -1
        return _emit(work, points, _CREATED[kind], account, month)
    if kind != _POSTED_EXPIRY:
        work.sums[work.booking.group[account], NO_COHORT, _DEBITED[kind]] -= points
    return True


@compiled
def _count_creations(work: Work, end: int, moved: int, account: int) -> int:
    """Counts the refunds that no debit has touched; they stand from `moved` on among the moved lots.

    Returns where those of the next account begin, -1 when there is no room.
    """
    while moved < work.moves.lots.size and work.moves.lots[moved] < end:
        row = work.moves.lots[moved]
        if work.booking.type[row] == _REFUND and not _open_refund(work, row, moved, account):
            return -1
        moved += 1
    return moved


@compiled
def _count_remainders(work: Work, first: int, end: int, account: int) -> bool:
    booking = work.booking
    for row in range(first, end):
        if booking.points[row] > 0 and booking.left[row] > 0:
            component = OUTSTANDING + booking.lot_class[row]
            if not _count_rest(work, row, booking.left[row], component, account):
                return False
    return True


@compiled
def accumulate(work: Work) -> bool:
    """Adds a partition to `sums` (groups, cohorts, components) and `developed` (programs, cohorts, months).

    `developed` counts redeemed points, refunds subtracted, of a cohort by the month they were redeemed in;
    of size 0 it is left out. Returns False when `traces` has too little room: begin again with more, and
    with clean sums.
    """
    booking, moves = work.booking, work.moves
    allocation = expiry = moved = 0
    room = True
    for account in range(booking.account_start.size - 1):
        first, end = booking.account_start[account], booking.account_start[account + 1]
        for row in range(first, end):
            room = room and _count_row(work, row, account)
        while allocation < booking.debit.size and booking.debit[allocation] < end:
            row = booking.lot[allocation]
            if booking.type[row] == _REFUND and moves.lots.size:
                room = room and _open_refund(work, row, _find(moves.lots, row), account)
            room = room and _count_allocation(work, allocation, account)
            allocation += 1
        if room:
            moved = _count_creations(work, end, moved, account)
            room = moved >= 0
        while expiry < booking.expiry_lot.size and booking.expiry_lot[expiry] < end:
            lot, points = booking.expiry_lot[expiry], booking.expiry_points[expiry]
            room = room and _count_rest(work, lot, points, EXPIRED, account)
            expiry += 1
        room = room and _count_remainders(work, first, end, account)
        work.sums[booking.group[account], NO_COHORT, DEBT] += booking.debt[account]
        if not room:
            return False
    return True
