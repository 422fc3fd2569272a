"""Redemptions: what points were exchanged for, what came back, and whether the coupon was used (section 7)."""

from __future__ import annotations

from decimal import Decimal

import pytest

from include.errors import BadInput
from include.reports import redemption
from tests.ledger.ledger_text import day
from tests.reports.small import of_text, rows, snapshot, taken

TEXT = """
A earned 500 on 01-01
R1 redeemed -10 on 02-01
R2 redeemed -20 on 02-02
R3 redeemed -30 on 02-03
R4 redeemed -40 on 02-04
R5 redeemed -50 on 02-05
F1 redemption_refunded 15 on 02-10 expires 12-31 of R4
F2 redemption_refunded 5 on 02-11 expires 12-31 of R4
"""
REWARDS = [
    {"reward_id": "mug", "name": "Mug", "type": "product", "value": Decimal(4), "currency": "EUR"},
    {"reward_id": "off", "name": "5 off", "type": "discount", "value": Decimal(5)},
]
REDEMPTIONS = [
    {
        "redemption_id": "x1",
        "transaction_id": "R1",
        "reward_id": "mug",
        "voucher_id": "v1",
        "reward_value": Decimal("3.5"),
    },
    {
        "redemption_id": "x2",
        "transaction_id": "R2",
        "reward_id": "off",
        "coupon_code": "CODE2",
        "order_id": "o2",
    },
    {"redemption_id": "x3", "transaction_id": "R3", "reward_id": "off", "coupon_code": "POOL3"},
    {"redemption_id": "x4", "transaction_id": "R4", "reward_id": "off"},
    {"redemption_id": "x5", "transaction_id": "R5", "reward_id": "mug", "voucher_id": "v5"},
    {"redemption_id": "w5", "transaction_id": "R5", "reward_id": "off", "result": "FAILURE"},
    {"redemption_id": "b5", "transaction_id": "R5", "reward_id": "off", "kind": "rollback"},
    {"redemption_id": "z5", "transaction_id": "R5", "reward_id": "off"},
]
VOUCHERS = [
    {"voucher_id": "v1", "code": "CODE1", "used_at": day("03-01"), "expires_at": day("12-01")},
    {"voucher_id": "v2", "code": "CODE2", "used_at": None, "expires_at": day("04-01")},
    {"voucher_id": "v5", "code": "CODE5", "used_at": None, "expires_at": None},
]
COUPONS = [{"code": "POOL3", "used_at": day("03-15"), "expires_at": day("04-01")}]
PROGRAMS = [{"program_id": "p", "name": "Club", "currency": "CHF", "time_zone": "UTC"}]


@pytest.fixture
def ledger(tmp_path):
    return taken(
        tmp_path,
        TEXT,
        redemptions=REDEMPTIONS,
        rewards=REWARDS,
        vouchers=VOUCHERS,
        coupons=COUPONS,
        programs=PROGRAMS,
    )


def by_id(found):
    return {x["transaction_id"]: x for x in found}


@pytest.mark.slow
def test_each_row_has_what_it_was_exchanged_for(ledger, tmp_path):
    found = by_id(rows(redemption, ledger, tmp_path, day("03-02")))
    assert {i: x["redemption_id"] for i, x in found.items()} == {
        "R1": "x1",
        "R2": "x2",
        "R3": "x3",
        "R4": "x4",
        "R5": "x5",
    }
    assert {i: x["reward_name"] for i, x in found.items()} == {
        "R1": "Mug",
        "R2": "5 off",
        "R3": "5 off",
        "R4": "5 off",
        "R5": "Mug",
    }
    assert {i: x["coupon_code"] for i, x in found.items()} == {
        "R1": "CODE1",
        "R2": "CODE2",
        "R3": "POOL3",
        "R4": None,
        "R5": "CODE5",
    }
    assert found["R1"]["reward_value"] == Decimal("3.5")  # what it was worth then
    assert (found["R2"]["reward_value"], found["R2"]["currency"], found["R2"]["order_id"]) == (5, "CHF", "o2")
    assert found["R1"]["currency"] == "EUR"
    assert (found["R2"]["voucher_id"], found["R1"]["program_name"]) == ("v2", "Club")


@pytest.mark.parametrize(
    ("as_of", "status"),
    [
        ("03-01", {"R1": "unused", "R2": "unused", "R3": "unused", "R4": "used", "R5": "unused"}),
        ("03-02", {"R1": "used", "R2": "unused", "R3": "unused", "R4": "used", "R5": "unused"}),
        ("04-01", {"R1": "used", "R2": "expired", "R3": "used", "R4": "used", "R5": "unused"}),
    ],
)
def test_the_status_is_that_of_the_coupon_at_t(as_of, status, ledger, tmp_path):
    found = rows(redemption, ledger, tmp_path, day(as_of))
    assert {x["transaction_id"]: x["redemption_status"] for x in found} == status


def test_refunds_stand_beside_what_they_give_back_once_they_happened(ledger, tmp_path):
    assert by_id(rows(redemption, ledger, tmp_path, day("02-11")))["R4"]["points_refunded"] == 1_500
    found = rows(redemption, ledger, tmp_path, day("03-01"))
    assert [(x["points_cost"], x["points_refunded"]) for x in found] == [
        (1_000, 0),
        (2_000, 0),
        (3_000, 0),
        (4_000, 2_000),
        (5_000, 0),
    ]


def test_a_refund_to_another_account_stands_beside_too(tmp_path):
    of = taken(
        tmp_path,
        """
        A earned 500 on 01-01
        R redeemed -10 on 02-01
        F redemption_refunded 3 on 02-02 expires 12-31 of R
        G redemption_refunded 4 on 02-03 expires 12-31 of R account merged
        H redemption_refunded 2 on 02-04 expires 12-31 of R account card:1
        """,
        redemptions=[],
        rewards=[],
    )
    (found,) = rows(redemption, of, tmp_path, day("02-04"))
    assert (found["points_cost"], found["points_refunded"]) == (1_000, 700)
    (found,) = rows(redemption, of, tmp_path, day("03-01"), partitions=7)
    assert found["points_refunded"] == 900


def test_a_period_holds_its_start_and_not_its_end(ledger, tmp_path):
    found = rows(redemption, ledger, tmp_path, day("02-04"), start=day("02-02"))
    assert [x["transaction_id"] for x in found] == ["R2", "R3"]


def test_a_ledger_without_redemptions_says_so_by_name(tmp_path):
    of = snapshot(tmp_path, {"transactions": of_text(TEXT)})
    with pytest.raises(BadInput) as caught:
        rows(redemption, of, tmp_path, day("03-01"))
    assert [(p.value, p.code) for p in caught.value.problems] == [
        ("redemptions", "missing_relation"),
        ("rewards", "missing_relation"),
    ]
