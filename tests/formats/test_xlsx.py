"""Workbooks: exact and typed cells, sheets that go on, and the programs of other people that open them."""
# ruff: noqa: DTZ001  a cell of a spreadsheet has no zone

from __future__ import annotations

import io
import os
import re
import zipfile
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path

import openpyxl
import pytest
import python_calamine
from hypothesis import given
from hypothesis import strategies as st

from include.errors import BadInput
from include.formats import sheet
from include.formats import xlsx as kind
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from tests.examples import examples
from tests.formats.examples import COLUMNS, RANDOM_ROWS, ROWS, TEXTS, chunked, table

GOLDEN = Path(__file__).parents[1] / "golden" / "formats"
MAIN = "{http://schemas.openxmlformats.org/spreadsheetml/2006/main}"


def book(rows=ROWS, columns=COLUMNS, **options) -> bytes:
    return b"".join(kind.encode(columns, [table(rows, columns)], kind.Options(**options)))


def sheet_xml(content: bytes, number: int = 1) -> str:
    with zipfile.ZipFile(io.BytesIO(content)) as package:
        return package.read(f"xl/worksheets/sheet{number}.xml").decode()


def cell(value, type_: FieldType, **options) -> str:
    """The one cell of a table without a header, as it stands in the sheet."""
    return re.search(
        "<row.*?>(.*)</row>",
        sheet_xml(book([(value,)], [Column("a", type_)], header=False, **options)),
        re.DOTALL,
    )[1]


# What the cells of the golden sheet are, by hand:
#   points 1250 hundredths = 12.5; shown as 12.50 by its style
#   2026-03-01: 20,513 days after 1970-01-01 (56 years of 365 days, 14 leap days, 31 + 28), which is day 25,569 of a
#   spreadsheet: 46,082; at 06:00 UTC a quarter of a day is over: 46082.25, in Paris (07:00) 7/24 = .291666666667
#   2**63 - 1 has 19 digits: a text
@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("default", {}),
        (
            "paris",
            {
                "timezone": "Europe/Paris",
                "points": "plain",
                "dates": "dd/mm/yyyy",
                "instants": "milliseconds",
            },
        ),
    ],
)
def test_golden(name, options):
    path = GOLDEN / f"{name}.xlsx"
    content = book(**options)
    if os.environ.get("GOLDEN") == "write":
        path.write_bytes(content)
        path.with_suffix(".xlsx.sheet1.xml").write_text(sheet_xml(content))
    assert sheet_xml(content) == path.with_suffix(".xlsx.sheet1.xml").read_text()
    assert content == path.read_bytes()


@pytest.mark.parametrize(
    ("hundredths", "value"),
    [
        (1250, "12.5"),
        (10000, "100"),
        (-5, "-0.05"),
        (10**15 - 1, "9999999999999.99"),
        (10**17, "1000000000000000"),
    ],
)
def test_points_are_exact_numbers(hundredths, value):
    assert f"<v>{value}</v>" in cell(hundredths, FieldType.POINTS)


@pytest.mark.parametrize(
    ("value", "type_", "text"),
    [
        (2**63 - 1, FieldType.POINTS, "92233720368547758.07"),
        (-(10**16) - 1, FieldType.POINTS, "-100000000000000.01"),
        (9007199254740993, FieldType.INTEGER, "9007199254740993"),
        (Decimal("99999999999999.9999"), FieldType.MONEY, "99999999999999.9999"),
    ],
)
def test_a_number_of_more_than_15_digits_is_an_exact_text(value, type_, text):
    assert f't="inlineStr"><is><t xml:space="preserve">{text}</t>' in cell(value, type_)


@given(st.integers(-(2**63), 2**63 - 1))
@examples(100)
def test_no_number_changes_when_a_program_takes_it_for_a_float(hundredths):
    written = cell(hundredths, FieldType.POINTS)
    number = re.search("<v>(.*)</v>", written)
    if number:
        assert Decimal(repr(float(number[1]))) * 100 == hundredths
    else:
        assert Decimal(re.search('preserve">(.*)</t>', written)[1]) * 100 == hundredths


@pytest.mark.parametrize(
    ("value", "type_", "options", "written"),
    [
        (date(2026, 3, 1), FieldType.DATE, {}, "<v>46082</v>"),
        (date(1900, 3, 1), FieldType.DATE, {}, "<v>61</v>"),
        (date(1900, 2, 28), FieldType.DATE, {}, '"preserve">1900-02-28</t>'),
        (date(9999, 12, 31), FieldType.DATE, {}, "<v>2958465</v>"),
        (datetime(2026, 3, 1, 6, tzinfo=UTC), FieldType.INSTANT, {}, "<v>46082.25</v>"),
        (datetime(2026, 3, 1, 6, tzinfo=UTC), FieldType.INSTANT, {"timezone": "Europe/Paris"}, "<v>46082.291666666667</v>"),
        (datetime(2026, 7, 1, 22, tzinfo=UTC), FieldType.INSTANT, {"timezone": "Europe/Paris"}, "<v>46205</v>"),
        (datetime(1899, 1, 1, tzinfo=UTC), FieldType.INSTANT, {}, '"preserve">1899-01-01T00:00:00Z</t>'),
        (datetime(9999, 12, 31, 23, 30, tzinfo=UTC), FieldType.INSTANT, {"timezone": "Europe/Paris"}, "010000-01-01T00:30:00+01:00"),
        (True, FieldType.BOOLEAN, {}, 't="b"><v>1</v>'),
    ],
)  # fmt: skip
def test_typed_cells(value, type_, options, written):
    assert written in cell(value, type_, **options)


