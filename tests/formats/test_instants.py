"""The fast way for instants writes what the general patterns write, and leaves to them what it cannot."""

from __future__ import annotations

import pyarrow as pa
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from include.formats import cells
from include.formats.cells import ISO_INSTANT, pattern_codes, times

DAY = 86_400_000_000
FIRST, LAST = -719_528 * DAY, 2_932_897 * DAY  # 0000-01-01, and the instant after 9999-12-31T23:59:59.999999Z


def written(micros: list[int | None], codes=None) -> list[str | None]:
    array = pa.array(micros, pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    made = times(array, pattern_codes(ISO_INSTANT) if codes is None else codes).cells()
    return [None if len(made.nulls) and made.nulls[row] else made.text(row) for row in range(len(micros))]


@pytest.mark.parametrize(
    ("micros", "shown"),
    [
        (0, "1970-01-01T00:00:00Z"),
        (1, "1970-01-01T00:00:00.000001Z"),
        (-1, "1969-12-31T23:59:59.999999Z"),
        (951_782_400 * 10**6, "2000-02-29T00:00:00Z"),  # a leap day in a year that 400 divides
        (
            4_107_542_400 * 10**6,
            "2100-03-01T00:00:00Z",
        ),  # the day after 28 February: 100 divides, 400 does not
        (LAST - 1, "9999-12-31T23:59:59.999999Z"),
        (LAST, "010000-01-01T00:00:00Z"),
        (-719_162 * DAY, "0001-01-01T00:00:00Z"),
    ],
)
def test_worked_cases(micros, shown):
    assert written([micros, None]) == [shown, None]


MICROS = st.one_of(
    st.integers(FIRST, LAST + DAY),
    st.integers(0, 2**51),
    st.integers(0, 2**31).map(lambda second: second * 10**6),
)


@given(st.lists(st.none() | MICROS, max_size=20))
@example([-719_468 * DAY, -719_468 * DAY - 1])
@settings(max_examples=300, deadline=None)
@pytest.mark.slow
def test_it_equals_the_general_pattern(micros):
    general = pattern_codes(ISO_INSTANT).copy()
    assert written(micros) == written(micros, general)


def test_the_fast_way_is_taken(monkeypatch):
    def refused(*_: object) -> int:
        raise AssertionError("the general way")

    monkeypatch.setattr(cells, "_write_times", refused)
    assert written([0]) == ["1970-01-01T00:00:00Z"]
    with pytest.raises(AssertionError):
        written([LAST])
