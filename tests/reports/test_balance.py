"""Balances: whose they are, which tier, and what the options keep."""

from __future__ import annotations

import pytest

from include.errors import BadInput
from include.reports import balance
from tests.ledger.ledger_text import day
from tests.reports.small import of_text, rows, snapshot, taken

NOW = day("06-01")
CUSTOMERS = [
    {
        "customer_id": "ann",
        "name": "Ann",
        "email": "ann@example.com",
        "registered_at": day("01-01"),
        "stated_balance": 9_000,
    },
    {"customer_id": "bob", "name": "Bob", "email": "bob@example.com", "stated_balance": 1_000},
]
CARDS = [
    {"card_id": "card:1", "customer_id": "ann"},
    {"card_id": "card:2", "customer_id": None, "stated_balance": 3_100},
]
TEXT = """
A earned 70 on 01-01 account ann
B earned 20 on 01-02 account card:1
C earned 30 on 01-03 account card:2
D earned 10 on 01-04 account bob
R redeemed -10 on 01-05 account bob
"""
PROGRAMS = [{"program_id": "p", "name": "Club", "currency": "EUR", "time_zone": "UTC"}]


@pytest.fixture
def ledger(tmp_path):
    return taken(tmp_path, TEXT, customers=CUSTOMERS, cards=CARDS, programs=PROGRAMS)


def test_a_card_shows_its_owner(ledger, tmp_path):
    found = {x["holder_id"]: x for x in rows(balance, ledger, tmp_path, NOW)}
    assert found.keys() == {"ann", "card:1", "card:2", "bob"}
    assert (found["card:1"]["holder_kind"], found["card:1"]["customer_id"]) == ("card", "ann")
    assert (found["card:1"]["customer_name"], found["card:1"]["email"]) == ("Ann", "ann@example.com")
    assert (found["card:2"]["customer_id"], found["card:2"]["customer_name"]) == (None, None)
    assert found["ann"]["program_name"] == "Club"


def test_a_customer_has_the_cards_it_owns_and_a_card_without_owner_stands_alone(ledger, tmp_path):
    found = {x["holder_id"]: x for x in rows(balance, ledger, tmp_path, NOW, grain="customer")}
    assert {holder: x["points_balance"] for holder, x in found.items()} == {
        "ann": 9_000,
        "card:2": 3_000,
        "bob": 0,
    }
    assert (found["card:2"]["holder_kind"], found["card:2"]["customer_id"]) == ("card", None)
    assert found["ann"]["last_activity_at"].date().isoformat() == "2026-01-02"


def test_stated_balances_are_compared(ledger, tmp_path):
    found = {x["holder_id"]: x for x in rows(balance, ledger, tmp_path, NOW, grain="customer")}
    assert {holder: x["stated_difference"] for holder, x in found.items()} == {
        "ann": 0,
        "card:2": 100,
        "bob": 1_000,
    }


def test_a_stated_balance_of_two_programs_is_compared_with_neither(tmp_path):
    two = [*PROGRAMS, {**PROGRAMS[0], "program_id": "q"}]
    ledger = [
        *of_text("A earned 70 on 01-01 account ann"),
        *of_text("B earned 20 on 01-01 account ann", program_id="q"),
    ]
    of = snapshot(tmp_path, {"transactions": ledger, "programs": two, "customers": CUSTOMERS})
    found = rows(balance, of, tmp_path, NOW, grain="customer")
    assert [
        (x["program_id"], x["points_balance"], x["stated_difference"])
        for x in sorted(found, key=lambda x: x["program_id"])
    ] == [
        ("p", 7_000, None),
        ("q", 2_000, None),
    ]


def test_an_empty_id_is_no_id(tmp_path):
    posted = of_text("A earned 70 on 01-01 account card:1\nB earned 20 on 01-02 account card:2")
    expiry = {**of_text("E expired -30 on 01-03 account card:1")[0], "related_transaction_id": ""}
    cards = [{"card_id": f"card:{i}", "customer_id": ""} for i in (1, 2)]
    of = snapshot(tmp_path, {"transactions": [*posted, expiry], "cards": cards})
    found = rows(balance, of, tmp_path, NOW, grain="customer")
    # Cards of owner '' are cards without an owner, and an expiry that names '' names no lot.
    assert {(x["holder_id"], x["customer_id"], x["active"], x["expired"]) for x in found} == {
        ("card:1", None, 4_000, 3_000),
        ("card:2", None, 2_000, 0),
    }


@pytest.mark.parametrize("grain", ["account", "customer"])
def test_rows_that_hold_nothing_can_be_left_out(grain, ledger, tmp_path):
    kept = rows(balance, ledger, tmp_path, NOW, grain=grain, include_zero=False)
    assert "bob" not in {x["holder_id"] for x in kept}
    assert len(kept) == len(rows(balance, ledger, tmp_path, NOW, grain=grain)) - 1


