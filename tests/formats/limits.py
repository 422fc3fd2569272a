"""What each format can hold: rows made to fit it, and how it shows what it cannot hold to the last digit."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta

from include.ledger.catalog import FieldType
from tests.formats.examples import COLUMNS

POINTS_OF_PARQUET = 10**18 - 1  # hundredths: decimal(18, 2)
CALENDAR_OF_SHEETS = datetime(1900, 3, 1, tzinfo=UTC)
_NOT_IN_XML = re.compile("[\x00-\x08\x0b\x0c\x0e-\x1f\ufffe\uffff]")


def held(kind: str, rows: list[tuple], columns=COLUMNS) -> list[tuple]:
    """The rows, with what the format refuses replaced by what it takes."""
    return [
        tuple(_held(kind, column.type, value) for column, value in zip(columns, row, strict=True))
        for row in rows
    ]


def _held(kind: str, type_: FieldType, value):
    if kind == "parquet" and type_ is FieldType.POINTS and value is not None:
        return max(-POINTS_OF_PARQUET, min(POINTS_OF_PARQUET, value))
    if kind == "xml" and isinstance(value, str):
        return _NOT_IN_XML.sub("?", value)
    return value


def seen(kind: str, instant: datetime) -> datetime:
    """The instant as the format's default options show it: a sheet cuts those of its calendar to seconds."""
    if kind == "xlsx" and instant >= CALENDAR_OF_SHEETS:
        return instant - timedelta(microseconds=instant.microsecond)
    return instant
