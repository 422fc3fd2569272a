"""PostgreSQL's binary COPY format as Arrow arrays: https://www.postgresql.org/docs/current/sql-copy.html.

Every row is a 16-bit number of fields, then for each its 32-bit length (-1: null) and its bytes, all big-endian.
A value that the type cannot hold exactly becomes null and is reported; nothing is rounded.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from enum import IntEnum
from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from include.ledger.compiled import compiled
from include.ledger.memory import PIECE, big_endian, copy_piece

_SIGNATURE = b"PGCOPY\n\xff\r\n\0"
# PostgreSQL counts from 2000-01-01.
_EPOCH_DAYS = 10_957
_EPOCH_MICROSECONDS = _EPOCH_DAYS * 86_400_000_000
_LARGEST, _LEAST = np.iinfo(np.int64).max, np.iinfo(np.int64).min
_NUMERIC_NEGATIVE, _NUMERIC_SPECIAL = 0x4000, 0xC000
_POWERS = 10 ** np.arange(19, dtype=np.int64)


class Wire(IntEnum):
    """What the server sends for a column, and so what its array holds."""

    TEXT = 0  # string
    INTEGER = 1  # int64, from bigint
    INSTANT = 2  # int64 microseconds since 1970, from timestamptz
    ENDLESS = 3  # the same, 'infinity' as null
    DATE = 4  # int64 days since 1970, from date
    BOOLEAN = 5  # int64, 0 or 1
    NUMERIC = 6  # int64 count of the last place that is kept


_TEXT, _INTEGER, _INSTANT, _ENDLESS = (int(x) for x in list(Wire)[:4])
_DATE, _BOOLEAN, _NUMERIC = (int(x) for x in list(Wire)[4:])
_RULES = ("", "too_many_decimals", "not_a_number", "not_an_instant", "not_a_date")
_DECIMALS, _NUMBER, _MOMENT, _DAY = range(1, 5)


class WireColumn(NamedTuple):
    """A column as it is sent; `places` are kept of a NUMERIC."""

    wire: Wire
    places: int = 0


class Refused(NamedTuple):
    """The first value of a column that its type cannot hold; `rule` as in `reading.SENTENCES`."""

    column: int
    row: int
    rule: str
    value: str


class Decoded(NamedTuple):
    """The rows of a block: a string or an int64 array for each column, and what was refused."""

    rows: int
    arrays: list[pa.Array]
    refused: list[Refused]


class CopyDecoder:
    """Decodes the blocks of one copy, in order: the first one begins with the format's header."""

    def __init__(self, columns: Sequence[WireColumn]) -> None:
        self._kinds = np.array([x.wire for x in columns], np.int64)
        self._places = np.array([x.places for x in columns], np.int64)
        # The place of each column among those of its sort: texts, and all others.
        is_text = self._kinds == Wire.TEXT
        self._places_of_sort = np.where(is_text, np.cumsum(is_text), np.cumsum(~is_text)) - 1
        self._begun = False

    def decode(self, block: NDArray[np.uint8]) -> Decoded:
        """Return the rows of the next block."""
        start = 0 if self._begun else _header_bytes(block)
        self._begun = True
        count = len(self._kinds)
        sizes = np.zeros(count, np.int64)
        rows = int(_measure(block, start, sizes))
        sizes[self._kinds != Wire.TEXT] = 0
        starts = np.cumsum(sizes + PIECE) - sizes - PIECE  # behind each column's texts is room
        texts = np.empty(int(sizes.sum()) + count * PIECE, np.uint8)
        offsets = np.zeros((int((self._kinds == Wire.TEXT).sum()), rows + 1), np.int32)
        values = np.zeros((count - len(offsets), rows), np.int64)
        valid = np.zeros((count, (rows + 7) // 8), np.uint8)
        nulls, wrong = np.zeros(count, np.int64), np.zeros((count, 3), np.int64)
        _split(
            block, start, rows, self._kinds, self._places, self._places_of_sort, starts,
            texts, offsets, values, valid, nulls, wrong,
        )  # fmt: skip
        arrays = []
        for column, (kind, place) in enumerate(zip(self._kinds, self._places_of_sort, strict=True)):
            bitmap = pa.py_buffer(valid[column]) if nulls[column] else None
            if kind == Wire.TEXT:
                data = pa.py_buffer(texts[starts[column] : starts[column] + sizes[column]])
                parts = [bitmap, pa.py_buffer(offsets[place]), data]
                arrays.append(pa.Array.from_buffers(pa.string(), rows, parts, int(nulls[column])))
            else:
                parts = [bitmap, pa.py_buffer(values[place])]
                arrays.append(pa.Array.from_buffers(pa.int64(), rows, parts, int(nulls[column])))
        return Decoded(rows, arrays, self._refused(block, wrong))

    def _refused(self, block: NDArray[np.uint8], wrong: NDArray[np.int64]) -> list[Refused]:
        found = []
        for column in np.flatnonzero(wrong[:, 0]):
            rule, row, at = (int(x) for x in wrong[column])
            shown = "infinity or -infinity"
            if self._kinds[column] == Wire.NUMERIC:
                shown = _numeric_text(block[at:].tobytes())
            found.append(Refused(int(column), row, _RULES[rule], shown))
        return found


def compile_now() -> None:
    """Compile what decodes rows: a copy without any."""
    nothing = _SIGNATURE + bytes(8) + b"\xff\xff"
    CopyDecoder([WireColumn(Wire.TEXT), WireColumn(Wire.INTEGER)]).decode(
        np.frombuffer(bytearray(nothing), np.uint8)
    )


def _header_bytes(block: NDArray[np.uint8]) -> int:
    """Return where the first row begins; a header may have an extension."""
    head = block[:19].tobytes()
    if not head.startswith(_SIGNATURE):
        raise ValueError("this is no binary COPY")
    return 19 + int.from_bytes(head[15:19], "big")


def _numeric_text(content: bytes) -> str:
    """Return a NUMERIC that was refused as text."""
    count, weight, sign = (
        int.from_bytes(content[at : at + 2], "big", signed=signed)
        for at, signed in ((0, False), (2, True), (4, False))
    )
    if sign >= _NUMERIC_SPECIAL:
        return {0xC000: "NaN", 0xD000: "Infinity"}.get(sign, "-Infinity")
    digits = "".join(f"{int.from_bytes(content[8 + 2 * n : 10 + 2 * n], 'big'):04d}" for n in range(count))
    number = Decimal(digits).scaleb(4 * (weight + 1 - count)).normalize()
    return f"{-number if sign else number:f}"


@compiled
def _integer(block: NDArray[np.uint8], at: int, size: int) -> int:
    """Return the signed big-endian integer of `size` bytes."""
    start = np.uint64(at)  # what is not signed is not looked at for counting from the end
    number = np.int64(np.int8(block[start]))
    for place in range(1, size):
        number = (number << np.int64(8)) | np.int64(block[start + np.uint64(place)])
    return int(number)


@compiled
def _measure(block: NDArray[np.uint8], start: int, sizes: NDArray[np.int64]) -> int:
    """Return how many rows there are, and add to `sizes` the bytes of each column."""
    at, rows = start, 0
    while at + 2 <= block.size and _integer(block, at, 2) >= 0:  # a row of -1 fields is the end
        at += 2
        for column in range(sizes.size):
            length: int = big_endian(block.ctypes.data + at)
            at += 4
            if length > 0:
                sizes[column] += length
                at += length
        rows += 1
    return rows


@compiled
def _split(
    block: NDArray[np.uint8],
    start: int,
    rows: int,
    kinds: NDArray[np.int64],
    places: NDArray[np.int64],
    places_of_sort: NDArray[np.int64],
    text_starts: NDArray[np.int64],
    texts: NDArray[np.uint8],
    offsets: NDArray[np.int32],
    values: NDArray[np.int64],
    valid: NDArray[np.uint8],
    nulls: NDArray[np.int64],
    wrong: NDArray[np.int64],
) -> None:
    """Fill the buffers of all columns, which come as zeros; `wrong` gets rule, row and place of the first one."""
    at = start
    for row in range(rows):
        at += 2
        for column in range(kinds.size):
            kind, place = kinds[column], places_of_sort[column]
            length: int = big_endian(block.ctypes.data + at)
            at += 4
            held = length >= 0
            if kind == _TEXT:
                used = offsets[place, row]
                _copy_text(block, at, max(length, 0), texts, text_starts[column] + used)
                offsets[place, row + 1] = used + max(length, 0)
            elif held:
                value, rule = _value(block, at, kind, places[column])
                values[place, row] = value
                held = rule == 0 and not (kind == _ENDLESS and value == _LARGEST)
                if rule != 0 and wrong[column, 0] == 0:
                    wrong[column, 0], wrong[column, 1], wrong[column, 2] = rule, row, at
            valid[column, row >> 3] |= np.uint8(np.int64(held) << (row & 7))
            nulls[column] += np.int64(not held)
            at += max(length, 0)


@compiled
def _copy_text(block: NDArray[np.uint8], at: int, length: int, texts: NDArray[np.uint8], to: int) -> None:
    """Copy a text by 16 bytes: what they bring from behind it falls into room, or the next text takes its place."""
    if at + length + PIECE > block.size:
        for byte in range(length):
            texts[np.uint64(to + byte)] = block[np.uint64(at + byte)]
        return
    source, target = block.ctypes.data + at, texts.ctypes.data + to
    copy_piece(source, target)  # most texts are short: not to ask spares the processor wrong guesses
    for done in range(PIECE, length, PIECE):
        copy_piece(source + done, target + done)


@compiled
def _value(block: NDArray[np.uint8], at: int, kind: int, places: int) -> tuple[int, int]:
    """Return the value and the rule that it breaks, 0 for none; an endless instant is the largest number."""
    if kind == _NUMERIC:
        return _numeric(block, at, places)
    if kind == _BOOLEAN:
        return int(block[at]), 0
    if kind == _DATE:
        day = _integer(block, at, 4)
        return day + _EPOCH_DAYS, (_DAY if day == 2**31 - 1 or day == -(2**31) else 0)
    number = _integer(block, at, 8)
    if kind == _INTEGER or (kind == _ENDLESS and number == _LARGEST):
        return number, 0
    if number in (_LARGEST, _LEAST):
        return 0, _MOMENT
    return number + _EPOCH_MICROSECONDS, 0


@compiled
def _numeric(block: NDArray[np.uint8], at: int, places: int) -> tuple[int, int]:
    """Return a NUMERIC as a count of its last place that is kept.

    It is sent as a number of digits in base 10000, the weight of the first (a power of 10000), the sign, the
    scale for display, and the digits, 16 bits each.
    """
    count, weight = _integer(block, at, 2), _integer(block, at + 2, 2)
    sign = _integer(block, at + 4, 2) & 0xFFFF
    if sign >= _NUMERIC_SPECIAL:
        return 0, _NUMBER
    total = 0
    for index in range(count):
        digit = _integer(block, at + 8 + 2 * index, 2)
        exponent = 4 * (weight - index) + places
        if exponent >= 0:
            if exponent > 18 or digit > _LARGEST // _POWERS[exponent]:
                return 0, _NUMBER
            share = digit * _POWERS[exponent]
        else:
            power = _POWERS[min(-exponent, 4)]
            if digit % power != 0:
                return 0, _DECIMALS
            share = digit // power
        if total > _LARGEST - share:
            return 0, _NUMBER
        total += share
    return (-total if sign == _NUMERIC_NEGATIVE else total), 0
