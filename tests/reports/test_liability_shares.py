"""Money of many rows at once says what the arithmetic of one row says, also where 64 bits are too few."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.ledger.revenue import order_consideration, points_price
from include.reports.liabilities.shares import WORTH, decimals, numbers, shares, sums, worths
from tests.examples import examples

PRICES = st.integers(0, 10**18) | st.integers(0, 10**11) | st.integers(0, 3)
UNITS = st.integers(0, 10**16) | st.integers(0, 10**19)  # one row's Decimal is exact up to 28 digits


def units_of(money: Decimal) -> int:
    return int(money.scaleb(8))


@examples(400)
@given(st.lists(st.tuples(PRICES, PRICES, PRICES), min_size=1, max_size=5))
@example([(1, 1, 1)])  # a half goes up
@example([(0, 0, 0)])
@example([(10**9, 2**51 - 3, 2**51 - 1)])
@example([(2**51 - 1, 0, 2**58)])
def test_shares_are_those_of_single_orders(orders: Sequence[tuple[int, int, int]]) -> None:
    found = shares(*(np.array(part, np.int64) for part in zip(*orders, strict=True)))
    expected = [
        units_of(order_consideration(*(Decimal(part).scaleb(-8) for part in order))) for order in orders
    ]
    assert found.tolist() == expected


@examples(400)
@given(
    st.lists(st.integers(1, 10**6) | st.integers(1, 2**62), min_size=1, max_size=5),
    st.tuples(UNITS, UNITS),
    st.data(),
)
def test_worths_are_those_of_single_rows(
    points: Sequence[int], units: Sequence[int], data: st.DataObject
) -> None:
    unit_of = data.draw(st.lists(st.integers(0, 1), min_size=len(points), max_size=len(points)))
    found = worths(np.array(points, np.int64), units, np.array(unit_of))
    expected = [
        units_of(points_price(Decimal(value).scaleb(-2), Decimal(units[i]).scaleb(-16), Decimal(1)))
        for value, i in zip(points, unit_of, strict=True)
    ]
    assert found.tolist() == expected


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(-(2**63), 2**63 - 1)), max_size=20))
def test_sums_leave_64_bits_when_they_must(rows: Sequence[tuple[int, int]]) -> None:
    keys, amounts = ([row[i] for row in rows] for i in (0, 1))
    expected = [sum(amount for key, amount in rows if key == wanted) for wanted in range(4)]
    for dtype in (np.int64, object):
        assert sums(np.array(keys, np.int64), np.array(amounts, dtype), 4).tolist() == expected


@pytest.mark.parametrize("values", [[], [0, 1, -1, 2**63 - 1, -(2**63)], [5, 2**63, 10**37]])
def test_numbers_pass_through_a_decimal_column(values: list[int]) -> None:
    column = decimals(np.array(values, np.int64 if max(values, default=0) < 2**63 else object))
    assert column.type == WORTH
    assert [int(value) for value in column.to_pylist()] == values
    assert numbers(column).tolist() == values
    assert numbers(column.slice(1)).tolist() == values[1:]


def test_numbers_are_in_steps_of_the_scale() -> None:
    assert numbers(pa.array([Decimal("12.3400"), Decimal("-0.0001")], pa.decimal128(18, 4))).tolist() == [
        123400,
        -1,
    ]
