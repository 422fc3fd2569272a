"""Chain-ladder cohorts (docs/ledger.md section 6)."""

from __future__ import annotations

from fractions import Fraction

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.ledger.chain_ladder import TooFewCohortsError, develop


def test_golden_case() -> None:
    # 400 + 500 -> 600 + 750: 1,350 / 900 = 1.5; 600 -> 720: 1.2
    # ultimates 720; 750 x 1.2 = 900; 300 x 1.5 x 1.2 = 540
    found = develop([1_000, 1_000, 1_000], [[400, 600, 720], [500, 750], [300]])
    assert found.factors == (Fraction(3, 2), Fraction(6, 5))
    assert found.ultimates == (720, 900, 540)


def test_never_more_than_was_issued() -> None:
    # 500 -> 1,000 doubles; 600 x 2 = 1,200 is capped at the 1,000 issued
    assert develop([1_000] * 3, [[500, 1_000, 1_000], [500, 1_000], [600]]).ultimates == (1_000, 1_000, 1_000)


def test_larger_cohorts_weigh_more() -> None:
    # (10 + 990) -> (20 + 990): 1,010 / 1,000, not the mean of 2 and 1
    assert develop([100, 2_000, 1_000], [[10, 20, 20], [990, 990], [500]]).factors[0] == Fraction(101, 100)


def test_a_month_that_has_just_begun_takes_the_first_month_of_the_others() -> None:
    # age 0: (100 + 200 + 300) / 3,000 = 20 %; factors 2 and 1; 500 x 20 % x 2 = 200
    found = develop([1_000, 1_000, 1_000, 500], [[100, 200, 200], [200, 400], [300], []])
    assert found.ultimates == (200, 400, 600, 200)


def test_an_age_without_redemptions_does_not_develop() -> None:
    assert develop([10, 10, 10], [[0, 0, 0], [0, 0], [0]]).ultimates == (0, 0, 0)


@pytest.mark.parametrize("redeemed", [[[1, 1], [1]], [[1], [], []], []])
def test_fewer_than_three_issue_months_are_too_few(redeemed: list[list[int]]) -> None:
    with pytest.raises(TooFewCohortsError, match="3 issue months"):
        develop([10] * len(redeemed), redeemed)


def test_a_malformed_triangle_is_refused() -> None:
    with pytest.raises(ValueError, match="younger"):
        develop([10, 10, 10], [[1], [1, 2], [1]])
    with pytest.raises(ValueError, match="one row"):
        develop([10], [[1], [1]])


@given(st.lists(st.lists(st.integers(0, 50), min_size=6, max_size=6), min_size=3, max_size=6))
def test_ultimates_are_not_below_what_was_redeemed(increments: list[list[int]]) -> None:
    months = len(increments)
    triangle = [[sum(row[: age + 1]) for age in range(months - i)] for i, row in enumerate(increments)]
    issued = [300] * months
    found = develop(issued, triangle)
    for points, row, ultimate in zip(issued, triangle, found.ultimates, strict=True):
        assert row[-1] <= ultimate <= points
