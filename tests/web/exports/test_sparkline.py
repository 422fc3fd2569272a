"""A figure's line stays within its picture, whatever the figure does."""

from __future__ import annotations

from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from include.web.exports.sparkline import HEIGHT, MARGIN, WIDTH, sparkline

values = st.lists(st.none() | st.decimals(-(10**18), 10**18, places=2), max_size=60)


@given(values)
def test_every_point_lies_within_and_the_lines_hold_every_known_value(given_):
    found = sparkline(given_)
    points = [tuple(map(float, point.split(","))) for line in found.lines for point in line.split(" ")]
    assert len(points) == len([value for value in given_ if value is not None])
    for x, y in points:
        assert MARGIN <= x <= WIDTH - MARGIN
        assert MARGIN <= y <= HEIGHT - MARGIN
    assert [x for x, _ in points] == sorted(x for x, _ in points)


def test_the_largest_is_on_top_equal_ones_in_the_middle_and_gaps_break_the_line():
    found = sparkline([Decimal(1), None, Decimal(3), Decimal(2)])
    assert found.lines == (f"3.0,{HEIGHT - MARGIN}.0", f"105.7,{MARGIN}.0 157.0,18.0")
    assert found.last == ("157.0", "18.0")
    assert sparkline([Decimal(5), Decimal(5)]).lines == ("3.0,18.0 157.0,18.0",)
    assert sparkline([]).lines == sparkline([None]).lines == ()
