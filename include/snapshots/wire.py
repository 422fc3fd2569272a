"""From what a database driver gives to the catalog's Arrow types, exactly: nothing is rounded or guessed.

A value that cannot be converted is returned as `Invalid` with its place in the batch; the caller decides
whether that stops the run (a stream) or is listed (the check).
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal, InvalidOperation
from typing import Any, NamedTuple

import numpy as np
import pyarrow as pa

from include.ledger.catalog import ARROW_TYPES, PLACES, Field, FieldType

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_INT64 = 2**63
TEXTUAL = frozenset({FieldType.ID, FieldType.TEXT, FieldType.ENUM, FieldType.JSON})


class Invalid(NamedTuple):
    """A value that breaks a rule of docs/ledger.md section 3 rule 8; `row` is its index in the batch."""

    row: int
    value: str
    rule: str


class _RefusedError(ValueError):
    def __init__(self, rule: str) -> None:
        self.rule = rule
        super().__init__(rule)


def from_last_places(field: Field, whole: pa.Array) -> pa.Array:
    """Return the physical array of a points, money or rate field from int64 counts of its last place."""
    kind = ARROW_TYPES[field.type]
    if field.type is FieldType.POINTS:
        return whole
    # A decimal128 is a 128-bit little-endian integer: the int64 and its sign, without a detour through text.
    low = whole.fill_null(0).to_numpy(zero_copy_only=False)
    words = np.empty((len(low), 2), np.int64)
    words[:, 0], words[:, 1] = low, low >> 63
    valid = pa.array(whole.is_valid().to_numpy(zero_copy_only=False)) if whole.null_count else None
    bitmap = valid.buffers()[1] if valid is not None else None
    return pa.Array.from_buffers(kind, len(low), [bitmap, pa.py_buffer(words)])


def from_values(
    field: Field, values: Sequence[Any], *, scaled: bool = False, naive_is_utc: bool = False
) -> tuple[pa.Array, list[Invalid]]:
    """Return the physical array of Python values, and those that it cannot hold (null in the array).

    scaled: integers are counts of the last place, instants microseconds (canonical tables on SQLite).
    naive_is_utc: the database keeps instants without a zone, in UTC (MySQL's DATETIME).
    """
    if field.type is FieldType.INTEGER or (
        scaled and (field.type in PLACES or field.type is FieldType.INSTANT)
    ):
        whole = _whole_numbers(values)
        if whole is not None and field.type in PLACES:
            return from_last_places(field, whole), []
        if whole is not None:
            return whole.cast(ARROW_TYPES[field.type]), []
    elif field.type in PLACES:
        whole = _exact_decimals(values, PLACES[field.type])
        if whole is not None:
            return from_last_places(field, whole), []
    elif field.type is FieldType.INSTANT and naive_is_utc:
        try:
            return pa.array(values, pa.timestamp("us")).cast(ARROW_TYPES[field.type]), []
        except (pa.ArrowInvalid, pa.ArrowTypeError):
            pass
    elif field.type in TEXTUAL or field.type is FieldType.DATE:
        try:
            return pa.array(values, ARROW_TYPES[field.type]), []
        except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
            pass
    return _one_by_one(field, values, scaled=scaled, naive_is_utc=naive_is_utc)


def _whole_numbers(values: Sequence[Any]) -> pa.Array | None:
    """Return integers at Arrow's speed; None when one is something else (asked for int64, Arrow cuts floats off)."""
    try:
        inferred = pa.array(values)
    except (pa.ArrowInvalid, pa.ArrowTypeError, OverflowError):
        return None
    fits = pa.types.is_int64(inferred.type) or pa.types.is_null(inferred.type)
    return inferred.cast(pa.int64()) if fits else None


def _exact_decimals(values: Sequence[Any], places: int) -> pa.Array | None:
    """Return Decimals as int64 counts of the last place, at Arrow's speed; None when one is something else."""
    try:
        decimals = pa.array(values, pa.decimal128(38, places))
    except (pa.ArrowInvalid, pa.ArrowTypeError):
        return None
    words = np.frombuffer(decimals.buffers()[1], np.int64)[: 2 * len(decimals)].reshape(-1, 2)
    mask = decimals.is_null().to_numpy(zero_copy_only=False)
    fits = (words[:, 0] >> 63 == words[:, 1]) | mask
    return pa.array(words[:, 0], mask=mask) if fits.all() else None


def _one_by_one(
    field: Field, values: Sequence[Any], *, scaled: bool, naive_is_utc: bool
) -> tuple[pa.Array, list[Invalid]]:
    result: list[Any] = []
    invalid: list[Invalid] = []
    for row, value in enumerate(values):
        try:
            result.append(None if value is None else _convert(field, value, scaled, naive_is_utc))
        except _RefusedError as refused:
            result.append(None)
            invalid.append(Invalid(row, str(value), refused.rule))
    if field.type in PLACES:
        return from_last_places(field, pa.array(result, pa.int64())), invalid
    if field.type is FieldType.INSTANT:
        return pa.array(result, pa.int64()).cast(ARROW_TYPES[field.type]), invalid
    return pa.array(result, ARROW_TYPES[field.type]), invalid


def _convert(field: Field, value: Any, scaled: bool, naive_is_utc: bool) -> Any:
    if field.type in PLACES:
        return _last_places(value, PLACES[field.type], scaled=scaled)
    if field.type is FieldType.INSTANT:
        return _microseconds(value, scaled=scaled, naive_is_utc=naive_is_utc)
    if field.type in TEXTUAL:
        return _text(value)
    if field.type is FieldType.BOOLEAN:
        if value in (0, 1, True, False):
            return bool(value)
        raise _RefusedError("not_a_boolean")
    if field.type is FieldType.DATE:
        return _date(value)
    try:
        number = Decimal(str(value))
    except InvalidOperation:
        raise _RefusedError("not_an_integer") from None
    if not number.is_finite() or number != int(number) or abs(number) >= _INT64:
        raise _RefusedError("not_an_integer")
    return int(number)


def _last_places(value: Any, places: int, *, scaled: bool) -> int:
    if scaled:  # a float or text is no count of the last place
        if isinstance(value, int) and -_INT64 <= value < _INT64:
            return value
        raise _RefusedError("not_a_scaled_integer")
    try:
        # A float's repr is the shortest decimal that gives it back; a computed sum shows its dust.
        number = Decimal(repr(value) if isinstance(value, float) else str(value))
    except InvalidOperation:
        raise _RefusedError("not_a_number") from None
    if not number.is_finite() or abs(number) >= _INT64:
        raise _RefusedError("not_a_number")
    whole = number.scaleb(places)
    if whole != int(whole):
        raise _RefusedError("too_many_decimals")
    if abs(whole) >= _INT64:
        raise _RefusedError("not_a_number")
    return int(whole)


def _microseconds(value: Any, *, scaled: bool, naive_is_utc: bool) -> int:
    moment = value
    if isinstance(value, str):
        try:
            moment = datetime.fromisoformat(value)
        except ValueError:
            raise _RefusedError("not_an_instant") from None
    if scaled and isinstance(value, int) and -_INT64 <= value < _INT64:
        return value
    if not isinstance(moment, datetime) or scaled:
        raise _RefusedError("not_an_instant")
    if moment.tzinfo is None:
        if not naive_is_utc:
            raise _RefusedError("instant_without_zone")
        moment = moment.replace(tzinfo=UTC)
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _text(value: Any) -> str:
    if isinstance(value, float):
        raise _RefusedError("text_from_float")
    if isinstance(value, (dict, list)):
        return json.dumps(value, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    if isinstance(value, bytes):
        try:
            return value.decode("utf-8")
        except UnicodeDecodeError:
            raise _RefusedError("not_utf8") from None
    return str(value)


def _date(value: Any) -> date:
    if isinstance(value, datetime):
        return value.date()
    try:
        return value if isinstance(value, date) else date.fromisoformat(str(value))
    except ValueError:
        raise _RefusedError("not_a_date") from None
