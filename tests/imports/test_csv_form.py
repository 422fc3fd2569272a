"""The form of CSV files: what is read as it is meant, and what is refused, with the row and the sentence."""

import codecs
import csv
import io
import itertools
import random
from contextlib import suppress

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.errors import BadInput
from include.imports import csv_records
from tests.imports.opened import limited, opened, refused

ROWS = [{"email": "a@b.c", "points": 500}, {"email": "b@b.c", "points": 600}]
TEXT = "Email,Points\na@b.c,5\nb@b.c,6\n"


@pytest.mark.parametrize(
    ("content", "notes"),
    [
        (TEXT.encode(), ()),
        (codecs.BOM_UTF8 + TEXT.encode(), ()),
        (codecs.BOM_UTF16_LE + TEXT.encode("utf-16-le"), ("in UTF-16",)),
        (codecs.BOM_UTF16_BE + TEXT.encode("utf-16-be"), ("in UTF-16",)),
        (TEXT.encode("utf-16-le"), ("in UTF-16",)),
        (
            TEXT.replace(",", "\t").encode("utf-16"),
            ("in UTF-16", "separated by tabs"),
        ),  # Excel's Unicode text
        (TEXT.replace(",", ";").encode(), ("separated by semicolons",)),
        (TEXT.replace(",", "|").encode(), ("separated by |",)),
        (TEXT.replace("\n", "\r\n").encode(), ()),
        (TEXT.replace("\n", "\r").encode(), ()),
        (b"Email,Points\r\na@b.c,5\nb@b.c,6\r", ()),  # mixed line ends
        (TEXT.removesuffix("\n").encode(), ()),
        (b'"Email","Points"\n"a@b.c","5"\n"b@b.c","6"\n', ()),
    ],
)
def test_what_is_read_as_meant(content, notes):
    seen = opened(content)
    assert (seen.good, seen.notes, seen.problems) == (ROWS, notes, [])


def test_line_ends_and_separators_in_quotes_are_text():
    seen = opened('Email,Points,Reason\na@b.c,5,"one\r\ntwo, ""three"""\nb@b.c,6,\n')
    assert [row["reason"] for row in seen.rows] == ['one\ntwo, "three"', None]
    assert [row["row"] for row in seen.rows] == [2, 3]


def test_latin_1():
    seen = opened("Email,Name,Points\na@b.c,José,5\nb@b.c,Ana,6\n".encode("latin-1"))
    assert seen.problems == [
        "p.csv: row 2, Name: 'Jos\ufffd': is not UTF-8 (Latin-1, perhaps); save the file as CSV UTF-8"
    ]
    assert [row["ok"] for row in seen.rows] == [False, True]


def test_latin_1_in_the_middle_of_utf_8():
    content = "Email,Name,Points\na@b.c,José,5\n".encode() + "b@b.c,André,6\n".encode("latin-1")
    assert opened(content).problems == [
        "p.csv: row 3, Name: 'Andr\ufffd': is not UTF-8 (Latin-1, perhaps); save the file as CSV UTF-8"
    ]


def test_nul_bytes():
    seen = opened("Email,Points\na@b.c,5\0\nb@b.c,6\n")
    assert seen.problems == ["p.csv: row 2, Points: '5\\x00': holds a NUL byte; remove it"]
    assert refused(b"Em\0ail,Points\n") == [
        "p.csv: header: 'Em\\x00ail,Points': the first row holds NUL bytes, so this is no text file; save it as CSV UTF-8"
    ]


def test_too_many_and_too_few_columns():
    seen = opened("Email,Points,Reason\na@b.c,5\nb@b.c,6,x,y\nc@b.c,1,000,z\nd@b.c,7,\n")
    many = "; a value that holds the separator needs quotes"
    assert seen.problems == [
        "p.csv: row 2: 'a@b.c,5': the row has 2 columns and the header 3",
        f"p.csv: row 3: 'b@b.c,6,x,y': the row has 4 columns and the header 3{many}",
        f"p.csv: row 4: 'c@b.c,1,000,z': the row has 4 columns and the header 3{many}",
    ]
    assert [(row["row"], row["ok"]) for row in seen.rows] == [(2, False), (3, False), (4, False), (5, True)]
    assert seen.codes == ["too_few_columns", "too_many_columns", "too_many_columns"]


def test_blank_rows_are_none_but_count():
    seen = opened("Email,Points\n\na@b.c,5\n,\n \t,\nb@b.c,x\n\n")
    assert [row["row"] for row in seen.rows] == [3, 6]
    assert seen.problems[0].startswith("p.csv: row 6, Points: 'x'")


UNCLOSED = 'a quote opens here and is never closed; a quote in a value is written ""'
NOT_WHERE = 'a quote opens here and is not closed where the value ends; a quote in a value is written ""'
INSIDE = 'a quote stands inside a value; put the whole value in quotes and write "" for it'


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ('a@b.c,5,"x\nb@b.c,6,y\n', f"p.csv: row 2: '\"x': {UNCLOSED}"),
        ('a@b.c,5,x\nb@b.c,6,"', f"p.csv: row 3: '\"': {UNCLOSED}"),
        ('a@b.c,5,"x\nb@b.c,6,"y"\n', f"p.csv: row 2: '\"x': {NOT_WHERE}"),
        ('a@b.c,5,x\nb@b.c,6,5" pipe\nc@b.c,5,2" pipe\n', f"p.csv: row 3: '\" pipe': {INSIDE}"),
        ('a@b.c,5,"x"y\n', f"p.csv: row 2: '\"x\"y': {NOT_WHERE}"),
        ('a@b.c,5,"x""y"z"\n', f'p.csv: row 2: \'"x""y"z"\': {NOT_WHERE}'),
    ],
)
def test_quotes_that_spoil_the_rest(rows, problem):
    assert refused("Email,Points,Reason\n" + rows) == [problem]


