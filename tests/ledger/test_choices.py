"""What docs/ledger.md section 3 says in passing or leaves open, on the reference and the kernel."""

from __future__ import annotations

import pytest

from tests.ledger.ledger_text import day


def test_debts_are_repaid_oldest_first_by_lots_in_order_of_activation(case):
    c = case(
        """R redeemed -30 on 01-01
           S redeemed -30 on 01-02""",
        """B earned 40 on 01-03 activates 01-05 expires 12-01
           A earned 40 on 01-03 activates 01-05 expires 06-01
           C earned 10 on 01-03 activates 01-04""",
    )
    c.used("01-05", ("R", "C", 10), ("R", "A", 20), ("S", "A", 20), ("S", "B", 10))
    c.after("01-05", active=30, spent=60)


def test_expiries_of_one_instant_stand_in_the_order_of_rule_two(case):
    """Z, A and E expire unused when they activate; B and D, which expire then, stand between them."""
    c = case(
        """B earned  1 on 01-01 expires 02-01
           Z earned  2 on 01-02 activates 02-01 expires 01-05
           A earned  4 on 01-02 activates 02-01 expires 01-05
           D earned  8 on 01-01 expires 02-01
           E earned 16 on 01-01 activates 02-01 expires 02-01""",
        "",
    )
    names = [name for name, *_ in c.outcome("02-01").history[5:]]
    assert names == ["expiry:A", "expiry:Z", "expiry:B", "expiry:D", "expiry:E"]


@pytest.mark.parametrize("expires", ["12-30", "01-02", "01-01"])
def test_a_lot_that_expires_before_it_is_usable_expires_unused_when_it_activates(case, expires):
    c = case(f"A earned 100 on 01-02 activates 12-30 expires {expires}", "R redeemed -10 on 01-03")
    c.after("12-29", pending=100, debt=10, spent=10)
    c.after("12-30", expired=100, debt=10, spent=10)
    assert c.outcome("12-30").expiry_at == {"expiry:A": day("12-30")}


def test_posted_expiries_confirm_oldest_first_then_use_the_earliest_to_expire(case):
    c = case(
        """A earned 10 on 01-01 expires 02-01
           B earned 10 on 01-01 expires 03-01
           C earned 10 on 01-01 expires 04-01
           D earned 10 on 01-01""",
        """X expired -15 on 03-02
           Y expired -12 on 03-03""",
    )
    assert c.outcome("03-03").unposted == {"expiry:A": 0, "expiry:B": 500}
    c.history("03-04", *[(n, 10, 0, 10 * i) for i, n in enumerate("ABCD", 1)], ("expiry:A", -10, 0, 30),
              ("expiry:B", -10, 0, 20), ("X", 0, 15, 20), ("Y", -7, 5, 13))  # fmt: skip
    c.left("03-04", A=0, B=0, C=3, D=10)


def test_a_posted_expiry_that_names_its_lot_leaves_other_expiries_unconfirmed(case):
    c = case(
        """A earned 10 on 01-01 expires 02-01
           B earned 10 on 01-01 expires 03-01""",
        """X expired -14 on 03-02 of B""",
    )
    assert c.outcome("03-03").unposted == {"expiry:A": 1000, "expiry:B": 0}
    assert c.outcome("03-03").uncovered == {"X": 400}
    assert c.outcome("03-03").problems == {"X": {"expired_more_than_outstanding"}}
    c.after("03-03", expired=20)


def test_a_posted_expiry_never_makes_a_debt_and_never_touches_pending_points(case):
    c = case("A earned 10 on 01-01 activates 06-01", "X expired -10 on 02-01 of A\nY expired -3 on 02-02")
    c.after("02-03", pending=10)
    assert c.outcome("02-03").uncovered == {"X": 1000, "Y": 300}


def test_a_posted_expiry_of_something_unknown_expires_nothing(case):
    c = case("A earned 10 on 01-01", "X expired -10 on 02-01 of nobody")
    c.after("02-02", active=10)
    assert c.outcome("02-02").problems == {"X": {"expired_more_than_outstanding", "expiry_target_missing"}}


def test_a_reversal_in_two_parts_is_no_problem_but_a_third_is_doubled(case):
    c = case(
        """A earned 100 on 01-01
           B earned  50 on 01-01""",
        """V earned_reversed -60 on 01-02 of A
           W earned_reversed -40 on 01-03 of A
           X earned_reversed -30 on 01-04 of A""",
    )
    c.after("01-05", active=20)
    assert c.outcome("01-05").problems == {"X": {"reversal_target_doubled"}}


@pytest.mark.parametrize("target", ["", " of nobody", " of R", " of B"])
def test_a_reversal_without_an_earlier_lot_is_booked_like_any_debit(case, target):
    c = case(
        """A earned 100 on 01-01
           R redeemed -10 on 01-02""",
        f"V earned_reversed -20 on 01-03{target}\nB earned 5 on 01-04",
    )
    c.after("01-05", active=75, spent=10)
    assert c.outcome("01-05").problems == {"V": {"reversal_target_missing"}}


def test_a_reversal_after_an_early_posted_expiry_is_of_an_expired_lot(case):
    c = case(
        "A earned 10 on 01-01 expires 06-01", "X expired -10 on 02-01\nV earned_reversed -10 on 02-02 of A"
    )
    c.after("02-03", expired=10, debt=10)
    assert c.outcome("02-03").problems == {"V": {"reversal_of_expired"}}


def test_a_used_up_lot_can_be_reversed_without_being_called_expired(case):
    c = case(
        "A earned 10 on 01-01 expires 02-01\nR redeemed -10 on 01-02", "V earned_reversed -10 on 03-01 of A"
    )
    c.after("03-02", debt=10, spent=10)
    assert c.outcome("03-02").problems == {}


def test_reported_and_booked_problems(case):
    c = case(
        "R redeemed -5 on 01-01",
        """Z earned 0 on 01-02
           Y adjusted 0 on 01-02
           F redemption_refunded 5 on 01-03
           T transferred_in 5 on 01-03
           G transferred_in 5 on 01-03 expires 12-01""",
    )
    c.after("01-04", active=10, spent=0)
    assert c.outcome("01-04").problems == {
        "R": {"debit_before_any_earn"},
        "Z": {"zero_points"},
        "Y": {"zero_points"},
        "F": {"without_expiry"},
        "T": {"without_expiry"},
    }


def test_last_activity_ignores_expiry_and_lifetime_counts_only_earned(case):
    c = case("A earned 10 on 01-01\nB adjusted 20 on 01-02", "X expired -5 on 02-01")
    assert c.outcome("02-02").last_activity_at == day("01-02")
    assert c.outcome("02-02").lifetime_earned == 1000
    assert c.outcome("02-02").posted == 3000
