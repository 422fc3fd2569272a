"""What changed between two files of one export, by key: counted, said in a sentence, and row by row."""

from __future__ import annotations

import csv
import gzip
from collections.abc import Sequence
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.errors import BadInput
from include.formats import artefact
from include.formats.diff import Difference, Side
from include.formats.manifest import file_entry
from include.formats.options import FileOptions
from include.ledger.catalog import FieldType
from include.ledger.columns import Column

COLUMNS = (
    Column("customer", FieldType.ID),
    Column("points", FieldType.POINTS),
    Column("note", FieldType.TEXT),
)
BEFORE = [("a", 1000, "x"), ("b", 250, None), ("c", -5, "=1+1")]
AFTER = [("c", -5, "=1+1"), ("a", 1050, "x"), ("d", 100, "")]
FORMATS = [FileOptions(), FileOptions(format="jsonl", compression="none"), FileOptions(compression="zip")]


def side(
    folder: Path, rows: Sequence[Any], file: FileOptions = FORMATS[0], cut: int = 0, columns=COLUMNS
) -> Side:
    """The rows as one file, or as two files cut there."""
    folder.mkdir(parents=True, exist_ok=True)
    pieces = [rows[:cut], rows[cut:]] if cut else [rows]
    made = []
    for number, piece in enumerate(pieces):
        types = [pa.int64() if column.type is FieldType.POINTS else pa.string() for column in columns]
        arrays = [pa.array([row[at] for row in piece], kind) for at, kind in enumerate(types)]
        batch = pa.RecordBatch.from_arrays(arrays, names=[column.name for column in columns])
        path = folder / f"{number}{file.extension}"
        written = artefact.write(path, columns, [batch], file)
        made.append((path, file_entry(written, columns, file)))
    return Side(made)


def compared(tmp_path: Path, before: Side, after: Side, key: Sequence[str] = ()) -> tuple[list[tuple], str]:
    with Difference(before, after, key, tmp_path) as difference:
        rows = [tuple(row.values()) for batch in difference.batches() for row in batch.to_pylist()]
        return rows, difference.sentence()


@pytest.mark.parametrize("file", FORMATS)
def test_added_removed_and_changed_rows_are_told_by_key(tmp_path, file):
    rows, sentence = compared(
        tmp_path, side(tmp_path / "then", BEFORE, file), side(tmp_path / "now", AFTER, file, cut=1)
    )
    assert rows == [
        ("before", "a", 1000, "x"), ("after", "a", 1050, "x"),
        ("removed", "b", 250, None),
        ("added", "d", 100, None if file.format == "csv" else ""),  # CSV has one text for null and for nothing
    ]  # fmt: skip
    # 10.00 + 2.50 - 0.05 = 12.45; 10.50 - 0.05 + 1.00 = 11.45
    assert sentence == "1 added, 1 removed, 1 changed (3 -> 3 rows); points 12.45 -> 11.45"


def test_another_order_of_rows_is_no_change(tmp_path):
    rows, sentence = compared(tmp_path, side(tmp_path / "a", BEFORE), side(tmp_path / "b", BEFORE[::-1]))
    assert (rows, sentence) == ([], "no row changed (3 -> 3 rows)")


def test_the_key_can_be_other_columns(tmp_path):
    before, after = side(tmp_path / "a", BEFORE), side(tmp_path / "b", [("z", 1000, "x")])
    rows, _ = compared(tmp_path, before, after, ["points", "note"])
    assert [row[:2] for row in rows if row[2] == 1000] == [("before", "a"), ("after", "z")]


def test_what_tells_rows_apart_is_found_where_no_key_is_given(tmp_path):
    # The first id is the same everywhere; with bob gone, pairs by it would be (bob, cid) and (cid, -): two changes.
    columns = (Column("program", FieldType.ID), Column("who", FieldType.ID), COLUMNS[1], COLUMNS[2])
    rows = [("club", "ann", 1, "x"), ("club", "bob", 2, "y"), ("club", "cid", 3, "z")]
    before = side(tmp_path / "then", rows, columns=columns)
    after = side(tmp_path / "now", [rows[0], rows[2]], columns=columns)
    with Difference(before, after, (), tmp_path) as difference:
        assert (difference.added, difference.removed, difference.changed) == (0, 1, 0)
        assert difference.key == ["program", "who"]


