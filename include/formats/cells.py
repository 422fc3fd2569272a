"""Columns as the text of their cells: numbers and instants become bytes by compiled code, exactly.

What belongs here: the way from an Arrow column to (offsets, bytes, nulls), for every text format. What does
not: delimiters, quotes and rows, which are in `rows`. Points travel as integers of hundredths and money as
integers of its smallest unit, so no float is ever made.
"""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from include.formats.instants import write_iso_instants

MICROSECONDS_PER_DAY = 86_400_000_000
# A pattern is a list of codes: below 256 a byte as it stands, above one of these parts.
YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, MICROSECOND, FRACTION, ZONE, MILLISECOND = range(256, 266)
ISO_INSTANT = "%Y-%m-%dT%H:%M:%S%F%z"
_PARTS = {
    "Y": YEAR, "m": MONTH, "d": DAY, "H": HOUR, "M": MINUTE, "S": SECOND, "f": MICROSECOND, "L": MILLISECOND,
    "z": ZONE,
}  # fmt: skip
_WIDEST_NUMBER = 24
_WIDEST_PART = 7  # a fraction with its point; a year beyond 9999 has 6 digits

_Number = TypeVar("_Number", bound=np.generic)
Bytes = npt.NDArray[np.uint8]
Offsets = npt.NDArray[np.int32]
Nulls = npt.NDArray[np.bool_]


class Cells(NamedTuple):
    """One column's cells: value k is `data[offsets[k]:offsets[k + 1]]`; `nulls` is empty when none is null.

    Cell i is value i; or value `at[i]` where `at` is not empty: what stands in many rows is made, and lies in
    memory, once, and no row's text is copied before it is written.
    """

    offsets: Offsets
    data: Bytes
    nulls: Nulls
    at: Offsets

    @property
    def rows(self) -> int:
        """How many cells."""
        return len(self.at) or len(self.offsets) - 1

    def same_values(self, other: Cells) -> bool:
        """Return whether the values of both lie in the same memory."""
        return _place(self.offsets) == _place(other.offsets) and _place(self.data) == _place(other.data)

    def text(self, row: int) -> str:
        """Return a cell that is not null."""
        value = self.at[row] if len(self.at) else row
        return self.data[self.offsets[value] : self.offsets[value + 1]].tobytes().decode()


def _place(array: npt.NDArray[Any]) -> tuple[int, int]:
    return array.__array_interface__["data"][0], len(array)


