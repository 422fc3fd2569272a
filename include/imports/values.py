"""Texts of cells as values: points exactly, instants, ids; and in words what is right where a text is none.

Every function takes a column of texts and gives values with nulls where there is none, and the rows that are wrong.
What is right is looked up only for those: good columns pass by compiled code alone.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.formats.csv import restore
from include.imports.modes.mode import Sign
from include.imports.rows import INSTANT

_POINTS = r"^[+-]?0*[0-9]{1,16}(\.[0-9]{1,2})?$"
_MOST = "9999999999999999.99"
_RFC3339 = (
    r"^[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-5][0-9](\.[0-9]{1,6})?([Zz]|[+-][0-9]{2}:[0-9]{2})$"
)
_UNSEEN = (
    "[\\x00-\\x1f\\x7f-\\xa0\\x{ad}\\x{1680}\\x{180e}\\x{2000}-\\x{200f}\\x{2028}-\\x{202f}\\x{205f}-\\x{2064}"
    "\\x{3000}\\x{feff}\\x{fffd}]"
)
_CONTROL = "[\\x00-\\x08\\x0b\\x0c\\x0e-\\x1f\\x7f\\x{fffd}]"
_SHORTENED = r"^[0-9](\.[0-9]+)?[Ee]\+[0-9]{2,}$"
_EMAIL = r"^[^@\s]+@[^@\s]+$"
_DAYS = np.array([0, 31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31])
_ID_BYTES, _REASON_BYTES = 255, 1000

Rule = Callable[[str], tuple[str, str]]  # a wrong text -> what is right, code


@dataclass(frozen=True)
class Wrong:
    """The rows of a column that are wrong: their places from 0, and what is said of each text."""

    places: NDArray[np.int64]
    rule: Rule


def said(right: str, code: str) -> Rule:
    """Return a rule that says the same of every text."""
    return lambda _: (right, code)


def trimmed(column: pa.Array, *, text: bool) -> pa.Array:
    """Return the texts without blanks around them; where `text`, without an export's apostrophe before a formula."""
    column = pc.utf8_trim(column, " \t")
    if not text:
        return column
    marked = pc.starts_with(column, "'")
    if not pc.any(marked).as_py():
        return column
    restored = [restore(value) for value in column.filter(marked).to_pylist()]
    return pc.replace_with_mask(column, marked, pa.array(restored, pa.string()))


def empty(column: pa.Array) -> pa.Array:
    """Return which cells are empty."""
    return pc.equal(pc.binary_length(column), 0)


def given(column: pa.Array) -> pa.Array:
    """Return the texts, null where the cell is empty."""
    return pc.if_else(empty(column), pa.scalar(None, pa.string()), column)


def _places(mask: pa.Array) -> NDArray[np.int64]:
    return np.flatnonzero(mask.to_numpy(zero_copy_only=False))


def ids(column: pa.Array) -> list[Wrong]:
    """Say which ids hold what cannot be seen, or were shortened by a spreadsheet, or are too long."""
    return [
        Wrong(_places(pc.match_substring_regex(column, _UNSEEN)), _unseen),
        Wrong(_places(pc.match_substring_regex(column, _SHORTENED)), said(
            "was shortened by a spreadsheet; export again and keep the column as Text", "shortened_number")),
        Wrong(_places(pc.greater(pc.binary_length(column), _ID_BYTES)), said(
            f"an id has at most {_ID_BYTES} bytes", "too_long")),
    ]  # fmt: skip


def emails(column: pa.Array) -> list[Wrong]:
    """Say which e-mail addresses hold what cannot be seen, or are none."""
    unseen = pc.match_substring_regex(column, _UNSEEN)
    shaped = pc.or_(empty(column), pc.match_substring_regex(column, _EMAIL))
    none = pc.and_(pc.invert(shaped), pc.invert(unseen))
    return [
        Wrong(_places(unseen), _unseen),
        Wrong(_places(none), said("is no e-mail address", "not_an_email")),
    ]


