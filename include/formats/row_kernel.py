"""The loop that writes rows of text, cell by cell: compiled, one column after the other, each byte once.

`rows` says what is in the table; nothing here knows a column, a dialect or a file.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from include.formats.cells import Bytes
from include.formats.instants import FIRST_INSTANT, LAST_INSTANT, write_instant
from include.formats.numbers import write_number
from include.ledger.compiled import compiled
from include.ledger.memory import load_byte, load_code, load_half, load_number, load_word, prefetch

# Fields of a column in the table: what to do, and where; then the dialect's: spans of `words`, quotes; and a number's.
KIND, DATA, NULLS, OFFSETS, DATA_END, AT, SPREAD, SCANNED, NEUTRALISED, TEXT_FIELDS = range(10)
PREFIX, PREFIX_END, NULL, NULL_END, QUOTING, QUOTE, QUOTE_EMPTY, SCALE, LEAST, SIGN, FIELDS = range(9, 20)
PLAIN, QUOTED, CAREFUL, NUMBER, INSTANT = (np.uint64(kind) for kind in range(5))
NEVER_QUOTE, QUOTE_WHEN_NEEDED, QUOTE_ALWAYS, BARE = 0, 1, 2, 3  # NEVER refuses a cell that needs quotes
ASKS_FOR_QUOTES = 128  # bit in `costs`; the lower bits count the bytes that escaping adds
DONE, MORE_ROOM = (
    -1,
    -2,
)  # else the column of a cell that needs quotes and may have none, or has no such instant
FIXED_WIDTH = 32  # what a number, an instant and quotes take at most
SLACK = 32  # bytes behind `words` and behind what is written, for whole words

Table = NDArray[np.uint64]
_ZERO, _ONE, _TWO, _THREE, _FOUR, _SIX, _SEVEN, _EIGHT = (np.uint64(n) for n in (0, 1, 2, 3, 4, 6, 7, 8))
_SHORT = np.uint64(24)
_NEAR, _FAR = np.uint64(4), np.uint64(8)
_REFUSED = np.uint64(2**64 - 1)


@compiled
def write(
    table: Table, words: np.uint64, rows: int, first: int, room: int, costs: Bytes, short: Bytes, lead: int, out: Bytes,
    position: np.uint64,
) -> tuple[int, np.uint64, int]:  # fmt: skip
    """Write rows from `first` on; return the row that was not written any more, the end of what was, and why.

    room: bytes that a row takes at most beside its texts. The last line of the table is what ends a row.
    """
    most = np.uint64(len(out)) - np.uint64(room)
    last = len(table) - 1
    for row in range(first, rows):
        begun, place = position, np.uint64(row)
        if position > most:
            return row, begun, MORE_ROOM
        _ask_ahead(table, place, np.uint64(rows))
        for column in range(last):
            position = _put_word(words, table[column, PREFIX], table[column, PREFIX_END], out, position)
            kind, there = table[column, KIND], _ONE
            if table[column, NULLS]:
                there ^= np.uint64(load_byte(table[column, NULLS] + place))
                # Where nothing stands for null, a text is one of no width: no branch that nobody can foretell.
                if (kind != PLAIN or table[column, NULL] != table[column, NULL_END]) and not there:
                    position = _put_word(words, table[column, NULL], table[column, NULL_END], out, position)
                    continue
            if kind <= CAREFUL:
                value = place
                if table[column, AT]:
                    value = there * np.uint64(load_code(table[column, AT] + place * _FOUR))
                offset = table[column, OFFSETS] + value * _FOUR
                start = np.uint64(load_half(offset))
                width = there * (np.uint64(load_half(offset + _FOUR)) - start)
                source = table[column, DATA] + start
                if position + (width * _SIX if kind == CAREFUL else width) > most:
                    return row, begun, MORE_ROOM
                if kind == PLAIN:
                    _copy(source, width, table[column, DATA_END], out, position)
                    position += width
                elif kind == QUOTED:
                    out[position] = table[column, QUOTE]
                    _copy(source, width, table[column, DATA_END], out, position + _ONE)
                    position += width + _TWO
                    out[position - _ONE] = table[column, QUOTE]
                else:
                    position = _put_carefully(
                        source, width, table, np.uint64(column), words, costs, short, lead, out, position
                    )
                    if position == _REFUSED:
                        return row, begun, column
            else:
                number = load_number(table[column, DATA] + place * _EIGHT)
                if kind == NUMBER:
                    scale, least = table[column, SCALE], table[column, LEAST]
                    position = write_number(number, scale, least, table[column, SIGN], out, position)
                elif FIRST_INSTANT <= number < LAST_INSTANT:
                    position = write_instant(np.uint64(number - FIRST_INSTANT), out, position)
                else:
                    return row, begun, column
        position = _put_word(words, table[last, PREFIX], table[last, PREFIX_END], out, position)
    return rows, position, DONE


@compiled
def _ask_ahead(table: Table, row: np.uint64, rows: np.uint64) -> None:
    """Ask for the texts of a row to come: those of large dictionaries lie anywhere, and memory is slow."""
    for column in range(len(table) - 1):
        if row & _SEVEN == _ZERO:
            if table[column, KIND] > CAREFUL:
                prefetch(table[column, DATA] + (row + np.uint64(32)) * _EIGHT)
            elif table[column, AT]:
                prefetch(table[column, AT] + (row + np.uint64(48)) * _FOUR)
            if table[column, NULLS]:
                prefetch(table[column, NULLS] + (row + np.uint64(64)))
        if table[column, SPREAD]:
            if row + _FAR < rows:
                value = np.uint64(load_code(table[column, AT] + (row + _FAR) * _FOUR))
                prefetch(table[column, OFFSETS] + value * _FOUR)
            if row + _NEAR < rows:
                value = np.uint64(load_code(table[column, AT] + (row + _NEAR) * _FOUR))
                start = np.uint64(load_half(table[column, OFFSETS] + value * _FOUR))
                prefetch(table[column, DATA] + start)


@compiled
def asks_for_care(
    offsets: NDArray[np.int32], data: np.uint64, scanned: bool, neutralised: bool, specials: tuple[int, int, int]
) -> tuple[bool, bool]:  # fmt: skip
    """Return whether any of these texts holds a byte of `specials`, and whether any could be a formula."""
    special = formula = False
    if scanned:
        first, second, below = np.uint8(specials[0]), np.uint8(specials[1]), np.uint8(specials[2])
        for at in range(np.uint64(offsets[0]), np.uint64(offsets[-1])):  # a vector loop: 20 GB/s
            byte = load_byte(data + at)
            special |= (byte == first) | (byte == second) | (byte < below)
    if neutralised:
        for value in range(len(offsets) - 1):
            start, stop = np.uint64(offsets[value]), np.uint64(offsets[value + 1])
            formula |= _dangerous(data + start, data + stop)
    return special, formula


@compiled
def _put_word(
    words: np.uint64, start: np.uint64, stop: np.uint64, out: Bytes, position: np.uint64
) -> np.uint64:
    """Write a span of `words`, mostly one byte, or none: eight at a time, of which the last may be too many."""
    for step in range(start, stop, _EIGHT):
        _put_bytes(load_word(words + step), _EIGHT, out, position + (step - start))
    return position + (stop - start)


@compiled
def _copy(source: np.uint64, width: np.uint64, end: np.uint64, out: Bytes, position: np.uint64) -> None:
    """Copy a text, mostly a short one, with some of what follows it: that costs less than a look at its width.

    end: of the memory that may be read.
    """
    if source + _SHORT <= end:
        for step in range(_ZERO, _SHORT, _EIGHT):
            _put_bytes(load_word(source + step), _EIGHT, out, position + step)
        if width <= _SHORT:
            return
    whole = width & ~_SEVEN
    for step in range(_ZERO, whole, _EIGHT):
        _put_bytes(load_word(source + step), _EIGHT, out, position + step)
    for at in range(whole, width):
        out[position + at] = load_byte(source + at)


@compiled
def _put_bytes(word: np.uint64, width: np.uint64, out: Bytes, position: np.uint64) -> None:
    """Write the lowest bytes of a word: one store, once compiled."""
    for byte in range(width):
        out[position + byte] = np.uint8(word >> (byte << _THREE))


@compiled
def _put_carefully(
    source: np.uint64, width: np.uint64, table: Table, column: np.uint64, words: np.uint64, costs: Bytes, short: Bytes,
    lead: int, out: Bytes, position: np.uint64,
) -> np.uint64:  # fmt: skip
    """Write a text that may need quotes, escapes or an apostrophe; return where it ends, or _REFUSED."""
    asked = table[column, QUOTE_EMPTY] != _ZERO and width == _ZERO
    null = table[column, NULL]
    if width and width == table[column, NULL_END] - null:
        same = True
        for byte in range(width):
            same = same and load_byte(source + byte) == load_byte(words + null + byte)
        asked = same  # the text that stands for null must not be taken for it
    escapes = False
    if table[column, SCANNED]:
        seen = np.uint8(0)
        for byte in range(width):
            seen |= costs[np.uint64(load_byte(source + byte))]
        asked = asked or seen >= ASKS_FOR_QUOTES
        escapes = (seen & np.uint8(ASKS_FOR_QUOTES - 1)) != 0
    quoting = table[column, QUOTING]
    if asked and quoting == NEVER_QUOTE:
        return _REFUSED
    quoted = quoting == QUOTE_ALWAYS or (asked and quoting == QUOTE_WHEN_NEEDED)
    if quoted:
        out[position] = table[column, QUOTE]
        position += _ONE
    if table[column, NEUTRALISED] and width:
        begins = load_byte(source)
        if (begins <= 64 or begins >= 0xC2) and _dangerous(source, source + width):
            out[position] = 39
            position += _ONE
    if escapes:
        for at in range(width):
            position = _escape(load_byte(source + at), costs, short, lead, position, out)
    else:
        _copy(source, width, table[column, DATA_END], out, position)
        position += width
    if quoted:
        out[position] = table[column, QUOTE]
        position += _ONE
    return position


@compiled
def _escape(
    byte: np.uint8, costs: Bytes, short: Bytes, lead: int, position: np.uint64, out: Bytes
) -> np.uint64:
    cost = costs[byte] & 127
    if cost == 0:
        out[position] = byte
        return position + _ONE
    out[position] = lead
    if cost == 1:
        out[position + _ONE] = short[byte]
        return position + _TWO
    out[position + _ONE] = 117  # u
    out[position + _TWO] = 48
    out[position + _THREE] = 48
    for place in range(_TWO):
        digit = byte >> 4 if place == 0 else byte & 15
        out[position + _FOUR + place] = digit + (48 if digit < 10 else 87)
    return position + _SIX


@compiled
def _dangerous(at: np.uint64, stop: np.uint64) -> bool:
    """Whether a spreadsheet could take the text for a formula (`csv` has the rule in words)."""
    while at < stop:
        byte = load_byte(at)
        left = stop - at
        second = load_byte(at + _ONE) if left > _ONE else np.uint8(0)
        third = load_byte(at + _TWO) if left > _TWO else np.uint8(0)
        if byte in (32, 39):  # a space, or an apostrophe that would hide what follows
            at += _ONE
        elif byte in (61, 43, 45, 64, 9, 10, 13):  # = + - @ TAB LF CR
            return True
        elif byte == 0xC2 and second == 0xA0:  # no-break space
            at += _TWO
        elif left > _TWO and byte == 0xE2 and second == 0x80 and (third <= 0x8F or third == 0xAF):
            at += _THREE  # the typographic spaces
        elif left > _TWO and (
            (byte == 0xE3 and second == 0x80 and third == 0x80)  # ideographic space
            or (byte == 0xEF and second == 0xBB and third == 0xBF)  # byte order mark
        ):
            at += _THREE
        else:
            # The full-width = + - @ are the only other beginnings.
            return byte == 0xEF and second == 0xBC and third in (0x9D, 0x8B, 0x8D, 0xA0)
    return False
