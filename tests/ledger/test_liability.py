"""Rounding, shares and the cost method (docs/ledger.md section 6)."""

from __future__ import annotations

from decimal import Decimal
from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.ledger.liability import apportion, cost_liability, forward_rate, money_step, rounded

STEPS = [Decimal(1), Decimal("0.01"), Decimal("0.001")]
D = Decimal


@pytest.mark.parametrize(
    ("amount", "step", "right"),
    [
        ("2.5", "1", "3"),  # a half goes up, not to the even 2
        ("2.4999", "1", "2"),
        ("0.005", "0.01", "0.01"),
        ("1.0005", "0.001", "1.001"),
        ("-2.5", "1", "-3"),  # away from zero, so that a reversal undoes what it reverses
        ("0", "0.01", "0.00"),
        ("12.5", "5", "15"),
    ],
)
def test_halves_round_away_from_zero(amount: str, step: str, right: str) -> None:
    assert rounded(D(amount), D(step)) == D(right)


@given(st.fractions(-(10**18), 10**18), st.sampled_from(STEPS))
def test_a_rounded_amount_is_the_nearest_multiple(amount: Fraction, step: Decimal) -> None:
    found = Fraction(rounded(amount, step))
    assert (found / Fraction(step)).denominator == 1
    assert abs(found - amount) <= Fraction(step) / 2
    assert rounded(-amount, step) == -rounded(amount, step)


@pytest.mark.parametrize(
    ("currency", "declared", "step"),
    [
        ("EUR", None, "0.01"),
        ("JPY", None, "1"),
        ("KWD", None, "0.001"),
        ("CLF", None, "0.0001"),
        ("JPY", "0.05", "0.05"),
    ],
)
def test_the_step_is_the_minor_unit_unless_the_program_says_otherwise(
    currency: str, declared: str | None, step: str
) -> None:
    assert money_step(currency, None if declared is None else D(declared)) == D(step)


def test_a_step_of_nothing_is_refused() -> None:
    with pytest.raises(ValueError, match="greater than 0"):
        money_step("EUR", D(0))


def test_cost_values_what_will_still_be_redeemed() -> None:
    # 10,000 issued, 80 % = 8,000 ever redeemed; 5,000 so far, 4,500 outstanding (500 expired):
    # forward rate (8,000 - 5,000) / 4,500 = 2/3; 4,500 x 0.0123 x 2/3 = 36.90
    rate = forward_rate(Fraction(8_000_00), 5_000_00, 4_500_00)
    assert rate == Fraction(2, 3)
    assert cost_liability(4_500_00, D("0.0123"), rate, D("0.01")) == D("36.90")


@pytest.mark.parametrize(
    ("ultimate", "redeemed", "outstanding", "rate"),
    [(100, 120, 50, 0), (100, 10, 50, 1), (100, 60, 80, Fraction(1, 2)), (100, 0, 0, 0)],
)
def test_the_forward_rate_stays_between_nothing_and_all(
    ultimate: int, redeemed: int, outstanding: int, rate: Fraction
) -> None:
    assert forward_rate(ultimate, redeemed, outstanding) == rate


def test_shares_add_up_to_the_step() -> None:
    # 1.00 in three equal parts: 0.33 each, and the cent left over goes to the first
    assert apportion(D("1.00"), [1, 1, 1], D("0.01")) == [D("0.34"), D("0.33"), D("0.33")]
    # 0.05 as 1 : 2: exactly 1.67 and 3.33 cents, so 1 and 3, and the cent goes to the remainder 0.67
    assert apportion(D("0.05"), [1, 2], D("0.01")) == [D("0.02"), D("0.03")]
    assert apportion(D("7.00"), [0, 0], D("0.01")) == [D(7), D(0)]
    assert apportion(D("7.00"), [], D("0.01")) == []


@given(
    st.integers(-(10**9), 10**9),
    st.lists(st.integers(0, 10**6), min_size=1, max_size=8),
    st.sampled_from(STEPS),
)
def test_shares_sum_to_the_total_and_are_within_a_step(steps: int, weights: list[int], step: Decimal) -> None:
    total = steps * step
    shares = apportion(total, weights, step)
    assert sum(shares) == total
    whole = sum(weights)
    for share, weight in zip(shares, weights, strict=True):
        assert whole == 0 or abs(Fraction(share) - Fraction(total) * weight / whole) < Fraction(step)
