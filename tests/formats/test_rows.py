"""The compiled loop over rows writes what plain Python would, whatever form a column comes in."""

from __future__ import annotations

from datetime import UTC, datetime

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.formats import csv as kind
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from tests.examples import examples

COLUMNS = [
    Column("id", FieldType.ID),
    Column("points", FieldType.POINTS),
    Column("created_at", FieldType.INSTANT),
    Column("note", FieldType.TEXT),
]
TEXTS = st.none() | st.text("ab,\"'\n=é ", max_size=70)
ROWS = st.lists(
    st.tuples(TEXTS, st.none() | st.integers(-(2**63), 2**63 - 1), st.none() | st.integers(0, 2**50), TEXTS),
    min_size=1,
    max_size=30,
)


def shown(row: tuple) -> str:
    """A row of CSV for people, by the rules in the words of RFC 4180 and of `csv`."""
    id_, points, micros, note = row
    cells = [text(id_), number(points), "" if micros is None else instant(micros), text(note)]
    return ",".join(cells) + "\n"


def text(value: str | None) -> str:
    if value is None:
        return ""
    if value.lstrip(" '").startswith(("=", "\n")):
        value = "'" + value
    return '"' + value.replace('"', '""') + '"' if set(value) & set(',"\n') else value


def number(hundredths: int | None) -> str:
    if hundredths is None:
        return ""
    digits = f"{abs(hundredths):03}"
    return f"{'-' if hundredths < 0 else ''}{digits[:-2]}.{digits[-2:]}"


def instant(micros: int) -> str:
    moment = datetime.fromtimestamp(micros // 10**6, UTC).strftime("%Y-%m-%dT%H:%M:%S")
    return moment + (f".{micros % 10**6:06}" if micros % 10**6 else "") + "Z"


def batch(rows: list[tuple]) -> pa.RecordBatch:
    ids, points, instants, notes = zip(*rows, strict=True)
    arrays = [
        pa.array(ids, pa.string()),
        pa.array(points, pa.int64()),
        pa.array(instants, pa.timestamp("us", tz="UTC")),
        pa.array(notes, pa.string()),
    ]
    return pa.record_batch(arrays, [column.name for column in COLUMNS])


def written(given: pa.RecordBatch) -> str:
    return b"".join(kind.encode(COLUMNS, [given], kind.Options(header=False))).decode()


@given(ROWS, st.integers(0, 5))
@examples(200)
def test_rows_are_what_plain_python_writes(rows, skipped):
    whole = batch(rows[:1] * skipped + rows)
    assert written(whole.slice(skipped)) == "".join(map(shown, rows))


@given(ROWS)
@examples(100)
def test_a_dictionary_column_is_written_as_its_rows(rows):
    plain = batch(rows)
    coded = pa.record_batch([array.dictionary_encode() for array in plain.columns], plain.schema.names)
    assert written(coded) == written(plain)


def test_a_place_that_means_nothing_may_stand_behind_a_null():
    missing = pa.Array.from_buffers(
        pa.int32(), 2, [pa.py_buffer(b"\x01"), pa.py_buffer(np.array([0, 10**9], np.int32))]
    )
    ids = pa.DictionaryArray.from_arrays(missing, pa.array(["a"]), safe=False)
    rest = batch([("x", 1, 2, None), ("y", 3, 4, None)]).columns[1:]
    given = pa.record_batch([ids, *rest], [column.name for column in COLUMNS])
    assert [line.split(",")[0] for line in written(given).splitlines()] == ["a", ""]


def test_a_dictionary_of_nothing_is_a_column_of_nulls():
    ids = pa.DictionaryArray.from_arrays(pa.array([None, None], pa.int32()), pa.array([], pa.string()))
    rest = batch([("x", 1, 2, None), ("y", 3, 4, None)]).columns[1:]
    given = pa.record_batch([ids, *rest], [column.name for column in COLUMNS])
    assert [line.split(",")[0] for line in written(given).splitlines()] == ["", ""]


@pytest.mark.parametrize("width", [0, 1, 23, 24, 25, 31, 32, 33, 3_000_000])
def test_texts_of_any_width_also_at_the_end_of_their_memory(width):
    rows = [("a" * width, 1, 2, "é" * width), ("b", 3, 4, "x" * width)]
    assert written(batch(rows)) == "".join(map(shown, rows))


def test_texts_of_a_large_dictionary_in_any_order():
    texts = [f"t{number:07}" for number in range(20_000)]
    order = np.random.default_rng(7).permutation(20_000).astype(np.int32)
    ids = pa.DictionaryArray.from_arrays(pa.array(order), pa.array(texts))
    rest = batch([("", 1, 2, "n")] * 20_000).columns[1:]
    given = pa.record_batch([ids, *rest], [column.name for column in COLUMNS])
    assert [line.split(",")[0] for line in written(given).splitlines()] == [texts[place] for place in order]


def test_one_year_beyond_9999_among_others():
    rows = [("a", 1, 0, None), ("b", 2, 253_402_300_800 * 10**6, None), ("c", 3, 1, None)]
    instants = [line.split(",")[2] for line in written(batch(rows)).splitlines()]
    assert instants == ["1970-01-01T00:00:00Z", "010000-01-01T00:00:00Z", "1970-01-01T00:00:00.000001Z"]
