"""Workbooks, as people and as other libraries write them; what a spreadsheet has changed is refused where it counts."""

import io
import zipfile
from datetime import date

import openpyxl
import pytest
import xlsxwriter

from tests.imports.opened import opened, refused


def book(*rows, sheets=("Sheet1",), formats=()):
    """A workbook by openpyxl. formats: (cell, number format)."""
    made = openpyxl.Workbook()
    made.active.title = sheets[0]
    for row in rows:
        made.active.append(row)
    for cell, form in formats:
        made.active[cell].number_format = form
    for name in sheets[1:]:
        made.create_sheet(name)
    out = io.BytesIO()
    made.save(out)
    return out.getvalue()


def shared(*rows):
    """A workbook by xlsxwriter, whose texts are shared."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as made:
        sheet = made.add_worksheet()
        for number, row in enumerate(rows):
            sheet.write_row(number, 0, row)
    return out.getvalue()


def changed(content, part, edit):
    """The same workbook with a part changed."""
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w") as new:
        for name in old.namelist():
            data = old.read(name)
            new.writestr(name, edit(data) if name == part else data)
    return out.getvalue()


def test_texts_and_numbers():
    seen = opened(
        book(["Email", "Points", "Reason"], ["a@b.c", 5, "x"], ["b@b.c", -12.5, None], ["c@b.c", "7.25", ""])
    )
    assert seen.good == [
        {"email": "a@b.c", "points": 500, "reason": "x"},
        {"email": "b@b.c", "points": -1250},
        {"email": "c@b.c", "points": 725},
    ]


@pytest.mark.parametrize(
    ("stored", "hundredths"),
    [
        ("1.1000000000000001", 1_10),
        ("0.28999999999999998", 29),
        ("2.9999999999999999E-1", 30),
        ("1234567.8899999999", 1_234_567_89),
        ("-12.5", -12_50),
        ("5.0", 5_00),
        ("1E3", 1_000_00),  # how the cell keeps it, not what was typed
        ("999999999999999", 999_999_999_999_999_00),
    ],
)
def test_numbers_are_those_that_were_typed(stored, hundredths):
    """A spreadsheet stores 1.1 as 1.1000000000000001."""
    content = changed(
        book(["Email", "Points"], ["a@b.c", 77]),
        "xl/worksheets/sheet1.xml",
        lambda data: data.replace(b"<v>77</v>", f"<v>{stored}</v>".encode()),
    )
    assert [row["points"] for row in opened(content).rows] == [hundredths]


def test_a_library_that_writes_prefixes():
    content = changed(
        book(["Email", "Points"], ["a@b.c", 5]),
        "xl/worksheets/sheet1.xml",
        lambda data: (
            data.replace(b"</", b"</x:")
            .replace(b"<", b"<x:")
            .replace(b"<x:/x:", b"</x:")
            .replace(b"xmlns=", b"xmlns:x=")
        ),
    )
    assert opened(content).good == [{"email": "a@b.c", "points": 500}]


def test_inline_and_shared_texts_with_styles():
    """xlsxwriter shares texts, also those of which a part is bold."""
    out = io.BytesIO()
    with xlsxwriter.Workbook(out) as made:
        sheet, bold = made.add_worksheet(), made.add_format({"bold": True})
        sheet.write_row(0, 0, ["customer_id", "Points"])
        sheet.write_rich_string(1, 0, "cust", bold, "omer", "-1")
        sheet.write_number(1, 1, 5)
        sheet.write_string(2, 0, "007")
        sheet.write_string(2, 1, "6")
        sheet.write_string(3, 0, "a_x0041_b")
        sheet.write_string(3, 1, "7")
    assert [(row["customer_id"], row["points"]) for row in opened(out.getvalue()).rows] == [
        ("customer-1", 500), ("007", 600), ("a_x0041_b", 700),
    ]  # fmt: skip


@pytest.mark.parametrize("made", [book, shared])
def test_escapes_of_the_format(made):
    """_x0041_ is A, two halves are a character, and one half is named."""
    seen = opened(made(["customer_id", "Points"], ["77", "1"], ["88", "1"], ["99", "1"]))
    assert seen.problems == []
    part = "xl/worksheets/sheet1.xml" if made is book else "xl/sharedStrings.xml"
    escapes = {b">77<": b">b_x0041_c<", b">88<": b">_xD83D__xDE00_<", b">99<": b">x_xD800_<"}

    def edit(data):
        for text, escaped in escapes.items():
            data = data.replace(text, escaped)
        return data

    seen = opened(changed(made(["customer_id", "Points"], ["77", "1"], ["88", "1"], ["99", "1"]), part, edit))
    assert [row["customer_id"] for row in seen.rows] == ["bAc", "\U0001f600", "x\ufffd"]
    right = "holds U+FFFD (REPLACEMENT CHARACTER), which cannot be seen; remove it"
    assert seen.problems == [f"p.csv: row 4, customer_id: 'x\ufffd': {right}"]


def test_rows_count_as_the_spreadsheet_counts():
    content = book(["Email", "Points"], ["a@b.c", 5], [None, None], [None, None], ["b@b.c", "x"])
    seen = opened(content, name="p.xlsx")
    assert [row["row"] for row in seen.rows] == [2, 5]
    assert seen.problems[0].startswith("p.xlsx: row 5, Points: 'x': points are digits")


def test_a_formula_where_points_should_be():
    seen = opened(book(["Email", "Points", "Note"], ["a@b.c", "=1+4", None], ["b@b.c", 5, "=NOW()"]))
    assert seen.problems == ["p.csv: row 2, Points: '': is a formula; paste its value instead"]
    assert [row["ok"] for row in seen.rows] == [False, True]  # a formula that nobody reads does no harm


def test_what_is_shown_as_true_is_no_point():
    seen = opened(book(["Email", "Points"], ["a@b.c", True], ["b@b.c", False]))
    right = "points are digits, with at most two decimals after a point, such as 100 or -12.50"
    assert seen.problems == [
        f"p.csv: row {row}, Points: '{text}': {right}" for row, text in ((2, "TRUE"), (3, "FALSE"))
    ]


def test_a_date_that_the_spreadsheet_made_of_a_birthday():
    """3 March, typed as 03/03: in another country's spreadsheet day and month change places, so it is not guessed."""
    right = "is a date that the spreadsheet made; format the column as Text and write it again"
    seen = opened(
        book(["Email", "Birthday(MM/DD)"], ["a@b.c", date(2026, 3, 3)], ["b@b.c", "03/03"]), "birthday"
    )
    assert seen.problems == [f"p.csv: row 2, Birthday(MM/DD): '2026-03-03 00:00:00': {right}"]
    assert seen.good == [{"email": "b@b.c", "birthday": "03/03"}]


