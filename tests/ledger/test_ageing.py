"""Buckets of months since issue and to expiry (docs/ledger.md section 6)."""

from __future__ import annotations

from datetime import UTC, datetime
from zoneinfo import ZoneInfo

import numpy as np
import pytest

from include.ledger.ageing import (
    BUCKETS,
    EXPIRY_BUCKETS,
    age_buckets,
    expiry_buckets,
    instant,
    month_start,
    month_text,
    months_from,
    months_of,
)
from include.ledger.rows import NEVER

PARIS = ZoneInfo("Europe/Paris")
ZULU = ZoneInfo("UTC")


def us(text: str) -> int:
    return instant(datetime.fromisoformat(text).replace(tzinfo=UTC))


@pytest.mark.parametrize(
    ("issued", "bucket"),
    [
        ("2026-06-30T23:59:59.999999", "0-3"),
        ("2026-04-01T00:00:00.000001", "0-3"),
        ("2026-04-01", "3-6"),  # exactly three months
        ("2026-01-01", "6-12"),
        ("2025-07-01", "12-24"),
        ("2024-07-01T00:00:00.000001", "12-24"),
        ("2024-07-01", "24+"),
    ],
)
def test_age_on_the_first_of_july(issued: str, bucket: str) -> None:
    found = age_buckets(np.array([us(issued)]), us("2026-07-01"), ZULU)
    assert [BUCKETS[i] for i in found] == [bucket]


@pytest.mark.parametrize(
    ("expires", "bucket"),
    [
        ("2026-09-30T23:59:59.999999", "0-3"),
        ("2026-10-01", "3-6"),
        ("2028-06-30", "12-24"),
        ("2028-07-01", "24+"),
    ],
)
def test_time_to_expiry_on_the_first_of_july(expires: str, bucket: str) -> None:
    found = expiry_buckets(np.array([us(expires), NEVER]), us("2026-07-01"), ZULU)
    assert [EXPIRY_BUCKETS[i] for i in found] == [bucket, "never"]


def test_months_are_those_of_the_zone() -> None:
    # midnight of 1 July in Paris is 22:00 UTC of 30 June; three months before, at UTC+1 until 29 March, too
    assert months_from(us("2026-06-30T22:00"), -3, PARIS) == us("2026-03-31T22:00")
    assert months_from(us("2026-06-30T22:00"), -6, PARIS) == us("2025-12-31T23:00")
    assert month_start(2026 * 12 + 6, PARIS) == us("2026-06-30T22:00")
    found = months_of(np.array([us("2026-06-30T21:59:59"), us("2026-06-30T22:00")]), PARIS)
    assert [month_text(int(n)) for n in found] == ["2026-06", "2026-07"]
    assert months_of(np.empty(0, np.int64), PARIS).size == 0


def test_the_end_of_a_long_month_falls_back_to_the_end_of_a_short_one() -> None:
    assert months_from(us("2026-05-31T12:00"), -3, ZULU) == us("2026-02-28T12:00")
    assert months_from(us("2024-05-31T12:00"), -3, ZULU) == us("2024-02-29T12:00")