def _fixed(array: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """Return the array read-only: with one type for all cells, the kernels are compiled once."""
    array.flags.writeable = False
    return array


NO_BYTES: Bytes = _fixed(np.zeros(0, dtype=np.uint8))
NO_NULLS: Nulls = _fixed(np.zeros(0, dtype=np.bool_))
IN_PLACE: Offsets = _fixed(np.zeros(0, dtype=np.int32))


@cache
def pattern_codes(pattern: str) -> npt.NDArray[np.int16]:
    """Return the codes of a date pattern: %Y %m %d %H %M %S %f %L %z %%, and %F for a fraction if there is one.

    Raises ValueError for any other directive: names of months and days depend on a locale, and are left out.
    """
    codes: list[int] = []
    letters = iter(pattern)
    for letter in letters:
        if letter != "%":
            codes.extend(letter.encode())
            continue
        part = next(letters, "")
        if part == "%":
            codes.append(ord("%"))
        elif part == "F":
            codes.append(FRACTION)
        elif part in _PARTS:
            codes.append(_PARTS[part])
        else:
            raise ValueError(f"%{part}")
    return _fixed(np.array(codes, dtype=np.int16))


def text_cells(array: pa.Array) -> Cells:
    """Return the cells of a text column without copying its bytes."""
    if array.type != pa.string():
        array = array.cast(pa.string())
    _, offsets, data = array.buffers()
    if offsets is None or len(array) == 0:
        return Cells(_fixed(np.zeros(len(array) + 1, dtype=np.int32)), NO_BYTES, _nulls(array), IN_PLACE)
    starts = np.frombuffer(offsets, dtype=np.int32)[array.offset : array.offset + len(array) + 1]
    held = np.frombuffer(data, dtype=np.uint8) if data is not None else NO_BYTES
    return Cells(_fixed(starts), _fixed(held), _nulls(array), IN_PLACE)


def coded_cells(array: pa.DictionaryArray, values: Cells) -> Cells:
    """Return the cells of a dictionary column, of whose dictionary `values` are the cells."""
    indices = array.indices if array.indices.type == pa.int32() else array.indices.cast(pa.int32())
    places = np.frombuffer(indices.buffers()[1], dtype=np.int32)[indices.offset : indices.offset + len(array)]
    nulls = _nulls(indices)
    if len(values.nulls):
        of_values = np.take(values.nulls, places, mode="clip")  # the place of a null is any number
        nulls = _fixed(of_values | nulls if len(nulls) else of_values)
    return Cells(values.offsets, values.data, nulls, _fixed(places))


def number_cells(array: pa.Array, *, scale: int, least: int, decimal_sign: str = ".") -> Cells:
    """Return exact decimals: `array` holds integers, or decimals, of 10**-scale units.

    least: how many decimals are always written; further ones only while they are not zeros.
    """
    if pa.types.is_decimal(array.type):
        if array.type.precision > 18:  # beyond 64 bits: rare, and Python is exact
            return _wide_cells(array, least, decimal_sign)
        scale = array.type.scale
        array = array.cast(pa.decimal128(array.type.precision, scale))
        low_words = np.frombuffer(array.buffers()[1], dtype=np.int64)[::2]
        values = _fixed(np.ascontiguousarray(low_words[array.offset : array.offset + len(array)]))
    else:
        array = array.cast(pa.int64())
        values = _values(array)
    nulls = _nulls(array)
    out = np.empty(len(values) * _WIDEST_NUMBER, dtype=np.uint8)
    offsets = np.empty(len(values) + 1, dtype=np.int32)
    used = _write_numbers(values, nulls, scale, min(least, scale), ord(decimal_sign), out, offsets)
    return Cells(_fixed(offsets), _fixed(out[:used]), nulls, IN_PLACE)


def time_cells(array: pa.Array, codes: npt.NDArray[np.int16], zone: str = "UTC") -> Cells:
    """Return instants (timestamps in UTC) or dates as a pattern of `pattern_codes` says, seen in `zone`."""
    shifts = _fixed(np.zeros(0, dtype=np.int64))
    if pa.types.is_date(array.type):
        days = array.cast(pa.date32()).view(pa.int32())
        whole = pc.multiply(days.cast(pa.int64()), MICROSECONDS_PER_DAY)
    else:
        instants = array.cast(pa.timestamp("us", tz="UTC"))
        whole = instants.view(pa.int64())
        if zone != "UTC":
            local = pc.local_timestamp(instants.cast(pa.timestamp("us", tz=zone))).view(pa.int64())
            shifts = _values(pc.subtract(local, whole))
    values = _values(whole)
    nulls = _nulls(array)
    widest = int(np.where(codes < YEAR, 1, _WIDEST_PART).sum())
    out = np.empty(len(values) * widest, dtype=np.uint8)
    offsets = np.empty(len(values) + 1, dtype=np.int32)
    used = -1
    if zone == "UTC" and codes is pattern_codes(ISO_INSTANT):
        used = write_iso_instants(values, nulls, out, offsets)
    if used < 0:
        used = _write_times(values, shifts, nulls, codes, out, offsets)
    return Cells(_fixed(offsets), _fixed(out[:used]), nulls, IN_PLACE)


def boolean_cells(array: pa.Array) -> Cells:
    """Return `true` and `false`."""
    return text_cells(pc.if_else(array, "true", "false").cast(pa.string()))


def _values(array: pa.Array) -> npt.NDArray[np.int64]:
    data: npt.NDArray[np.int64] = np.frombuffer(array.buffers()[1], dtype=np.int64)
    return _fixed(data[array.offset : array.offset + len(array)])


def _nulls(array: pa.Array) -> Nulls:
    if array.null_count == 0:
        return NO_NULLS
    bits = np.frombuffer(array.buffers()[0], dtype=np.uint8)
    valid = np.unpackbits(bits[array.offset // 8 :], count=array.offset % 8 + len(array), bitorder="little")
    return _fixed(valid[array.offset % 8 :] == 0)


def _wide_cells(array: pa.Array, least: int, decimal_sign: str) -> Cells:
    texts: list[str | None] = []
    for value in array.to_pylist():
        if value is None:
            texts.append(None)
            continue
        whole, _, decimals = format(value, "f").partition(".")
        decimals = decimals.rstrip("0").ljust(min(least, array.type.scale), "0")
        texts.append(whole + (decimal_sign + decimals if decimals else ""))
    return text_cells(pa.array(texts, pa.string()))


@numba.njit(nogil=True, cache=True)
def _write_numbers(
    values: npt.NDArray[np.int64],
    nulls: Nulls,
    scale: int,
    least: int,
    sign: int,
    out: Bytes,
    offsets: Offsets,
) -> int:
    ten = np.uint64(10)
    position = 0
    offsets[0] = 0
    for i in range(len(values)):
        if len(nulls) and nulls[i]:
            offsets[i + 1] = position
            continue
        value = values[i]
        left = np.uint64(value)
        if value < 0:
            left = ~left + np.uint64(1)
            out[position] = 45  # minus
            position += 1
        decimals = scale
        while decimals > least and left % ten == np.uint64(0):
            left //= ten
            decimals -= 1
        digits = 1
        power = ten
        while digits < 20 and left >= power:
            digits += 1
            if digits < 20:
                power *= ten
        digits = max(digits, decimals + 1)
        width = digits + (1 if decimals > 0 else 0)
        at = position + width - 1
        for digit in range(digits):
            if digit == decimals and decimals > 0:
                out[at] = sign
                at -= 1
            quotient = left // ten
            out[at] = np.uint8(left - quotient * ten) + np.uint8(48)
            left = quotient
            at -= 1
        position += width
        offsets[i + 1] = position
    return position


@numba.njit(nogil=True, cache=True)
def _digits(out: Bytes, position: int, value: int, width: int) -> int:
    # Unsigned: division by a constant becomes a multiplication, without the care that negative numbers need.
    left, at = np.uint32(value), np.uint64(position + width)
    for _ in range(width):
        at -= np.uint64(1)
        tens = left // np.uint32(10)
        out[at] = np.uint8(48) + np.uint8(left - tens * np.uint32(10))
        left = tens
    return position + width


@numba.njit(nogil=True, cache=True)
def _civil(days: int) -> tuple[int, int, int]:
    """The year, month and day of a number of days since 1970."""
    # In years that begin in March, so that the leap day is the last of its year.
    shifted = days + 719_468
    era = shifted // 146_097
    of_era = np.uint32(shifted - era * 146_097)
    year_of_era = (
        of_era - of_era // np.uint32(1460) + of_era // np.uint32(36_524) - of_era // np.uint32(146_096)
    ) // np.uint32(365)
    day_of_year = int(
        of_era - (np.uint32(365) * year_of_era + year_of_era // np.uint32(4) - year_of_era // np.uint32(100))
    )
    march_month = (5 * day_of_year + 2) // 153
    day = day_of_year - (153 * march_month + 2) // 5 + 1
    month = march_month + 3 if march_month < 10 else march_month - 9
    return era * 400 + int(year_of_era) + (1 if month <= 2 else 0), month, day


@numba.njit(nogil=True, cache=True)
def _write_times(
    values: npt.NDArray[np.int64],
    shifts: npt.NDArray[np.int64],
    nulls: Nulls,
    codes: npt.NDArray[np.int16],
    out: Bytes,
    offsets: Offsets,
) -> int:
    position = 0
    offsets[0] = 0
    for i in range(len(values)):
        if len(nulls) and nulls[i]:
            offsets[i + 1] = position
            continue
        shift = shifts[i] if len(shifts) else 0
        local = values[i] + shift
        days = local // 86_400_000_000
        rest = local - days * 86_400_000_000
        microsecond = rest % 1_000_000
        seconds = rest // 1_000_000
        year, month, day = _civil(days)
        for code in codes:
            if code < 256:
                out[position] = code
                position += 1
            elif code == 256:
                position = _digits(out, position, year, 4 if year < 10_000 else 6)
            elif code == 257:
                position = _digits(out, position, month, 2)
            elif code == 258:
                position = _digits(out, position, day, 2)
            elif code == 259:
                position = _digits(out, position, seconds // 3600, 2)
            elif code == 260:
                position = _digits(out, position, seconds // 60 % 60, 2)
            elif code == 261:
                position = _digits(out, position, seconds % 60, 2)
            elif code == 262:
                position = _digits(out, position, microsecond, 6)
            elif code == 263:
                if microsecond:
                    out[position] = 46
                    position = _digits(out, position + 1, microsecond, 6)
            elif code == 265:
                position = _digits(out, position, microsecond // 1000, 3)
            elif len(shifts) == 0:
                out[position] = 90  # Z
                position += 1
            else:
                minutes = abs(shift) // 60_000_000
                out[position] = 45 if shift < 0 else 43
                position = _digits(out, position + 1, minutes // 60, 2)
                out[position] = 58
                position = _digits(out, position + 1, minutes % 60, 2)
        offsets[i + 1] = position
    return position
