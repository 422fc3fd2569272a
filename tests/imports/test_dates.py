"""Starts, expiries, durations and birthdays of a file, each wrong one with its sentence."""

from datetime import UTC, datetime

import pytest

from tests.imports.opened import NOW, opened

HEADER = "customerprofileid,amount,startdate,expirydate,validityDuration\n"


def lot(start="", expiry="", duration=""):
    return opened(f"{HEADER}c1,5,{start},{expiry},{duration}\n", "points")


def utc(*parts):
    return datetime(*parts, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "instant"),
    [
        ("", None),
        ("immediate", None),
        ("Immediate", None),
        ("2026-04-01T00:00:00Z", utc(2026, 4, 1)),
        ("2026-04-01t00:00:00z", utc(2026, 4, 1)),
        ("2026-04-01T00:00:00+02:00", utc(2026, 3, 31, 22)),
        ("2026-04-01T00:00:00.250001-00:30", utc(2026, 4, 1, 0, 30, 0, 250001)),
        ("2009-11-10T23:00:00Z", utc(2009, 11, 10, 23)),  # long ago: active at once
        ("2028-02-29T00:00:00Z", utc(2028, 2, 29)),
    ],
)
def test_a_start_is_rfc_3339_or_immediate(text, instant):
    seen = lot(start=text)
    assert [row["activates_at"] for row in seen.rows] == [instant]
    assert seen.problems == []


NO_SUCH = "there is no such day or time"
FORM = "a date is written 2030-12-31T00:00:00Z, or immediate"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("31/02", FORM),
        ("2026-02-31T00:00:00Z", NO_SUCH),
        ("2027-02-29T00:00:00Z", NO_SUCH),
        ("0000-00-00", FORM),
        ("0000-00-00T00:00:00Z", NO_SUCH),
        ("0000-01-01T00:00:00Z", NO_SUCH),
        ("2026-04-01T24:00:00Z", NO_SUCH),
        ("2026-04-01", FORM),
        ("04/01/2026", FORM),
        ("1775001600", FORM),
        (
            "2026-04-01T00:00:00",
            "the time zone is missing; write 2030-12-31T00:00:00Z or 2030-12-31T00:00:00+01:00",
        ),
        (
            "2026-04-01 00:00:00",
            "the time zone is missing; write 2030-12-31T00:00:00Z or 2030-12-31T00:00:00+01:00",
        ),
        (
            "on_action",
            "the ledger cannot hold points that wait for an action of the member; write a date or immediate",
        ),
    ],
)
def test_what_is_no_start(text, right):
    assert lot(start=text).problems == [f"p.csv: row 2, startdate: {text!r}: {right}"]


def test_what_is_no_expiry():
    assert lot(expiry="31/02").problems == [
        "p.csv: row 2, expirydate: '31/02': a date is written 2030-12-31T00:00:00Z, or unlimited"
    ]


@pytest.mark.parametrize(
    ("start", "duration", "end"),
    [
        ("", "30s", utc(2026, 3, 1, 12, 0, 30)),  # counted from now, 2026-03-01T12:00:00Z
        ("", "40m", utc(2026, 3, 1, 12, 40)),
        ("", "1h", utc(2026, 3, 1, 13)),
        ("", "5D", utc(2026, 3, 6, 12)),
        ("", "7W", utc(2026, 4, 19, 12)),
        ("", "10M", utc(2027, 1, 1, 12)),
        ("", "15Y", utc(2041, 3, 1, 12)),
        ("", "30D_D", utc(2026, 3, 31)),  # 31 March 12:00, back to the start of the day
        ("", "30D_U", utc(2026, 4, 1)),  # and on to its end
        ("", "1W_U", utc(2026, 3, 9)),  # 8 March is a Sunday, the last day of its week
        ("", "1M_U", utc(2026, 5, 1)),  # 1 April, to the end of April
        ("", "1Y_U", utc(2028, 1, 1)),
        ("2026-01-31T10:00:00Z", "2M", utc(2026, 3, 31, 10)),
        ("2026-05-31T10:00:00Z", "1M", utc(2026, 6, 30, 10)),  # June has no 31st
        ("2028-02-29T00:00:00Z", "1Y", utc(2029, 2, 28)),
        ("2026-10-24T22:30:00Z", "1D", utc(2026, 10, 25, 22, 30)),  # UTC has no summer time
    ],
)
def test_a_duration_counts_from_activation(start, duration, end):
    seen = lot(start=start, duration=duration)
    assert (seen.problems, [row["expires_at"] for row in seen.rows]) == ([], [end])