def test_the_last_microsecond_of_a_day_stays_in_its_day():
    last = datetime(2026, 1, 31, 23, 59, 59, 999_999, tzinfo=UTC)
    # 31 January is day 46,053; 86,399 of 86,400 seconds are .999988425926 of it.
    assert "<v>46053.999988425926</v>" in cell(last, FieldType.INSTANT)
    content = book([(last,)], [Column("at", FieldType.INSTANT)], instants="milliseconds")
    assert openpyxl.load_workbook(io.BytesIO(content)).active["A2"].value == datetime(
        2026, 1, 31, 23, 59, 59, 999_000
    )


@given(st.datetimes(datetime(1900, 3, 1), datetime(9999, 12, 30), timezones=st.just(UTC)))
@examples(100)
def test_an_instant_reads_back_to_its_millisecond(instant):
    columns, options = [Column("at", FieldType.INSTANT)], kind.Options(instants="milliseconds")
    ((text,),) = kind.read(io.BytesIO(book([(instant,)], columns, instants="milliseconds")), columns, options)
    assert datetime.fromisoformat(text) == instant - timedelta(microseconds=instant.microsecond % 1000)


def typed(value):
    """A value as a spreadsheet holds it, for comparing what two other readers say."""
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return Decimal(repr(float(value)))
    return datetime(value.year, value.month, value.day) if type(value) is date else value or None


@given(RANDOM_ROWS)
@examples(60)
def test_two_other_readers_see_the_same_values(rows):
    content = book([("first", *row[1:]) for row in rows])
    ours = list(kind.read(io.BytesIO(content), COLUMNS, kind.Options()))
    theirs = (
        python_calamine.CalamineWorkbook.from_filelike(io.BytesIO(content)).get_sheet_by_index(0).to_python()
    )
    active = openpyxl.load_workbook(io.BytesIO(content)).active
    others = [[typed(one.value) for one in row] for row in active.iter_rows(max_col=len(COLUMNS))]
    assert len(theirs) == len(others) == len(rows) + 1
    for our, their, other in zip(ours, theirs[1:], others[1:], strict=True):
        for column, text, value, second in zip(COLUMNS, our, their, other, strict=True):
            if (
                column.type is FieldType.INSTANT and type(value) is date
            ):  # a midnight, which calamine reads as a day
                assert text == f"{value}T00:00:00Z"
            elif value == "" or (column.type is FieldType.INSTANT and not isinstance(value, datetime)):
                assert text in (None, value)
            elif column.type in (FieldType.TEXT, FieldType.JSON, FieldType.ID):
                assert text == value
                if not re.search(
                    "_x[0-9A-F]{4}_|[^\\S\n ]", str(second)
                ):  # openpyxl leaves the format's escapes
                    assert second == value
            elif isinstance(value, float):
                assert Decimal(text) == Decimal(repr(value)) == second
            elif isinstance(value, (date, datetime)):
                assert typed(value) == second


def test_no_text_is_a_formula():
    content = book([(text,) for text in ("=1+1", "+1", "@x", "=HYPERLINK(1)")], [Column("a", FieldType.TEXT)])
    cells = [row[0] for row in openpyxl.load_workbook(io.BytesIO(content)).active.iter_rows(min_row=2)]
    # openpyxl guesses a formula from a text's first character only when it writes; what it read is a text.
    assert "<f>" not in sheet_xml(content)
    assert [one.number_format for one in cells] == [
        "@"
    ] * 4  # a text stays one also when a person edits the cell


@given(TEXTS)
@examples(100)
def test_any_text_reads_back(text):
    columns = [Column("a", FieldType.ID), Column("b", FieldType.TEXT)]
    content = book([("x", text)], columns)
    assert list(kind.read(io.BytesIO(content), columns, kind.Options())) == [["x", text or None]]


@pytest.mark.parametrize(
    "text", ["a\x00b", "\x1f", "_x0041_", "_x005F_x0041_", "\ufffe", "_x00", "a_xb_", "\r\n", "\t"]
)
def test_awkward_texts_read_back(text):
    columns = [Column("a", FieldType.TEXT)]
    assert list(kind.read(io.BytesIO(book([(text,)], columns)), columns, kind.Options())) == [[text]]


# Looks


def test_header_is_frozen_bold_and_filters_and_columns_have_widths():
    active = openpyxl.load_workbook(io.BytesIO(book(sheet="Balances"))).active
    assert active.title == "Balances"
    assert active.freeze_panes == "A2"
    assert active.auto_filter.ref == f"A1:J{len(ROWS) + 1}"
    assert all(one.font.b for one in active[1])
    assert active.column_dimensions["B"].width > active.column_dimensions["A"].width
    assert active["C2"].number_format == "#,##0.00"
    assert active["G2"].number_format == "yyyy-mm-dd"


