"""Columns as the text of their cells: numbers and instants become bytes by compiled code, exactly.

What belongs here: the way from an Arrow column to (offsets, bytes, nulls), for every text format. What does
not: delimiters, quotes and rows, which are in `rows`. Points travel as integers of hundredths and money as
integers of its smallest unit, so no float is ever made.
"""

from __future__ import annotations

from functools import cache
from typing import NamedTuple, TypeAlias, TypeVar

import numba
import numpy as np
import numpy.typing as npt
import pyarrow as pa
import pyarrow.compute as pc

from include.formats.instants import write_instants
from include.formats.numbers import write_number
from include.ledger.compiled import compiled
from include.ledger.memory import address

MICROSECONDS_PER_DAY = 86_400_000_000
# A pattern is a list of codes: below 256 a byte as it stands, above one of these parts.
YEAR, MONTH, DAY, HOUR, MINUTE, SECOND, MICROSECOND, FRACTION, ZONE, MILLISECOND = range(256, 266)
ISO_INSTANT = "%Y-%m-%dT%H:%M:%S%F%z"
_PARTS = {
    "Y": YEAR, "m": MONTH, "d": DAY, "H": HOUR, "M": MINUTE, "S": SECOND, "f": MICROSECOND, "L": MILLISECOND,
    "z": ZONE,
}  # fmt: skip
_WIDEST_NUMBER = 24
_WIDEST_INSTANT = 27
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
    lie_at: tuple[int, int]  # the addresses of offsets and data

    @staticmethod
    def of(offsets: Offsets, data: Bytes, nulls: Nulls) -> Cells:
        """Return the cells of one value each."""
        return Cells(_fixed(offsets), _fixed(data), nulls, IN_PLACE, (address(offsets), address(data)))

    @property
    def rows(self) -> int:
        """How many cells."""
        return len(self.at) or len(self.offsets) - 1

    def same_values(self, other: Cells) -> bool:
        """Return whether the values of both lie in the same memory."""
        return self.lie_at == other.lie_at and len(self.offsets) == len(other.offsets)

    def cells(self) -> Cells:
        """Return them as they are."""
        return self

    def text(self, row: int) -> str:
        """Return a cell that is not null."""
        value = self.at[row] if len(self.at) else row
        return self.data[self.offsets[value] : self.offsets[value + 1]].tobytes().decode()


class Numbers(NamedTuple):
    """Exact decimals that no one has written yet: `values` are integers of 10**-scale units, `least` decimals shown."""

    values: npt.NDArray[np.int64]
    nulls: Nulls
    scale: int
    least: int
    decimal_sign: str

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.values)

    def cells(self) -> Cells:
        """Return them as texts."""
        out = np.empty(len(self.values) * _WIDEST_NUMBER, dtype=np.uint8)
        offsets = np.empty(len(self.values) + 1, dtype=np.int32)
        used = _write_numbers(
            self.values, self.nulls, self.scale, self.least, ord(self.decimal_sign), out, offsets
        )
        return Cells.of(offsets, out[:used], self.nulls)


class Instants(NamedTuple):
    """Instants in UTC that no one has written yet: microseconds since 1970, to be shown as ISO_INSTANT says."""

    values: npt.NDArray[np.int64]
    nulls: Nulls

    @property
    def rows(self) -> int:
        """How many."""
        return len(self.values)

    def cells(self) -> Cells:
        """Return them as texts, also those of years that have five digits."""
        out = np.empty(len(self.values) * _WIDEST_INSTANT, dtype=np.uint8)
        offsets = np.empty(len(self.values) + 1, dtype=np.int32)
        used = write_instants(self.values, self.nulls, out, offsets)
        if used >= 0:
            return Cells.of(offsets, out[:used], self.nulls)
        return _times_as_cells(self.values, NO_SHIFTS, self.nulls, pattern_codes(ISO_INSTANT))


def _fixed(array: npt.NDArray[_Number]) -> npt.NDArray[_Number]:
    """Return the array read-only: with one type for all cells, the kernels are compiled once."""
    array.flags.writeable = False
    return array