def test_dates_of_other_formats():
    rows = [["customer_id", "amount", "startdate"], ["c1", 5, 46000], ["c2", 5, date(2026, 3, 3)]]
    seen = opened(book(*rows, formats=[("C2", '[$-407]d. mmm "day"')]), "points")
    assert seen.codes == ["date_cell", "date_cell"]
    seen = opened(book(*rows[:2], formats=[("B2", '#,##0 "days"'), ("C2", "[Red]0.00")]), "points")
    assert seen.codes == ["not_an_instant"]  # a number, in a format with letters that are no date's


def test_ids_that_a_spreadsheet_shortened():
    right = "a spreadsheet keeps 15 digits of a number; format the column as Text and write it again"
    seen = opened(book(["customer_id", "Points"], [12345, 1], [1230000000000000000, 1], ["1.23E+15", 1]))
    assert seen.rows[0]["customer_id"] == "12345"
    assert seen.problems[0].endswith(right)
    assert seen.problems[1].endswith(
        "was shortened by a spreadsheet; export again and keep the column as Text"
    )


def test_errors_of_a_spreadsheet():
    seen = opened(book(["customer_id", "Points"], ["#N/A", 1]))
    assert [problem.rsplit(": ", 1)[1] for problem in seen.problems] == ["is an error of the spreadsheet"]


def test_a_value_beyond_the_header():
    seen = opened(book(["Email", "Points"], ["a@b.c", 5, "x"]))
    assert seen.problems == [
        "p.csv: row 2: 'x': the row has a value in column 3 and the header has 2 columns"
    ]


