"""The ageing report on small ledgers (docs/ledger.md section 6)."""

from __future__ import annotations

from pathlib import Path

from include.reports import ageing
from tests.reports.liability_ledger import rendered, row, snapshot


def test_ages_follow_points_and_add_up_with_debt(tmp_path: Path) -> None:
    rows = [
        row("a", "earned", 100, "2025-05-01", expires_at="2026-08-01"),
        row("b", "earned", 40, "2026-06-01", activates_at="2026-07-15"),
        row("r", "redeemed", -30, "2026-06-10"),
        row(
            "f", "redemption_refunded", 20, "2026-06-20", related_transaction_id="r", expires_at="2027-01-01"
        ),
        row("o", "transferred_out", -10, "2026-06-25"),
        row(
            "i",
            "transferred_in",
            10,
            "2026-06-25",
            customer_id="d",
            related_transaction_id="o",
            expires_at="2026-08-01",
        ),
        row("s", "redeemed", -15, "2026-06-26", customer_id="d"),
        row("j", "adjusted", 8, "2026-06-30", customer_id="e"),
    ]
    found = rendered(ageing, snapshot(tmp_path, rows), tmp_path, "2026-07-01")
    lines = [
        (
            x["months_since_issue"],
            x["months_to_expiry"],
            x["active"] // 100,
            x["pending"] // 100,
            x["debt"] // 100,
        )
        for x in found
    ]
    # a: 100 - 30 - 10 = 60 left, 14 months old; the refund f is as old as a, but has dates of its own;
    # d redeemed the 10 it got (a's too) and owes 5; b is pending and never expires, e's 8 neither
    assert lines == [
        ("0-3", "never", 8, 40, 0),
        ("12-24", "0-3", 60, 0, 0),
        ("12-24", "6-12", 20, 0, 0),
        (None, None, 0, 0, 5),
    ]


def test_points_that_activate_at_t_are_active(tmp_path: Path) -> None:
    of = snapshot(tmp_path, [row("a", "earned", 100, "2026-06-01", activates_at="2026-07-01")])
    (line,) = rendered(ageing, of, tmp_path, "2026-07-01")
    assert (line["active"], line["pending"]) == (10_000, 0)


def test_an_empty_ledger_has_no_ages(tmp_path: Path) -> None:
    assert rendered(ageing, snapshot(tmp_path, []), tmp_path, "2026-07-01") == []