NO_BYTES: Bytes = _fixed(np.zeros(0, dtype=np.uint8))
NO_NULLS: Nulls = _fixed(np.zeros(0, dtype=np.bool_))
IN_PLACE: Offsets = _fixed(np.zeros(0, dtype=np.int32))
NO_SHIFTS: npt.NDArray[np.int64] = _fixed(np.zeros(0, dtype=np.int64))
Values: TypeAlias = Cells | Numbers | Instants


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
        return Cells.of(np.zeros(len(array) + 1, dtype=np.int32), NO_BYTES, _nulls(array))
    starts = _fixed(np.frombuffer(offsets, dtype=np.int32, count=len(array) + 1, offset=4 * array.offset))
    if data is None:
        return Cells.of(starts, NO_BYTES, _nulls(array))
    held = _fixed(np.frombuffer(data, dtype=np.uint8))
    return Cells(starts, held, _nulls(array), IN_PLACE, (offsets.address + 4 * array.offset, data.address))


def coded_cells(array: pa.DictionaryArray, values: Cells) -> Cells:
    """Return the cells of a dictionary column, of whose dictionary `values` are the cells."""
    indices = array.indices if array.indices.type == pa.int32() else array.indices.cast(pa.int32())
    places = np.frombuffer(indices.buffers()[1], dtype=np.int32)[indices.offset : indices.offset + len(array)]
    nulls = _nulls(indices)
    if len(values.nulls):
        of_values = np.take(values.nulls, places, mode="clip")  # the place of a null is any number
        nulls = _fixed(of_values | nulls if len(nulls) else of_values)
    return Cells(values.offsets, values.data, nulls, _fixed(places), values.lie_at)


def numbers(array: pa.Array, *, scale: int, least: int, decimal_sign: str = ".") -> Numbers | Cells:
    """Return exact decimals: `array` holds integers, or decimals, of 10**-scale units; cells where 64 bits are too few.

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
    return Numbers(values, _nulls(array), scale, min(least, scale), decimal_sign)


def times(array: pa.Array, codes: npt.NDArray[np.int16], zone: str = "UTC") -> Instants | Cells:
    """Return instants (timestamps in UTC) or dates as a pattern of `pattern_codes` says, seen in `zone`."""
    shifts = NO_SHIFTS
    if pa.types.is_date(array.type):
        days = array.cast(pa.date32()).view(pa.int32())
        whole = pc.multiply(days.cast(pa.int64()), MICROSECONDS_PER_DAY)
    else:
        instants = array.cast(pa.timestamp("us", tz="UTC"))
        whole = instants.view(pa.int64())
        if zone != "UTC":
            local = pc.local_timestamp(instants.cast(pa.timestamp("us", tz=zone))).view(pa.int64())
            shifts = _values(pc.subtract(local, whole))
    values, nulls = _values(whole), _nulls(array)
    if zone == "UTC" and codes is pattern_codes(ISO_INSTANT):
        return Instants(values, nulls)
    return _times_as_cells(values, shifts, nulls, codes)


def _times_as_cells(
    values: npt.NDArray[np.int64],
    shifts: npt.NDArray[np.int64],
    nulls: Nulls,
    codes: npt.NDArray[np.int16],
) -> Cells:
    widest = int(np.where(codes < YEAR, 1, _WIDEST_PART).sum())
    out = np.empty(len(values) * widest, dtype=np.uint8)
    offsets = np.empty(len(values) + 1, dtype=np.int32)
    used = _write_times(values, shifts, nulls, codes, out, offsets)
    return Cells.of(offsets, out[:used], nulls)


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


@compiled
def _write_numbers(
    values: npt.NDArray[np.int64],
    nulls: Nulls,
    scale: int,
    least: int,
    sign: int,
    out: Bytes,
    offsets: Offsets,
) -> int:
    position = np.uint64(0)
    offsets[0] = 0
    for i in range(len(values)):
        if not (len(nulls) and nulls[i]):
            position = write_number(
                values[i], np.uint64(scale), np.uint64(least), np.uint64(sign), out, position
            )
        offsets[i + 1] = position
    return int(np.int64(position))


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
