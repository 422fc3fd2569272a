"""What stands in the cells: numbers exact or as text, ids as text, moments in their zone; which file goes to which tab."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from zoneinfo import ZoneInfo

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from include.errors import BadInput, NeedsPerson, Transient
from include.formats.cells import pattern_codes, times
from include.formats.hashes import file_sha256
from include.formats.styles import NAMED_INSTANTS
from include.ledger.columns import Column
from include.ledger.fields import FieldType
from include.targets.protocol import Parcel
from include.targets.sheets.cells import Digest, Moments, key_of, reader_of
from tests.targets.sheets_delivery import (
    HEADER,
    ROWS,
    SHOWN,
    deliver,
    google,
    parcel,
)

__all__ = ["google"]  # a fixture
EPOCH = datetime(1899, 12, 30, tzinfo=UTC)


def value(kind: FieldType, text: str, **more):
    return reader_of(
        Column("x", kind), None, more.pop("zone", "UTC"), instants=more.pop("instants", "serial")
    )(text)


@pytest.mark.parametrize(
    ("kind", "text", "expected"),
    [
        (FieldType.POINTS, "12.50", 12.5),
        (FieldType.POINTS, "-0.07", -0.07),
        (FieldType.POINTS, "100.00", 100),
        (FieldType.POINTS, "9999999999999.99", 9999999999999.99),  # 15 digits
        (FieldType.POINTS, "99999999999999.99", "99999999999999.99"),  # 16
        (FieldType.INTEGER, "999999999999999", 999999999999999),
        (FieldType.INTEGER, "1000000000000000", 10**15),  # one digit and zeros
        (FieldType.INTEGER, "9007199254740993", "9007199254740993"),
        (FieldType.RATE, "0.00000001", 1e-08),
        (FieldType.ID, "007", "007"),
        (FieldType.ID, "1E5", "1E5"),
        (FieldType.TEXT, "=1+1", "=1+1"),
        (FieldType.TEXT, "a\r\nb\rc", "a\nb\nc"),
        (FieldType.BOOLEAN, "true", True),
        (FieldType.JSON, '{"a": 1.10}', '{"a": 1.10}'),
        (FieldType.DATE, "2026-03-01", 46082),
        (FieldType.DATE, "1900-01-01", 2),
        (FieldType.DATE, "1899-12-31", "1899-12-31"),
        (FieldType.DATE, "0001-01-01", "0001-01-01"),
        (FieldType.INSTANT, "2026-03-01T06:00:00Z", 46082.25),
        (FieldType.INSTANT, "2026-03-01T06:00:00.999999Z", 46082.25),  # cut, not rounded
        (FieldType.INSTANT, "2026-03-01T00:00:00Z", 46082),
    ],
)
def test_values_are_exact_or_texts(kind, text, expected):
    found = value(kind, text)
    assert found == expected
    assert type(found) is type(expected)


def test_moments_are_seen_in_the_zone():
    # Paris left summer time on 2026-10-25 at 01:00 UTC: both show 02:30.
    for text in ("2026-10-25T00:30:00Z", "2026-10-25T01:30:00Z", "2026-10-25T03:30:00+02:00"):
        assert value(FieldType.INSTANT, text, zone="Europe/Paris") == float(f"{46320 + 2.5 / 24:.15g}")
    assert value(FieldType.INSTANT, "2026-10-25T00:30:00Z", instants="text") == "2026-10-25T00:30:00Z"
    assert value(FieldType.INSTANT, "9999-12-31T23:59:59Z", zone="Asia/Tokyo") == "9999-12-31T23:59:59Z"


@given(
    # Arrow, which writes the files, knows no summer time after 2037; early offsets had seconds.
    st.datetimes(datetime(1972, 1, 2), datetime(2037, 12, 30)),  # noqa: DTZ001
    st.sampled_from([*NAMED_INSTANTS, "%d.%m.%Y %H:%M:%S.%f%z", "%Y%m%dT%H%M%S%z", "(%S.%M) %z %H|%Y-%d-%m"]),
    st.sampled_from(["UTC", "Europe/Paris", "America/St_Johns", "Asia/Kolkata"]),
)
def test_what_our_formats_write_is_read_as_the_same_moment(moment, pattern, zone):
    moment = moment.replace(tzinfo=UTC)
    codes = NAMED_INSTANTS.get(pattern, pattern)
    array = pa.array([moment], pa.timestamp("us", tz="UTC"))
    text = times(array, pattern_codes(codes), zone).cells().text(0)
    found = Moments(codes, zone).serial(text)
    local = moment.astimezone(ZoneInfo(zone)).replace(tzinfo=UTC, microsecond=0) - EPOCH
    assert isinstance(found, int | float)
    assert abs(found - local / timedelta(days=1)) < 1e-6 / 8  # of a day: a hundredth of a second


CELLS = st.one_of(
    st.none(), st.text(max_size=3), st.integers(-9, 9), st.booleans(), st.sampled_from([0.5, 12.5])
)


@given(st.lists(st.lists(CELLS, min_size=2, max_size=2), max_size=6), st.randoms())
def test_a_digest_does_not_see_order_but_every_change(rows, chosen):
    def digest(content) -> str:
        made = Digest()
        made.add(content)
        return made.text

    def shown(content):
        keys = ([key_of(cell) for cell in row] for row in content)
        return sorted(row for row in keys if any(row))

    other = [list(row) for row in rows]
    chosen.shuffle(other)
    assert digest(other) == digest(rows)
    if other:
        chosen.choice(other)[chosen.randrange(2)] = "changed"
        assert (digest(other) == digest(rows)) == (shown(other) == shown(rows))


@pytest.mark.servers
@pytest.mark.parametrize(
    "file",
    [
        {},
        {"compression": "none", "options": {"delimiter": ";", "decimal_sign": ",", "encoding": "utf-16"}},
        {"compression": "zip", "options": {"instants": "%d.%m.%Y %H:%M:%S%F %z", "timezone": "Asia/Tokyo"}},
        {"format": "jsonl", "compression": "zstd"},
        {"format": "json"},
        {"format": "xml", "options": {"fields": "attributes"}},
        {"format": "parquet"},
        {"format": "xlsx"},
    ],
    ids=str,
)
def test_files_of_every_format_show_the_same(google, tmp_path, file):
    deliver(google, parcel(tmp_path, file=file))
    assert google.book.sheet("daily").table() == SHOWN


@pytest.mark.servers
def test_the_zone_of_the_spreadsheet_can_be_chosen(google, tmp_path):
    google.book.zone = "America/New_York"
    deliver(google, parcel(tmp_path), timezone="spreadsheet")
    assert google.book.sheet("daily").table()[1][4] == 46082.0416666667  # 06:00 UTC is 01:00 there
    deliver(google, parcel(tmp_path, key="k2"), instants="text")
    assert google.book.sheet("daily").table()[1][4] == "2026-03-01T06:00:00Z"


@pytest.mark.servers
def test_no_rows_leave_a_header_and_no_header_leaves_nothing(google, tmp_path):
    deliver(google, parcel(tmp_path, []))
    assert google.book.sheet("daily").table() == [HEADER]
    deliver(google, parcel(tmp_path, [], key="k2"), header=False, tab="bare")
    assert google.book.sheet("bare").table() == []
    deliver(google, parcel(tmp_path, key="k3"), header=False, tab="bare")
    assert google.book.sheet("bare").table() == SHOWN[1:]


@pytest.mark.servers
@pytest.mark.parametrize("bundle", [False, True])
def test_each_export_of_a_pack_has_its_tab_in_one_step(google, tmp_path, bundle):
    files = {"a.csv.gz": ROWS, "b.csv.gz": ROWS[:1]}
    sent = parcel(tmp_path, files=files, exports={"a.csv.gz": "points", "b.csv.gz": "tiers"}, bundle=bundle)
    receipt = deliver(google, sent)
    assert google.book.shown == {"Sheet1": [], "points": SHOWN, "tiers": SHOWN[:2]}
    assert [file.name for file in receipt.files] == (["all.zip"] if bundle else list(files))
    assert google.methods.count("sheets.spreadsheets.batchUpdate") == 1
    google.book.sheet("tiers").write(1, 0, ["mine"])
    with pytest.raises(NeedsPerson, match="tab tiers"):
        deliver(
            google,
            parcel(tmp_path, files=files, exports={"a.csv.gz": "points", "b.csv.gz": "tiers"}, key="k2"),
        )
    assert google.book.sheet("points").table() == SHOWN


@pytest.mark.servers
def test_the_parts_of_one_export_follow_each_other(google, tmp_path):
    sent = parcel(tmp_path, files={"a_1.csv.gz": ROWS[:2], "a_2.csv.gz": ROWS[2:]})
    deliver(google, sent, tab="{id} of {period}")
    assert google.book.sheet("daily of 2026-03-01").table() == SHOWN
    deliver(google, sent, tab="{file}")
    assert google.book.sheet("a_2").table() == [HEADER, SHOWN[3]]


@pytest.mark.servers
def test_what_cannot_be_shown_is_named(google, tmp_path):
    sent = parcel(
        tmp_path, files={"a.csv.gz": ROWS, "b.csv.gz": ROWS}, exports={"a.csv.gz": "x", "b.csv.gz": "y"}
    )
    with pytest.raises(BadInput, match=r"put \{export\} or \{file\}"):
        deliver(google, sent, tab="one")
    with pytest.raises(BadInput, match="has none"):
        deliver(google, Parcel(sent.files[:1], "k"))
    long = [("1", "x" * 50_001, 0, None, None)]
    with pytest.raises(BadInput, match=r"row 1, column name.*50,000 characters"):
        deliver(google, parcel(tmp_path, long))
    changed = parcel(tmp_path)
    changed.files[0].path.write_bytes(b"other")
    with pytest.raises(Transient, match="is not the file"):
        deliver(google, changed)
    assert google.book.shown == {"Sheet1": []}


@pytest.mark.servers
def test_an_encrypted_file_is_refused_with_the_remedy(google, tmp_path):
    sent = parcel(tmp_path)
    path = sent.files[1].path
    text = path.read_text().replace('"encryption": null', '"encryption": "age"')
    path.write_text(text)
    sealed = [sent.files[0], replace(sent.files[1], sha256=file_sha256(path))]
    with pytest.raises(BadInput, match=r"leave out file\.encryption"):
        deliver(google, replace(sent, files=sealed))
    assert google.asked == []


@pytest.mark.servers
def test_many_rows_of_every_type_come_back_as_they_went(google, tmp_path):
    rows = [
        (f"{number:05}", "x" * (number % 7), number * 7 - 3000, Decimal(number) / 16, None)
        for number in range(3000)
    ]
    deliver(google, parcel(tmp_path, rows))
    found = google.book.sheet("daily").table()[1:]
    expected = [[one, two or None, points / 100, float(money)] for one, two, points, money, _ in rows]
    assert found == expected
