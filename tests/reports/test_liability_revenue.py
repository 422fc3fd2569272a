"""Deferred revenue in the liability report, on small ledgers (docs/ledger.md section 6)."""

from __future__ import annotations

from collections.abc import Callable
from decimal import Decimal
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from include.errors import LedgerViolation
from include.ledger.revenue import order_consideration, points_price
from include.reports import liability
from tests.ledger.ledger_text import day
from tests.reports import small
from tests.reports.liability_ledger import Render, at, program, rates, row, snapshot

D = Decimal


def order(identity: str, price: int | None, goods: int, currency: str = "EUR") -> dict[str, Any]:
    return {
        "order_id": identity,
        "currency": currency,
        "amount": D(goods),
        "total_amount": None if price is None else D(price),
        "created_at": at("2026-01-01"),
    }


def test_ifrs_15_example_52_from_the_ledger(ledger: Callable[..., Render]) -> None:
    """Two years as two months; the estimate rises from 95 % to 97 % in the second."""
    render = ledger(
        [
            row("a", "earned", 10_000, "2026-01-01", order_id="o"),
            row("b", "redeemed", -4_500, "2026-01-20"),
            row("c", "redeemed", -4_000, "2026-02-20"),
        ],
        orders=[order("o", 100_000, 100_000)],
        programs=[program(money_step=D(1))],
        program_rates=[
            rates(standalone_price_per_point=D(1), expected_redemption_rate=D("0.95")),
            rates("2026-02-01", standalone_price_per_point=D(1), expected_redemption_rate=D("0.97")),
        ],
    )
    one, two = (
        render(a, b, method="deferred_revenue")[0]
        for a, b in pairwise(["2026-01-01", "2026-02-01", "2026-03-01"])
    )
    assert (one["liability_added"], one["revenue"], one["liability_closing"]) == (
        D(8_676),
        D(4_110),
        D(4_566),
    )
    assert (two["liability_added"], two["revenue"], two["liability_closing"]) == (
        D(0),
        D(3_493),
        D(1_073),
    )
    # 8,676 x 4,000 / 9,700 = 3,577.7; the rest is the change of estimate
    assert (two["revenue_redemption"], two["revenue_change_of_estimate"]) == (D(3_578), D(-85))
    assert two["redemption_rate"] == D("0.97")


def test_consideration_is_that_of_the_orders(ledger: Callable[..., Render]) -> None:
    render = ledger(
        [
            row("a", "earned", 100, "2026-01-10", order_id="o"),
            row("b", "earned", 50, "2026-01-10", order_id="o", customer_id="d"),
            row("c", "earned", 150, "2026-02-10", order_id="o"),
            row("d", "earned", 10, "2026-01-11", order_id="unknown"),
            row("e", "adjusted", 10, "2026-01-12"),
            row("f", "earned", 10, "2026-01-12", order_id="priceless"),
        ],
        orders=[order("o", 80, 90), order("priceless", None, 5)],
        program_rates=[rates(standalone_price_per_point=D("0.1"), expected_redemption_rate=D("0.5"))],
    )
    p = points_price(150, D("0.1"), D("0.5"))
    first = order_consideration(D(80), D(90), p)  # 80 x 7.5 / 97.5 = 6.15384615
    both = order_consideration(D(80), D(90), 2 * p)  # 80 x 15 / 105 = 11.42857143
    assert (first, both) == (D("6.15384615"), D("11.42857143"))
    found = render("2026-01-01", "2026-03-01", method="deferred_revenue", by=["issue_month"])
    # January 6.15384615 + 3 x 10 x 0.1 x 0.5 = 7.65384615; February what it adds: 5.27472528
    assert {x["issue_month"]: x["liability_added"] for x in found} == {
        "2026-01": D("7.65"),
        "2026-02": D("5.27"),
    }
    (january,) = render("2026-01-01", "2026-02-01", method="deferred_revenue")
    assert january["liability_added"] == D("7.65")


def test_what_defers_is_what_the_cut_holds_at_the_rates_of_its_issue(tmp_path: Path) -> None:
    late = row("late", "earned", 100, "2026-01-12", recorded_at="2026-01-20")
    rows = [row("a", "earned", 100, "2026-01-10"), late, row("next", "earned", 100, "2026-01-15")]
    doubled = [rates(), rates("2026-01-10", standalone_price_per_point=D("0.02"))]
    of = snapshot(tmp_path, rows, program_rates=doubled)

    def deferred(end: str, known_at: str) -> Decimal:
        asked = {"start": day("01-01"), "known_at": day(known_at), "method": "deferred_revenue"}
        (line,) = small.rows(liability, of, tmp_path, day(end), **asked)
        return line["liability_closing"]

    assert deferred("01-15", "01-19") == D("1.6")  # a, at the rates that began when it was issued
    assert deferred("01-15", "01-20") == D("3.2")  # and the late row once it is known
    assert deferred("01-16", "01-20") == D("4.8")  # what is issued at T is not before T


def test_all_is_earned_in_the_end(ledger: Callable[..., Render]) -> None:
    rows = [
        row("a", "earned", 1_000, "2026-01-10", expires_at="2026-04-01", order_id="o"),
        row("b", "redeemed", -333, "2026-02-10"),
    ]
    render = ledger(rows, orders=[order("o", 49, 49)])
    months = ["2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01"]
    found = [render(a, b, method="deferred_revenue")[0] for a, b in pairwise(months)]
    assert sum(x["revenue"] for x in found) == sum(x["liability_added"] for x in found) > 0
    assert found[-1]["liability_closing"] == 0


def test_an_order_in_another_currency_is_refused(ledger: Callable[..., Render]) -> None:
    render = ledger(
        [row("a", "earned", 1, "2026-01-10", order_id="o")], orders=[order("o", 1, 1, currency="USD")]
    )
    with pytest.raises(LedgerViolation, match="order o is not in the currency of program p"):
        render("2026-01-01", "2026-02-01", method="deferred_revenue")
