"""Values become the catalog's types exactly, or are refused: never rounded (docs/ledger.md section 1)."""

from __future__ import annotations

import datetime as dt
from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.ledger.catalog import ARROW_TYPES, Field, FieldType
from include.snapshots.canonical import decimals
from include.snapshots.wire import from_last_places, from_values

UTC_NOON = dt.datetime(2026, 3, 29, 12, tzinfo=dt.UTC)


def field(kind: FieldType) -> Field:
    return Field("x", kind, False, "A value.")


@given(st.lists(st.none() | st.integers(-(10**17), 10**17)))
def test_money_of_last_places_is_exact(counts: list[int | None]) -> None:
    array = from_last_places(field(FieldType.MONEY), pa.array(counts, pa.int64()))
    array.validate(full=True)
    assert array.to_pylist() == [None if n is None else Decimal(n).scaleb(-4) for n in counts]


@given(st.lists(st.none() | st.integers(-(10**17), 10**17)))
def test_points_as_decimals_and_back(hundredths: list[int | None]) -> None:
    array = decimals(pa.array(hundredths, pa.int64()))
    array.validate(full=True)
    back, invalid = from_values(field(FieldType.POINTS), array.to_pylist())
    assert (back.to_pylist(), invalid) == (hundredths, [])


@given(
    st.lists(
        st.none()
        | st.decimals(-(10**12), 10**12, places=5)
        | st.floats(-1e9, 1e9)
        | st.integers(-(10**12), 10**12)
    )
)
def test_points_are_never_rounded(values: list[object]) -> None:
    array, invalid = from_values(field(FieldType.POINTS), values)
    refused = {wrong.row for wrong in invalid}
    for row, (value, count) in enumerate(zip(values, array.to_pylist(), strict=True)):
        if value is None or row in refused:
            assert count is None
        else:
            assert Decimal(str(value)) == Decimal(count).scaleb(-2)
    exact = {
        n
        for n, v in enumerate(values)
        if v is not None and Decimal(str(v)) * 100 == int(Decimal(str(v)) * 100)
    }
    assert refused == {n for n, v in enumerate(values) if v is not None} - exact


@pytest.mark.parametrize(
    ("kind", "value", "rule"),
    [
        (FieldType.POINTS, "1.005", "too_many_decimals"),
        (FieldType.POINTS, 0.1 + 0.2, "too_many_decimals"),
        (FieldType.POINTS, "NaN", "not_a_number"),
        (FieldType.POINTS, "Infinity", "not_a_number"),
        (FieldType.POINTS, Decimal(2**63), "not_a_number"),
        (FieldType.POINTS, "many", "not_a_number"),
        (FieldType.INSTANT, "2026-01-01 10:00:00", "instant_without_zone"),
        (FieldType.INSTANT, dt.datetime(2026, 1, 1), "instant_without_zone"),  # noqa: DTZ001
        (FieldType.INSTANT, "yesterday", "not_an_instant"),
        (FieldType.INSTANT, 1_767_225_600, "not_an_instant"),
        (FieldType.INTEGER, "1.5", "not_an_integer"),
        (FieldType.INTEGER, 2**63, "not_an_integer"),
        (FieldType.BOOLEAN, "yes", "not_a_boolean"),
        (FieldType.DATE, "31/02/2026", "not_a_date"),
        (FieldType.ID, 1.23e15, "text_from_float"),
        (FieldType.TEXT, b"\xff", "not_utf8"),
    ],
)
def test_what_cannot_be_held_is_refused_in_its_place(kind: FieldType, value: object, rule: str) -> None:
    array, invalid = from_values(field(kind), [None, value, None])
    assert array.type == ARROW_TYPES[kind]
    assert array.to_pylist() == [None, None, None]
    assert [(wrong.row, wrong.rule) for wrong in invalid] == [(1, rule)]


@pytest.mark.parametrize(
    ("kind", "value", "held"),
    [
        (FieldType.POINTS, "-1.5", -150),
        (FieldType.POINTS, 12.5, 1250),
        (FieldType.RATE, "0.00000001", Decimal("0.00000001")),
        (FieldType.INSTANT, "2026-03-29T14:00:00+02:00", UTC_NOON),
        (FieldType.INSTANT, UTC_NOON.astimezone(dt.timezone(dt.timedelta(hours=-5))), UTC_NOON),
        (FieldType.ID, 42, "42"),
        (FieldType.JSON, {"b": "ü", "a": [1]}, '{"a":[1],"b":"ü"}'),
        (FieldType.TEXT, "ü".encode(), "ü"),
        (FieldType.BOOLEAN, 1, True),
        (FieldType.DATE, "2026-02-28", dt.date(2026, 2, 28)),
        (FieldType.INTEGER, Decimal(7), 7),
    ],
)
def test_what_can_be_held_is(kind: FieldType, value: object, held: object) -> None:
    array, invalid = from_values(field(kind), [value, None])
    assert (array.to_pylist(), invalid) == ([held, None], [])


def test_scaled_integers_pass_beside_a_wrong_value() -> None:
    points, invalid = from_values(field(FieldType.POINTS), [100, 1.5, -7], scaled=True)
    assert points.to_pylist() == [100, None, -7]
    assert [wrong.rule for wrong in invalid] == ["not_a_scaled_integer"]
    instants, invalid = from_values(field(FieldType.INSTANT), [0, "x", None], scaled=True)
    assert instants.to_pylist() == [dt.datetime(1970, 1, 1, tzinfo=dt.UTC), None, None]
    assert [wrong.rule for wrong in invalid] == ["not_an_instant"]
