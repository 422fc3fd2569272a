"""Periods of histories and allocations: they tile all time, and each runs on from the one before (section 5).

The hard instants are the boundaries: what is created at the start of a period comes before what expires at it,
and yet what expires there is of the period before (docs/ledger.md sections 1 and 3).
"""

from __future__ import annotations

from collections import Counter, defaultdict
from itertools import pairwise
from random import Random
from typing import Any

import pytest

from include.reports import allocations, balance, history
from include.reports.model import LocalSnapshot
from tests.ledger.ledger_text import day
from tests.ledger.random_ledger import random_ledger
from tests.reports.small import rows, snapshot, taken

CUTS = [2, 4, 11, 12, 40, 120]
# Nothing is created here. Were a lot, and usable at once, it would stand in line with the lots that activate at the
# cut, and repay debt that the state at the cut, which has no such row, sees repaid by others.
CUTS_BETWEEN_ROWS = [1, 5, 11, 13, 41, 121]
ACCOUNTS = 40


@pytest.fixture
def boundary(tmp_path):
    return taken(
        tmp_path,
        """
        A earned 100 on 01-01 expires 03-01
        B earned 50 on 03-01
        Z earned 5 on 03-01 expires 03-01
        R redeemed -20 on 03-01
        """,
    )


def steps(found: list[dict[str, Any]]) -> list[tuple[str, int, int]]:
    return [(x["transaction_id"], x["balance_before"] // 100, x["balance_after"] // 100) for x in found]


def test_a_period_runs_on_from_what_expired_at_its_start(boundary, tmp_path):
    before = rows(history, boundary, tmp_path, day("03-01"), start=day("01-01"))
    after = rows(history, boundary, tmp_path, day("04-01"), start=day("03-01"))
    assert steps(before) == [("A", 0, 100), ("expiry:A", 100, 0)]
    # Z is created at the start, too late for the period before, and expires unused at once (rule 7).
    assert steps(after) == [("B", 0, 50), ("Z", 50, 55), ("expiry:Z", 55, 50), ("R", 50, 30)]
    whole = rows(history, boundary, tmp_path, day("04-01"))
    assert steps(whole)[2:5] == [("Z", 150, 155), ("expiry:A", 155, 55), ("expiry:Z", 55, 50)]


def test_a_repayment_at_the_start_is_of_the_period_before(tmp_path):
    of = taken(tmp_path, "A earned 100 on 01-01 activates 03-01\nR redeemed -40 on 01-10")
    before = rows(allocations, of, tmp_path, day("03-01"), start=day("01-01"))
    assert [(x["debit_id"], x["lot_id"], x["kind"]) for x in before] == [("R", "A", "repayment")]
    assert rows(allocations, of, tmp_path, day("04-01"), start=day("03-01")) == []


def test_an_expiry_of_a_lot_created_at_the_start_is_of_the_period(boundary, tmp_path):
    found = rows(allocations, boundary, tmp_path, day("04-01"), start=day("03-01"))
    assert [x["debit_id"] for x in found] == ["expiry:Z", "R"]


@pytest.fixture(params=range(2))
def colliding(request, tmp_path) -> LocalSnapshot:
    """Many small accounts with few instants, so that everything happens at a boundary; rows at even instants."""
    random = Random(request.param)

    def later(instant: int | None) -> int | None:
        return None if instant is None else 2 * instant + random.randint(0, 1)

    found = []
    for account in (f"a{i}" for i in range(ACCOUNTS)):
        found += [
            {
                "transaction_id": f"{account}/{row.id}",
                "program_id": "p",
                "customer_id": account,
                "type": row.type,
                "points": row.points,
                "created_at": 2 * row.created_at,
                "recorded_at": 2 * row.created_at + random.choice([0, 0, 0, 3]),
                "activates_at": later(row.activates_at),
                "expires_at": later(row.expires_at),
                "related_transaction_id": None if row.related is None else f"{account}/{row.related}",
            }
            for row in random_ledger(random, account)
        ]
    return snapshot(tmp_path, {"transactions": found})


@pytest.mark.parametrize("known_at", [12, 200])
@pytest.mark.slow
def test_histories_of_periods_tile_chain_and_move_the_balances(known_at, colliding, tmp_path):
    held: defaultdict[str, int] = defaultdict(int)
    seen: Counter[str] = Counter()
    for start, end in pairwise([0, *CUTS]):
        expired: Counter[str] = Counter()
        for row in rows(history, colliding, tmp_path, end, start=start or None, known_at=known_at):
            account = row["customer_id"]
            assert row["balance_before"] == held[account]
            held[account] = row["balance_after"]
            assert row["balance_after"] - row["balance_before"] == row["points_change"]
            expired[account] -= row["points_change"] * (row["type"] == "expired")
            seen[row["transaction_id"]] += 1
        at_start, at_end = (
            {x["holder_id"]: x for x in rows(balance, colliding, tmp_path, at, known_at=known_at)}
            for at in (start, end)
        )
        for account, x in at_end.items():
            assert held[account] == x["points_balance"] + x["pending"]
            moved = x["expired"] - (at_start[account]["expired"] if account in at_start else 0)
            assert expired[account] == moved
    whole = rows(history, colliding, tmp_path, CUTS[-1], known_at=known_at)
    assert seen == Counter(x["transaction_id"] for x in whole)
    assert any(x["transaction_id"].startswith("expiry:") for x in whole)


def test_allocations_of_periods_tile(colliding, tmp_path):
    def pieces(found: list[dict[str, Any]]) -> Counter[tuple[Any, ...]]:
        return Counter((x["debit_id"], x["lot_id"], x["points"], x["kind"]) for x in found)

    whole = pieces(rows(allocations, colliding, tmp_path, CUTS_BETWEEN_ROWS[-1]))
    parts: Counter[tuple[Any, ...]] = Counter()
    for start, end in pairwise([0, *CUTS_BETWEEN_ROWS]):
        parts += pieces(rows(allocations, colliding, tmp_path, end, start=start or None))
    assert parts == whole
    assert {kind for *_, kind in whole} == {"debit", "repayment", "posted_expiry", "expiry"}