def test_programs_are_kept_by_name_and_unknown_ones_refused(tmp_path):
    two = [*PROGRAMS, {**PROGRAMS[0], "program_id": "q"}]
    ledger = [
        *of_text("A earned 70 on 01-01 account ann"),
        *of_text("B earned 20 on 01-01 account ann", program_id="q"),
    ]
    of = snapshot(tmp_path, {"transactions": ledger, "programs": two})
    (found,) = rows(balance, of, tmp_path, NOW, programs=("q",))
    assert (found["program_id"], found["active"]) == ("q", 2_000)
    with pytest.raises(BadInput, match=r"report balance: programs: 'x': known programs are p, q"):
        rows(balance, of, tmp_path, NOW, programs=("q", "x"))


def test_the_tier_is_the_last_change_before_t(tmp_path):
    def change(on: str, tier: str | None, purse: str | None = None) -> dict[str, object]:
        return {
            "program_id": "p",
            "subledger_id": purse,
            "customer_id": "ann",
            "changed_at": day(on),
            "tier_id": tier,
        }

    tiers = [{"program_id": "p", "tier_id": tier, "name": tier.title()} for tier in ("silver", "gold")]
    changes = [
        change("02-01", "gold"),
        change("01-10", "silver"),
        change("04-01", None),
        change("01-05", "gold", "bonus"),
    ]
    ledger = [*of_text(TEXT), *of_text("E earned 1 on 01-01 account ann", subledger_id="bonus")]
    ledger += of_text("F earned 1 on 01-01 account ann", subledger_id="other")
    of = snapshot(tmp_path, {"transactions": ledger, "cards": CARDS, "tier_changes": changes, "tiers": tiers})

    def tier(on: str, **more: str) -> dict[tuple[str, str], str | None]:
        found = rows(balance, of, tmp_path, day(on), **more)
        return {
            (x.get("subledger_id", ""), x["holder_id"]): x["tier"] for x in found if x["customer_id"] == "ann"
        }

    assert tier("01-10")["", "ann"] is None  # a change at T is not before T
    assert tier("01-11")["", "ann"] == "Silver"
    march = tier("03-01")
    assert march["", "ann"] == march["", "card:1"] == march["other", "ann"] == "Gold"
    assert tier("01-20")["bonus", "ann"] == "Gold"  # the purse has a tier of its own
    assert tier("05-01")["", "ann"] is None  # the tier ended
    assert tier("01-20", grain="customer")["", "ann"] == "Silver"


def test_a_ledger_without_rows_has_no_balances(tmp_path):
    assert rows(balance, snapshot(tmp_path, {"transactions": []}), tmp_path, NOW) == []
    assert rows(balance, snapshot(tmp_path, {"transactions": []}), tmp_path, NOW, grain="customer") == []


NUMBERED = [{**PROGRAMS[0], "external_id": 41}]
BLOCKED = [{**CARDS[0], "status": "blocked"}, {**CARDS[1], "status": "active"}]
# grain, holders: after (holder, card_status)
HOLDERS = {
    ("account", "all"): {("ann", None), ("bob", None), ("card:1", "blocked"), ("card:2", "active")},
    ("account", "customers"): {("ann", None), ("bob", None)},
    ("account", "cards"): {("card:1", "blocked"), ("card:2", "active")},
    ("customer", "customers"): {("ann", None), ("bob", None)},
    ("customer", "cards"): {("card:2", "active")},
}


@pytest.mark.parametrize(("grain", "holders"), HOLDERS)
def test_holders_of_one_kind_can_be_kept(grain, holders, tmp_path):
    of = taken(tmp_path, TEXT, customers=CUSTOMERS, cards=BLOCKED, programs=NUMBERED)
    found = rows(balance, of, tmp_path, NOW, grain=grain, holders=holders)
    assert {(x["holder_id"], x["card_status"]) for x in found} == HOLDERS[grain, holders]
    assert {x["program_external_id"] for x in found} == {41}
    # What a holder has does not depend on who else is kept: ann owns card:1 in either case.
    points = {x["holder_id"]: x["points_balance"] for x in found}
    assert points.get("ann", 0) in ((0, 9_000) if grain == "customer" else (0, 7_000))


@pytest.mark.parametrize("grain", ["account", "customer"])
def test_a_column_alone_is_as_among_all(ledger, tmp_path, grain):
    every = rows(balance, ledger, tmp_path, NOW, grain=grain)
    for column in every[0]:
        found = rows(balance, ledger, tmp_path, NOW, grain=grain, wanted=frozenset([column]))
        assert [row[column] for row in found] == [row[column] for row in every]


def test_what_nobody_reads_is_not_looked_up(ledger, tmp_path):
    for relation in ("customers", "cards", "programs"):
        ledger.files[relation][0].unlink()
    found = rows(balance, ledger, tmp_path, NOW, wanted=frozenset(["holder_id", "active"]))
    assert [(row["holder_id"], row["active"]) for row in found if row["holder_id"] == "ann"] == [
        ("ann", 7_000)
    ]