def test_a_sheet_without_header_or_filter():
    active = openpyxl.load_workbook(io.BytesIO(book(header=False))).active
    assert (active.freeze_panes, active.auto_filter.ref, active["A1"].value) == (None, None, "t1")
    assert openpyxl.load_workbook(io.BytesIO(book(autofilter=False))).active.auto_filter.ref is None


@given(st.lists(st.integers(0, 3000), max_size=6))
@examples(20)
def test_widths_do_not_depend_on_how_rows_are_batched(cuts):
    batch = table([(("x" * (index // 60)),) for index in range(3000)], [Column("a", FieldType.TEXT)])
    columns = [Column("a", FieldType.TEXT)]
    assert b"".join(kind.encode(columns, chunked(batch, cuts), kind.Options())) == b"".join(
        kind.encode(columns, [batch], kind.Options())
    )


def test_nothing_tells_when_it_was_made():
    with zipfile.ZipFile(io.BytesIO(book())) as package:
        assert not [name for name in package.namelist() if name.startswith("docProps")]
        assert {entry.date_time for entry in package.infolist()} == {(1980, 1, 1, 0, 0, 0)}


# What cannot be written, or read, is said


def test_a_text_too_long_for_a_cell_is_named():
    columns = [Column("a", FieldType.ID), Column("b", FieldType.TEXT)]
    assert book([("x", "é" * 32_767)], columns)
    with pytest.raises(BadInput, match="row 5001, column b") as caught:
        book([("x", "y")] * 5000 + [("x", "z" * 32_768)], columns)
    assert caught.value.problems[0].code == "too_long_for_cell"


def test_a_cell_counts_characters_as_the_programs_do():
    # A character beyond U+FFFF counts twice: 16,383 are 32,766, and one more is too many.
    columns = [Column("a", FieldType.TEXT)]
    assert book([("\U0001f600" * 16_383,)], columns)
    with pytest.raises(BadInput, match="a cell holds at most 32,767 characters"):
        book([("\U0001f600" * 16_384,)], columns)


@pytest.mark.parametrize("rows_at_once", [1, 2, 9])
def test_a_row_is_numbered_over_all_sheets(rows_at_once, monkeypatch):
    monkeypatch.setattr(sheet, "MOST_ROWS", 4)  # a header and three rows
    columns = [Column("a", FieldType.TEXT)]
    rows = table([("y",)] * 7 + [("z" * 32_768,)], columns)
    pieces = [rows.slice(start, rows_at_once) for start in range(0, 8, rows_at_once)]
    with pytest.raises(BadInput, match="row 8, column a"):
        list(kind.encode(columns, pieces, kind.Options()))


def test_too_many_columns_are_named():
    columns = [Column(f"c{number}", FieldType.BOOLEAN) for number in range(16_385)]
    with pytest.raises(BadInput, match="16,384"):
        list(kind.encode(columns, [], kind.Options()))


def test_the_last_column_is_xfd():
    assert sheet._letters(sheet.MOST_COLUMNS - 1) == "XFD"


def rewritten(content: bytes, part: str, old: bytes, new: bytes) -> io.BytesIO:
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as package, zipfile.ZipFile(out, "w") as made:
        for entry in package.infolist():
            data = package.read(entry)
            made.writestr(entry.filename, data.replace(old, new, 1) if entry.filename == part else data)
    out.seek(0)
    return out


@pytest.mark.parametrize(
    ("part", "old", "new", "words"),
    [
        ("sheet1", b"<v>12.5</v>", b"<f>1+1</f><v>12.5</v>", "row 2 holds a formula"),
        ("sheet1", b'<row r="3">', b'<row r="4">', "row 4 stands where row 3 should be"),
        ("sheet1", b"<worksheet", b"<!DOCTYPE x [<!ENTITY a 'b'>]><worksheet", "document type"),
        ("sheet1", b">id<", b">ID<", "the header is"),
        ("sheet1", b"</worksheet>", b"", "not a sheet"),
        (
            "sheet1",
            b"</row>\n</sheetData>",
            b'<c r="K9"><v>1</v></c></row></sheetData>',
            "11 cells instead of 10",
        ),
        ("workbook", b"<workbook", b"<!DOCTYPE x []><workbook", "document type"),
        ("workbook", b'r:id="rId1"', b'r:id="rId9"', "not a workbook"),
    ],
)
def test_reading_refuses_what_we_did_not_write(part, old, new, words):
    part = "xl/workbook.xml" if part == "workbook" else f"xl/worksheets/{part}.xml"
    with pytest.raises(ValueError, match=words):
        list(kind.read(rewritten(book(), part, old, new), COLUMNS, kind.Options()))
    with pytest.raises(ValueError, match="not a workbook"):
        list(kind.read(io.BytesIO(b"no zip"), COLUMNS, kind.Options()))
