"""Exact integer money for many rows at once: numpy's 64 bits where they suffice, Python's integers elsewhere.

`include.ledger.revenue.points_price` and `order_consideration` say the same for one row. Money is in units of
10 to the minus CONSIDERATION_PLACES of the currency unit; every rounding is half up.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from include.ledger.rows import Ints

Wide = NDArray[Any]  # int64, or Python's integers as objects where 64 bits are too few
MONEY_UNIT = 10_000  # money of the catalog has four places
WORTH = pa.decimal128(38, 0)
_UNIT_SCALE = 10**10  # of points x rates, above
_MOST = 2**60
_MOST_SHARE = 2.0**51  # below it a quotient of floats is wrong by less than three
_LOW = 32


def worths(points: Ints, units: Sequence[int], unit_of: Ints) -> Wide:
    """Return P of rows: points (hundredths, positive) x unit / 10**10; `unit_of` is a row's index in `units`."""
    most = int(points.max(initial=0))
    whole, rest = zip(*(divmod(unit, _UNIT_SCALE) for unit in units), strict=True)
    if 2 * most * _UNIT_SCALE < _MOST and max(map(abs, whole)) * most < _MOST:
        part = 2 * points * np.array(rest, np.int64)[unit_of] + _UNIT_SCALE
        found: Wide = points * np.array(whole, np.int64)[unit_of] + part // (2 * _UNIT_SCALE)
        return found
    doubled = 2 * points.astype(object) * np.array(units, object)[unit_of]
    exact: Wide = (doubled + _UNIT_SCALE) // (2 * _UNIT_SCALE)
    return exact


def shares(price: Wide, goods: Wide, points: Wide) -> Wide:
    """Return A: price x P / (goods + P) of orders, 0 where goods and points are both worth nothing."""
    if all(_small(part) for part in (price, goods, points)):
        worth = np.maximum(goods + points, 1)  # where it is 0, so is P
        about = price.astype(np.float64) * points / worth
        if about.max(initial=0) < _MOST_SHARE:
            share: Wide = about.astype(np.int64)
            # The product and its neighbour leave 64 bits, and wrap; their difference is small, and right.
            over = (price.view(np.uint64) * points.view(np.uint64)).view(np.int64) - share * worth
            more = over // worth
            over -= more * worth
            share += more + (over >= worth - over)
            return share
    whole = (goods.astype(object) + points).astype(object)
    whole[whole == 0] = 1
    exact: Wide = (2 * price.astype(object) * points + whole) // (2 * whole)
    return exact


def sums(keys: Ints, amounts: Wide, count: int) -> Wide:
    """Return the sum of the amounts of every key below `count`, as Python's integers; at most 2**31 rows."""
    if amounts.dtype == object:
        exact = np.zeros(count, object)
        np.add.at(exact, keys, amounts)
        return exact
    high, low = np.zeros(count, np.int64), np.zeros(count, np.int64)
    np.add.at(high, keys, amounts >> _LOW)
    np.add.at(low, keys, amounts & (2**_LOW - 1))
    total: Wide = high.astype(object) * 2**_LOW + low
    return total


def numbers(column: pa.Array) -> Wide:
    """Return the unscaled integers of a decimal column; what stands where it is null is of no meaning."""
    if not len(column):
        return np.empty(0, np.int64)
    words = np.frombuffer(column.buffers()[1], np.int64, 2 * len(column), 16 * column.offset).reshape(-1, 2)
    if np.array_equal(words[:, 1], words[:, 0] >> 63):
        return words[:, 0].copy()
    texts = column.fill_null(Decimal(0)).to_pylist()
    return np.array([int(text.scaleb(column.type.scale)) for text in texts], object)


def decimals(values: Wide) -> pa.Array:
    """Return integers as a column of WORTH."""
    if values.dtype == object:
        return pa.array([Decimal(value) for value in values.tolist()], WORTH)
    words = np.column_stack((values, values >> 63))
    return pa.Array.from_buffers(WORTH, values.size, [None, pa.py_buffer(np.ascontiguousarray(words))])


def _small(values: Wide) -> bool:
    return values.dtype != object and bool(
        (values.min(initial=0) >= 0) & (values.max(initial=0) < _MOST // 2)
    )
