"""The compiled booking behind the same face as the reference: posted rows in, outcomes per account out."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pyarrow as pa

from include.ledger import booking
from include.ledger.booking import AccountColumns, Booked, Rows, TransactionType
from include.ledger.hashing import account_hashes
from include.ledger.invariants import chain_violations, identity_violations, problem_codes
from tests.ledger.reference import Outcome, Posted


def rows_of(posted: Sequence[Posted]) -> tuple[Rows, list[Posted]]:
    """Sorted by the product's own hash and order; the second value is the rows in that order."""
    names = pa.array([row.account for row in posted], pa.string())
    empty = pa.array([""] * len(posted), pa.string())
    account = AccountColumns(empty, empty, empty, names)
    hashes = account_hashes(*account)
    created_at = np.array([row.created_at for row in posted], np.int64)
    type_ = np.array([TransactionType[row.type.upper()] for row in posted], np.uint8)
    points = np.array([row.points for row in posted], np.int64)
    ids = pa.array([row.id for row in posted], pa.string())
    order = booking.sort_order(hashes, created_at, type_, points, ids, account)
    starts = booking.account_starts(
        hashes[order], AccountColumns(empty, empty, empty, names.take(pa.array(order)))
    )
    ordered = [posted[i] for i in order]
    index = {(row.account, row.id): i for i, row in enumerate(ordered)}
    return Rows(
        account_start=starts,
        created_at=created_at[order],
        activates_at=np.array(
            [max(r.created_at, r.created_at if r.activates_at is None else r.activates_at) for r in ordered],
            np.int64,
        ),
        expires_at=np.array(
            [booking.NEVER if r.expires_at is None else r.expires_at for r in ordered], np.int64
        ),
        type=type_[order],
        points=points[order],
        related=np.array(
            [
                booking.NO_RELATED
                if row.related is None
                else index.get((row.account, row.related), booking.RELATED_NOT_FOUND)
                for row in ordered
            ],
            np.int64,
        ),
    ), ordered


def replay(posted: Sequence[Posted], at: int) -> dict[str, Outcome]:
    rows, ordered = rows_of([row for row in posted if row.created_at < at])
    booked = booking.book(rows, at, allocations=True)
    assert not identity_violations(booked).size
    assert not chain_violations(booked).size
    return outcomes(booked, ordered)


def outcomes(booked: Booked, ordered: Sequence[Posted]) -> dict[str, Outcome]:
    """Read from every array of `booked` exactly once."""
    rows = booked.rows
    figures = booked.row_figures(0, len(rows))
    out: dict[str, Outcome] = {}
    expiry = 0

    def expire_before(row: int, outcome: Outcome) -> None:
        nonlocal expiry
        while expiry < booked.expiry_lot.size and booked.expiry_before_row[expiry] == row:
            name = "expiry:" + ordered[booked.expiry_lot[expiry]].id
            points = int(booked.expiry_points[expiry])
            outcome.history.append((name, -points, 0, int(booked.expiry_balance_after[expiry])))
            outcome.expiry_at[name] = int(booked.expiry_at[expiry])
            outcome.unposted[name] = int(booked.expiry_unposted[expiry])
            expiry += 1

    for account in range(rows.accounts_count):
        first, end = int(rows.account_start[account]), int(rows.account_start[account + 1])
        last = int(booked.last_activity_at[account])
        outcome = out[ordered[first].account] = Outcome(
            active=int(booked.active[account]),
            pending=int(booked.pending[account]),
            expired=int(booked.expired[account]),
            debt=int(booked.debt[account]),
            redeemed=int(booked.redeemed[account]),
            refunded=int(booked.refunded[account]),
            lifetime_earned=int(booked.lifetime_earned[account]),
            posted=int(booked.posted[account]),
            last_activity_at=None if last == -1 else last,
        )
        for i in range(first, end):
            if i > first:
                expire_before(i, outcome)
            row = ordered[i]
            outcome.history.append(
                (
                    row.id,
                    int(figures.points_change[i]),
                    int(figures.confirmed[i]),
                    int(figures.balance_after[i]),
                )
            )
            if row.points > 0:
                outcome.remaining[row.id] = int(figures.remaining[i])
            if figures.debt_left[i]:
                outcome.debts[row.id] = int(figures.debt_left[i])
            if figures.uncovered[i]:
                outcome.uncovered[row.id] = int(figures.uncovered[i])
            if figures.problem[i]:
                outcome.problems[row.id] = set(problem_codes(int(figures.problem[i])))
        expire_before(end, outcome)
    for i in range(booked.allocation_debit.size):
        debit = ordered[booked.allocation_debit[i]]
        out[debit.account].allocations.append(
            (
                debit.id,
                ordered[booked.allocation_lot[i]].id,
                int(booked.allocation_points[i]),
                int(booked.allocation_at[i]),
                int(booked.allocation_kind[i]),
            )
        )
    return out
