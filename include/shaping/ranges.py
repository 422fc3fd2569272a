"""Conditions on numbers and times as ranges of 64-bit integers: one meaning for comparing and for pruning.

Units: the last place of the type (hundredths of a point), microseconds, or days since 1970. A range is closed
at both ends; an open end is the end of 64 bits.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.definitions.operators import Operator
from include.definitions.zones import local, start_of, zone
from include.ledger.fields import PLACES, FieldType

LEAST, MOST = -(2**63), 2**63 - 1
EVERYTHING = ((LEAST, MOST),)
Ranges = tuple[tuple[int, int], ...]

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_EPOCH_DAY = _EPOCH.date()
_MICROSECOND = timedelta(microseconds=1)
_DAY = timedelta(days=1)


@dataclass(frozen=True)
class Clock:
    """What "today" is: the local day of `zone` that holds T."""

    today: date
    zone: ZoneInfo

    @staticmethod
    def at(at: datetime, name: str) -> Clock:
        """Return the clock at T (aware) in the zone of that name."""
        where = zone(name)
        return Clock(local(at, where).date(), where)


def ranges(operator: Operator, values: Sequence[Any], kind: FieldType, clock: Clock) -> Ranges:
    """Return the values that fulfil a positive operator, sorted, without touching; `values` are typed."""
    if operator.takes in ("instant", "days") or kind in (FieldType.INSTANT, FieldType.DATE):
        return _merged(part for value in values for part in _of_time(operator, value, kind, clock))
    return _merged(_of_number(operator.word, value) for value in values)


def within(array: pa.Array, kind: FieldType, found: Ranges) -> pa.BooleanArray:
    """Return where the values of a column lie in one of the ranges; a null lies in none."""
    numbers = units(array, kind)
    if len(found) == 1:
        [(low, high)] = found
        inside = (numbers >= low) & (numbers <= high)
    elif not found:
        inside = np.zeros(len(numbers), np.bool_)
    else:
        lows, highs = np.array(found, np.int64).T
        place = np.searchsorted(lows, numbers, side="right") - 1
        inside = (place >= 0) & (numbers <= highs[place])
    return pc.and_(pa.array(inside), array.is_valid())


def units(array: pa.Array, kind: FieldType) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Return a column's values as 64-bit units; what stands for a null means nothing.

    A decimal beyond 64 bits is as large as 64 bits can be, which lies on the same side of every bound.
    """
    if pa.types.is_decimal(array.type):
        exact = array.cast(pa.decimal128(38, PLACES[kind])).fill_null(0)
        words = np.frombuffer(exact.buffers()[1], np.int64)[2 * exact.offset :][: 2 * len(exact)]
        low, high = words[::2], words[1::2]
        beyond = high != low >> 63
        return np.where(beyond, np.where(high < 0, LEAST, MOST), low)
    if pa.types.is_date(array.type):
        array = array.cast(pa.date32()).view(pa.int32())
    elif pa.types.is_timestamp(array.type):
        array = array.cast(pa.timestamp("us", tz="UTC")).view(pa.int64())
    numbers: np.ndarray[Any, np.dtype[np.int64]] = array.fill_null(0).to_numpy(zero_copy_only=False)
    return numbers.astype(np.int64, copy=False)


def microseconds(instant: datetime) -> int:
    """Return an aware instant as microseconds since 1970."""
    return (instant - _EPOCH) // _MICROSECOND


def _of_number(word: str, value: int) -> tuple[int, int]:
    return {
        "more_than": (value + 1, MOST),
        "more_than_equal": (value, MOST),
        "less_than": (LEAST, value - 1),
        "less_than_equal": (LEAST, value),
    }.get(word, (value, value))


def _of_time(operator: Operator, value: Any, kind: FieldType, clock: Clock) -> Iterable[tuple[int, int]]:
    if operator.takes == "days":
        first, last = _days(operator.word, value, clock.today)
    elif isinstance(value, datetime):
        instant = microseconds(value)
        yield {"after": (instant + 1, MOST), "before": (LEAST, instant - 1)}.get(
            operator.word, (instant, instant)
        )
        return
    else:
        first, last = {"after": (value + _DAY, None), "before": (None, value - _DAY)}.get(
            operator.word, (value, value)
        )
    if kind is FieldType.DATE:
        yield (
            LEAST if first is None else (first - _EPOCH_DAY).days,
            MOST if last is None else (last - _EPOCH_DAY).days,
        )
    else:
        yield (
            LEAST if first is None else microseconds(start_of(first, clock.zone)),
            MOST if last is None else microseconds(start_of(last + _DAY, clock.zone)) - 1,
        )


def _days(word: str, count: int, today: date) -> tuple[date | None, date | None]:
    """Return the first and the last day that an operator means, None for an open end."""
    ago, ahead = today - timedelta(days=count), today + timedelta(days=count)
    return {
        "is_days_ago": (ago, ago),
        "is_days_in_future": (ahead, ahead),
        "more_than_ago": (None, ago - _DAY),
        "less_than_ago": (ago + _DAY, today),
        "more_than_future": (ahead + _DAY, None),
        "less_than_future": (today, ahead - _DAY),
    }[word]


def _merged(parts: Iterable[tuple[int, int]]) -> Ranges:
    found: list[tuple[int, int]] = []
    for low, high in sorted(part for part in parts if part[0] <= part[1]):
        if found and low <= found[-1][1] + 1:
            found[-1] = (found[-1][0], max(high, found[-1][1]))
        else:
            found.append((low, high))
    return tuple(found)
