"""Deferred revenue: the published examples to the cent, and what must hold for any cohort."""

from __future__ import annotations

from dataclasses import replace
from decimal import Decimal
from fractions import Fraction
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.ledger.liability import rounded
from include.ledger.revenue import NOTHING, CohortState, Movement, movement, order_consideration, points_price

D = Decimal
ONE, CENT, MILL = D(1), D("0.01"), D("0.001")


def state(
    consideration: str, issued: int, redeemed: int, outstanding: int, assumed: int, reversed_: int = 0
) -> CohortState:
    return CohortState(D(consideration), issued, reversed_, redeemed, outstanding, Fraction(assumed))


class TestIfrs15Example52:
    """Price 100,000; 10,000 points worth 1 each, 9,500 expected to be redeemed."""

    def test_the_price_is_split_by_stand_alone_prices(self) -> None:
        points = points_price(10_000, D(1), D("0.95"))
        assert points == D(9_500)
        share = order_consideration(D(100_000), D(100_000), points)
        # 100,000 x 9,500 / 109,500 = 8,675.799...; the goods keep 91,324.20
        assert rounded(share, ONE) == D(8_676)
        assert rounded(D(100_000) - share, ONE) == D(91_324)

    def test_in_units(self) -> None:
        issued = state("8675.79908676", 10_000, 0, 10_000, 9_500)
        one = state("8675.79908676", 10_000, 4_500, 5_500, 9_500)
        two = state("8675.79908676", 10_000, 8_500, 1_500, 9_700)
        first, second = movement(issued, one, ONE), movement(one, two, ONE)
        # 8,676 x 4,500 / 9,500 = 4,109.68; 8,676 x 8,500 / 9,700 = 7,602.68; 7,603 - 4,110 = 3,493
        assert (first.revenue, first.closing) == (D(4_110), D(4_566))
        assert (second.revenue, second.closing) == (D(3_493), D(1_073))

    def test_in_cents(self) -> None:
        one = state("8676.00", 10_000, 4_500, 5_500, 9_500)
        two = state("8676.00", 10_000, 8_500, 1_500, 9_700)
        assert (one.cumulative(CENT), two.cumulative(CENT)) == (D("4109.68"), D("7602.68"))
        # redemption 8,676 x 4,000 / 9,700 = 3,577.73; the rest says that 4,500 were redeemed of more than thought
        assert movement(one, two, CENT) == Movement(
            opening=D("4566.32"),
            added=D(0),
            redemption=D("3577.73"),
            change_of_estimate=D("-84.73"),
            closing=D("1073.32"),
        )


def test_sales_of_7_2_million_with_points_worth_800_000() -> None:
    # 7.2m x 0.8m / (7.2m - 0 + 0.8m) = 720,000; the goods keep 6,480,000
    share = order_consideration(D(7_200_000), D(7_200_000), D(800_000))
    assert (share, D(7_200_000) - share) == (D(720_000), D(6_480_000))
    # 9,000 issued in the end; (R, E) = (4,000, 8,000), (8,100, 9,000), (9,000, 9,000)
    years = [
        state("720000", 10_000, r, left, e)
        for r, left, e in [
            (0, 10_000, 8_000),
            (4_000, 6_000, 8_000),
            (8_100, 1_900, 9_000),
            (9_000, 0, 9_000),
        ]
    ]
    moved = [movement(a, b, CENT) for a, b in pairwise(years)]
    # 720,000 x 4,000/8,000 = 360,000; x 8,100/9,000 = 648,000, less 360,000 = 288,000; 720,000 - 648,000 = 72,000
    assert [m.revenue for m in moved] == [D(360_000), D(288_000), D(72_000)]
    assert moved[-1].closing == 0


