"""The first row: every header that is missing, doubled, misspelled or from an export, and what to do about it."""

import pytest

from tests.imports.opened import opened, refused


def test_columns_in_any_order_and_others_beside_them():
    seen = opened("Points,Name,Email\n5,Ada,a@b.c\n")
    assert seen.good == [{"email": "a@b.c", "points": 500}]
    assert seen.columns == {"email": "Email", "points": "Points"}
    assert (seen.ignored, seen.notes) == (("Name",), ("columns that are not read: Name",))


@pytest.mark.parametrize("header", ["Customer ID", "CUSTOMER_ID", "customer-id", " customerid "])
def test_case_and_blanks_do_not_count(header):
    assert opened(f"{header},points\nc1,5\n").good == [{"customer_id": "c1", "points": 500}]


def test_a_file_without_a_header():
    assert refused("ada@example.com,100\n") == [
        "p.csv: header: 'ada@example.com, 100': the first row must name the columns, such as Email, Points, Reason"
    ]


def test_a_column_is_missing():
    assert refused("Email,Name\na@b.c,Ada\n") == ["p.csv: header: 'Email, Name': a column is missing: Points"]
    assert refused("Points,Name\n5,Ada\n") == [
        "p.csv: header: 'Points, Name': a column is missing: customer_id or Email or card_id"
    ]


def test_doubled_columns():
    assert refused("Email,Points,points\na@b.c,1,2\n") == [
        "p.csv: header: 'points': stands more than once; keep one column of that name"
    ]
    assert refused("Email,Points,amount\na@b.c,1,2\n") == [
        "p.csv: header: 'amount': means the same as Points; remove one of them, or give it another name"
    ]
    assert refused("Email,Note,Note,Points\na@b.c,1,2,3\n") == [
        "p.csv: header: 'Note': stands more than once; keep one column of that name"
    ]


def test_misspelled_columns():
    """What nobody reads is left out and said; what seems to be meant for a field is asked about."""
    assert refused("customerprofileid,amount,expirydat\nc1,1,\n", "points") == [
        "p.csv: header: 'expirydat': is no column of this import; did you mean expirydate? Else give it another name"
    ]
    assert refused("Emial,Points\na@b.c,1\n") == [
        "p.csv: header: 'Emial': is no column of this import; did you mean Email? Else give it another name"
    ]


@pytest.mark.parametrize("header", ["points_balance", "currentBalance", "loyalty_points"])
def test_a_balance_is_not_added(header):
    assert refused(f"customer_id,{header}\nc1,5\n") == [
        f"p.csv: header: {header!r}: is a balance, and adding it would double it; name the column Points if you mean it"
    ]
    assert opened(f"customer_id,{header}\nc1,5\n", "reset").good == [{"customer_id": "c1", "points": 500}]


@pytest.mark.parametrize(
    "header", ["Birthday", "birthday(mm/dd)", "Birthday (MM/DD)", "Birthday(DD/MM)", "BIRTHDAY"]
)
def test_the_birthday_column_has_one_name(header):
    assert refused(f"Email,{header}\na@b.c,03/03\n", "birthday") == [
        f"p.csv: header: {header!r}: rename this column to Birthday(MM/DD), exactly"
    ]


def test_an_export_s_birthday_does_not_matter_to_points():
    assert opened("Email,Points,Birthday\na@b.c,5,3/3\n").ignored == ("Birthday",)


def test_an_empty_header_is_read_by_nobody():
    """A spreadsheet leaves separators at the ends of lines."""
    assert opened("Email,Points,,\na@b.c,5,,\n").good == [{"email": "a@b.c", "points": 500}]


def test_unknown_mode():
    assert refused("Email,Points\n", "replace") == [
        "mode: 'replace': known mode kinds are add, birthday, points, reset"
    ]


def test_a_header_that_is_no_csv():
    right = "the first row is not CSV; each header stands in quotes as a whole, or has none"
    assert refused('"Email"x,Points\na@b.c,5\n') == [f"p.csv: header: '\"Email\"x,Points': {right}"]
    assert refused('"Email,Points\na@b.c,5\n') == [f"p.csv: header: '\"Email,Points\\na@b.c,5': {right}"]


def test_too_many_columns():
    header = ",".join(f"c{number}" for number in range(1001))
    assert refused(f"{header}\n") == ["p.csv: header: '1001 columns': a file has at most 1000 columns"]
