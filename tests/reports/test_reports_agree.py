"""The same points in every report: liability and ageing against balances, history and redemptions, by program.

On the sample ledger, at several T, as known at several K (docs/ledger.md sections 4 to 7); test_totals.py holds
what the other reports say of each other.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import Any

import pytest

from include.reports import ageing, balance, history, liability, lots, projection, redemption
from include.reports.model import LocalSnapshot
from tests.reports.conftest import SAMPLE_END
from tests.reports.small import rows

DAY = 86_400_000_000
# start, end and K: the last day only; a quarter as known when it closed, and today; nearly all time.
ASKED = {
    "a month, today": (SAMPLE_END - 30 * DAY, SAMPLE_END, SAMPLE_END),
    "a quarter, as known at its end": (
        SAMPLE_END - 490 * DAY,
        SAMPLE_END - 400 * DAY,
        SAMPLE_END - 400 * DAY,
    ),
    "a quarter, as known today": (SAMPLE_END - 490 * DAY, SAMPLE_END - 400 * DAY, SAMPLE_END),
    "since the first month": (SAMPLE_END - 1_060 * DAY, SAMPLE_END, SAMPLE_END),
}
MOVEMENTS = {
    "earned": ("earned", 1),
    "earned_reversed": ("earned_reversed", -1),
    "redeemed": ("redeemed", -1),
    "redemption_refunded": ("refunded", 1),
    "adjusted": ("adjusted", 1),
    "expired": ("expired", -1),
    "transferred_in": ("transferred_in", 1),
    "transferred_out": ("transferred_out", -1),
}


Rows = list[dict[str, Any]]


@pytest.fixture(scope="module", params=ASKED)
def times(request) -> tuple[int, int, int]:
    return ASKED[request.param]


@pytest.fixture(scope="module")
def lines(times, sample, tmp_path_factory) -> Rows:
    """Liability by tier and issue month, without money."""
    return split(sample, tmp_path_factory.mktemp("lines"), times)


@pytest.fixture(scope="module")
def accounts(times, sample, tmp_path_factory) -> Rows:
    """Balances at the end."""
    _, end, known_at = times
    return rows(balance, sample, tmp_path_factory.mktemp("accounts"), end, known_at=known_at)


def by_program(found: Rows, *names: str) -> dict[str, dict[str, int]]:
    total: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in found:
        for name in names:
            total[row["program_id"]][name] += row[name]
    return {program: {name: sums[name] for name in names} for program, sums in total.items()}


def held(found: Rows) -> dict[str, int]:
    """Active + pending - debt by program."""
    parts = by_program(found, "active", "pending", "negative_balance")
    return {key: x["active"] + x["pending"] - x["negative_balance"] for key, x in parts.items()}


def split(sample: LocalSnapshot, tmp_path, times, **options: Any) -> Rows:
    start, end, known_at = times
    options = {"method": "none", "by": ("tier", "issue_month")} | options
    return rows(liability, sample, tmp_path, end, start=start, known_at=known_at, **options)


def test_liability_opens_and_closes_with_the_balances(times, lines, accounts, sample, tmp_path):
    start, _, known_at = times
    found = by_program(lines, "opening", "closing", "outstanding", "debt")
    assert {key: x["closing"] for key, x in found.items()} == held(accounts)
    debts = by_program(accounts, "negative_balance")
    assert {key: x["debt"] for key, x in found.items()} == {
        key: x["negative_balance"] for key, x in debts.items()
    }
    before = held(rows(balance, sample, tmp_path, start, known_at=known_at))
    assert {key: x["opening"] for key, x in found.items()} == before
    assert min(before.values()) > 0


def test_liability_by_tier_is_the_balance_by_tier(times, accounts, sample, tmp_path):
    closing: Counter[tuple[str, str | None]] = Counter()
    for row in split(sample, tmp_path, times, by=("tier",)):
        closing[row["program_id"], row["tier"]] += row["closing"]
    owned: Counter[tuple[str, str | None]] = Counter()
    for row in accounts:
        owned[row["program_id"], row["tier"]] += row["points_balance"] + row["pending"]
    assert +closing == +owned
    assert len(+closing) > 4


def test_liability_moves_by_what_history_lists(times, lines, sample, tmp_path):
    start, end, known_at = times
    moved: defaultdict[str, Counter[str]] = defaultdict(Counter)
    for row in rows(history, sample, tmp_path, end, start=start, known_at=known_at):
        name, sign = MOVEMENTS[row["type"]]
        moved[row["program_id"]][name] += sign * row["points_change"]
    names = [name for name, _ in MOVEMENTS.values()]
    found = by_program(lines, *names, "reclassified", "difference")
    assert found == {
        program: {**{name: sums[name] for name in names}, "reclassified": 0, "difference": 0}
        for program, sums in moved.items()
    }
    assert sum(sums["expired"] for sums in moved.values()) > 0


def test_redemptions_cost_what_liability_redeems(times, lines, sample, tmp_path):
    start, end, known_at = times
    found = rows(redemption, sample, tmp_path, end, start=start, known_at=known_at)
    costs = {key: x["points_cost"] for key, x in by_program(found, "points_cost").items()}
    assert costs == {key: x["redeemed"] for key, x in by_program(lines, "redeemed").items()}


def test_ages_lots_and_projections_hold_what_liability_owes(times, lines, sample, tmp_path):
    _, end, known_at = times
    owed = by_program(lines, "outstanding", "debt", "closing")
    aged = by_program(rows(ageing, sample, tmp_path, end, known_at=known_at), "outstanding", "debt")
    assert aged == {key: {name: x[name] for name in ("outstanding", "debt")} for key, x in owed.items()}
    left = by_program(rows(lots, sample, tmp_path, end, known_at=known_at, open_only=True), "remaining")
    assert {key: x["remaining"] for key, x in left.items()} == {
        key: x["outstanding"] for key, x in owed.items()
    }
    tomorrow = by_program(
        rows(projection, sample, tmp_path, end, known_at=known_at, days=1),
        "points_balance",
        "pending",
        "points_expiring",
    )
    assert {key: sum(x.values()) for key, x in tomorrow.items()} == {
        key: x["closing"] for key, x in owed.items()
    }