def reasons(column: pa.Array) -> list[Wrong]:
    """Say which reasons hold control characters, or are too long. A line end is text."""
    return [
        Wrong(_places(pc.match_substring_regex(column, _CONTROL)), _unseen),
        Wrong(_places(pc.greater(pc.binary_length(column), _REASON_BYTES)), said(
            f"a reason has at most {_REASON_BYTES} bytes", "too_long")),
    ]  # fmt: skip


def points(column: pa.Array, sign: Sign, *, required: bool) -> tuple[pa.Array, list[Wrong]]:
    """Return points as int64 hundredths (null where empty or wrong), and what is wrong with the others.

    Decimals pass from text to integer without a float.
    """
    shaped = pc.match_substring_regex(column, _POINTS)
    exact = pc.if_else(shaped, column, pa.scalar(None, pa.string())).cast(pa.decimal128(18, 2))
    hundredths = _hundredths(exact)
    none = empty(column)
    wrong = [Wrong(_places(pc.and_not(pc.invert(shaped), none)), _points_rule)]
    if required:
        wrong.append(Wrong(_places(none), said("the points are missing", "points_missing")))
    signed = pc.and_(shaped, pc.starts_with(column, "-"))
    minus_zero = pc.fill_null(pc.and_(signed, pc.equal(hundredths, 0)), False)
    wrong.append(Wrong(_places(minus_zero), said("zero has no sign; write 0", "minus_zero")))
    if sign is Sign.UNSIGNED_PLUS:
        plus = pc.and_(shaped, pc.starts_with(column, "+"))
        right = (
            "this import sets the balance, and + means to add; write it without a sign, or use the mode add"
        )
        wrong.append(Wrong(_places(plus), said(right, "plus_in_reset")))
    elif sign is Sign.POSITIVE:
        low = pc.fill_null(pc.less_equal(hundredths, 0), False)
        right = "imported points are above 0; the mode add takes points away"
        wrong.append(Wrong(_places(pc.and_not(low, minus_zero)), said(right, "not_positive")))
    return hundredths, wrong


def _hundredths(exact: pa.Array) -> pa.Array:
    """Return decimals of two places as the integers that they are made of: 18 digits fit in 64 bits."""
    words = np.frombuffer(exact.buffers()[1], np.int64)[::2][exact.offset : exact.offset + len(exact)]
    return pa.array(words, mask=exact.is_null().to_numpy(zero_copy_only=False))


def instants(column: pa.Array, word: str) -> tuple[pa.Array, list[Wrong]]:
    """Return RFC 3339 instants in UTC; null where empty or `word` (in any case), which mean the same."""
    import polars as pl  # 21 MiB, which files without dates do not need

    plain = pc.or_(empty(column), pc.equal(pc.utf8_lower(column), word))
    shaped = pc.and_not(pc.match_substring_regex(column, _RFC3339), plain)
    texts = pl.Series(pc.if_else(shaped, column, pa.scalar(None, pa.string())), dtype=pl.String)
    parsed = texts.str.to_uppercase().str.to_datetime("%+", strict=False, time_unit="us", time_zone="UTC")
    found = parsed.to_arrow().cast(INSTANT)
    in_calendar = pc.and_(pc.is_valid(found), pc.not_equal(pc.utf8_slice_codeunits(column, 0, 4), "0000"))
    bad = pc.and_not(pc.invert(plain), in_calendar)
    found = pc.if_else(in_calendar, found, pa.scalar(None, INSTANT))
    return found, [Wrong(_places(bad), lambda text: _instant_rule(text, word))]


