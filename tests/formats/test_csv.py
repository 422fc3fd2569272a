"""CSV: golden files of every dialect, what cannot be written, and what spreadsheets must not run."""

from __future__ import annotations

import csv
import io
import os
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from include.errors import BadInput
from include.formats import csv as kind
from include.ledger.catalog import FieldType
from include.ledger.columns import Column
from tests.examples import examples
from tests.formats.examples import COLUMNS, RANDOM_ROWS, ROWS, TEXTS, table

GOLDEN = Path(__file__).parents[1] / "golden" / "formats"
DIALECTS = {
    "default": {},
    "machine": {"profile": "machine", "null_text": "\\N"},
    "excel_france": {
        "delimiter": ";", "decimal_sign": ",", "encoding": "utf-8-bom", "newline": "crlf", "instants": "excel",
        "dates": "%d/%m/%Y", "timezone": "Europe/Paris",
    },
    "all_quoted": {"quoting": "all", "points": "plain"},
    "text_quoted": {"quoting": "text", "null_text": "null"},
    "pipes": {"delimiter": "|", "enclosure": "~", "header": False},
    "utf16_tabs": {"delimiter": "\t", "encoding": "utf-16"},
    "zone": {"timezone": "America/New_York"},
    "comma_twice": {"decimal_sign": ","},
}  # fmt: skip


def text(options: dict, rows=ROWS, columns=COLUMNS) -> bytes:
    return b"".join(kind.encode(columns, [table(rows, columns)], kind.Options(**options)))


@pytest.mark.parametrize("name", DIALECTS)
def test_golden(name):
    path = GOLDEN / f"{name}.csv"
    if os.environ.get("GOLDEN") == "write":
        path.write_bytes(text(DIALECTS[name]))
    assert text(DIALECTS[name]) == path.read_bytes()


def one(value, type_=FieldType.TEXT, **options) -> str:
    columns = [Column("a", type_), Column("b", FieldType.TEXT)]
    written = text({"header": False, **options}, [(value, "b")], columns)
    return written.decode().removesuffix(",b\n")


@pytest.mark.parametrize(
    ("hundredths", "fixed", "plain"),
    [
        (1250, "12.50", "12.5"),
        (10000, "100.00", "100"),
        (0, "0.00", "0"),
        (-5, "-0.05", "-0.05"),
        (2**63 - 1, "92233720368547758.07", "92233720368547758.07"),
        (-(2**63), "-92233720368547758.08", "-92233720368547758.08"),
    ],
)
def test_points_are_exact(hundredths, fixed, plain):
    assert one(hundredths, FieldType.POINTS) == fixed
    assert one(hundredths, FieldType.POINTS, points="plain") == plain


@given(st.integers(-(2**63), 2**63 - 1))
@examples(200)
def test_points_equal_their_hundredths(hundredths):
    assert Decimal(one(hundredths, FieldType.POINTS)) * 100 == hundredths


@pytest.mark.parametrize(
    ("value", "shown"),
    [("12.5", "12.50"), ("12.5075", "12.5075"), ("100", "100.00"), ("-0.0001", "-0.0001"), ("0", "0.00")],
)
def test_money_has_two_decimals_or_as_many_as_it_needs(value, shown):
    assert one(Decimal(value), FieldType.MONEY) == shown


def test_a_rate_has_the_decimals_it_needs():
    assert one(Decimal("0.01250000"), FieldType.RATE) == "0.0125"


@pytest.mark.parametrize(
    "value", [Decimal("123456789012345678901234.5670"), Decimal("-0.00000001"), Decimal(7)]
)
def test_decimals_beyond_64_bits_are_exact_too(value):
    columns = [Column("m", FieldType.MONEY), Column("b", FieldType.TEXT)]
    batch = pa.record_batch([pa.array([value], pa.decimal128(38, 8)), pa.array(["b"])], names=["m", "b"])
    written = b"".join(kind.encode(columns, [batch], kind.Options(header=False))).decode()
    assert Decimal(written.split(",")[0]) == value
    assert "E" not in written


INSTANT = datetime(2026, 7, 1, 4, 5, 6, tzinfo=UTC)


