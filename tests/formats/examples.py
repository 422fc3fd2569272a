"""Rows for tests of formats: one table that holds every type and every awkward text, and random ones."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
from hypothesis import strategies as st

from include.ledger.catalog import ARROW_TYPES, FieldType
from include.ledger.columns import Column

COLUMNS = [
    Column("id", FieldType.ID),
    Column("text", FieldType.TEXT),
    Column("points", FieldType.POINTS),
    Column("money", FieldType.MONEY),
    Column("rate", FieldType.RATE),
    Column("at", FieldType.INSTANT),
    Column("day", FieldType.DATE),
    Column("count", FieldType.INTEGER),
    Column("active", FieldType.BOOLEAN),
    Column("details", FieldType.JSON),
]
NOTHING = (None,) * 8
ROWS = [
    ("t1", "plain", 1250, Decimal("12.5"), Decimal("0.0125"), datetime(2026, 3, 1, 6, tzinfo=UTC), date(2026, 3, 1), 7, True, '{"a": 1.10}'),
    ("t2", 'quote " comma , semicolon ; é 漢 🎁', -50, Decimal("-0.0375"), Decimal("0.00000001"), datetime(1969, 12, 31, 23, 59, 59, 1, tzinfo=UTC), date(1969, 12, 31), -1, False, "[1,\n2]"),
    ("t3", "two\nlines\r\nand\ttab", 0, Decimal(0), Decimal(1), datetime(2024, 2, 29, 23, 59, 59, 999999, tzinfo=UTC), date(2024, 2, 29), 0, True, "not json"),
    ("=t4", '=HYPERLINK("http://x")', 10000, Decimal("99999999999999.9999"), Decimal("9999999999.99999999"), datetime(2000, 1, 1, tzinfo=UTC), date(2000, 1, 1), 2**63 - 1, False, "{}"),
    ("t5", " \uff1d1+1", -(2**63), Decimal("-99999999999999.9999"), Decimal("-1.5"), datetime(1, 1, 1, tzinfo=UTC), date(1, 1, 1), -(2**63), True, "null"),
    ("t6", "", *NOTHING),
    ("t7", None, *NOTHING),
    ("-1", "'@already", 1, Decimal("0.01"), Decimal("0.1"), datetime(9999, 12, 31, 23, 59, 59, tzinfo=UTC), date(9999, 12, 31), 10, False, '"=1"'),
]  # fmt: skip


def table(rows=ROWS, columns=COLUMNS) -> pa.RecordBatch:
    """The rows as one batch of the columns' physical types."""
    arrays = [
        pa.array([row[index] for row in rows], ARROW_TYPES[column.type])
        for index, column in enumerate(columns)
    ]
    return pa.record_batch(arrays, names=[column.name for column in columns])


def chunked(batch: pa.RecordBatch, cuts: list[int]) -> list[pa.RecordBatch]:
    """The same rows in batches cut at these places (a cut taken twice makes an empty batch)."""
    edges = [0, *sorted(min(cut, batch.num_rows) for cut in cuts), batch.num_rows]
    return [batch.slice(start, end - start) for start, end in itertools.pairwise(edges)]


AWKWARD = st.sampled_from(
    ["", "=1", "+1", "-1", "@x", "\t=", "\r", "\n", " =1", "'=1", "''+", "\uff1d", "\uff0d", "\u00a0@", '"', '""', ",", ";", "|", "null", "NULL", "\\N", "\ufeff=", "a\x00b", "\x1f", "\x7f"]
)  # fmt: skip
TEXTS = st.one_of(AWKWARD, st.text(max_size=12), st.text("=+-@ '\"\t\r\n,;|aé\uff1d", max_size=6))
WHOLE = st.integers(-(2**63), 2**63 - 1)
VALUES = {
    FieldType.ID: TEXTS,
    FieldType.TEXT: TEXTS,
    FieldType.POINTS: st.one_of(WHOLE, st.integers(-300, 300)),
    FieldType.MONEY: st.decimals(-(10**13), 10**13, places=4),
    FieldType.RATE: st.decimals(-(10**9), 10**9, places=8),
    FieldType.INSTANT: st.datetimes(timezones=st.just(UTC)),
    FieldType.DATE: st.dates(),
    FieldType.INTEGER: WHOLE,
    FieldType.BOOLEAN: st.booleans(),
    FieldType.JSON: st.one_of(TEXTS, st.sampled_from(['{"a":[1.50,null]}', "1e5", "NaN", '"x"', "[\n1]"])),
}
RANDOM_ROWS = st.lists(st.tuples(*(st.none() | VALUES[column.type] for column in COLUMNS)), max_size=12)
CUTS = st.lists(st.integers(0, 12), max_size=5)
