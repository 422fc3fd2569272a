"""Whom a row means: ids and addresses as they stand, and what in them cannot be right."""

import pytest

from tests.imports.opened import opened

NBSP, ZERO_WIDTH = "\u00a0", "\u200b"


def test_ids_stay_texts():
    seen = opened("customer_id,Points\n007,1\n1E5,1\nAbc def,1\n  x ,1\n")
    assert [row["customer_id"] for row in seen.rows] == ["007", "1E5", "Abc def", "x"]
    assert seen.problems == []


@pytest.mark.parametrize(
    ("text", "right"),
    [
        (f"c{NBSP}1", "holds U+00A0 (NO-BREAK SPACE), which cannot be seen; remove it"),
        (f"c1{NBSP}", "holds U+00A0 (NO-BREAK SPACE), which cannot be seen; remove it"),
        (f"c{ZERO_WIDTH}1", "holds U+200B (ZERO WIDTH SPACE), which cannot be seen; remove it"),
        ("c\u202e1", "holds U+202E (RIGHT-TO-LEFT OVERRIDE), which cannot be seen; remove it"),
        ("c\ufeff1", "holds U+FEFF (ZERO WIDTH NO-BREAK SPACE), which cannot be seen; remove it"),
        ("c\x071", "holds U+0007 (a control character), which cannot be seen; remove it"),
        ("1.23E+15", "was shortened by a spreadsheet; export again and keep the column as Text"),
        ("4E+12", "was shortened by a spreadsheet; export again and keep the column as Text"),
        ("x" * 256, "an id has at most 255 bytes"),
    ],
)
@pytest.mark.parametrize("header", ["customer_id", "identifier"])
def test_what_is_no_id(header, text, right):
    seen = opened(f"{header},Points\n{text},1\n")
    value = text if len(text) <= 200 else text[:197] + "..."
    assert seen.problems == [f"p.csv: row 2, {header}: {value!r}: {right}"]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("ada", "is no e-mail address"),
        ("ada@", "is no e-mail address"),
        ("a@b@c", "is no e-mail address"),
        ("ada lovelace@example.com", "is no e-mail address"),
        (f"ada@example.com{NBSP}", "holds U+00A0 (NO-BREAK SPACE), which cannot be seen; remove it"),
    ],
)
def test_what_is_no_address(text, right):
    assert opened(f"Email,Points\n{text},1\n").problems == [f"p.csv: row 2, Email: {text!r}: {right}"]


def test_a_row_that_names_nobody():
    assert opened("Email,Points\n,1\n").problems == ["p.csv: row 2, Email: '': the row names no member"]


def test_an_id_decides_and_an_odd_address_beside_it_is_not_looked_at():
    seen = opened("customer_id,Email,Points\nc1,(erased),1\n,b@b.c,1\n")
    assert seen.good == [
        {"customer_id": "c1", "email": "(erased)", "points": 100},
        {"email": "b@b.c", "points": 100},
    ]


def test_addresses_stay_as_written():
    assert opened("Email,Points\nAda@Example.COM,1\n").good[0]["email"] == "Ada@Example.COM"


def test_an_export_says_which_holder_is_a_card():
    """Our balances have a card's owner beside it: the card is meant."""
    seen = opened(
        "holder_kind,holder_id,customer_id,points_balance\ncard,card-1,c1,5\ncustomer,c2,c2,6\n", "reset"
    )
    assert seen.good == [{"card_id": "card-1", "points": 500}, {"customer_id": "c2", "points": 600}]


def test_apostrophes_that_an_export_put_before_formulas_are_taken_off():
    seen = opened("customer_id,Points,Reason\n'-a,1,'=1+1\n'b,1,it's\n")
    assert [(row["customer_id"], row["reason"]) for row in seen.rows] == [("-a", "=1+1"), ("'b", "it's")]


def test_reasons():
    seen = opened(
        f'Email,Points,Reason\na@b.c,1,"two\nlines, ""quoted"""\nb@b.c,1,a\x1bb\nc@b.c,1,{"x" * 1001}\n'
    )
    assert seen.good == [{"email": "a@b.c", "points": 100, "reason": 'two\nlines, "quoted"'}]
    assert [problem.split(": ")[-1] for problem in seen.problems] == [
        "holds U+001B (a control character), which cannot be seen; remove it",
        "a reason has at most 1000 bytes",
    ]


def test_all_problems_of_a_row_and_of_all_rows():
    seen = opened("customer_id,Points\n,1e3\nc1,5\n1.23E+15,\n")
    assert [problem.split(": ")[1] for problem in seen.problems] == [
        "row 2, customer_id", "row 2, Points", "row 4, customer_id", "row 4, Points",
    ]  # fmt: skip
    assert [row["ok"] for row in seen.rows] == [False, True, False]
