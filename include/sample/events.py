"""The movements of the sample in numbers: chunk by chunk in the order of writing, as a real ledger grows.

Only a few figures per account are kept between chunks (about 50 bytes), so any size streams. `usable` is an
estimate, good enough that debits rarely exceed what an account holds; the booking says what really was.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields

import numpy as np

from include.sample.plan import DAY, Plan
from include.sample.text import Flags, Integers

_YIELDED_ROWS = 50_000
# What an account can do is decided by what it had before the chunk: chunks are weeks, or shorter.
_CHUNK_ROWS = 50_000
_CHUNKS_A_YEAR = 52
(EARNED, EARNED_REVERSED, REDEEMED, REFUNDED, ADJUSTED, EXPIRED, TRANSFERRED_IN, TRANSFERRED_OUT) = range(8)
_REMOVED = 8  # an adjustment downwards, until its amount is known
# Shares of what is tried; what an account cannot do becomes an earn.
_MIX = {REDEEMED: 0.22, EARNED_REVERSED: 0.03, REFUNDED: 0.025, ADJUSTED: 0.02, _REMOVED: 0.02,
        TRANSFERRED_OUT: 0.03, EXPIRED: 0.001}  # fmt: skip
_LIFE = 365 * DAY
_POSTING_LAG = DAY
_HALF_LIFE = 150 * DAY
_NONE = -1


@dataclass(frozen=True)
class Events:
    """One chunk, in the order of writing. Row numbers are the numbers in transaction ids."""

    first: int
    account: Integers
    kind: Integers
    points: Integers  # hundredths, signed
    written_at: Integers
    created_at: Integers
    activates_at: Integers  # -1: null
    expires_at: Integers  # -1: null
    related: Integers  # row number, -1: none


def is_dormant(plan: Plan, account: Integers) -> Flags:
    """Return which accounts only ever earn; their expiries are posted, those of all others are not."""
    dormant: Flags = (account < plan.customers) & (account % 10 == 3)
    return dormant


class _Accounts:
    """What the generator remembers of each account."""

    def __init__(self, plan: Plan) -> None:
        self.usable = np.zeros(plan.accounts)
        self.earn = np.full(plan.accounts, _NONE)
        self.earn_points = np.zeros(plan.accounts, np.int64)
        self.redemption = np.full(plan.accounts, _NONE)
        self.redemption_points = np.zeros(plan.accounts, np.int64)
        # Posted expiries still to come, oldest first: due, account, points, lot.
        self.due = np.zeros((0, 4), np.int64)


def events(plan: Plan) -> Iterator[Events]:
    """Yield all movements, exactly `plan.transactions` of them."""
    state = _Accounts(plan)
    size = max(1, min(_CHUNK_ROWS, plan.transactions // (_CHUNKS_A_YEAR * plan.years)))
    held: list[Events] = []
    for part, first in enumerate(range(0, plan.transactions, size)):
        held.append(_chunk(plan, state, plan.random(1, part), first, min(size, plan.transactions - first)))
        if sum(len(chunk.account) for chunk in held) >= _YIELDED_ROWS:
            yield _joined(held)
            held = []
    if held:
        yield _joined(held)


def _joined(chunks: list[Events]) -> Events:
    columns = [np.concatenate([getattr(chunk, name.name) for chunk in chunks]) for name in fields(Events)[1:]]
    return Events(chunks[0].first, *columns)


def _chunk(plan: Plan, state: _Accounts, rng: np.random.Generator, first: int, count: int) -> Events:
    span = plan.end_us - plan.start_us
    opened = first / plan.transactions
    begin = plan.start_us + int(span * opened)
    end = plan.start_us + int(span * (first + count) / plan.transactions)
    state.usable *= 0.5 ** ((end - begin) / _HALF_LIFE)

    due_count = min(int(np.searchsorted(state.due[:, 0], end)), count)
    due, state.due = state.due[:due_count], state.due[due_count:]
    fresh = count - due_count
    written = np.sort(rng.integers(begin, end, fresh))
    account = _accounts(plan, rng, fresh, opened)
    kind = _kinds(plan, state, rng, account)
    _pair_transfers(plan, rng, kind, account, written, opened)

    # Put the posted expiries between them, by time.
    order = np.argsort(np.concatenate([written, np.maximum(due[:, 0], begin)]), kind="stable")
    account = np.concatenate([account, due[:, 1]])[order]
    kind = np.concatenate([kind, np.full(due_count, EXPIRED)])[order]
    written = np.concatenate([written, np.maximum(due[:, 0], begin)])[order]
    posted = np.concatenate([np.zeros(fresh, np.int64), due[:, 2]])[order]
    related = np.concatenate([np.full(fresh, _NONE), due[:, 3]])[order]

    points = _points(plan, state, rng, account, kind)
    points = np.where(posted > 0, -posted, points)
    _relate(state, kind, account, points, related, first)
    points[kind == TRANSFERRED_IN] = -points[np.flatnonzero(kind == TRANSFERRED_IN) - 1]
    kind[kind == _REMOVED] = ADJUSTED
    # Half of the posted expiries name their lot.
    related[(posted > 0) & (related % 2 == 0)] = _NONE
    result = _dates(
        plan, rng, Events(first, account, kind, points, written, written, related, related, related)
    )
    _remember(plan, state, result)
    return result


def _accounts(plan: Plan, rng: np.random.Generator, count: int, opened: float) -> Integers:
    """Draw accounts, few of them often and most of them seldom."""
    skew = rng.random(count) ** 1.4
    customer = (skew * plan.open_count(plan.customers, opened)).astype(np.int64)
    card = (skew * plan.open_count(plan.cards, opened)).astype(np.int64)
    second = rng.random(count) < 0.3
    account = np.where(rng.random(count) < 0.7, customer, plan.customers + 2 * card + second)
    account[rng.random(count) < plan.whale] = 0
    return account


def _kinds(plan: Plan, state: _Accounts, rng: np.random.Generator, account: Integers) -> Integers:
    """Draw what is tried, and turn what the account cannot do into earns."""
    edges = np.cumsum(list(_MIX.values()))
    choices = np.array([*_MIX, EARNED])
    kind = choices[np.searchsorted(edges, rng.random(len(account)), side="right")]
    kind[is_dormant(plan, account)] = EARNED
    poor = (state.usable[account] < 200) & np.isin(
        kind, (REDEEMED, EARNED_REVERSED, _REMOVED, EXPIRED, TRANSFERRED_OUT)
    )
    kind[poor] = EARNED
    for doing, remembered in ((EARNED_REVERSED, state.earn), (REFUNDED, state.redemption)):
        rows = np.flatnonzero(kind == doing)
        _, first_of_account = np.unique(account[rows], return_index=True)
        able = np.zeros(len(rows), bool)
        able[first_of_account] = True
        able &= remembered[account[rows]] != _NONE
        kind[rows[~able]] = EARNED
    return kind


def _pair_transfers(
    plan: Plan, rng: np.random.Generator, kind: Integers, account: Integers, written: Integers, opened: float
) -> None:
    """Make the row after each transfer out its other half: another purse of the card, or another customer."""
    rows = np.flatnonzero(kind == TRANSFERRED_OUT)
    alone = (rows % 2 == 1) | (rows + 1 >= len(kind))
    kind[rows[alone]] = EARNED
    rows = rows[~alone]
    source = account[rows]
    other = rng.integers(0, plan.open_count(plan.customers, opened), len(rows))
    other = np.where(other % 10 == 3, other - 1, other)
    other = np.where(other == source, np.where(source == 0, 1, 0), other)  # who joined first
    purse = plan.customers + ((source - plan.customers) ^ 1)
    account[rows + 1] = np.where(source < plan.customers, other, purse)
    kind[rows + 1] = TRANSFERRED_IN
    written[rows + 1] = written[rows]


def _points(
    plan: Plan, state: _Accounts, rng: np.random.Generator, account: Integers, kind: Integers
) -> Integers:
    """Return signed hundredths: earns from an order's size, debits from what the account holds."""
    count = len(account)
    spent = np.exp(rng.normal(3.6, 0.8, count))  # an order's price, median 37
    earned = np.maximum(1, np.where(account < plan.customers, spent, spent * 2)).astype(np.int64) * 100
    earned += np.where(rng.random(count) < 0.1, rng.integers(0, 100, count), 0)
    debit = np.isin(kind, (REDEEMED, _REMOVED, EXPIRED, TRANSFERRED_OUT))
    _, place, often = np.unique(account, return_inverse=True, return_counts=True)
    share = state.usable[account] * rng.uniform(0.1, 0.8, count) / often[place]
    used = np.maximum(100, share.astype(np.int64) // 100 * 100)
    overdrawn = (kind == REDEEMED) & (rng.random(count) < 0.004)
    used[overdrawn] += (state.usable[account][overdrawn] * 1.5).astype(np.int64) // 100 * 100 + 5000
    return np.where(debit, -used, earned)


def _relate(
    state: _Accounts, kind: Integers, account: Integers, points: Integers, related: Integers, first: int
) -> None:
    """Give reversals and refunds the row that they undo, and transfers their other half."""
    reversal, refund = kind == EARNED_REVERSED, kind == REFUNDED
    related[reversal] = state.earn[account[reversal]]
    points[reversal] = -state.earn_points[account[reversal]]
    related[refund] = state.redemption[account[refund]]
    points[refund] = state.redemption_points[account[refund]]
    incoming = np.flatnonzero(kind == TRANSFERRED_IN)
    related[incoming], related[incoming - 1] = first + incoming - 1, first + incoming


def _dates(plan: Plan, rng: np.random.Generator, rows: Events) -> Events:
    """Give lots their dates, and let some rows be known only days after they happened."""
    count, created = len(rows.account), rows.written_at.copy()
    dormant = is_dormant(plan, rows.account)
    late = (rows.kind == EARNED) & ~dormant & (rng.random(count) < 0.005)
    created[late] = np.maximum(
        plan.start_us, created[late] - rng.integers(DAY // 24, 5 * DAY, int(late.sum()))
    )
    club = rows.account < plan.customers
    pending = (rows.kind == EARNED) & club & ~dormant & (rng.random(count) < 0.3)
    never = ~club & ((rows.account - plan.customers) % 2 == 1)
    life = np.where(club, _LIFE, 540 * DAY)
    life = np.where(rows.kind == REFUNDED, 180 * DAY, np.where(rows.kind == TRANSFERRED_IN, 200 * DAY, life))
    lot = rows.points > 0
    return Events(
        rows.first,
        rows.account,
        rows.kind,
        rows.points,
        rows.written_at,
        created,
        np.where(pending, created + 14 * DAY, _NONE),
        np.where(lot & ~(never & np.isin(rows.kind, (EARNED, ADJUSTED))), created + life, _NONE),
        rows.related,
    )


def _remember(plan: Plan, state: _Accounts, rows: Events) -> None:
    touched, place = np.unique(rows.account, return_inverse=True)
    state.usable[touched] = np.maximum(0, state.usable[touched] + np.bincount(place, rows.points))
    numbers = np.arange(rows.first, rows.first + len(rows.account))
    # What was undone is not undone again.
    state.earn[rows.account[rows.kind == EARNED_REVERSED]] = _NONE
    state.redemption[rows.account[rows.kind == REFUNDED]] = _NONE
    earned, redeemed = rows.kind == EARNED, rows.kind == REDEEMED
    state.earn[rows.account[earned]] = numbers[earned]  # the last one of an account stays
    state.earn_points[rows.account[earned]] = rows.points[earned]
    state.redemption[rows.account[redeemed]] = numbers[redeemed]
    state.redemption_points[rows.account[redeemed]] = -rows.points[redeemed]
    posting = earned & is_dormant(plan, rows.account)
    due = np.column_stack([rows.expires_at + _POSTING_LAG, rows.account, rows.points, numbers])[posting]
    state.due = np.concatenate([state.due, due[due[:, 0] < plan.end_us]])
