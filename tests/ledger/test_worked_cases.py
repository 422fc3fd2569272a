"""The twelve worked cases of docs/ledger.md section 8: before, apply, after, on the reference and the kernel."""

from __future__ import annotations

from tests.ledger.ledger_text import day


def test_c1_earliest_expiry_first_not_first_in(case):
    c = case(
        """A earned 100 on 01-01 expires 12-31
           B earned  50 on 02-01 expires 03-01""",
        "R redeemed -60 on 02-15",
    )
    c.left("02-16", A=90, B=0)
    c.used("02-16", ("R", "B", 50), ("R", "A", 10))
    c.after("02-16", active=90, spent=60)


def test_c2_expiry_before_debit_at_one_instant(case):
    c = case("A earned 100 on 01-01 expires 03-01", "R redeemed -10 on 03-01")
    c.after("03-02", expired=100, debt=10, spent=10)
    c.history("03-02", ("A", 100, 0, 100), ("expiry:A", -100, 0, 0), ("R", -10, 0, -10))


def test_c3_pending_is_not_spendable(case):
    c = case("A earned 100 on 01-01 activates 01-15", "R redeemed -40 on 01-10")
    c.after("01-14", debt=40, pending=100, spent=40)
    c.after("01-15", active=60, spent=40)
    c.used("01-15", ("R", "A", 40))
    assert c.outcome("01-15").allocations[0][3:] == (day("01-15"), 1)


def test_c4_reversal_takes_its_own_lot_pending_too(case):
    c = case(
        """A earned 100 on 01-01 activates 01-15
           B earned  30 on 01-02""",
        "V earned_reversed -100 on 01-10 of A",
    )
    c.left("01-11", A=0, B=30)
    c.after("01-11", active=30)
    c.after("01-20", active=30)


def test_c5_a_posted_expiry_confirms_a_derived_one(case):
    c = case("A earned 100 on 01-01 expires 03-01", "X expired -100 on 03-02")
    c.after("03-03", expired=100)
    c.history("03-03", ("A", 100, 0, 100), ("expiry:A", -100, 0, 0), ("X", 0, 100, 0))
    assert c.outcome("03-03").problems == {}


def test_c6_a_posted_expiry_in_excess(case):
    c = case("A earned 100 on 01-01 expires 12-31", "X expired -30 on 06-01")
    c.after("06-02", expired=30, active=70)
    c.history("06-02", ("A", 100, 0, 100), ("X", -30, 0, 70))


def test_c7_a_refund_is_a_new_lot(case):
    c = case(
        """A earned 100 on 01-01 expires 03-01
           R redeemed -100 on 02-01""",
        "F redemption_refunded 100 on 03-05 expires 06-01",
    )
    c.after("03-06", active=100)
    c.after("06-01", expired=100)


def test_c8_the_classic_collapse(case):
    c = case(
        """A earned 100 on 01-01 expires 02-01
           R redeemed -60 on 01-15""",
        "B earned 80 on 03-01",
    )
    c.after("03-02", expired=40, active=80, spent=60)


def test_c9_reversal_of_an_expired_earn(case):
    c = case(
        """A earned 100 on 01-01 expires 02-01
           B earned  80 on 01-02""",
        "V earned_reversed -100 on 02-10 of A",
    )
    c.left("02-11", A=0, B=0)
    c.after("02-11", expired=100, debt=20)
    assert c.outcome("02-11").problems == {"V": {"reversal_of_expired"}}


def test_c10_expiry_at_the_end_of_a_period(case):
    c = case("A earned 100 on 01-01 expires 03-01", "")
    c.after("02-01", active=100)
    c.after("03-01", expired=100)


def test_c11_a_card_is_not_its_customer(case):
    c = case(
        """C earned 50 on 01-01 account card
           D earned 70 on 01-01 account customer""",
        "R redeemed -60 on 02-01 account card",
    )
    c.after("02-02", account="card", debt=10, spent=60)
    c.after("02-02", account="customer", active=70)


def test_c12_an_expiry_that_names_its_lot(case):
    c = case(
        """A earned 100 on 01-01 expires 02-01
           B earned  80 on 01-02""",
        "X expired -30 on 03-01 of B",
    )
    c.left("03-02", A=0, B=50)
    c.after("03-02", expired=130, active=50)
