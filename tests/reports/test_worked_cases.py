"""The worked cases of docs/ledger.md section 8 through the whole report: before, apply, after."""

from __future__ import annotations

import pytest

from include.reports import allocations, balance, history, lots
from tests.ledger.ledger_text import day
from tests.reports.small import rows, taken

A100 = "A earned 100 on 01-01"
# name: ledger, as of, balances by holder (whole points), history as (id, change, after)
CASES = {
    "C1 earliest expiry first": (
        f"{A100} expires 12-31\nB earned 50 on 02-01 expires 03-01\nR redeemed -60 on 02-15",
        "02-16",
        {"a": {"active": 90, "spent": 60}},
        [("A", 100, 100), ("B", 50, 150), ("R", -60, 90)],
    ),
    "C2 expiry before debit at one instant": (
        f"{A100} expires 03-01\nR redeemed -10 on 03-01",
        "03-02",
        {"a": {"active": 0, "expired": 100, "negative_balance": 10}},
        [("A", 100, 100), ("expiry:A", -100, 0), ("R", -10, -10)],
    ),
    "C3 pending is not spendable": (
        f"{A100} activates 01-15\nR redeemed -40 on 01-10",
        "01-11",
        {"a": {"active": 0, "pending": 100, "negative_balance": 40}},
        [("A", 100, 100), ("R", -40, 60)],
    ),
    "C3 and repays when it activates": (
        f"{A100} activates 01-15\nR redeemed -40 on 01-10",
        "01-15",
        {"a": {"active": 60, "pending": 0, "negative_balance": 0}},
        [("A", 100, 100), ("R", -40, 60)],
    ),
    "C4 a reversal takes its own lot": (
        f"{A100} activates 01-15\nB earned 30 on 01-02\nV earned_reversed -100 on 01-10 of A",
        "01-11",
        {"a": {"active": 30, "pending": 0, "spent": 0}},
        [("A", 100, 100), ("B", 30, 130), ("V", -100, 30)],
    ),
    "C5 a posted expiry confirms": (
        f"{A100} expires 03-01\nE expired -100 on 03-02",
        "03-03",
        {"a": {"active": 0, "expired": 100}},
        [("A", 100, 100), ("expiry:A", -100, 0), ("E", 0, 0)],
    ),
    "C6 a posted expiry in excess": (
        f"{A100} expires 12-31\nE expired -30 on 06-01",
        "06-02",
        {"a": {"active": 70, "expired": 30}},
        [("A", 100, 100), ("E", -30, 70)],
    ),
    "C7 a refund is a new lot": (
        f"{A100} expires 03-01\nR redeemed -100 on 02-01\nF redemption_refunded 100 on 03-05 expires 06-01",
        "03-06",
        {"a": {"active": 100, "spent": 0, "expired": 0}},
        [("A", 100, 100), ("R", -100, 0), ("F", 100, 100)],
    ),
    "C7 until it expires": (
        f"{A100} expires 03-01\nR redeemed -100 on 02-01\nF redemption_refunded 100 on 03-05 expires 06-01",
        "06-01",
        {"a": {"active": 0, "spent": 0, "expired": 100}},
        [("A", 100, 100), ("R", -100, 0), ("F", 100, 100), ("expiry:F", -100, 0)],
    ),
    "C8 the classic collapse": (
        f"{A100} expires 02-01\nR redeemed -60 on 01-15\nB earned 80 on 03-01",
        "03-02",
        {"a": {"active": 80, "expired": 40, "spent": 60}},
        [("A", 100, 100), ("R", -60, 40), ("expiry:A", -40, 0), ("B", 80, 80)],
    ),
    "C9 reversal of an expired earn": (
        f"{A100} expires 02-01\nB earned 80 on 01-02\nV earned_reversed -100 on 02-10 of A",
        "02-11",
        {"a": {"active": 0, "expired": 100, "negative_balance": 20}},
        [("A", 100, 100), ("B", 80, 180), ("expiry:A", -100, 80), ("V", -100, -20)],
    ),
    "C11 a card is not its customer": (
        "K earned 50 on 01-01 account card:c\nA earned 70 on 01-01 account c\nR redeemed -60 on 01-02 account card:c",
        "01-03",
        {"card:c": {"active": 0, "negative_balance": 10}, "c": {"active": 70, "negative_balance": 0}},
        None,
    ),
    "C12 an expiry that names its lot": (
        f"{A100} expires 02-01\nB earned 80 on 01-02\nE expired -30 on 02-03 of B",
        "02-04",
        {"a": {"active": 50, "expired": 130}},
        [("A", 100, 100), ("B", 80, 180), ("expiry:A", -100, 80), ("E", -30, 50)],
    ),
}


@pytest.mark.parametrize("case", CASES)
def test_the_balance_after(case, tmp_path):
    text, as_of, after, _ = CASES[case]
    found = {row["holder_id"]: row for row in rows(balance, taken(tmp_path, text), tmp_path, day(as_of))}
    assert found.keys() == after.keys()
    for holder, figures in after.items():
        assert {name: found[holder][name] / 100 for name in figures} == figures