def test_rows_that_nothing_tells_apart_are_paired_in_their_order(tmp_path):
    before, after = (
        side(tmp_path / name, [("a", points, "x"), ("a", 2, "x")])
        for name, points in (("then", 1), ("now", 5))
    )
    with Difference(before, after, (), tmp_path) as difference:
        assert (difference.added, difference.removed, difference.changed) == (0, 0, 1)
        assert difference.key == ["customer", "note"]


def test_rows_without_a_key_are_paired_too(tmp_path):
    before, after = (
        side(tmp_path / name, [("a", points, None), ("b", 5, "x")])
        for name, points in (("then", 1), ("now", 2))
    )
    rows, _ = compared(tmp_path, before, after, ["note"])
    assert rows == [("before", "a", 1, None), ("after", "a", 2, None)]


@pytest.mark.parametrize("doubled", ["then", "now"])
def test_a_key_that_stands_for_several_rows_of_one_side_is_refused(tmp_path, doubled):
    twice = [("a", 1, "x"), ("a", 3, "y"), ("a", 4, "z"), ("b", 3, "x")]  # four rows of two customers
    before, after = (side(tmp_path / name, twice if name == doubled else BEFORE) for name in ("then", "now"))
    told = (
        "key: 'customer': must tell rows apart, but 2 have that of another row; add columns, or leave it out"
    )
    with pytest.raises(BadInput) as refused:
        Difference(before, after, ["customer"], tmp_path)
    assert str(refused.value) == told


def test_rows_of_one_key_that_is_found_are_paired_in_their_order(tmp_path):
    columns = COLUMNS[:2]
    before = side(tmp_path / "a", [("a", 1), ("a", 2)], columns=columns)
    after = side(tmp_path / "b", [("a", 1), ("a", 3), ("a", 4)], columns=columns)
    rows, _ = compared(tmp_path, before, after)
    assert rows == [("before", "a", 2), ("after", "a", 3), ("added", "a", 4)]


@pytest.mark.parametrize(
    ("columns", "key", "told"),
    [
        (
            (Column("who", FieldType.ID), *COLUMNS[1:]),
            (),
            "columns: 'who, points, note': must be the columns of the other",
        ),
        (
            COLUMNS,
            ("customer", "nobody"),
            "key: 'nobody': must be columns of the file: customer, points, note",
        ),
        (COLUMNS[1:], (), "must be the columns"),
    ],
)
def test_what_cannot_be_compared_is_refused(tmp_path, columns, key, told):
    before = side(tmp_path / "a", [row[-len(columns) :] for row in BEFORE], columns=columns)
    with pytest.raises(BadInput, match=told):
        Difference(before, side(tmp_path / "b", AFTER), key, tmp_path)


_ROWS = st.lists(
    st.tuples(st.sampled_from("abc"), st.integers(-300, 300), st.sampled_from([None, "x", 'y,"z'])),
    max_size=8,
)


@settings(max_examples=40, deadline=None)
@given(before=_ROWS, after=_ROWS)
@pytest.mark.slow
def test_applying_the_changes_to_the_one_gives_the_other(tmp_path_factory, before, after):
    folder = tmp_path_factory.mktemp("diff")
    changes, _ = compared(folder, side(folder / "a", before), side(folder / "b", after))
    rows = list(before)
    for kind, *row in changes:
        if kind in {"removed", "before"}:
            rows.remove(tuple(row))
    rows += [tuple(row) for kind, *row in changes if kind in {"added", "after"}]
    assert sorted(rows, key=repr) == sorted(after, key=repr)
    assert sum((Decimal(row[1]) for row in rows), Decimal(0)) == sum(row[1] for row in after)


def test_a_file_with_a_column_of_that_name_keeps_it_beside_the_kind_of_change(tmp_path):
    columns = (COLUMNS[0], Column("Change", FieldType.POINTS), Column("change_", FieldType.TEXT))
    then, now = (side(tmp_path / x, rows, columns=columns) for x, rows in (("then", BEFORE), ("now", AFTER)))
    with Difference(then, now, (), tmp_path) as difference:
        names = [column.name for column in difference.written]
        path = difference.write(tmp_path, "changes")
    assert names == ["change__", "customer", "Change", "change_"]
    assert path.name == "changes.csv.gz"
    assert rows_of(path)[0] == ["change__", "customer", "Change", "change_"]


def rows_of(path: Path) -> list[list[str]]:
    return list(csv.reader(gzip.decompress(path.read_bytes()).decode("utf-8-sig").splitlines()))
