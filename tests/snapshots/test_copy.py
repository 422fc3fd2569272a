"""PostgreSQL's binary COPY becomes Arrow exactly, whatever the blocks in which it comes."""

from __future__ import annotations

import datetime as dt
import struct
from decimal import Decimal

import numpy as np
import psycopg
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.snapshots import copy_stream
from include.snapshots.copy_decode import CopyDecoder, Wire, WireColumn
from include.snapshots.copy_stream import CopyStream

HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
END = struct.pack(">h", -1)
SINCE_2000 = dt.datetime(2000, 1, 1, tzinfo=dt.UTC) - dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
MICROSECONDS_2000, DAYS_2000 = SINCE_2000 // dt.timedelta(microseconds=1), SINCE_2000.days
COLUMNS = [
    WireColumn(Wire.TEXT),
    WireColumn(Wire.NUMERIC, 2),
    WireColumn(Wire.INTEGER),
    WireColumn(Wire.INSTANT),
    WireColumn(Wire.DATE),
    WireColumn(Wire.BOOLEAN),
    WireColumn(Wire.TEXT),
]


def numeric(number: Decimal) -> bytes:
    """The server's bytes of a NUMERIC, written from the description of its format."""
    sign, digits, exponent = number.as_tuple()
    text = "".join(map(str, digits)) + "0" * (exponent % 4)  # so that the point stands between groups of four
    text = text.rjust(-(-len(text) // 4) * 4, "0")
    groups = [int(text[at : at + 4]) for at in range(0, len(text), 4)]
    weight = len(groups) - 1 + (exponent - exponent % 4) // 4
    return struct.pack(f">hhHH{len(groups)}h", len(groups), weight, 0x4000 * sign, 2, *groups)


def encoded(values: tuple[object, ...]) -> bytes:
    """One row: (text, decimal, integer, microseconds, days, boolean, text)."""
    kinds = (
        str.encode,
        numeric,
        *(lambda x, f=f: struct.pack(f, x) for f in (">q", ">q", ">i", ">?")),
        str.encode,
    )
    fields = [None if value is None else kind(value) for kind, value in zip(kinds, values, strict=True)]
    packed = [struct.pack(">i", -1) if f is None else struct.pack(">i", len(f)) + f for f in fields]
    return struct.pack(">h", len(fields)) + b"".join(packed)


def rows_of(*options: st.SearchStrategy[object]) -> st.SearchStrategy[list[tuple[object, ...]]]:
    return st.lists(st.tuples(*(st.none() | option for option in options)), max_size=40)


@given(
    rows_of(
        st.text(max_size=9),
        st.integers(-(10**17), 10**17).map(lambda n: Decimal(n).scaleb(-2)),
        st.integers(-(2**63), 2**63 - 1),
        st.integers(-(10**15), 10**15),
        st.integers(-(10**6), 10**6),
        st.booleans(),
        st.text(max_size=30),
    ),
    st.integers(1, 7),
)
def test_every_value_arrives_exact_in_blocks_of_any_size(rows, size):
    decoder, found = CopyDecoder(COLUMNS), []
    for start in range(0, max(len(rows), 1), size):
        block = b"".join(map(encoded, rows[start : start + size]))
        whole = (b"" if start else HEADER) + block + (END if start + size >= len(rows) else b"")
        decoded = decoder.decode(np.frombuffer(whole, np.uint8))
        for array in decoded.arrays:
            array.validate(full=True)
        assert decoded.refused == []
        found += zip(*(array.to_pylist() for array in decoded.arrays), strict=True)
    assert found == [
        tuple(
            value if value is None or how is None else how(value)
            for how, value in zip(
                (
                    None,
                    lambda x: int(x * 100),
                    None,
                    lambda x: x + MICROSECONDS_2000,
                    lambda x: x + DAYS_2000,
                    int,
                    None,
                ),
                row,
                strict=True,
            )
        )
        for row in rows
    ]


@pytest.fixture
def connection(postgres_ledger):
    with psycopg.connect(postgres_ledger) as opened:
        opened.execute("select 1")
        yield opened


def read(connection, sql, *columns):
    """All rows and all refused values of a query, in blocks that are copied before they are decoded."""
    decoder, rows, refused = CopyDecoder(columns), [], []
    for block in CopyStream(connection, sql).blocks():
        decoded = decoder.decode(block)
        rows += zip(*(array.to_pylist() for array in decoded.arrays), strict=True)
        refused += decoded.refused
    return rows, refused


# What the server sends for a NUMERIC, in hundredths: 4 digits a group, and groups that end anywhere.
@pytest.mark.parametrize(
    ("number", "hundredths"),
    [
        ("0", 0),
        ("0.00", 0),
        ("-0.01", -1),
        ("0.1", 10),
        ("1.10", 110),
        ("10.25", 1025),
        ("10000", 1_000_000),
        ("100000000", 10_000_000_000),
        ("-99999999999.99", -9_999_999_999_999),
        ("1.2300000", 123),
        ("92233720368547758.07", 2**63 - 1),
        ("-92233720368547758.07", -(2**63 - 1)),
    ],
)
def test_a_numeric_is_its_hundredths(connection, number, hundredths):
    rows, refused = read(connection, f"select {number}::numeric", WireColumn(Wire.NUMERIC, 2))
    assert (rows, refused) == ([(hundredths,)], [])


@pytest.mark.parametrize(
    ("wire", "literal", "rule", "value"),
    [
        (Wire.NUMERIC, "10.255::numeric", "too_many_decimals", "10.255"),
        (Wire.NUMERIC, "-0.00001::numeric", "too_many_decimals", "-0.00001"),
        (Wire.NUMERIC, "'NaN'::numeric", "not_a_number", "NaN"),
        (Wire.NUMERIC, "'-Infinity'::numeric", "not_a_number", "-Infinity"),
        (Wire.NUMERIC, "92233720368547758.08::numeric", "not_a_number", "92233720368547758.08"),
        (Wire.NUMERIC, "1e40::numeric", "not_a_number", "1" + "0" * 40),
        # one digit of base 10000 that alone is too much, and whose product wraps to a positive number
        (Wire.NUMERIC, "93e18::numeric", "not_a_number", "93" + "0" * 18),
        (Wire.INSTANT, "'infinity'::timestamptz", "not_an_instant", "infinity or -infinity"),
        (Wire.ENDLESS, "'-infinity'::timestamptz", "not_an_instant", "infinity or -infinity"),
        (Wire.DATE, "'infinity'::date", "not_a_date", "infinity or -infinity"),
    ],
)
def test_what_cannot_be_held_is_null_and_reported_with_its_row(connection, wire, literal, rule, value):
    sql = f"select 'a', null union all select 'b', {literal} union all select 'c', {literal}"
    rows, refused = read(connection, sql, WireColumn(Wire.TEXT), WireColumn(wire, 2))
    assert rows == [("a", None), ("b", None), ("c", None)]
    assert refused == [(1, 1, rule, value)]


def test_endless_is_null_without_complaint(connection):
    assert read(connection, "select 'infinity'::timestamptz", WireColumn(Wire.ENDLESS)) == ([(None,)], [])


def test_no_rows_and_no_columns(connection):
    assert read(connection, "select 'a' where false", WireColumn(Wire.TEXT)) == ([], [])
    decoder = CopyDecoder([])
    counts = [
        decoder.decode(block).rows
        for block in CopyStream(connection, "select from generate_series(1, 3)").blocks()
    ]
    assert sum(counts) == 3


@pytest.mark.parametrize("block_bytes", [1, 100, 1 << 20])
def test_rows_shorter_and_longer_than_a_block_come_in_order(connection, monkeypatch, block_bytes):
    monkeypatch.setattr(copy_stream, "BLOCK_BYTES", block_bytes)
    sql = "select n::bigint, repeat(chr(64 + n % 26), (n * 37) % 400) from generate_series(1, 300) as n"
    rows, _ = read(connection, sql, WireColumn(Wire.INTEGER), WireColumn(Wire.TEXT))
    assert rows == [(n, chr(64 + n % 26) * (n * 37 % 400)) for n in range(1, 301)]


def test_a_query_that_fails_on_the_way_raises_after_the_rows_before(connection, monkeypatch):
    monkeypatch.setattr(copy_stream, "BLOCK_BYTES", 100)
    stream = CopyStream(connection, "select (100 / (50 - n))::bigint from generate_series(1, 100) as n")
    blocks = stream.blocks()
    decoder = CopyDecoder([WireColumn(Wire.INTEGER)])
    assert decoder.decode(next(blocks)).arrays[0].to_pylist() == [2] * 5  # 19 bytes of header, 14 bytes a row
    with pytest.raises(psycopg.errors.DivisionByZero):
        list(blocks)
    assert not stream.is_open


def test_psycopg_without_its_compiled_part_is_refused(monkeypatch):
    monkeypatch.setattr(copy_stream.pq, "__impl__", "python")
    with pytest.raises(ImportError, match=r"psycopg\[binary\]"):
        copy_stream._bind()


def test_a_query_that_does_not_begin_raises(connection):
    with pytest.raises(psycopg.errors.UndefinedTable):
        CopyStream(connection, "select * from nothing")


def test_what_is_left_is_drained_and_the_transaction_goes_on(connection, monkeypatch):
    monkeypatch.setattr(copy_stream, "BLOCK_BYTES", 1000)
    began = connection.execute("select now()").fetchone()
    stream = CopyStream(connection, "select repeat('x', 100) from generate_series(1, 100000)")
    next(stream.blocks())
    stream.drain()
    assert connection.execute("select now()").fetchone() == began


def test_what_is_no_binary_copy_is_refused():
    with pytest.raises(ValueError, match="no binary COPY"):
        CopyDecoder([]).decode(np.frombuffer(b"1,2\n" * 9, np.uint8))


def test_a_header_may_have_an_extension():
    header = HEADER[:15] + struct.pack(">i", 5) + b"extra"
    decoded = CopyDecoder([WireColumn(Wire.TEXT)]).decode(
        np.frombuffer(header + struct.pack(">hi", 1, 1) + b"x" + END, np.uint8)
    )
    assert decoded.arrays == [pa.array(["x"])]
