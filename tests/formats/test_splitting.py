"""Splits: every row in exactly one file, in its order; files as large as asked; labels that are safe names."""

from __future__ import annotations

import subprocess
import sys

import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from pydantic import ValidationError

from include.definitions.naming import name_problems
from include.definitions.split import Split
from include.errors import BadInput
from include.formats.options import FileOptions
from include.formats.splitting import labels, split, split_problems
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from tests.examples import examples
from tests.formats.examples import COLUMNS, CUTS, RANDOM_ROWS, ROWS, chunked, table
from tests.formats.limits import held

CSV = FileOptions(format="csv", compression="none")
TEXT_FORMATS = ["csv", "json", "jsonl", "psv", "tsv", "xml"]
TIERS = [Column("id", FieldType.ID), Column("tier", FieldType.TEXT), Column("points", FieldType.POINTS)]
few = examples(60, suppress_health_check=[HealthCheck.function_scoped_fixture])


def parts(how: Split, batches, columns, scratch, file=CSV) -> dict[str, list[dict]]:
    return {
        label: [row for batch in rows for row in batch.to_pylist()]
        for label, rows in split(batches, columns, how, file, scratch)
    }


def size(rows, columns, file: FileOptions) -> int:
    return sum(
        len(chunk) for chunk in file.kind().encode(columns, [table(rows, columns)], file.format_options())
    )


# before: five members | split | after

MEMBERS = [("a", "Gold", 100), ("b", None, 200), ("c", "Silver", 300), ("d", "Gold", 400), ("e", "", 500)]


@pytest.mark.parametrize(
    ("how", "after"),
    [
        (Split(rows=2), {"0001": "ab", "0002": "cd", "0003": "e"}),
        (Split(rows=5), {"0001": "abcde"}),
        # "id,tier,points\n" are 15 bytes; "a,Gold,1.00\n" 12, "b,,2.00\n" 8, "c,Silver,3.00\n" 14; 5 rows make 1,039.
        (Split(bytes=1039), {"0001": "abcde"}),
        (Split(field="tier"), {"empty": "e", "Gold": "ad", "Silver": "c", "none": "b"}),
        (Split(field="points"), {"1.00": "a", "2.00": "b", "3.00": "c", "4.00": "d", "5.00": "e"}),
    ],
)
def test_worked_cases(how, after, tmp_path):
    found = parts(how, [table(MEMBERS, TIERS)], TIERS, tmp_path)
    assert {label: "".join(row["id"] for row in rows) for label, rows in found.items()} == after
    assert list(found) == list(after)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("limit", "rows_of_first"), [(1097, 56), (1098, 57), (1116, 57), (1117, 58)])
def test_bytes_end_with_a_whole_row(limit, rows_of_first, tmp_path):
    # The header is 15 bytes, a row 8 + 1 + 4 + 1 + 4 + 1 = 19: 57 rows make 15 + 57 * 19 = 1,098 bytes.
    rows = [(f"member{n:02}", "Gold", 100) for n in range(100)]
    for cut in (0, 56, 57, 58):  # also where a batch ends with the file
        batches = [table(rows[:cut], TIERS), table(rows[cut:], TIERS)]
        found = parts(Split(bytes=limit), batches, TIERS, tmp_path)
        assert {label: len(some) for label, some in found.items()} == {
            "0001": rows_of_first,
            "0002": 100 - rows_of_first,
        }


@pytest.mark.parametrize("how", [Split(rows=10), Split(bytes=2000), Split(field="tier")])
def test_no_rows_are_one_file_without_rows(how, tmp_path):
    for batches in ([], [table([], TIERS)]):
        assert list(parts(how, batches, TIERS, tmp_path).values()) == [[]]


@few
@given(rows=RANDOM_ROWS, cuts=CUTS, count=st.integers(1, 8))
@pytest.mark.slow
def test_every_row_is_in_one_file_in_its_order(rows, cuts, count, tmp_path):
    numbered = [(f"{place}", *row[1:]) for place, row in enumerate(rows)]
    batch = table(numbered)
    for how in (Split(rows=count), Split(bytes=1024), *(Split(field=column.name) for column in COLUMNS)):
        whole = parts(how, [batch], COLUMNS, tmp_path)
        assert parts(how, chunked(batch, cuts), COLUMNS, tmp_path) == whole
        places = [int(row["id"]) for some in whole.values() for row in some]
        assert sorted(places) == list(range(len(rows)))
        for some in whole.values():
            assert [int(row["id"]) for row in some] == sorted(int(row["id"]) for row in some)
        if how.field:
            for some in whole.values():
                assert len({row[how.field] for row in some}) <= 1
        else:
            assert places == sorted(places)


