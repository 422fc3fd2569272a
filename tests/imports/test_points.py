"""Points of a file: exact hundredths, and for every text that is none the sentence that says what is right."""

import csv
import io
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from tests.imports.opened import opened


def one(points: str, mode: str = "add"):
    out = io.StringIO()
    csv.writer(out).writerows([["Email", "Points"], ["a@example.com", points]])
    return opened(out.getvalue(), mode)


@pytest.mark.parametrize(
    ("text", "hundredths"),
    [
        ("100", 100_00),
        ("+5", 5_00),  # unsigned means plus, and a plus says the same
        ("-300", -300_00),
        ("12.5", 12_50),
        ("0.01", 1),
        ("-0.01", -1),
        ("0", 0),
        ("007", 7_00),
        (" 5 ", 5_00),
        ("9999999999999999.99", 999_999_999_999_999_999),  # no float holds this
        ("-9999999999999999.99", -999_999_999_999_999_999),
        ("0.29", 29),  # 0.29 * 100 is 28.999999999999996 as a float
    ],
)
def test_points_are_hundredths(text, hundredths):
    assert [row["points"] for row in one(text).good] == [hundredths]


PLAIN = "points are digits, with at most two decimals after a point, such as 100 or -12.50"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("1e3", PLAIN),
        ("1,000", "thousands have no separator; write 1000"),
        ("-1,000", "thousands have no separator; write -1000"),
        ("1,234,567.50", "thousands have no separator; write 1234567.50"),
        ("1 000", "thousands have no separator; write 1000"),
        ("1.000", "points have at most two decimals; write 1000 if it is thousands"),
        ("1.234", "points have at most two decimals; write 1234 if it is thousands"),
        ("1234.567", "points have at most two decimals"),
        ("1.2345", "points have at most two decimals"),
        ("12,5", "decimals follow a point; write 12.5"),
        ("-12,50", "decimals follow a point; write -12.50"),
        ("\u0661\u0660", "digits are 0 to 9; write 10"),
        ("\uff11\uff10", "digits are 0 to 9; write 10"),
        ("NaN", PLAIN),
        ("Infinity", PLAIN),
        ("-inf", PLAIN),
        ("0x10", PLAIN),
        ("5.", PLAIN),
        (".5", PLAIN),
        ("--5", PLAIN),
        ("+-5", PLAIN),
        ("5 points", PLAIN),
        ("=1+1", PLAIN),
        ("-0", "zero has no sign; write 0"),
        ("-0.00", "zero has no sign; write 0"),
        ("9223372036854775808", "points are at most 9999999999999999.99"),  # 2^63
        ("10000000000000000", "points are at most 9999999999999999.99"),
        ("", "the points are missing"),
    ],
)
def test_what_is_no_number_of_points(text, right):
    seen = one(text)
    assert seen.problems == [f"p.csv: row 2, Points: {text!r}: {right}"]
    assert not seen.rows[0]["ok"]


def test_a_reset_takes_a_balance_below_zero_but_no_plus():
    assert [row["points"] for row in one("-20", "reset").good] == [-20_00]
    right = "this import sets the balance, and + means to add; write it without a sign, or use the mode add"
    assert one("+5", "reset").problems == [f"p.csv: row 2, Points: '+5': {right}"]


@pytest.mark.parametrize("text", ["0", "-5"])
def test_imported_points_are_above_zero(text):
    seen = opened(f"customerprofileid,amount\nc1,{text}\n", "points")
    assert seen.problems == [
        f"p.csv: row 2, amount: {text!r}: imported points are above 0; the mode add takes points away"
    ]


def test_minus_zero_is_told_once():
    assert opened("customerprofileid,amount\nc1,-0\n", "points").codes == ["minus_zero"]


def test_an_expected_balance_may_be_missing_and_may_be_below_zero():
    seen = opened("Email,Points,Expected balance\na@b.c,5,\nb@b.c,5,-3.25\nc@b.c,5,1e3\n", "reset")
    assert [row["expected_points"] for row in seen.rows] == [None, -3_25, None]
    assert seen.problems == [f"p.csv: row 4, Expected balance: '1e3': {PLAIN}"]


@given(st.integers(-(10**18) + 1, 10**18 - 1))
def test_any_points_come_back_exactly(hundredths):
    """What Decimal writes, at any size that the ledger holds, is what arrives."""
    text = str(Decimal(hundredths).scaleb(-2))
    assert [row["points"] for row in one(text).good] == [hundredths]


@given(st.text(max_size=12))
def test_any_text_is_points_or_named(text):
    seen = one(text.replace("\0", ""))
    assert len(seen.rows) == 1
    assert seen.rows[0]["ok"] == (not seen.problems)
