"""Parquet: types that others understand, groups of a fixed size, one file for the same rows."""

from __future__ import annotations

import io
import os
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import duckdb
import polars as pl
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from include.errors import BadInput
from include.formats import parquet as kind
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from tests.formats.examples import COLUMNS, ROWS, chunked, table
from tests.formats.limits import POINTS_OF_PARQUET, held

GOLDEN = Path(__file__).parents[1] / "golden" / "formats"
HELD = held("parquet", ROWS)


def content(rows=HELD, columns=COLUMNS, **options) -> bytes:
    return b"".join(kind.encode(columns, [table(rows, columns)], kind.Options(**options)))


def test_golden():
    """The bytes of this version of the library; another may write others, and then says so in `created_by`."""
    path = GOLDEN / "default.parquet"
    if os.environ.get("GOLDEN") == "write":
        path.write_bytes(content())
    wrote, golden = pq.ParquetFile(io.BytesIO(content())), pq.ParquetFile(path)
    assert wrote.read().equals(golden.read())
    if wrote.metadata.created_by == golden.metadata.created_by:
        assert content() == path.read_bytes()


def test_types_are_those_that_others_understand(tmp_path):
    path = tmp_path / "x.parquet"
    path.write_bytes(content())
    described = duckdb.sql(f"select column_name, column_type from (describe from '{path}')").fetchall()
    assert dict(described) == {
        "id": "VARCHAR", "text": "VARCHAR", "points": "DECIMAL(18,2)", "money": "DECIMAL(18,4)",
        "rate": "DECIMAL(18,8)", "at": "TIMESTAMP WITH TIME ZONE", "day": "DATE", "count": "BIGINT",
        "active": "BOOLEAN", "details": "VARCHAR",
    }  # fmt: skip
    # 1250 hundredths are 12.50, -50 are -0.50; the sum is taken by two engines, in decimals.
    total = Decimal(sum(row[2] or 0 for row in HELD)).scaleb(-2)
    assert duckdb.sql(f"select sum(points) from '{path}'").fetchall() == [(total,)]
    assert pl.read_parquet(path)["points"].to_list() == [
        None if row[2] is None else Decimal(row[2]).scaleb(-2) for row in HELD
    ]
    assert pq.read_table(path)["at"][0].as_py() == datetime(2026, 3, 1, 6, tzinfo=UTC)


def test_groups_have_a_fixed_size_however_rows_arrive(monkeypatch):
    monkeypatch.setattr(kind, "GROUP_ROWS", 5)
    batch = table(HELD[:1] * 12)
    for cuts in ([], [1, 2, 5, 5, 7], [5, 10], [12]):
        made = b"".join(kind.encode(COLUMNS, chunked(batch, cuts), kind.Options()))
        metadata = pq.ParquetFile(io.BytesIO(made)).metadata
        assert [metadata.row_group(index).num_rows for index in range(metadata.num_row_groups)] == [5, 5, 2]


@pytest.mark.parametrize("codec", ["zstd", "snappy", "none"])
def test_codecs(codec):
    file = pq.ParquetFile(io.BytesIO(content(codec=codec)))
    found = {file.metadata.row_group(0).column(index).compression for index in range(len(COLUMNS))}
    assert found == {{"zstd": "ZSTD", "snappy": "SNAPPY", "none": "UNCOMPRESSED"}[codec]}


@pytest.mark.parametrize("value", [POINTS_OF_PARQUET + 1, -POINTS_OF_PARQUET - 1, -(2**63)])
def test_points_that_do_not_fit_are_named(value):
    columns = [Column("a", FieldType.ID), Column("p", FieldType.POINTS)]
    assert content([("x", POINTS_OF_PARQUET), ("x", -POINTS_OF_PARQUET)], columns)
    with pytest.raises(BadInput, match="row 130001, column p") as caught:
        content([("x", 1)] * 130_000 + [("x", value)], columns)
    assert caught.value.problems[0].code == "too_many_points"


def test_a_decimal_that_does_not_fit_is_named():
    batch = pa.record_batch([pa.array([Decimal("0.12345")], pa.decimal128(38, 5))], names=["m"])
    with pytest.raises(BadInput, match="column m"):
        list(kind.encode([Column("m", FieldType.MONEY)], [batch], kind.Options()))


def test_names_that_differ_in_case_alone_are_two_columns():
    columns = [Column("a", FieldType.INTEGER), Column("A", FieldType.INSTANT)]
    made = content([(1, datetime(2026, 1, 1, tzinfo=UTC))], columns)
    assert list(kind.read(io.BytesIO(made), columns, kind.Options())) == [["1", "2026-01-01T00:00:00Z"]]


@pytest.mark.parametrize("damaged", [b"", b"PAR1", content()[:-8]])
def test_damage_is_told(damaged):
    with pytest.raises(ValueError):
        list(kind.read(io.BytesIO(damaged), COLUMNS, kind.Options()))


def test_pages_have_checksums():
    place = content().index(b"plain")
    damaged = content()[:place] + b"p1ain" + content()[place + 5 :]
    with pytest.raises(OSError, match=r"(?i)crc"):
        pq.read_table(io.BytesIO(damaged), page_checksum_verification=True)


def test_other_columns_are_told():
    with pytest.raises(ValueError, match="the columns are"):
        list(kind.read(io.BytesIO(content()), COLUMNS[::-1], kind.Options()))