UNITS = "units are s m h D W M Y; _D rounds days down, _U rounds D, W, M and Y up"
SHAPE = "a duration is a number and a unit, such as 30D, 10M or 1Y_U"


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("30d", UNITS),
        ("10M_D", UNITS),
        ("5h_U", UNITS),
        ("5X", UNITS),
        ("1.5D", SHAPE),
        ("-5D", SHAPE),
        ("D", SHAPE),
        ("30", SHAPE),
        ("9000Y", "it ends after the year 9999; write unlimited as the expiry"),
        ("999999Y", "it ends after the year 9999; write unlimited as the expiry"),
    ],
)
def test_what_is_no_duration(text, right):
    assert lot(duration=text).problems == [f"p.csv: row 2, validityDuration: {text!r}: {right}"]


def test_expiry_or_duration_not_both():
    assert lot(expiry="2030-01-01T00:00:00Z", duration="5D").problems == [
        "p.csv: row 2, validityDuration: '5D': a row has an expiry or a duration, not both"
    ]


@pytest.mark.parametrize(
    ("start", "expiry", "duration"),
    [
        ("", "2026-03-01T12:00:00Z", ""),  # now itself: what expires now is not usable now
        ("", "2020-01-01T00:00:00Z", ""),
        ("2030-01-01T00:00:00Z", "2029-01-01T00:00:00Z", ""),
        ("", "", "0D"),
        ("", "", "0D_D"),
        ("2009-11-10T23:00:00Z", "", "1D"),
    ],
)
def test_points_that_would_never_be_usable(start, expiry, duration):
    seen = lot(start, expiry, duration)
    right = "the points would expire before they begin, or have expired by now"
    assert [problem.rsplit(": ", 1)[1] for problem in seen.problems] == [right]


def test_mixed_rows_keep_their_own_dates():
    """Units differ from row to row; each row counts from its own start."""
    rows = (
        "c1,1,,,1D\nc2,1,,unlimited,\nc3,1,2026-06-01T00:00:00Z,,1M_U\nc4,1,,,\nc5,1,,2027-01-01T00:00:00Z,\n"
    )
    seen = opened(HEADER + rows, "points")
    assert [row["expires_at"] for row in seen.rows] == [
        utc(2026, 3, 2, 12), None, utc(2026, 8, 1), None, utc(2027, 1, 1),
    ]  # fmt: skip


@pytest.mark.parametrize("text", ["03/03", "12/31", "02/29", "01/01"])
def test_birthdays(text):
    assert opened(f"Email,Birthday(MM/DD)\na@b.c,{text}\n", "birthday").good == [
        {"email": "a@b.c", "birthday": text}
    ]


@pytest.mark.parametrize(
    ("text", "right"),
    [
        ("3/3", "month and day have two digits each; write 03/03"),
        ("12/1", "month and day have two digits each; write 12/01"),
        ("02/30", "there is no such day; a birthday is MM/DD, the month first"),
        ("31/12", "there is no such day; a birthday is MM/DD, the month first"),
        ("00/10", "there is no such day; a birthday is MM/DD, the month first"),
        ("31/02", "there is no such day; a birthday is MM/DD, the month first"),
        ("1990-03-03", "a birthday is MM/DD, such as 03/31"),
        ("0000-00-00", "a birthday is MM/DD, such as 03/31"),
        ("03-03", "a birthday is MM/DD, such as 03/31"),
        ("٠٣/٠٣", "a birthday is MM/DD, such as 03/31"),
    ],
)
def test_what_is_no_birthday(text, right):
    seen = opened(f"Email,Birthday(MM/DD)\na@b.c,{text}\n", "birthday")
    assert seen.problems == [f"p.csv: row 2, Birthday(MM/DD): {text!r}: {right}"]


def test_a_row_without_a_birthday_says_nothing_of_it():
    """An export has many members without one: such rows change nothing."""
    seen = opened("Email,Birthday(MM/DD)\na@b.c,\n", "birthday")
    assert (seen.problems, seen.rows[0]["birthday"], seen.rows[0]["ok"]) == ([], None, True)


def test_now_is_what_durations_count_from():
    assert utc(2026, 3, 1, 12) == NOW