def test_the_first_sheet_is_read_and_said():
    content = book(["Email", "Points"], ["a@b.c", 5], sheets=("Points", "Notes"))
    assert opened(content).notes == ("the first of 2 sheets, Points",)


@pytest.mark.parametrize("state", ["hidden", "veryHidden"])
def test_a_sheet_that_nobody_sees_is_not_read(state):
    made = openpyxl.Workbook()
    made.active.append(["Email", "Points"])
    made.active.append(["old@b.c", 999])
    made.active.sheet_state = state
    seen = made.create_sheet("May")
    seen.append(["Email", "Points"])
    seen.append(["a@b.c", 5])
    made.active = 1
    out = io.BytesIO()
    made.save(out)
    found = opened(out.getvalue())
    assert found.notes == ("the first of 2 sheets, of those that are not hidden (1), May",)
    assert [row["email"] for row in found.rows] == ["a@b.c"]


def test_a_sheet_that_goes_on():
    content = book(["Email", "Points"], ["a@b.c", 5], sheets=("balance", "balance (2)"))
    assert refused(content, name="p.xlsx") == [
        "p.xlsx: '': its rows go on in the sheet balance (2); an import reads one sheet, so send it as CSV"
    ]


@pytest.mark.parametrize(
    "part", ["xl/worksheets/sheet1.xml", "xl/sharedStrings.xml", "xl/workbook.xml", "xl/styles.xml"]
)
def test_entities(part):
    """Every part is refused at its document type, before an entity is read."""
    entities = b'<!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;&a;&a;"><!ENTITY c SYSTEM "file:///etc/passwd">]>'
    content = changed(
        shared(["Email", "Points"], ["a@b.c", "5"]), part, lambda data: entities + data.partition(b"?>")[2]
    )
    (problem,) = refused(content, name="p.xlsx")
    assert "document type" in problem


def test_a_document_type_in_another_encoding():
    content = book(["Email", "Points"], ["a@b.c", 5])
    hidden = changed(
        content, "xl/workbook.xml", lambda data: ("<!DOCTYPE x []>" + data.decode()).encode("utf-16")
    )
    (problem,) = refused(hidden, name="p.xlsx")
    assert problem.startswith("p.xlsx: '': is no workbook that can be read: ")


def test_a_workbook_without_its_parts():
    content = changed(book(["Email", "Points"]), "xl/workbook.xml", lambda data: b"<workbook/>")
    (problem,) = refused(content, name="p.xlsx")
    assert problem.startswith("p.xlsx: '': is no workbook that can be read: ")
    broken = changed(book(["Email", "Points"]), "xl/worksheets/sheet1.xml", lambda data: data[:-20])
    assert refused(broken, name="p.xlsx")[0].startswith("p.xlsx: '': its sheet cannot be read: ")


def test_a_workbook_that_is_a_bomb():
    content = changed(
        book(["Email", "Points"]), "xl/worksheets/sheet1.xml", lambda data: data + b" " * 40_000_000
    )
    out = io.BytesIO()
    with zipfile.ZipFile(io.BytesIO(content)) as old, zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as new:
        for name in old.namelist():
            new.writestr(name, old.read(name))
    (problem,) = refused(out.getvalue(), name="p.xlsx")
    assert "as a zip bomb does" in problem


def test_a_column_far_away():
    content = changed(
        book(["Email", "Points"], ["a@b.c", 5]),
        "xl/worksheets/sheet1.xml",
        lambda data: data.replace(b'r="B1"', b'r="ZZZZZZ1"'),
    )
    assert refused(content, name="p.xlsx") == ["p.xlsx: '': a sheet has at most 16384 columns"]


def test_an_empty_sheet_and_one_of_a_header():
    assert refused(book(), name="p.xlsx") == [
        "p.xlsx: '': the file is empty, or its first row is; the first row names the columns"
    ]
    assert refused(book(["Email", "Points"]), name="p.xlsx") == [
        "p.xlsx: '': there is a header and no row under it"
    ]


def test_a_workbook_in_a_zip():
    out = io.BytesIO()
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("points.xlsx", book(["Email", "Points"], ["a@b.c", 5]))
    assert opened(out.getvalue()).good == [{"email": "a@b.c", "points": 500}]