@pytest.mark.parametrize("case", [name for name, case in CASES.items() if case[3] is not None])
def test_the_history_before_and_after(case, tmp_path):
    text, as_of, _, expected = CASES[case]
    found = rows(history, taken(tmp_path, text), tmp_path, day(as_of))
    steps = [(x["transaction_id"], x["points_change"] // 100, x["balance_after"] // 100) for x in found]
    assert steps == expected
    assert [x["balance_before"] for x in found] == [0, *(x["balance_after"] for x in found[:-1])]


def test_c5_shows_what_was_posted_and_what_it_confirmed(tmp_path):
    text, as_of, _, _ = CASES["C5 a posted expiry confirms"]
    found = rows(history, taken(tmp_path, text), tmp_path, day(as_of), profile="all")
    assert [(x["transaction_id"], x["posted_points"], x["confirmed_points"]) for x in found] == [
        ("A", 10_000, 0),
        ("expiry:A", 0, 0),
        ("E", -10_000, 10_000),
    ]
    derived = found[1]
    assert (derived["type"], derived["related_transaction_id"], derived["customer_id"]) == (
        "expired",
        "A",
        "a",
    )


def test_history_has_the_programs_number_of_posted_rows_and_of_derived_expiries(tmp_path):
    text = "A earned 100 on 01-01 expires 02-01"
    base = {"name": "P", "currency": "EUR", "time_zone": "UTC"}
    of = taken(tmp_path, text, programs=[{**base, "program_id": "p", "external_id": 41}])
    found = rows(history, of, tmp_path, day("03-01"), profile="all")
    assert [(x["transaction_id"], x["program_external_id"]) for x in found] == [("A", 41), ("expiry:A", 41)]
    unnumbered = rows(history, taken(tmp_path, text), tmp_path, day("03-01"), profile="all")
    assert [x["program_external_id"] for x in unnumbered] == [None, None]


def test_c9_is_reported_in_the_history(tmp_path):
    text, as_of, _, _ = CASES["C9 reversal of an expired earn"]
    found = rows(history, taken(tmp_path, text), tmp_path, day(as_of), profile="all")
    assert {x["transaction_id"]: x["problems"] for x in found if x["problems"]} == {
        "V": "reversal_of_expired"
    }


def test_c10_an_expiry_at_the_end_of_a_period_belongs_to_it(tmp_path):
    of = taken(tmp_path, f"{A100} expires 03-01")
    february = rows(history, of, tmp_path, day("03-01"), start=day("02-01"))
    march = rows(history, of, tmp_path, day("04-01"), start=day("03-01"))
    assert [(x["transaction_id"], x["balance_before"], x["balance_after"]) for x in february] == [
        ("expiry:A", 10_000, 0)
    ]
    assert march == []


def test_lots_say_what_became_of_them(tmp_path):
    text = """
    A earned 100 on 01-01 expires 02-01
    B earned 50 on 01-02
    C earned 20 on 01-03 activates 06-01
    D earned 10 on 01-04 expires 12-31
    R redeemed -70 on 01-05
    E expired -10 on 01-06 of D
    """
    of = taken(tmp_path, text)
    found = rows(lots, of, tmp_path, day("03-01"))
    # R takes 70 of A, which expires first; the rest of A expires; E takes D, which it names.
    figures = [(x["lot_id"], x["used"], x["expired"], x["remaining"], x["status"]) for x in found]
    assert figures == [
        ("A", 7_000, 3_000, 0, "expired"),
        ("B", 0, 0, 5_000, "active"),
        ("C", 0, 0, 2_000, "pending"),
        ("D", 0, 1_000, 0, "expired"),
    ]
    assert [x["lot_id"] for x in rows(lots, of, tmp_path, day("03-01"), open_only=True)] == ["B", "C"]
    june = rows(lots, of, tmp_path, day("06-01"), open_only=True)
    assert [x["status"] for x in june] == ["active", "active"]  # at T itself C is active


def test_allocations_say_who_used_which_lot(tmp_path):
    text = """
    A earned 100 on 01-01 expires 02-01
    R redeemed -130 on 01-05
    B earned 50 on 01-10 expires 03-01
    E expired -10 on 01-20 of B
    """
    of = taken(tmp_path, text)
    found = rows(allocations, of, tmp_path, day("04-01"))
    assert [(x["debit_id"], x["lot_id"], x["points"], x["kind"]) for x in found] == [
        ("R", "A", 10_000, "debit"),
        ("R", "B", 3_000, "repayment"),
        ("E", "B", 1_000, "posted_expiry"),
        ("expiry:B", "B", 1_000, "expiry"),
    ]
    later = rows(allocations, of, tmp_path, day("03-01"), start=day("01-20"))
    assert [x["debit_id"] for x in later] == ["E", "expiry:B"]