def birthdays(column: pa.Array) -> tuple[pa.Array, list[Wrong]]:
    """Return birthdays as MM/DD, null where empty or wrong. 29 February is one."""
    shaped = pc.match_substring_regex(column, r"^[0-9]{2}/[0-9]{2}$")
    months = pc.fill_null(_part(column, shaped, 0), 0).to_numpy(zero_copy_only=False)
    days = pc.fill_null(_part(column, shaped, 3), 0).to_numpy(zero_copy_only=False)
    in_calendar = (months >= 1) & (months <= 12) & (days >= 1) & (days <= _DAYS[np.minimum(months, 12)])
    good = pa.array(in_calendar)
    bad = pc.and_not(pc.invert(good), empty(column))
    return pc.if_else(good, column, pa.scalar(None, pa.string())), [Wrong(_places(bad), _birthday_rule)]


def _part(column: pa.Array, shaped: pa.Array, start: int) -> pa.Array:
    digits = pc.utf8_slice_codeunits(column, start, start + 2)
    return pc.if_else(shaped, digits, pa.scalar(None, pa.string())).cast(pa.int64())


def _unseen(text: str) -> tuple[str, str]:
    found = next(
        one
        for one in text
        if re.match("[\\x00-\\x1f\\x7f-\\xa0]", one) or not one.isprintable() or one in "\ufffd\u3000"
    )
    name = unicodedata.name(found, "a control character")
    return f"holds U+{ord(found):04X} ({name}), which cannot be seen; remove it", "unseen_character"


_POINTS_RULES: tuple[tuple[str, Callable[[str], str], str], ...] = (
    (r"[0-9]+(\.[0-9]{1,2})?", lambda _: f"points are at most {_MOST}", "points_too_large"),
    (
        r"[1-9][0-9]{0,2}\.[0-9]{3}",
        lambda bare: f"points have at most two decimals; write {bare.replace('.', '')} if it is thousands",
        "points_decimals",
    ),
    (r"[0-9]+\.[0-9]{3,}", lambda _: "points have at most two decimals", "points_decimals"),
    (
        r"[0-9]{1,3}([, '\u00a0\u202f][0-9]{3})+(\.[0-9]*)?",
        lambda bare: f"thousands have no separator; write {re.sub(r'[^0-9.]', '', bare)}",
        "points_separator",
    ),
    (
        r"[0-9]+,[0-9]{1,2}",
        lambda bare: f"decimals follow a point; write {bare.replace(',', '.')}",
        "points_comma",
    ),
    (r"\d{1,30}", lambda bare: f"digits are 0 to 9; write {int(bare)}", "points_digits"),
)


def _points_rule(text: str) -> tuple[str, str]:
    sign, bare = ("-", text[1:]) if text[:1] == "-" else ("", text.removeprefix("+"))
    for pattern, right, code in _POINTS_RULES:
        if re.fullmatch(pattern, bare):
            return right(bare).replace("write ", f"write {sign}"), code
    return "points are digits, with at most two decimals after a point, such as 100 or -12.50", "not_points"


def _instant_rule(text: str, word: str) -> tuple[str, str]:
    if text.lower() == "on_action":
        right = (
            "the ledger cannot hold points that wait for an action of the member; write a date or immediate"
        )
        return right, "on_action"
    if re.fullmatch(_RFC3339, text):
        return "there is no such day or time", "no_such_instant"
    if re.fullmatch(r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt ][0-9:.]+", text):
        return "the time zone is missing; write 2030-12-31T00:00:00Z or 2030-12-31T00:00:00+01:00", "no_zone"
    return f"a date is written 2030-12-31T00:00:00Z, or {word}", "not_an_instant"


def _birthday_rule(text: str) -> tuple[str, str]:
    numbers = re.fullmatch(r"([0-9]{1,2})/([0-9]{1,2})", text)
    if numbers and len(text) < 5:
        month, day = int(numbers[1]), int(numbers[2])
        return f"month and day have two digits each; write {month:02}/{day:02}", "birthday_form"
    if numbers:
        return "there is no such day; a birthday is MM/DD, the month first", "no_such_day"
    return "a birthday is MM/DD, such as 03/31", "birthday_form"