@pytest.mark.parametrize(
    ("options", "shown"),
    [
        ({}, "2026-07-01T04:05:06Z"),
        ({"timezone": "Europe/Paris"}, "2026-07-01T06:05:06+02:00"),
        ({"timezone": "America/St_Johns"}, "2026-07-01T01:35:06-02:30"),
        ({"instants": "excel", "timezone": "Europe/Paris"}, "2026-07-01 06:05:06"),
        ({"instants": "%d/%m/%Y %H:%M"}, "01/07/2026 04:05"),
        ({"instants": "dd/mm/yyyy"}, "01/07/2026 04:05:06"),
        ({"instants": "mm/dd/yyyy", "timezone": "America/New_York"}, "07/01/2026 00:05:06"),
        ({"instants": "%Y%m%dT%H%M%S.%f%%"}, "20260701T040506.000000%"),
        ({"instants": "%Y-%m-%dT%H:%M:%S.%LZ"}, "2026-07-01T04:05:06.000Z"),
        ({"instants": "le %d.%m.%Y à %H h%F"}, "le 01.07.2026 à 04 h"),
    ],
)
def test_instants(options, shown):
    assert one(INSTANT, FieldType.INSTANT, **options) == shown


@given(
    st.datetimes(timezones=st.just(UTC)),
    st.sampled_from(["UTC", "Europe/Paris", "Asia/Kathmandu", "America/New_York"]),
)
@examples(200)
def test_an_instant_reads_back_in_every_zone(instant, zone):
    if zone != "UTC" and not 1950 < instant.year < 2200:  # offsets had seconds before there were zones
        return
    assert datetime.fromisoformat(one(instant, FieldType.INSTANT, timezone=zone)) == instant


@pytest.mark.parametrize(
    ("dates", "shown"),
    [
        ("excel", "2026-07-31"),
        ("dd/mm/yyyy", "31/07/2026"),
        ("mm/dd/yyyy", "07/31/2026"),
        ("%Y%m%d", "20260731"),
    ],
)
def test_dates(dates, shown):
    assert one(date(2026, 7, 31), FieldType.DATE, dates=dates) == shown


@given(st.dates())
@examples(100)
def test_a_date_reads_back(day):
    assert date.fromisoformat(one(day, FieldType.DATE)) == day


# Formulas (docs/reliability.md section 4)

DANGEROUS = ["=1", "+1", "-1", "@SUM", "\t=1", "\r=1", "\n=1", "  =1", "\u00a0=1", "\u3000=1", "\uff1d1", "\uff0b1", "\uff0d1", "\uff20x", "'=1", "\ufeff=1", "=", "-"]  # fmt: skip
HARMLESS = ["a=1", "1-1", "", " ", "'", "'a", "é", "漢", "x@y.z", "\uff0e1", "1+1", "\u00a0", "\u3000a"]


def field(value: str, **options) -> str:
    columns = [Column("a", FieldType.TEXT), Column("b", FieldType.TEXT)]
    written = text({"header": False, **options}, [(value, "b")], columns).decode()
    return next(csv.reader(io.StringIO(written, newline="")))[0]


@pytest.mark.parametrize("value", DANGEROUS)
def test_a_formula_gets_an_apostrophe_for_people_and_none_for_machines(value):
    assert field(value) == "'" + value
    assert field(value, profile="machine") == value


@pytest.mark.parametrize("value", HARMLESS)
def test_other_text_is_left_alone(value):
    assert field(value) == value


def test_numbers_never_change():
    assert one(-100, FieldType.POINTS) == "-1.00"
    assert one(-1, FieldType.INTEGER) == "-1"


def test_a_header_is_text_too():
    columns = [Column("=cmd", FieldType.POINTS), Column("b", FieldType.TEXT)]
    assert text({}, [], columns) == b"'=cmd,b\n"
    assert text({"profile": "machine"}, [], columns) == b"=cmd,b\n"


@given(TEXTS)
@examples(300)
def test_neutralising_can_be_undone(value):
    assert kind.restore(field(value)) == value


# Dialects

OPTIONS = st.builds(
    dict,
    delimiter=st.sampled_from([",", ";", "|", "\t"]),
    enclosure=st.sampled_from(['"', "~", "`"]),
    quoting=st.sampled_from(["minimal", "text", "all"]),
    newline=st.sampled_from(["lf", "crlf"]),
    header=st.booleans(),
    encoding=st.sampled_from(["utf-8", "utf-8-bom", "utf-16"]),
    decimal_sign=st.sampled_from([".", ","]),
    null_text=st.sampled_from(["", "NULL", "\\N", "-"]),
    profile=st.sampled_from(["human", "machine"]),
    points=st.sampled_from(["fixed", "plain"]),
    timezone=st.sampled_from(["UTC", "Asia/Tokyo"]),
)