@pytest.mark.parametrize("kind", TEXT_FORMATS)
@few
@given(rows=st.lists(st.sampled_from(ROWS), min_size=1, max_size=60), limit=st.integers(1024, 4000))
def test_files_are_as_long_as_they_may_be(kind, rows, limit, tmp_path):
    file = FileOptions(format=kind, compression="none")
    rows = held(kind, rows)
    found = list(parts(Split(bytes=limit), [table(rows)], COLUMNS, tmp_path, file).values())
    start = 0
    for some in found:
        stop = start + len(some)
        assert size(rows[start:stop], COLUMNS, file) <= limit or len(some) == 1
        if stop < len(rows):
            assert size(rows[start : stop + 1], COLUMNS, file) > limit
        start = stop
    assert start == len(rows)


@pytest.mark.parametrize("how", [Split(rows=2), Split(bytes=1024), Split(field="tier")])
def test_what_a_reader_leaves_belongs_to_its_part(how, tmp_path):
    rows = [(f"{n}" * 100, "Gold" if n % 2 else "Silver", n) for n in range(30)]
    expected = [label for label, _ in parts(how, [table(rows, TIERS)], TIERS, tmp_path).items()]
    assert [label for label, _ in split([table(rows, TIERS)], TIERS, how, CSV, tmp_path)] == expected


# Labels


@pytest.mark.parametrize(
    ("values", "expected"),
    [
        (["Gold", "Silver", None, ""], ["Gold", "Silver", "none", "empty"]),
        (["Black Card", "a/b", "../x", "été"], ["Black-Card", "a-b", "x", "été"]),
        (["none", None], ["none-140bedbf", "none"]),
        (["NONE"], ["NONE-a1dcd3a4"]),
        (["Gold", "gold", "Silver"], ["Gold-6249df43", "gold-24d7f03d", "Silver"]),
        (["???"], ["export-a03b221c"]),
        (["changes", "Change"], ["changes-d0b4ba23", "Change"]),
    ],
)
def test_labels(values, expected):
    found = labels(values)
    assert [found[value].partition("-")[0] for value in values] == [
        label.partition("-")[0] for label in expected
    ]
    if "NONE" not in values:
        assert [found[value] for value in values] == expected


@given(
    st.sets(
        st.none()
        | st.text(max_size=100)
        | st.sampled_from(["none", "NONE", "empty", "a b", "a-b", "A-B", "é", "e\u0301"])
    )
)
@examples(300)
def test_labels_are_safe_and_differ_in_any_case(values):
    found = labels(values)
    assert set(found) == values
    assert len({label.casefold() for label in found.values()}) == len(values)
    for label in found.values():
        assert name_problems(f"x_{label}") == []
        assert len(label.encode()) <= 80


# What cannot be split is said


@pytest.mark.parametrize(
    ("how", "kind", "code"),
    [
        (Split(field="teir"), "csv", "unknown_field"),
        (Split(bytes=5000), "xlsx", "bytes_of_packed_format"),
        (Split(bytes=5000), "parquet", "bytes_of_packed_format"),
    ],
)
def test_problems(how, kind, code, tmp_path):
    (problem,) = split_problems(how, TIERS, FileOptions(format=kind))
    assert problem.code == code
    with pytest.raises(BadInput):
        split([], TIERS, how, FileOptions(format=kind), tmp_path)


@pytest.mark.parametrize("how", [Split(rows=1, most=3), Split(bytes=1024, most=3), Split(field="id", most=3)])
def test_too_many_files_are_refused(how, tmp_path):
    rows = [(f"{n}" * 600, "Gold", n) for n in range(4)]
    assert len(parts(how, [table(rows[:3], TIERS)], TIERS, tmp_path)) in (2, 3)
    with pytest.raises(BadInput, match="more files"):
        parts(how, [table(rows * 2 if how.bytes else rows, TIERS)], TIERS, tmp_path)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    "keys", [{}, {"rows": 1, "field": "a"}, {"rows": 0}, {"bytes": 100}, {"field": ""}, {"lines": 3}]
)
def test_a_split_is_by_one_thing(keys):
    with pytest.raises(ValidationError):
        Split(**keys)


@pytest.mark.slow
@pytest.mark.parametrize("how", ["rows", "bytes", "field"])
def test_memory_does_not_grow_with_the_rows(how):
    command = [sys.executable, "-m", "tests.formats.peak", "csv", "300000", "1800000", how]
    done = subprocess.run(command, check=True, capture_output=True, text=True)
    assert int(done.stdout) < 60, "MiB"  # the rows are over 80 more