def test_a_quote_that_never_closes_is_found_without_reading_on_for_ever():
    rows = "b@b.c,5,x\n" * 500_000
    assert refused(f'Email,Points,Reason\na@b.c,5,"x\n{rows}') == [f"p.csv: row 2: '\"x': {UNCLOSED}"]


def test_a_row_that_never_ends():
    assert refused("Email,Points\n" + "x" * 3_000_000, limits=limited(record_bytes=1000)) == [
        "p.csv: row 2: '': a row has at most 1000 bytes"
    ]


@pytest.mark.parametrize("content", [b"", b"\n", b"\xef\xbb\xbf", b"\n\nEmail,Points\n", b",,\n"])
def test_nothing_at_all(content):
    assert refused(content) == [
        "p.csv: '': the file is empty, or its first row is; the first row names the columns"
    ]


@pytest.mark.parametrize("content", ["Email,Points\n", "Email,Points", "Email,Points\n\n,\n"])
def test_header_only(content):
    assert refused(content) == ["p.csv: '': there is a header and no row under it"]


def test_utf_16_that_ends_in_the_middle():
    right = "the file is not UTF-16 to its end; save it as CSV UTF-8"
    for end in (
        b"\xd8",
        b"\x00\xdc\x00\xdc",
    ):  # half a character; the second half of a pair without its first
        assert refused(TEXT.encode("utf-16") + end) == [f"p.csv: '': {right}"]


CELLS = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0\r\ufffd"), max_size=6)


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.lists(CELLS | st.sampled_from(['"', "\n", ",", '""', '",\n"', ""]), min_size=3, max_size=3),
        max_size=20,
    ),
    st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    st.sampled_from(["\n", "\r\n", "\r"]),
    st.integers(1, 64),
)
def test_rows_are_those_that_the_standard_library_wrote(rows, quoting, newline, block):
    """However the bytes fall into pieces."""
    if newline == "\r":
        quoting = csv.QUOTE_ALL  # else it leaves a line feed without quotes
    out = io.StringIO()
    csv.writer(out, quoting=quoting, lineterminator=newline).writerows([["a", "b", "c"], *rows])
    normal = [[cell.replace("\r\n", "\n") for cell in row] for row in rows]
    assert read_in_blocks(out.getvalue().encode(), block) == normal


def read_in_blocks(content, block):
    before = csv_records._BLOCK_BYTES
    csv_records._BLOCK_BYTES = block
    try:
        records = csv_records.Records(io.BytesIO(content), "p.csv", 1 << 20)
        assert records.first().replace('"', "") == "a,b,c"
        raws = list(records.batches(3, ","))
    finally:
        csv_records._BLOCK_BYTES = before
    numbers = [int(number) for raw in raws for number in raw.rows]
    assert numbers == list(range(2, 2 + len(numbers)))
    columns = [[raw.columns[place].to_pylist() for raw in raws] for place in range(3)]
    return [list(row) for row in zip(*(itertools.chain(*column) for column in columns), strict=True)]


@settings(max_examples=150, deadline=None)
@given(st.binary(max_size=200), st.sampled_from(["add", "reset", "birthday", "points"]))
def test_any_bytes_are_read_or_refused(content, mode):
    header = {
        "birthday": b"Email,Birthday(MM/DD)\n",
        "points": b"customerprofileid,amount,validityDuration\n",
    }
    with suppress(BadInput):
        seen = opened(header.get(mode, b"Email,Points\n") + content, mode)
        assert all(row["ok"] for row in seen.rows) == (not seen.problems)


@settings(max_examples=100, deadline=None)
@given(st.integers(0, 2**32))
def test_a_damaged_file_is_read_or_refused(seed):
    """Bytes of a good file, some of them changed."""
    chance = random.Random(seed)
    content = bytearray(b"Email,Points,Reason\n" + b'a@b.c,5,"x, ""y"""\nb@b.c,6,\n' * 5)
    for _ in range(chance.randrange(1, 5)):
        content[chance.randrange(len(content))] = chance.choice(b'",\n\r\0\xff;5a')
    with suppress(BadInput):
        seen = opened(bytes(content))
        assert all(row["ok"] for row in seen.rows) == (not seen.problems)


def test_a_mark_is_a_mark_at_the_first_byte_alone(monkeypatch):
    """The parser would take it off wherever a piece of ours begins, and the id would pass for another."""
    monkeypatch.setattr(csv_records, "_BLOCK_BYTES", 16)
    seen = opened("customer_id,Points\n" + "\ufeffc1,5\n" * 4, keep_repeats=True)
    assert seen.codes == ["unseen_character"] * 4
