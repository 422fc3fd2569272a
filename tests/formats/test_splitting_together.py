"""Splits that keep groups whole: rows that follow each other with one value are never torn apart."""

from __future__ import annotations

from itertools import accumulate, groupby

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from pydantic import ValidationError

from include.definitions.split import Split
from include.errors import BadInput
from include.formats.options import FileOptions
from include.formats.splitting import split, split_problems
from include.layouts.layout import layouts
from include.ledger.catalog import ARROW_TYPES, FieldType
from include.ledger.columns import Column
from tests.examples import examples
from tests.formats.examples import CUTS, chunked

CSV = FileOptions(format="csv", compression="none")
COLUMNS = [Column("line", FieldType.INTEGER), Column("journal", FieldType.ID)]


def table(journals: list[str | None]) -> pa.RecordBatch:
    arrays = [pa.array(range(len(journals)), pa.int64()), pa.array(journals, ARROW_TYPES[FieldType.ID])]
    return pa.record_batch(arrays, names=["line", "journal"])


def files(how: Split, batches, scratch, columns=COLUMNS) -> list[list[str | None]]:
    """The journals of each file's lines; a reader that leaves a file half read sees the same ones."""
    found = [
        [row for batch in rows for row in batch.to_pylist()]
        for _, rows in split(batches, columns, how, CSV, scratch)
    ]
    if columns == COLUMNS:
        assert [row["line"] for some in found for row in some] == list(range(sum(map(len, found))))
    return [[row[columns[-1].name] for row in some] for some in found]


@pytest.mark.parametrize(
    ("journals", "rows", "after"),
    [
        ("AAABB", 3, ["AAA", "BB"]),
        ("AABBB", 4, ["AA", "BBB"]),
        ("AABBBC", 5, ["AABBB", "C"]),
        ("ABC", 9, ["ABC"]),
        # A comes again: it is another group, for rows keep their order
        ("AABA", 3, ["AAB", "A"]),
        ("", 3, [""]),
    ],
)
def test_worked_cases(journals, rows, after, tmp_path):
    found = files(Split(rows=rows, together="journal"), [table(list(journals))], tmp_path)
    assert ["".join(some) for some in found] == after


@given(
    journals=st.lists(st.tuples(st.sampled_from(["A", "B", "", None]), st.integers(1, 4)), max_size=30),
    rows=st.integers(4, 9),
    cuts=CUTS,
)
@examples(300, suppress_health_check=[HealthCheck.function_scoped_fixture])
def test_no_group_is_torn_and_no_file_is_too_long(journals, rows, cuts, tmp_path):
    listed = [name for name, count in journals for _ in range(count)]
    # Neighbours of one value are one group: it is made no longer than a file.
    groups = [list(some)[:rows] for _, some in groupby(listed)]
    listed = [name for some in groups for name in some]
    how = Split(rows=rows, together="journal")
    found = files(how, chunked(table(listed), cuts), tmp_path)
    assert found == files(how, [table(listed)], tmp_path)
    assert [name for some in found for name in some] == listed
    assert all(len(some) <= rows for some in found)
    starts = [0, *accumulate(map(len, groups))]
    written = 0
    for some in found[:-1]:
        written += len(some)
        assert written in starts, "a group is torn"
        assert len(some) + len(groups[starts.index(written)]) > rows, "the next group had room"


def test_a_group_that_fits_into_no_file_is_refused_by_name(tmp_path):
    told = "file.split.rows: 'B': has 4 rows that belong together, and a file holds 3"
    with pytest.raises(BadInput, match=told):
        files(Split(rows=3, together="journal"), [table(list("AABBBB"))], tmp_path)


def test_a_reader_that_leaves_rows_gets_the_next_group_next(tmp_path):
    parts = split([table(list("AABBC"))], COLUMNS, Split(rows=2, together="journal"), CSV, tmp_path)
    assert [label for label, _ in parts] == ["0001", "0002", "0003"]


@pytest.mark.parametrize(
    ("name", "most", "together"),
    [
        ("accounting.xero", 300, "*Narration"),
        ("accounting.quickbooks_online", 1000, "Journal No."),
        ("accounting.quickbooks_online_sample", 1000, "*JournalNo"),
    ],
)
def test_journals_are_split_as_their_programs_want(name, most, together, tmp_path):
    layout = layouts()[name]
    # 150 programs with 8 lines each: 1,200 lines; 300 / 8 = 37.5, 1000 / 8 = 125 journals in a file
    lines = [f"J{number:03}" for number in range(150) for _ in range(8)]
    columns = [Column("line", FieldType.INTEGER), Column(together, FieldType.ID)]
    batch = table(lines).rename_columns(["line", together])
    found = files(layout.split, [batch], tmp_path, columns)
    assert [len(some) for some in found] == ([296] * 4 + [16] if most == 300 else [1000, 200])
    assert sum(len(set(some)) for some in found) == 150, "no narration is in two files"


def test_together_needs_rows_and_a_column_that_is_there():
    with pytest.raises(ValidationError, match="together goes with rows"):
        Split(field="journal", together="journal")
    [problem] = split_problems(Split(rows=3, together="jornal"), COLUMNS, CSV)
    assert (problem.where, problem.code) == ("file.split.together", "unknown_field")