@pytest.mark.slow
@given(RANDOM_ROWS, OPTIONS)
@example([(None, "-", *[None] * 8)], {"null_text": "-", "profile": "human"})
@example([(None, "-", *[None] * 8)], {"null_text": "-", "profile": "machine"})
@examples(150)
def test_any_dialect_reads_back(rows, options):
    read = list(kind.read(io.BytesIO(text(options, rows)), COLUMNS, kind.Options(**options)))
    assert len(read) == len(rows)
    for wrote, got in zip(rows, read, strict=True):
        for index in (0, 1):
            # A text that is written like null reads as null, but for "-", which a file for people has as '-.
            guarded = options["profile"] == "human" and wrote[index] == "-"
            like_null = wrote[index] == options["null_text"] and not guarded
            expected = None if like_null else wrote[index]
            assert (got[index] or None) == (expected or None)
        for index in (2, 3, 4):
            scale = Decimal("0.01") if index == 2 else 1
            assert (got[index] and Decimal(got[index])) == (
                None if wrote[index] is None else wrote[index] * scale
            )


def test_text_that_looks_like_null_is_quoted():
    assert (
        text(
            {"header": False, "null_text": "NULL"},
            [("NULL", None)],
            [Column("a", FieldType.TEXT), Column("b", FieldType.TEXT)],
        )
        == b'"NULL",NULL\n'
    )


def test_a_lone_empty_field_is_a_row_that_readers_see():
    columns = [Column("a", FieldType.TEXT)]
    assert text({}, [("",), (None,), ("x",)], columns) == b'a\n""\n""\nx\n'


# What cannot be written is said, with its place


@pytest.mark.parametrize("value", ["a,b", 'a"b', "a\nb", "a\rb"])
def test_quoting_none_names_the_value_that_needs_quotes(value):
    rows = [("t", "fine")] * 5000 + [("t", value)]
    columns = [Column("a", FieldType.ID), Column("b", FieldType.TEXT)]
    with pytest.raises(BadInput, match="row 5001, column b") as caught:
        text({"quoting": "none"}, rows, columns)
    assert caught.value.problems[0].code == "needs_quotes"


def test_quoting_none_refuses_a_null_that_would_be_an_empty_line():
    with pytest.raises(BadInput, match="row 2, column a"):
        text({"quoting": "none"}, [("x",), (None,)], [Column("a", FieldType.TEXT)])


def test_latin_1_names_what_it_cannot_hold():
    columns = [Column("a", FieldType.ID), Column("b", FieldType.TEXT)]
    assert text({"encoding": "latin-1", "header": False}, [("é", "ÿ")], columns) == b"\xe9,\xff\n"
    with pytest.raises(BadInput, match=r"row 3, column b.*'Łódź'.*latin-1 cannot hold 'Ł'"):
        text({"encoding": "latin-1"}, [("a", "b"), ("c", "d"), ("e", "Łódź")], columns)
    with pytest.raises(BadInput, match=r"header.*'Ł'"):
        text({"encoding": "latin-1"}, [], [Column("Ł", FieldType.TEXT)])


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"delimiter": ";;"}, "one ASCII character"),
        ({"delimiter": "\n"}, "one ASCII character"),
        ({"delimiter": "é"}, "one ASCII character"),
        ({"delimiter": "1"}, "one ASCII character"),
        ({"delimiter": '"'}, "must differ"),
        ({"enclosure": "'"}, "apostrophe"),
        ({"null_text": "a,b"}, "null_text"),
        ({"null_text": "'"}, "null_text"),
        ({"instants": "%B"}, "%B is not one of"),
        ({"instants": "rfc"}, "iso8601"),
        ({"dates": "%H"}, "only %Y"),
        ({"timezone": "EST"}, "IANA"),
        ({"timezone": "Mars/Base"}, "IANA"),
        ({"delimeter": ","}, "not permitted"),
    ],
)
def test_bad_options_are_refused(options, words):
    with pytest.raises(ValueError, match=words):
        kind.Options(**options)
