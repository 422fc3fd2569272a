"""What vouchers, redemptions, lots and movements of cards look like to the programs that know them so."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from include.errors import Permanent
from include.reports import history
from include.reports.model import LocalSnapshot
from tests.reports.liability_ledger import at, rendered, row, snapshot
from tests.reports.test_customer_models import model, order


def test_what_is_left_on_cards_is_as_of_t(tmp_path: Path):
    # gift g1: loaded 50, 20 used on 01-10, 5 used on 02-01 (after T) -> 30; g2 has no movement -> as the ledger has it;
    #      g3: the ledger states 80 after a row of -20, then -30 without a stated balance -> 50
    # loyalty l1: card k holds 40 + 2 in two purses; l2: no card, the customer's 100 in the campaign's program
    def moved(identity: str, card: str, amount: int, on: str, balance: int | None = None) -> dict[str, Any]:
        more = {
            "amount": Decimal(amount),
            "created_at": at(on),
            "balance": None if balance is None else Decimal(balance),
        }
        return {"transaction_id": identity, "type": "CREDITS_REMOVAL", "voucher_id": card, **more}

    def voucher(identity: str, kind: str, **more: Any) -> dict[str, Any]:
        return {"voucher_id": identity, "code": identity.upper(), "voucher_type": kind, **more}

    taken = snapshot(tmp_path, [
        row("a", "earned", 100, "2026-01-01"),
        row("b", "earned", 40, "2026-01-01", card_id="k"),
        row("d", "earned", 2, "2026-01-01", card_id="k", subledger_id="x"),
    ], vouchers=[
        voucher("g1", "GIFT_VOUCHER", gift_balance=Decimal(1)),
        voucher("g2", "GIFT_VOUCHER", gift_balance=Decimal(9)),
        voucher("g3", "GIFT_VOUCHER"),
        voucher("l1", "LOYALTY_CARD", card_id="k", customer_id="c"),
        voucher("l2", "LOYALTY_CARD", customer_id="c", campaign_id="m"),
        voucher("n", "DISCOUNT_VOUCHER", customer_id="c"),
    ], customers=[{"customer_id": "c", "source_id": "s"}],
       campaigns=[{"campaign_id": "m", "program_id": "p", "name": "Every day"}],
       gift_card_transactions=[
        moved("1", "g1", 50, "2026-01-01"), moved("2", "g1", -20, "2026-01-10"), moved("3", "g1", -5, "2026-02-01"),
        moved("4", "g3", -20, "2026-01-01", 80), moved("5", "g3", -30, "2026-01-02"),
    ])  # fmt: skip
    found = rendered(model("vouchers"), taken, tmp_path, "2026-02-01")
    assert [(x["voucher_id"], x["gift_balance"], x["loyalty_balance"]) for x in found] == [
        ("g1", Decimal(30), None), ("g2", Decimal(9), None), ("g3", Decimal(50), None),
        ("l1", None, 4200), ("l2", None, 10000), ("n", None, None),
    ]  # fmt: skip
    assert (found[4]["campaign"], found[4]["customer_source_id"]) == ("Every day", "s")


def test_redemptions_have_codes_names_and_points(tmp_path: Path):
    taken = snapshot(tmp_path, [row("a", "earned", 100, "2026-01-01"), row("r", "redeemed", -40, "2026-01-02")],
        redemptions=[
            {"redemption_id": "1", "transaction_id": "r", "customer_id": "c", "voucher_id": "v", "order_id": "o",
             "campaign_id": "m", "redeemed_at": at("2026-01-02")},
            {"redemption_id": "2", "kind": "rollback", "coupon_code": "X", "redeemed_at": at("2026-01-03")},
        ],
        vouchers=[{"voucher_id": "v", "code": "V"}], orders=[order("o", "9", "2026-01-02")],
        customers=[{"customer_id": "c", "name": "Ann", "source_id": "s"}],
        campaigns=[{"campaign_id": "m", "name": "Every day"}])  # fmt: skip
    first, second = rendered(model("redemptions"), taken, tmp_path, "2026-02-01")
    assert first["loyalty_points"] == 4000
    assert first["order_amount"] == Decimal(10)
    texts = ("object", "voucher_code", "campaign", "customer_source_id", "customer_name")
    assert [first[name] for name in texts] == ["redemption", "V", "Every day", "s", "Ann"]
    assert [second[name] for name in texts] == ["redemption_rollback", "X", None, None, None]


def test_a_lot_is_active_while_something_is_left_of_it(tmp_path: Path):
    # before  A 100 (60 used), B 50 expires 01-20, C 30 pending, D 10 of card k used up
    # apply   T = 02-01 -> A ACTIVE 40, B INACTIVE 0, C ACTIVE 30, D INACTIVE 0; D is of the card's campaign n, whoever gave it
    taken = snapshot(tmp_path, [
        row("A", "earned", 100, "2026-01-01", expires_at="2026-12-31", campaign_id="m"),
        row("B", "earned", 50, "2026-01-10", expires_at="2026-01-20"),
        row("u", "redeemed", -60, "2026-01-05"),
        row("C", "earned", 30, "2026-01-25", activates_at="2026-03-01"),
        row("D", "earned", 10, "2026-01-01", card_id="k", campaign_id="m"),
        row("w", "redeemed", -10, "2026-01-02", card_id="k"),
    ], cards=[{"card_id": "k", "customer_id": "owner"}],
       vouchers=[{"voucher_id": "v", "code": "V", "voucher_type": "LOYALTY_CARD", "card_id": "k", "campaign_id": "n"}],
    )  # fmt: skip
    found = {x["id"]: x for x in rendered(model("points_expiration"), taken, tmp_path, "2026-02-01")}
    names = (
        "status",
        "points",
        "points_issued",
        "expires_at",
        "campaign_id",
        "voucher_id",
        "holder_id",
        "customer_id",
    )
    assert {identity: [one[name] for name in names] for identity, one in found.items()} == {
        "A": ["ACTIVE", 4000, 10000, at("2026-12-31"), "m", None, "c", "c"],
        "B": ["INACTIVE", 0, 5000, at("2026-01-20"), None, None, "c", "c"],
        "C": ["ACTIVE", 3000, 3000, None, None, None, "c", "c"],
        "D": ["INACTIVE", 0, 1000, None, "n", "v", "k", "owner"],
    }
    open_ones = rendered(model("points_expiration"), taken, tmp_path, "2026-02-01", open_only=True)
    assert sorted(one["id"] for one in open_ones) == ["A", "C"]


def test_movements_of_cards_have_the_words_and_balances_that_others_know(tmp_path: Path):
    # before  A 100 expires 01-20, 60 redeemed 01-05; +5 by hand 01-21, -2 by hand 01-22; gift 50, 20 used
    # apply   January: balances 100, 40, 0 (40 expire), 5, 3; 50, 30
    taken = snapshot(tmp_path, [
        row("A", "earned", 100, "2026-01-01", expires_at="2026-01-20", source_id="s", card_id="k"),
        row("B", "redeemed", -60, "2026-01-05", card_id="k", related_transaction_id="A"),
        row("C", "adjusted", 5, "2026-01-21", card_id="k", reason="sorry"),
        row("D", "adjusted", -2, "2026-01-22", card_id="k"),
    ], vouchers=[{"voucher_id": "v", "code": "V", "voucher_type": "LOYALTY_CARD", "card_id": "k", "campaign_id": "n"}],
       gift_card_transactions=[
        {"transaction_id": "1", "type": "CREDITS_ADDITION", "amount": Decimal(50), "voucher_id": "g",
         "created_at": at("2026-01-02"), "details": "{}"},
        {"transaction_id": "2", "type": "CREDITS_REDEMPTION", "amount": Decimal(-20), "voucher_id": "g",
         "created_at": at("2026-01-03")},
    ])  # fmt: skip
    module = model("voucher_transactions")
    found = rendered(module, taken, tmp_path, "2026-02-01")
    assert [(x["id"], x["type"], x["amount"], x["balance"], x["voucher_id"]) for x in found] == [
        ("A", "POINTS_ACCRUAL", 100, 100, "v"),
        ("B", "POINTS_REDEMPTION", -60, 40, "v"),
        ("expiry:A", "POINTS_EXPIRATION", -40, 0, "v"),
        ("C", "POINTS_ADDITION", 5, 5, "v"),
        ("D", "POINTS_REMOVAL", -2, 3, "v"),
        ("1", "CREDITS_ADDITION", 50, 50, "g"),
        ("2", "CREDITS_REDEMPTION", -20, 30, "g"),
    ]
    assert (found[0]["source_id"], found[1]["related_transaction_id"], found[3]["reason"]) == (
        "s",
        "A",
        "sorry",
    )
    # A later part of the year goes on from the balances before it.
    later = rendered(module, taken, tmp_path, "2026-02-01", "2026-01-03")
    assert [(x["id"], x["balance"]) for x in later] == [
        ("B", 40),
        ("expiry:A", 0),
        ("C", 5),
        ("D", 3),
        ("2", 30),
    ]
    assert [x["id"] for x in rendered(module, taken, tmp_path, "2026-02-01", cards="gift")] == ["1", "2"]
    assert len(rendered(module, taken, tmp_path, "2026-02-01", cards="loyalty")) == 5


def test_more_points_than_stand_beside_money_are_named(tmp_path: Path):
    taken = snapshot(tmp_path, [row("A", "earned", 10**14, "2026-01-01", card_id="k")])
    with pytest.raises(Permanent, match=r"100,000,000,000,000\.00 points"):
        rendered(model("voucher_transactions"), taken, tmp_path, "2026-02-01")


@pytest.mark.slow
def test_movements_of_the_sample_chain_and_are_its_history(sample: LocalSnapshot, tmp_path: Path):
    found = rendered(model("voucher_transactions"), sample, tmp_path, "2026-06-01")
    held: dict[Any, Decimal] = {}
    for one in found:
        card = (
            one["kind"],
            one["program_id"],
            one["subledger_id"],
            one["card_id"] or one["customer_id"] or one["voucher_id"],
        )
        assert held.get(card, 0) + one["amount"] == one["balance"], one
        held[card] = one["balance"]
    moved = [one for one in found if one["kind"] == "loyalty_card"]
    posted = rendered(history, sample, tmp_path, "2026-06-01", profile="all")
    assert [(x["id"], x["amount"] * 100) for x in moved] == [
        (x["transaction_id"], x["points_change"]) for x in posted
    ]
