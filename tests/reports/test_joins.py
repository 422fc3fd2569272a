"""Joins: in memory or in ranges, each row gets what a dictionary would give it, in its own place."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pyarrow as pa
from hypothesis import given
from hypothesis import strategies as st

from include.reports.engine import joins
from include.reports.engine.joins import Side, left_join
from tests.examples import examples

NAMES = st.sampled_from([None, "", "a", "b", "c", "é", "dd", "zz"])
ROWS = st.lists(st.tuples(NAMES, st.integers(0, 9)), max_size=40)


def batches(rows: list[tuple[str | None, int]], name: str, size: int) -> list[pa.RecordBatch]:
    parts = [rows[start : start + size] for start in range(0, len(rows), size)]
    return [
        pa.record_batch(
            {"key": pa.array([k for k, _ in part], pa.string()), name: pa.array([v for _, v in part])}
        )
        for part in parts
    ]


def joined(left, right, folder, *, in_memory: int, size: int) -> list[tuple[str | None, int, int | None]]:
    schema = pa.schema([("key", pa.string()), ("right", pa.int64())])
    side = Side("key", len(right), schema, lambda: iter(batches(right, "right", size)), "right")
    found = left_join(iter(batches(left, "left", size)), side, folder, in_memory=in_memory)
    return [(x["key"], x["left"], x["right"]) for batch in found for x in batch.to_pylist()]


@examples(60)
@given(left=ROWS, right=ROWS, size=st.integers(1, 9))
def test_a_join_is_a_dictionary(left, right, size, tmp_path_factory):
    smallest: dict[str, int] = {}
    for key, value in right:
        if key is not None:
            smallest[key] = min(value, smallest.get(key, value))
    expected = [(key, value, smallest.get(key) if key is not None else None) for key, value in left]
    folder = tmp_path_factory.mktemp("join")
    assert joined(left, right, folder, in_memory=1_000, size=size) == expected
    assert joined(left, right, folder, in_memory=3, size=size) == expected
    assert list(folder.iterdir()) == []


@examples(40)
@given(left=ROWS, right=ROWS, other=ROWS, size=st.integers(1, 9))
def test_several_joins_are_one_after_the_other(left, right, other, size, tmp_path_factory):
    schema = pa.schema([("key", pa.string()), ("right", pa.int64())])
    renamed = pa.schema([("second", pa.string()), ("other", pa.int64())])
    sides = [
        Side("key", len(right), schema, lambda: iter(batches(right, "right", size)), "right"),
        Side(
            "second",
            len(other),
            renamed,
            lambda: (each.rename_columns(renamed.names) for each in batches(other, "other", size)),
            "other",
        ),
    ]
    folder = tmp_path_factory.mktemp("join")

    def rows():
        return (each.append_column("second", each.column("key")) for each in batches(left, "left", size))

    first = left_join(rows(), sides[0], folder)
    expected = [row for batch in left_join(first, sides[1], folder) for row in batch.to_pylist()]
    for in_memory in (3, 12, 1_000):
        found = joins.left_joins(rows(), sides, folder, in_memory=in_memory)
        assert [row for batch in found for row in batch.to_pylist()] == expected
    assert list(folder.iterdir()) == []


def test_a_join_in_ranges_spans_many_slices(tmp_path):
    numbers = np.random.default_rng(1).permutation(50_000)
    left = [(f"k{n}", int(n)) for n in numbers]
    right = [(f"k{n}", int(n) * 2) for n in range(0, 50_000, 3)]
    found = joined(left, right, tmp_path, in_memory=4_000, size=7_000)
    assert found == [(key, n, n * 2 if n % 3 == 0 else None) for key, n in left]


def test_texts_of_one_hash_are_told_apart(monkeypatch, tmp_path):
    monkeypatch.setattr(joins, "text_hashes", lambda column: np.zeros(len(column), np.uint64))
    left = [("a", 1), ("b", 2), ("x", 3), (None, 4)]
    right = [("b", 20), ("a", 10), ("c", 30)]
    assert joined(left, right, tmp_path, in_memory=100, size=2) == [
        ("a", 1, 10),
        ("b", 2, 20),
        ("x", 3, None),
        (None, 4, None),
    ]


def test_rechunked_batches_have_one_size():
    parts = [
        pa.record_batch({"n": pa.array(range(start, end))}) for start, end in pairwise([0, 3, 4, 11, 12])
    ]
    found = list(joins.rechunked(iter(parts), 5))
    assert [len(batch) for batch in found] == [5, 5, 2]
    assert [n for batch in found for n in batch.column(0).to_pylist()] == list(range(12))
