"""Cells of every type of field: as Arrow holds them, as plain Python has them, and values to compare them with."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

import pyarrow as pa

from include.definitions.operators import OPERATORS
from include.ledger.catalog import ARROW_TYPES
from include.ledger.columns import Column
from include.ledger.fields import PLACES, FieldType
from tests.shaping.reference import from_json

# In Paris the 29th of March 2026 has 23 hours; T is the midnight that begins the 30th there.
ZONE = "Europe/Paris"
AT = datetime(2026, 3, 29, 22, tzinfo=UTC)
TODAY = date(2026, 3, 30)
_US = timedelta(microseconds=1)

_TEXTS = [None, "", "Gold", "gold", "Golden %", "Marigold", "é", "é", "'; DROP TABLE x; --"]
_TEXT_VALUES = ["Gold", "old", "", "%", "é", "'; DROP TABLE x; --", "G.*"]
CELLS = {
    FieldType.ID: _TEXTS,
    FieldType.TEXT: _TEXTS,
    FieldType.ENUM: _TEXTS,
    FieldType.POINTS: [None, "0", "-12.5", "12.5", "12.51", "100", "-92233720368547758.08", "92233720368547758.07"],
    FieldType.MONEY: [None, "0", "-12.5", "12.5", "12.5001", "99999999999999.9999", "-99999999999999.9999"],
    FieldType.RATE: [None, "0", "0.00000001", "-0.5", "12.5", "9999999999.99999999"],
    FieldType.INTEGER: [None, "0", "-1", "12", "13", "9223372036854775807", "-9223372036854775808"],
    FieldType.BOOLEAN: [None, True, False],
    FieldType.DATE: [None, *(TODAY + timedelta(days=n) for n in (-31, -30, -2, -1, 0, 1, 2, 30)), date(1899, 12, 31)],
    FieldType.INSTANT: [
        None, AT, AT - _US, AT - timedelta(hours=23), AT - timedelta(hours=23) - _US, AT - timedelta(hours=24),
        AT + timedelta(hours=24), AT + timedelta(hours=24) - _US, datetime(2026, 3, 31, 9, tzinfo=UTC),
        datetime(2026, 2, 27, 23, tzinfo=UTC), datetime(1850, 1, 1, tzinfo=UTC),
    ],
    FieldType.JSON: [
        None, "null", '"Gold"', '"gold fish"', "12.5", "12.50", "1e1", "true", "false", "[]", '["Gold", 12.5]',
        '[true, null, {"a": 1}]', "{}", '{"a": 1, "b": 2}', '"2026-03-30"', '"2026-03-29T22:00:00Z"',
        '"2026-03-29T21:59:59.999999+00:00"', '"2026-03-29"', '"2026-02-30"', '"12.5"', "100000000000000000000000.5",
    ],
}  # fmt: skip
_NUMBERS = [0, 12.5, "-12.5", 100]
_DAYS = ["2026-03-30", "2026-03-29", "2026-02-28"]
_INSTANTS = ["2026-03-29T22:00:00Z", "2026-03-30T00:00:00+02:00", "2026-03-29T21:59:59.999999Z"]


def values_for(word: str, kind: FieldType) -> list:  # noqa: PLR0911 (one case a line)
    """Values that an operator may have for a type."""
    takes = OPERATORS[word].takes
    if takes == "nothing":
        return [True]
    if takes == "days":
        return [0, 1, "2", 30, 31]
    if takes == "count":
        return [0, 1, 2, 3]
    if kind is FieldType.DATE:
        return _DAYS
    if kind is FieldType.INSTANT or takes == "instant":
        return _DAYS + _INSTANTS
    if kind is FieldType.JSON:
        if takes == "number":
            return _NUMBERS
        return ["Gold", "", "12.5"] + (
            [12.5, 10, True, False] if word not in ("starts_with", "ends_with") else []
        )
    if kind is FieldType.INTEGER:
        return [0, -1, 12, "9223372036854775807", -(2**63) + 1]
    if kind is FieldType.POINTS:
        return [*_NUMBERS, 12.51, "92233720368547758.07", "-92233720368547758.07"]
    if kind in PLACES:
        return _NUMBERS
    return [True, False] if kind is FieldType.BOOLEAN else _TEXT_VALUES


def plain(kind: FieldType, cell):
    """A cell as the reference sees it."""
    if kind is FieldType.JSON:
        return from_json(cell)
    return Decimal(cell) if cell is not None and kind in (*PLACES, FieldType.INTEGER) else cell


def array(kind: FieldType, cells) -> pa.Array:
    """Cells as a model gives them."""
    if kind in (FieldType.POINTS, FieldType.INTEGER):
        places = PLACES.get(kind, 0)
        return pa.array([None if x is None else int(Decimal(x).scaleb(places)) for x in cells], pa.int64())
    if kind in PLACES:
        return pa.array([None if x is None else Decimal(x) for x in cells], ARROW_TYPES[kind])
    return pa.array(cells, ARROW_TYPES[kind])


COLUMNS = tuple(Column(kind.value, kind) for kind in FieldType)
