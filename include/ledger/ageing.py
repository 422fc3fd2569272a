"""Ages of outstanding points: buckets of whole months since issue, and to expiry (docs/ledger.md section 6).

A month is a calendar month in the program's time zone: 31 March less one month is 28 (29) February, at the
same time of day. Buckets are half-open: a lot issued exactly three months before the cut is in 3-6, one that
expires exactly three months after it is in 3-6 as well.
"""

from __future__ import annotations

import calendar
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from zoneinfo import ZoneInfo

import numpy as np
from numpy.typing import NDArray

from include.ledger.rows import NEVER

BUCKET_MONTHS = (3, 6, 12, 24)
BUCKETS = ("0-3", "3-6", "6-12", "12-24", "24+")
NEVER_EXPIRES = "never"
EXPIRY_BUCKETS = (*BUCKETS, NEVER_EXPIRES)

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_US = timedelta(microseconds=1)


def instant(moment: datetime) -> int:
    """Return an aware datetime as microseconds since the epoch."""
    return (moment - _EPOCH) // _US


def moment(at: int, zone: ZoneInfo) -> datetime:
    """Return an instant as wall-clock time in a zone."""
    return (_EPOCH + timedelta(microseconds=at)).astimezone(zone)


def months_from(at: int, months: int, zone: ZoneInfo) -> int:
    """Return the instant `months` calendar months after `at`, before it when negative (us)."""
    local = moment(at, zone)
    year, month = divmod(local.year * 12 + local.month - 1 + months, 12)
    day = min(local.day, calendar.monthrange(year, month + 1)[1])
    return instant(local.replace(year=year, month=month + 1, day=day).astimezone(UTC))


def month_number(at: int, zone: ZoneInfo) -> int:
    """Return the month that an instant falls in, counted from January of year 0."""
    local = moment(at, zone)
    return local.year * 12 + local.month - 1


@lru_cache(maxsize=16_384)
def month_start(number: int, zone: ZoneInfo) -> int:
    """Return the first instant of a month counted from January of year 0."""
    year, month = divmod(number, 12)
    return instant(datetime(year, month + 1, 1, tzinfo=zone).astimezone(UTC))


def month_text(number: int) -> str:
    """Return `2026-07`."""
    return f"{number // 12:04d}-{number % 12 + 1:02d}"


def months_of(instants: NDArray[np.int64], zone: ZoneInfo) -> NDArray[np.int32]:
    """Return the month number of every instant, by the zone's month starts."""
    if instants.size == 0:
        return np.empty(0, np.int32)
    first = month_number(int(instants.min()), zone)
    last = month_number(int(instants.max()), zone)
    starts = np.array([month_start(number, zone) for number in range(first, last + 1)], np.int64)
    return (first - 1 + np.searchsorted(starts, instants, side="right")).astype(np.int32)


def age_buckets(issued_at: NDArray[np.int64], at: int, zone: ZoneInfo) -> NDArray[np.int64]:
    """Return the index in BUCKETS of every issue instant, as seen at `at`."""
    bounds = np.array([-months_from(at, -months, zone) for months in BUCKET_MONTHS], np.int64)
    return np.searchsorted(bounds, -issued_at, side="right").astype(np.int64)


def expiry_buckets(expires_at: NDArray[np.int64], at: int, zone: ZoneInfo) -> NDArray[np.int64]:
    """Return the index in EXPIRY_BUCKETS of every expiry (NEVER where a lot has none), as seen at `at`."""
    bounds = np.array([months_from(at, months, zone) for months in BUCKET_MONTHS], np.int64)
    found = np.searchsorted(bounds, expires_at, side="right").astype(np.int64)
    return np.where(expires_at == NEVER, len(BUCKETS), found)
