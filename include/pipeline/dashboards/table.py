"""Tables: the figures of a chart as rows, for people and as CSV, exactly as the file has them."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import StrEnum

from include.charts.words import DASH, MINUS, full_day, percent
from include.formats.csv import is_formula

Value = str | int | Decimal | date | None


class Kind(StrEnum):
    """What a column holds."""

    TEXT = "text"
    DAY = "day"
    NUMBER = "number"
    SHARE = "share"


@dataclass(frozen=True)
class Column:
    """A column: its heading, what it holds, and in what unit numbers are."""

    name: str
    kind: Kind = Kind.NUMBER
    unit: str = ""

    @property
    def is_number(self) -> bool:
        """Say whether its values stand on the right."""
        return self.kind in {Kind.NUMBER, Kind.SHARE}


@dataclass(frozen=True)
class Table:
    """Rows of values, as many in each as there are columns. The first column names a row."""

    columns: tuple[Column, ...]
    rows: tuple[tuple[Value, ...], ...]

    def shown(self) -> list[list[str]]:
        """Return the cells as people read them: separators, and as many decimals in all of a column."""
        places = [self._places(index) for index in range(len(self.columns))]
        kinds = [column.kind for column in self.columns]
        return [[_shown(*cell) for cell in zip(row, kinds, places, strict=True)] for row in self.rows]

    def csv(self) -> bytes:
        """Return it as CSV (UTF-8, CRLF): numbers exact and plain, days as 2026-05-31, shares from 0 to 1."""
        out = io.StringIO(newline="")
        writer = csv.writer(out)
        writer.writerow([_heading(column) for column in self.columns])
        writer.writerows([_plain(value) for value in row] for row in self.rows)
        return out.getvalue().encode()

    def column(self, name: str) -> list[Value]:
        """Return the values of a column."""
        place = [column.name for column in self.columns].index(name)
        return [row[place] for row in self.rows]

    def _places(self, index: int) -> int:
        numbers = (row[index] for row in self.rows)
        scales = (_places(value) for value in numbers if isinstance(value, Decimal))
        return max(scales, default=0)


def numbers(values: Sequence[Value]) -> list[Decimal]:
    """Return values of a column of numbers, 0 for what is not known."""
    return [
        Decimal(0) if value is None else Decimal(value)
        for value in values
        if not isinstance(value, str | date)
    ]


def _heading(column: Column) -> str:
    return f"{column.name} ({column.unit})" if column.unit else column.name


def _plain(value: Value) -> str:
    if value is None:
        return ""
    if isinstance(value, Decimal):
        return format(value, "f")
    if isinstance(value, date):
        return value.isoformat()
    return f"'{value}" if isinstance(value, str) and is_formula(value) else str(value)


def _shown(value: Value, kind: Kind, places: int) -> str:
    if value is None:
        return DASH
    if isinstance(value, date):
        return full_day(value)
    if kind is Kind.SHARE:
        return percent(Decimal(value), 2)
    if isinstance(value, str):
        return value
    return f"{Decimal(value):,.{places}f}".replace("-", MINUS)


def _places(value: Decimal) -> int:
    exponent = value.normalize().as_tuple().exponent
    return max(0, -exponent) if isinstance(exponent, int) else 0
