"""Workbooks of more than one sheet: rows that do not fit on one, and several contents."""

from __future__ import annotations

import io
from decimal import Decimal

import openpyxl
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import Permanent
from include.formats import sheet, workbook
from include.formats import xlsx as kind
from include.formats.sheet import Look, Sheet
from include.formats.workbook import SheetNames
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from tests.examples import examples
from tests.formats.examples import COLUMNS, ROWS, table
from tests.formats.test_xlsx import book, sheet_xml


@pytest.mark.slow
def test_rows_go_on_on_the_next_sheet(monkeypatch):
    monkeypatch.setattr(sheet, "MOST_ROWS", 4)  # a header and three rows
    columns = [Column("n", FieldType.INTEGER)]
    for count, sheets in ((0, 1), (3, 1), (4, 2), (7, 3)):
        content = book([(number,) for number in range(count)], columns, sheet="A")
        names = openpyxl.load_workbook(io.BytesIO(content)).sheetnames
        assert names == ["A", "A (2)", "A (3)"][:sheets]
        read = list(kind.read(io.BytesIO(content), columns, kind.Options(sheet="A")))
        assert read == [[str(number)] for number in range(count)]


@pytest.mark.slow
def test_a_sheet_holds_as_many_rows_as_the_programs_allow():
    columns = [Column("n", FieldType.INTEGER)]
    count = 1_048_575 + 2
    batch = pa.record_batch([pa.array(range(count))], names=["n"])
    content = b"".join(kind.encode(columns, [batch], kind.Options()))
    first, second = sheet_xml(content), sheet_xml(content, 2)
    assert '<row r="1048576"><c r="A1048576" s="5"><v>1048574</v></c></row>\n</sheetData>' in first
    assert "<v>1048576</v></c></row>\n</sheetData>" in second
    assert first.count("<row ") + second.count("<row ") == count + 2  # with their headers


def test_a_workbook_of_several_contents(tmp_path):
    contents = [
        Sheet("Balances", COLUMNS, [table()], Look()),
        Sheet("balances", COLUMNS[:3], [table(columns=COLUMNS[:3])] * 2, Look(header=False)),
        Sheet("a/b: [c]*?", COLUMNS[:1], [], Look()),
    ]
    made = kind.write_workbook(tmp_path / "x.xlsx", contents)
    names = openpyxl.load_workbook(tmp_path / "x.xlsx").sheetnames
    assert names == ["Balances", "balances (2)", "a-b- -c---"]
    assert [one.rows for one in made] == [len(ROWS), 2 * len(ROWS), 0]
    assert {one.sha256 for one in made} == {made[0].sha256}
    assert made[1].totals["points"] == str(2 * Decimal(made[0].totals["points"]))
    with (tmp_path / "x.xlsx").open("rb") as file:
        assert len(list(kind.read(file, COLUMNS, kind.Options(sheet="Balances")))) == len(ROWS)
    again = kind.write_workbook(tmp_path / "y.xlsx", contents)
    assert again[0].sha256 == made[0].sha256


def test_an_error_leaves_no_workbook(tmp_path):
    def broken():
        yield table()
        raise Permanent("the ledger went away")

    with pytest.raises(Permanent):
        kind.write_workbook(tmp_path / "x.xlsx", [Sheet("A", COLUMNS, broken(), Look())])
    assert list(tmp_path.iterdir()) == []


@given(
    st.lists(
        st.one_of(st.text(max_size=40), st.sampled_from(["A", "a", "History", "'", "", "A (2)"])), max_size=6
    )
)
@examples(200)
def test_sheet_names_are_safe_and_differ(wanted):
    names = SheetNames()
    for name in wanted:
        names.add(name)
    assert len({name.casefold() for name in names.used}) == len(wanted)
    for name in names.used:
        assert 1 <= len(name.encode("utf-16-le")) // 2 <= workbook.NAME_CHARACTERS
        assert not set(name) & set("[]:*?/\\")
        assert name.strip("'") == name
        assert name.casefold() != "history"