def test_a_reversal_takes_its_part_of_the_consideration_back() -> None:
    # A 100.00 for 1,000 points, 250 reversed: A 75.00 for 750; 300 of the expected 600 redeemed: 37.50
    kept = state("100.00", 1_000, 300, 450, 600, reversed_=250)
    assert (kept.amount(CENT), kept.cumulative(CENT)) == (D("75.00"), D("37.50"))
    moved = movement(replace(kept, reversed=0, outstanding=700), kept, CENT)
    assert moved.added == D("-25.00")


def test_more_redeemed_than_expected_is_the_new_estimate() -> None:
    assert state("100", 1_000, 900, 100, 800).cumulative(CENT) == D(100)


def test_what_can_no_longer_be_redeemed_is_not_expected() -> None:
    # 800 expected, but 300 redeemed and 200 left can make 500 at most: 100 x 300 / 500
    assert state("100", 1_000, 300, 200, 800).cumulative(CENT) == D(60)


def test_refunds_beyond_all_redemptions_earn_nothing() -> None:
    assert state("100", 1_000, -50, 1_050, 800).cumulative(CENT) == 0


def test_points_that_nobody_is_expected_to_redeem_defer_until_they_are_gone() -> None:
    assert state("0", 1_000, 0, 1_000, 0).cumulative(CENT) == 0
    assert state("5", 1_000, 0, 0, 0).cumulative(CENT) == D(5)


def test_an_order_worth_nothing_defers_nothing() -> None:
    assert order_consideration(D(0), D(0), D(0)) == 0


@st.composite
def lives(draw: st.DrawFn) -> tuple[list[CohortState], Decimal]:
    """A cohort from issue to its end: points leave it by redemption, refund or expiry; estimates change."""
    step = draw(st.sampled_from([ONE, CENT, MILL]))
    issued = draw(st.integers(1, 10**6))
    amount = D(draw(st.integers(0, 10**11))).scaleb(-8 if step != ONE else 0)
    redeemed, left = 0, issued
    states = [CohortState(amount, issued, 0, 0, issued, Fraction(draw(st.integers(0, issued))))]
    for _ in range(draw(st.integers(0, 6))):
        used, gone = draw(st.integers(0, left)), 0
        refunded = draw(st.integers(0, redeemed))
        gone = draw(st.integers(0, left - used))
        redeemed, left = redeemed + used - refunded, left - used - gone + refunded
        states.append(CohortState(amount, issued, 0, redeemed, left, Fraction(draw(st.integers(0, issued)))))
    states.append(CohortState(amount, issued, 0, redeemed + left, 0, Fraction(draw(st.integers(0, issued)))))
    return states, step


@given(lives())
def test_revenue_reaches_the_consideration_and_every_period_foots(
    life: tuple[list[CohortState], Decimal],
) -> None:
    states, step = life
    moved = [movement(a, b, step) for a, b in zip([NOTHING, *states], states, strict=False)]
    assert sum(m.revenue for m in moved) == states[-1].amount(step) == rounded(states[0].consideration, step)
    assert moved[-1].closing == 0
    for one, following in pairwise(moved):
        assert following.opening == one.closing
    for m in moved:
        assert m.opening + m.added - m.redemption - m.change_of_estimate == m.closing
        assert all((Fraction(x) / Fraction(step)).denominator == 1 for x in vars(m).values())
        assert m.closing >= 0


@given(lives(), st.data())
def test_leaving_out_a_cut_changes_no_revenue(
    life: tuple[list[CohortState], Decimal], data: st.DataObject
) -> None:
    states, step = life
    kept = [s for s in states[:-1] if data.draw(st.booleans())] + states[-1:]
    for cuts in (states, kept):
        total = sum(movement(a, b, step).revenue for a, b in zip([NOTHING, *cuts], cuts, strict=False))
        assert total == states[-1].amount(step)


@pytest.mark.parametrize(("price", "rate"), [("0.005", "0.5"), ("0.00000001", "1")])
def test_the_price_of_points_is_fixed_at_eight_places(price: str, rate: str) -> None:
    assert points_price(D("0.5"), D(price), D(rate)) == rounded(
        D("0.5") * D(price) * D(rate), D("0.00000001")
    )
