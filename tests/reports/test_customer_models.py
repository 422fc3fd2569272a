"""What orders, redemptions, cards and points come to for customers and vouchers: worked cases, and the sample again."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from include.errors import BadInput
from include.reports import balance, models
from include.reports.model import LocalSnapshot
from tests.reports.liability_ledger import at, program, rendered, row, snapshot


def model(name: str) -> Any:
    return models.load(name, where="test")


def order(
    number: str, amount: str, on: str, *, customer: str = "c", currency: str = "EUR", **more: Any
) -> dict[str, Any]:
    paid = {"amount": Decimal(amount) + 1, "total_amount": Decimal(amount)}
    return {
        "order_id": number,
        "customer_id": customer,
        "currency": currency,
        "created_at": at(on),
        **paid,
        **more,
    }


def customer(
    of: LocalSnapshot, scratch: Path, end: str, identity: str = "c", **options: Any
) -> dict[str, Any]:
    [found] = [
        one
        for one in rendered(model("customers"), of, scratch, end, **options)
        if one["customer_id"] == identity
    ]
    return found


@pytest.mark.slow
def test_orders_are_added_exactly_within_one_currency(tmp_path: Path):
    # before  EUR 10.00 (01-01), 10.01 (01-02), 10.00 (01-03, of the same minute as its twin: the larger id is last),
    #         canceled 99, USD 5 on 2025-12-01, EUR 7 on 02-01 which is not before T
    # apply   state at 02-01  -> EUR: 3 orders, 30.01, average 10.00(33) -> 10.00, last 10.00; 1 in USD
    taken = snapshot(tmp_path, [], customers=[{"customer_id": "c"}, {"customer_id": "d"}], orders=[
        order("o1", "10.00", "2026-01-01"),
        order("o2", "10.01", "2026-01-03"),
        order("o3", "10.00", "2026-01-03"),
        order("o4", "99", "2026-01-04", status="CANCELED"),
        order("o5", "5", "2025-12-01", currency="USD"),
        order("o6", "7", "2026-02-01"),
    ])  # fmt: skip
    found = customer(taken, tmp_path, "2026-02-01")
    assert found["orders_total_count"] == 3
    assert found["orders_total_amount"] == Decimal("30.01")
    assert found["orders_average_amount"] == Decimal("10.00")
    assert found["orders_last_order_amount"] == Decimal("10.00")
    assert found["orders_last_order_date"] == at("2026-01-03")
    assert (found["orders_currency"], found["orders_other_currencies"]) == ("EUR", 1)
    in_dollars = customer(taken, tmp_path, "2026-02-01", currency="USD")
    assert (in_dollars["orders_total_amount"], in_dollars["orders_other_currencies"]) == (Decimal(5), 3)
    none = customer(taken, tmp_path, "2026-02-01", "d")
    assert (none["orders_total_count"], none["orders_total_amount"], none["orders_currency"]) == (
        0,
        None,
        None,
    )


@pytest.mark.parametrize(("currency", "amounts", "average"), [
    ("EUR", ("0.01", "0.02"), "0.02"),        # 0.015, half up
    ("EUR", ("10", "10", "5"), "8.33"),
    ("JPY", ("100", "101"), "101"),           # 100.5, whole yen
    ("KWD", ("1.001", "1.002"), "1.002"),     # 1.0015, three places
    ("EUR", ("49999999999999.99", "49999999999999.99"), "49999999999999.99"),
])  # fmt: skip
def test_an_average_is_rounded_half_up_to_the_minor_unit(
    currency: str, amounts: tuple[str, ...], average: str, tmp_path: Path
):
    orders = [order(f"o{n}", x, "2026-01-01", currency=currency) for n, x in enumerate(amounts)]
    taken = snapshot(tmp_path, [], customers=[{"customer_id": "c"}], orders=orders)
    assert customer(taken, tmp_path, "2026-02-01")["orders_average_amount"] == Decimal(average)


def test_redemptions_are_counted_by_kind_and_result(tmp_path: Path):
    # 5 redeemed = 2 failed + 3 succeeded; 3 rolled back = 2 failed + 1 succeeded; one more after T
    kinds = [("redemption", "FAILURE")] * 2 + [("redemption", "SUCCESS")] * 2 + [(None, None)]
    kinds += [("rollback", "FAILURE")] * 2 + [("rollback", "SUCCESS")]
    rows = [
        {
            "redemption_id": f"r{n}",
            "customer_id": "c",
            "kind": kind,
            "result": result,
            "redeemed_at": at("2026-01-01"),
        }
        for n, (kind, result) in enumerate(kinds)
    ]
    rows.append({"redemption_id": "late", "customer_id": "c", "redeemed_at": at("2026-02-01")})
    taken = snapshot(tmp_path, [], customers=[{"customer_id": "c"}], redemptions=rows)
    found = customer(taken, tmp_path, "2026-02-01")
    names = ("redeemed", "failed", "succeeded", "rolled_back", "rollback_failed", "rollback_succeeded")
    assert [found[f"redemptions_total_{name}"] for name in names] == [5, 2, 3, 3, 2, 1]


@pytest.mark.slow
def test_points_are_those_of_all_accounts_and_owned_cards(tmp_path: Path):
    # before  own account 100 active, 30 pending; card k1 of c: 10 earned, 25 redeemed: debt 15; card k2 is nobody's
    # apply   T = 02-01  -> active 100, pending 30, loyalty points 100 - 15 = 85, lifetime 140
    taken = snapshot(tmp_path, [
        row("a", "earned", 100, "2026-01-01"),
        row("b", "earned", 30, "2026-01-02", activates_at="2026-03-01"),
        row("d", "earned", 10, "2026-01-03", card_id="k1"),
        row("e", "redeemed", -25, "2026-01-09", card_id="k1"),
        row("f", "earned", 7, "2026-01-04", card_id="k2", customer_id=None),
    ], customers=[{"customer_id": "c"}, {"customer_id": "d"}],
       cards=[{"card_id": "k1", "customer_id": "c"}, {"card_id": "k2"}])  # fmt: skip
    found = customer(taken, tmp_path, "2026-02-01")
    names = (
        "points_active",
        "points_pending",
        "loyalty_points",
        "lifetime_earned",
        "is_member",
        "last_activity_at",
    )
    assert [found[name] for name in names] == [10000, 3000, 8500, 14000, True, at("2026-01-09")]
    other = customer(taken, tmp_path, "2026-02-01", "d")
    assert [other[name] for name in names] == [0, 0, 0, 0, False, None]


@pytest.mark.slow
def test_referred_customers_and_tiers_are_as_of_t(tmp_path: Path):
    changes = [("2026-01-01", "s"), ("2026-01-10", "g"), ("2026-02-01", None)]
    taken = snapshot(tmp_path, [], customers=[
        {"customer_id": "c", "tier": "as read"},
        {"customer_id": "x", "referrer_id": "c", "registered_at": at("2026-01-05")},
        {"customer_id": "y", "referrer_id": "c"},
        {"customer_id": "z", "referrer_id": "c", "registered_at": at("2026-02-01")},
    ], tiers=[{"program_id": "p", "tier_id": "g", "name": "Gold"}],
       tier_changes=[
        {"program_id": "p", "customer_id": "c", "tier_id": tier, "changed_at": at(on)} for on, tier in changes
    ])  # fmt: skip
    found = customer(taken, tmp_path, "2026-02-01")
    assert (found["loyalty_referred_customers"], found["tier"]) == (2, "Gold")
    assert customer(taken, tmp_path, "2026-01-10")["tier"] == "s"  # a tier without a name has its id
    assert customer(taken, tmp_path, "2026-02-02")["tier"] is None


def test_a_value_is_a_value_whatever_it_looks_like(tmp_path: Path):
    taken = snapshot(tmp_path, [], customers=[{"customer_id": "c"}])
    hostile = "EUR') OR 1=1; DROP TABLE base --"
    assert customer(taken, tmp_path, "2026-02-01", currency=hostile)["orders_total_count"] == 0
    with pytest.raises(BadInput, match="known programs are p"):
        customer(taken, tmp_path, "2026-02-01", programs=(hostile,))


@pytest.mark.slow
def test_customers_of_the_sample_are_what_the_balance_report_says(sample: LocalSnapshot, tmp_path: Path):
    held: Counter[str] = Counter()
    for one in rendered(balance, sample, tmp_path, "2026-06-01", grain="customer"):
        held[one["customer_id"]] += one["points_balance"]
    found = rendered(model("customers"), sample, tmp_path, "2026-06-01")
    assert {one["customer_id"]: one["loyalty_points"] for one in found if one["loyalty_points"]} == {
        name: points for name, points in held.items() if name and points
    }
    orders = rendered(model("orders"), sample, tmp_path, "2026-06-01")
    counted = Counter(one["customer_id"] for one in orders if one["status"] != "CANCELED")
    assert {x["customer_id"]: x["orders_total_count"] + x["orders_other_currencies"] for x in found} == {
        x["customer_id"]: counted[x["customer_id"]] for x in found
    }


def test_tiers_have_a_start_and_an_end(tmp_path: Path):
    def change(on: str, tier: str | None, who: str = "c", due: str | None = None) -> dict[str, Any]:
        return {
            "program_id": "p",
            "customer_id": who,
            "tier_id": tier,
            "changed_at": at(on),
            "expires_at": due and at(due),
        }

    taken = snapshot(tmp_path, [], programs=[program(external_id=7)], tiers=[{"program_id": "p", "tier_id": "g", "name": "Gold"}],
        tier_changes=[change("2026-01-01", "s"), change("2026-01-10", "g", due="2027-01-10"), change("2026-02-01", "s"),
                      change("2026-01-01", "g", "gone"), change("2026-01-02", None, "gone")])  # fmt: skip
    [found] = rendered(model("customer_tiers"), taken, tmp_path, "2026-02-01")
    assert found == {
        "program_id": "p", "program_external_id": 7, "subledger_id": "", "customer_id": "c", "tier_id": "g",
        "tier": "Gold", "starts_at": at("2026-01-10"), "expires_at": at("2027-01-10"),
    }  # fmt: skip


def test_who_joined_when_is_the_first_sign_in_the_program(tmp_path: Path):
    rows = [
        row("1", "earned", 1, "2026-01-05", customer_id="a"),
        row("2", "earned", 1, "2026-01-03", customer_id="other", card_id="k"),
        row("3", "earned", 1, "2026-01-02", customer_id="late", recorded_at="2031-01-01"),
        row("4", "earned", 1, "2026-02-01", customer_id="later"),
        row("5", "earned", 1, "2026-01-01", card_id="nobodys", customer_id=None),
    ]
    relations: dict[str, Any] = {
        "cards": [{"card_id": "k", "customer_id": "a"}, {"card_id": "nobodys"}],
        "customers": [{"customer_id": "r", "registered_at": at("2025-06-01")}, {"customer_id": "a", "registered_at": at("2026-01-04")}],
        "tier_changes": [{"program_id": "p", "customer_id": "t", "tier_id": "g", "changed_at": at("2026-01-20")}],
    }  # fmt: skip
    found = rendered(model("join_dates"), snapshot(tmp_path, rows, **relations), tmp_path, "2026-02-01")
    assert [(x["customer_id"], x["joined_at"]) for x in found] == [
        ("a", at("2026-01-03")), ("r", at("2025-06-01")), ("t", at("2026-01-20")),
    ]  # fmt: skip
    # With two programs a registration says nothing of either.
    two = snapshot(tmp_path, rows, **relations, programs=[program(), program(program_id="q")])
    assert [x["customer_id"] for x in rendered(model("join_dates"), two, tmp_path, "2026-02-01")] == [
        "a",
        "t",
    ]


def test_top_earners_are_ranked_by_what_they_earned_in_the_period(tmp_path: Path):
    taken = snapshot(tmp_path, [
        row("1", "earned", 10, "2026-01-05", customer_id="a"),
        row("2", "earned", 30, "2026-01-06", card_id="k", customer_id="whoever"),
        row("3", "earned_reversed", -5, "2026-01-07", customer_id="a", related_transaction_id="1"),
        row("4", "earned", 35, "2026-01-08", customer_id="b"),
        row("5", "earned", 99, "2025-12-31", customer_id="b"),
        row("6", "earned", 99, "2026-02-01", customer_id="b"),
        row("7", "adjusted", 99, "2026-01-09", customer_id="b"),
        row("8", "earned", 3, "2026-01-09", card_id="nobodys", customer_id=None),
        row("9", "earned", 3, "2026-01-09", customer_id="gone"),
        row("10", "earned_reversed", -3, "2026-01-09", customer_id="gone", related_transaction_id="9"),
    ], cards=[{"card_id": "k", "customer_id": "a"}], customers=[{"customer_id": "a", "name": "Ann", "email": "a@example.com"}])  # fmt: skip
    found = rendered(model("top_earners"), taken, tmp_path, "2026-02-01", "2026-01-01")
    assert [(x["rank"], x["holder_kind"], x["holder_id"], x["points_earned"], x["earning_count"]) for x in found] == [
        (1, "customer", "a", 3500, 2), (1, "customer", "b", 3500, 1), (3, "card", "nobodys", 300, 1),
    ]  # fmt: skip
    assert (found[0]["customer_name"], found[0]["email"]) == ("Ann", "a@example.com")
    [best] = rendered(model("top_earners"), taken, tmp_path, "2026-02-01", "2026-01-01", limit=1)
    assert best["holder_id"] == "a"
