"""The texts of a file's cells as values of a spreadsheet, and what says whether two rows are the same.

A spreadsheet computes with 15 digits. A number of more digits, and an instant outside its calendar, stays a text:
shown exactly, never changed. Values are sent as they are (RAW), so a text is never taken for a formula or a date.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import UTC, datetime, timedelta, timezone
from hashlib import blake2b
from zoneinfo import ZoneInfo

from include.errors import BadInput, Problem
from include.formats.styles import NAMED_DATES, NAMED_INSTANTS, NUMBER_TYPES, TextStyle
from include.ledger.columns import Column
from include.ledger.fields import FieldType

Value = str | int | float | bool | None
Row = Sequence[Value]

DIGITS = 15
MOST_CHARACTERS = 50_000  # of one cell
_EPOCH = datetime(1899, 12, 30)  # noqa: DTZ001 - a spreadsheet's days have no zone
_FIRST = datetime(1900, 1, 1)  # noqa: DTZ001
_DAY_SECONDS = 86_400
_DIRECTIVES = {
    "Y": r"(?P<Y>\d{4})",
    "m": r"(?P<m>\d\d)",
    "d": r"(?P<d>\d\d)",
    "H": r"(?P<H>\d\d)",
    "M": r"(?P<M>\d\d)",
    "S": r"(?P<S>\d\d)",
    "f": r"(?P<f>\d{6})",
    "F": r"(?:\.(?P<F>\d{6}))?",
    "z": r"(?P<z>Z|[+-]\d\d:\d\d)?",
    "%": "%",
}
_NUMBER = re.compile(r"-?\d+(\.\d+)?", re.ASCII)


class Moments:
    """Reads the texts of instants or dates, written by a pattern, as serial days in a zone.

    A text with an offset is seen in `zone`; one without stands as it is in the file.
    """

    def __init__(self, pattern: str, zone: str) -> None:
        parts, letters = [], iter(pattern)
        for letter in letters:
            part = _DIRECTIVES[next(letters)] if letter == "%" else re.escape(letter)
            parts.append(part if part not in parts or not part.startswith("(?") else ".*?")
        self._pattern = re.compile("".join(parts), re.ASCII)
        self._zone = ZoneInfo(zone)

    def serial(self, text: str) -> Value:
        """Return the days since 1899-12-30, cut to the second; the text itself where the calendar has no such day."""
        found = self._pattern.fullmatch(text)
        if found is None:
            return text
        part = {name: value for name, value in found.groupdict().items() if value is not None}
        try:
            year, month, day = (int(part.get(name, "1")) for name in "Ymd")
            hour, minute, second = (int(part.get(name, "0")) for name in "HMS")
            moment = datetime(year, month, day, hour, minute, second)  # noqa: DTZ001
            if "z" in part:
                moment = self._seen(moment, part["z"])
        except (ValueError, OverflowError):
            return text
        if moment < _FIRST or "Y" not in part:
            return text
        passed = moment - _EPOCH
        return _short(passed.days + passed.seconds / _DAY_SECONDS) if passed.seconds else passed.days

    def _seen(self, moment: datetime, offset: str) -> datetime:
        shift = timedelta(0)
        if offset != "Z":
            hours, minutes = offset[1:].split(":")
            shift = timedelta(hours=int(hours), minutes=int(minutes)) * (-1 if offset[0] == "-" else 1)
        return moment.replace(tzinfo=timezone(shift)).astimezone(self._zone).replace(tzinfo=None)


def reader_of(column: Column, style: TextStyle | None, zone: str, *, instants: str) -> Callable[[str], Value]:
    """Return what makes a column's texts values. style: how the file writes them (None: ISO 8601).

    zone: in which instants are seen. instants: `serial` or `text`.
    """
    kind = column.type
    if kind in NUMBER_TYPES:
        return _number
    if kind is FieldType.BOOLEAN:
        return _truth
    if kind is FieldType.DATE:
        pattern = style.dates if style else "iso8601"
        return Moments(NAMED_DATES.get(pattern, pattern), "UTC").serial
    if kind is FieldType.INSTANT and instants == "serial":
        pattern = style.instants if style else "iso8601"
        return Moments(NAMED_INSTANTS.get(pattern, pattern), zone).serial
    return _text


def checked(values: Row, row: int, columns: Sequence[Column]) -> Row:
    """Return the row; BadInput naming row and column for a text longer than a cell."""
    for value, column in zip(values, columns, strict=True):
        if isinstance(value, str) and len(value) > MOST_CHARACTERS:
            right = (
                f"a cell of Google Sheets holds {MOST_CHARACTERS:,} characters, and this has {len(value):,}; leave the "
                "column out"
            )
            raise BadInput([Problem(f"row {row}, column {column.name}", value, right, "cell_too_long")])
    return values


def key_of(value: Value) -> str:
    """Return what two values have in common when a spreadsheet shows them as one and the same."""
    if value is None or value == "":
        return ""
    if isinstance(value, bool):
        return f"b{value}"
    if isinstance(value, str):
        return "t" + value
    return f"n{value + 0.0:.15g}"


class Digest:
    """What says whether the rows of two tables are the same, in whatever order they stand; empty rows do not count."""

    def __init__(self) -> None:
        self.rows = 0
        self._sum = 0

    def add(self, rows: Iterable[Row]) -> None:
        """Count these rows in."""
        for row in rows:
            if found := row_hash(row):
                self.rows += 1
                self._sum = (self._sum + found) % (1 << 128)

    @property
    def text(self) -> str:
        """The digest: how many rows, and the sum of their hashes."""
        return f"{self.rows}:{self._sum:032x}"


def row_hash(row: Row) -> int:
    """Return 128 bits of a row; 0 for an empty one."""
    keys = [key_of(value) for value in row]
    while keys and not keys[-1]:
        keys.pop()
    if not keys:
        return 0
    text = "\0".join(keys).encode("utf-8", "surrogatepass")
    return int.from_bytes(blake2b(text, digest_size=16).digest(), "big")


def _number(text: str) -> Value:
    if not _NUMBER.fullmatch(text):
        return text
    if len(text.replace(".", "").strip("-").strip("0")) > DIGITS:
        return text
    return _short(float(text)) if "." in text else int(text) if len(text) <= DIGITS else _short(float(text))


def _short(number: float) -> int | float:
    """Return the number of 15 digits at most, whole where it is."""
    number = float(f"{number:.15g}")
    return int(number) if number.is_integer() else number


def _truth(text: str) -> Value:
    return {"true": True, "false": False}.get(text, text)


def _text(text: str) -> Value:
    return text.replace("\r\n", "\n").replace("\r", "\n")


def utc_text(moment: datetime | None) -> str:
    """Return an instant so that later ones sort after it; empty for none."""
    return moment.astimezone(UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ") if moment else ""
