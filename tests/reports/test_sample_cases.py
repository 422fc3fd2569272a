"""The sample ledger once booked: what its rows alone do not show (tests/sample looks at those)."""

from __future__ import annotations

import pytest

from include.reports import balance, history, liability
from include.sample import Plan
from tests.reports.conftest import SAMPLE_END
from tests.reports.small import rows

DAY = 86_400_000_000


def test_the_sample_is_three_years_of_two_programs_by_default():
    plan = Plan()
    assert (plan.customers, plan.transactions, plan.years) == (20_000, 500_000, 3)
    assert plan.end_us - plan.start_us == 1_095 * DAY


@pytest.mark.slow
def test_points_expire_posted_and_unposted(sample, tmp_path):
    found = rows(history, sample, tmp_path, SAMPLE_END, profile="all")
    derived = -sum(x["points_change"] for x in found if x["transaction_id"].startswith("expiry:"))
    confirmed = sum(x["confirmed_points"] for x in found)
    assert 0 < confirmed < derived


def test_accounts_are_overdrawn_and_points_wait(sample, tmp_path):
    found = rows(balance, sample, tmp_path, SAMPLE_END)
    assert min(sum(x["negative_balance"] > 0 for x in found), sum(x["pending"] > 0 for x in found)) > 1
    assert {x["tier"] for x in found} >= {"Bronze", "Silver", "Gold"}
    assert {(x["program_id"], x["subledger_id"], x["holder_kind"]) for x in found} == {
        ("club", "", "customer"),
        ("travel", "base", "card"),
        ("travel", "bonus", "card"),
    }


def test_debts_are_repaid_and_members_change_tier(sample, tmp_path):
    quarter = rows(
        liability, sample, tmp_path, SAMPLE_END, start=SAMPLE_END - 90 * DAY, by=("tier",), method="none"
    )
    assert any(x["reclassified"] for x in quarter)
    months = rows(
        liability,
        sample,
        tmp_path,
        SAMPLE_END,
        start=SAMPLE_END - 90 * DAY,
        by=("issue_month",),
        method="none",
    )
    assert any(x["reclassified"] for x in months)
    moved = ("earned", "earned_reversed", "redeemed", "refunded", "adjusted", "expired", "transferred_in")
    assert all(any(x[name] for x in months) for name in moved)
