"""Columns as the cells of a worksheet: numbers as exact text, dates and instants as a spreadsheet's serial days.

A spreadsheet computes with 15 digits, and its calendar begins in March 1900 (it believes in a 29 February of that
year). A number of more digits, and an instant outside the calendar, is therefore a text: shown exactly, never changed.
Such values are called odd.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from include.formats import cells, styles
from include.formats.cells import MICROSECONDS_PER_DAY, Cells
from include.ledger.catalog import FieldType
from include.ledger.columns import Column

DIGITS = 15
_EPOCH_SERIAL = 25_569  # 1970-01-01
_FIRST_SERIAL, _AFTER_SERIAL = 61, 2_958_466  # 1900-03-01, and the day after 9999-12-31
_FRACTION_DIGITS = 12  # of a day: a tenth of a microsecond


class SheetCells(NamedTuple):
    """A column's cells, and which rows are odd (None: no row is)."""

    cells: Cells
    odd: npt.NDArray[np.bool_] | None = None


def sheet_cells(column: Column, array: pa.Array, zone: str, unit: int) -> SheetCells:
    """Return the cells of a column. An empty text is no cell, as a null is none.

    Instants are seen in `zone` and cut to `unit` microseconds: rounded, the last of a day could fall on the next.
    """
    array = styles.plain(array)
    if column.type is FieldType.BOOLEAN:
        return SheetCells(cells.text_cells(pc.if_else(array, "1", "0").cast(pa.string())))
    if column.type in styles.NUMBER_TYPES:
        scale = 2 if column.type is FieldType.POINTS else 0
        numbers = cells.numbers(array, scale=scale, least=0).cells()
        return SheetCells(numbers, _too_precise(numbers))
    if column.type is FieldType.DATE:
        days = array.cast(pa.date32()).view(pa.int32()).cast(pa.int64())
        return _times(array, pc.add(days, _EPOCH_SERIAL), np.zeros(1, np.int64), 0, styles.NAMED_DATES, "UTC")
    if column.type is FieldType.INSTANT:
        return _instants(array, zone, unit)
    return SheetCells(_without_empty(cells.text_cells(array)))


def moment_of(serial: str) -> datetime:
    """Return the moment of a serial day, to the millisecond: further digits say only where a fraction was cut."""
    milliseconds = round(Decimal(serial) * MICROSECONDS_PER_DAY / 1000)
    return datetime(1970, 1, 1) + timedelta(milliseconds=milliseconds, days=-_EPOCH_SERIAL)  # noqa: DTZ001


def _without_empty(texts: Cells) -> Cells:
    empty = np.diff(texts.offsets) == 0
    if not empty.any():
        return texts
    nulls = empty | texts.nulls if len(texts.nulls) else empty
    nulls.flags.writeable = False
    return texts._replace(nulls=nulls)


def _too_precise(numbers: Cells) -> npt.NDArray[np.bool_] | None:
    """Return which numbers have more digits than a spreadsheet keeps."""
    widths = np.diff(numbers.offsets)
    candidates = [int(row) for row in np.flatnonzero(widths > DIGITS)]
    if not candidates:
        return None
    odd = np.zeros(len(widths), np.bool_)
    for row in candidates:
        digits = numbers.text(row).replace(".", "").strip("-").strip("0")
        odd[row] = len(digits) > DIGITS
    return odd


def _instants(array: pa.Array, zone: str, unit: int) -> SheetCells:
    instants = array.cast(pa.timestamp("us", tz="UTC"))
    local = instants.view(pa.int64())
    if zone != "UTC":
        local = pc.local_timestamp(instants.cast(pa.timestamp("us", tz=zone))).view(pa.int64())
    micros = local.fill_null(0).to_numpy(zero_copy_only=False)
    micros = micros // unit * unit
    days = micros // MICROSECONDS_PER_DAY
    # Twelve decimals of a day: 10**12 / MICROSECONDS_PER_DAY is 625 / 54; rounded half up, in integers.
    fractions = ((micros - days * MICROSECONDS_PER_DAY) * 625 + 27) // 54
    serials = pa.array(days + _EPOCH_SERIAL, mask=local.is_null().to_numpy(zero_copy_only=False))
    return _times(array, serials, fractions, _FRACTION_DIGITS, styles.NAMED_INSTANTS, zone)


def _times(
    array: pa.Array,
    serials: pa.Array,
    fractions: npt.NDArray[np.int64],
    digits: int,
    names: dict[str, str],
    zone: str,
) -> SheetCells:
    """Return serial days with the `digits` decimals that `fractions` are; ISO 8601 text where odd."""
    days = serials.fill_null(_FIRST_SERIAL).to_numpy(zero_copy_only=False)
    odd = (days < _FIRST_SERIAL) | (days >= _AFTER_SERIAL)
    null = serials.is_null().to_numpy(zero_copy_only=False)
    units = np.where(odd, 0, days) * 10**digits + fractions
    made = cells.numbers(pa.array(units, pa.int64(), mask=null), scale=digits, least=0).cells()
    if not odd.any():
        return SheetCells(made)
    iso = cells.times(array, cells.pattern_codes(names["iso8601"]), zone).cells()
    chosen = (iso if is_odd else made for is_odd in odd)
    texts = [None if null[row] else source.text(row) for row, source in enumerate(chosen)]
    return SheetCells(cells.text_cells(pa.array(texts, pa.string())), odd)
