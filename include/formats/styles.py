"""Options that all text formats share: how numbers, instants and dates are written."""

from __future__ import annotations

from typing import Annotated, Literal
from zoneinfo import ZoneInfo, available_timezones

import pyarrow as pa
from pydantic import AfterValidator, BaseModel, ConfigDict, Field

from include.formats import cells
from include.formats.cells import Cells, Values
from include.ledger.catalog import FieldType
from include.ledger.columns import Column

NAMED_INSTANTS = {
    "iso8601": "%Y-%m-%dT%H:%M:%S%F%z",
    "excel": "%Y-%m-%d %H:%M:%S",  # as Talon.One calls it
    "dd/mm/yyyy": "%d/%m/%Y %H:%M:%S",
    "mm/dd/yyyy": "%m/%d/%Y %H:%M:%S",
}
NAMED_DATES = {
    "iso8601": "%Y-%m-%d",
    "excel": "%Y-%m-%d",
    "dd/mm/yyyy": "%d/%m/%Y",  # Xero
    "mm/dd/yyyy": "%m/%d/%Y",  # QuickBooks
}
TEXT_TYPES = frozenset({FieldType.ID, FieldType.TEXT, FieldType.ENUM, FieldType.JSON})

NUMBER_TYPES = frozenset({FieldType.POINTS, FieldType.MONEY, FieldType.RATE, FieldType.INTEGER})


def _pattern(text: str) -> str:
    if text not in NAMED_INSTANTS:
        if "%" not in text:
            raise ValueError(f"{', '.join(NAMED_INSTANTS)}, or a pattern such as %d.%m.%Y %H:%M")
        try:
            codes = cells.pattern_codes(text)
        except ValueError as error:
            raise ValueError(f"{error} is not one of %Y %m %d %H %M %S %f %L %F %z") from error
        if len(codes) > 64:
            raise ValueError("a pattern of 64 characters at most")
    return text


def _date_pattern(text: str) -> str:
    if text not in NAMED_DATES and any(code >= cells.HOUR for code in cells.pattern_codes(_pattern(text))):
        raise ValueError("a date has only %Y, %m and %d")
    return _pattern(text)


def _zone(name: str) -> str:
    # Abbreviations such as EST are in the database, and are not what their users mean in summer.
    if name != "UTC" and ("/" not in name or name not in available_timezones()):
        raise ValueError("a zone of the IANA database such as Europe/Paris, or UTC")
    ZoneInfo(name)
    return name


Zone = Annotated[str, AfterValidator(_zone)]


class TextStyle(BaseModel):
    """How values become text. The defaults are exact, and the same everywhere in the world."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    points: Literal["fixed", "plain"] = Field(
        "fixed",
        description="fixed: two decimals always (12.50). plain: only the decimals needed (12.5, 100).",
    )
    instants: Annotated[str, AfterValidator(_pattern)] = Field(
        "iso8601",
        description="iso8601: 2026-03-01T06:00:00Z, with six decimals of a second only when they are not all "
        "zero. excel: 2026-03-01 06:00:00. dd/mm/yyyy: 01/03/2026 06:00:00. mm/dd/yyyy: 03/01/2026 06:00:00. "
        "Or a pattern of %Y %m %d %H %M %S, %f (microseconds), %L (milliseconds, cut off), %F (a fraction, when "
        "there is one), %z (offset).",
    )
    dates: Annotated[str, AfterValidator(_date_pattern)] = Field(
        "iso8601",
        description="iso8601 and excel: 2026-03-01. dd/mm/yyyy: 01/03/2026. mm/dd/yyyy: 03/01/2026. Or a pattern "
        "of %Y, %m and %d.",
    )
    timezone: Zone = Field(
        "UTC", description="The zone in which instants are shown; iso8601 shows its offset."
    )


def plain(array: pa.Array) -> pa.Array:
    """Return a column's values one by one, also where it came as a dictionary."""
    return array.dictionary_decode() if pa.types.is_dictionary(array.type) else array


def cells_of(column: Column, array: pa.Array, style: TextStyle, decimal_sign: str = ".") -> Cells:
    """Return the texts of `values_of`."""
    return values_of(column, array, style, decimal_sign).cells()


def values_of(column: Column, array: pa.Array, style: TextStyle, decimal_sign: str = ".") -> Values:
    """Return a column's values by its type, as text or as what text is made of.

    Points: `points` decides. Money: with `fixed` at least two decimals, more when the value has more (up to
    four); with `plain` only those needed. Rates: only those needed. All exact. A dictionary's values are
    written once each.
    """
    if pa.types.is_dictionary(array.type) and len(array):
        return cells.coded_cells(array, cells_of(column, array.dictionary, style, decimal_sign))
    kind = column.type
    if kind in TEXT_TYPES:
        return cells.text_cells(array)
    least = 2 if style.points == "fixed" and kind in {FieldType.POINTS, FieldType.MONEY} else 0
    if kind in NUMBER_TYPES:
        scale = 2 if kind is FieldType.POINTS else 0
        return cells.numbers(array, scale=scale, least=least, decimal_sign=decimal_sign)
    if kind is FieldType.BOOLEAN:
        return cells.boolean_cells(array)
    names, pattern = (
        (NAMED_DATES, style.dates) if kind is FieldType.DATE else (NAMED_INSTANTS, style.instants)
    )
    return cells.times(array, cells.pattern_codes(names.get(pattern, pattern)), style.timezone)
