"""Cells joined into rows of text by compiled code: prefixes, quotes, escapes and formula neutralising.

One dialect table serves CSV and JSON Lines: what a byte costs when escaped, and whether it asks for quotes.
A row depends on nothing but itself, so the same rows give the same bytes however they are batched.
"""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from include.formats.cells import Bytes, Cells, Nulls, Offsets
from include.ledger.compiled import compiled

NEVER_QUOTE, QUOTE_WHEN_NEEDED, QUOTE_ALWAYS, BARE = 0, 1, 2, 3  # NEVER refuses a cell that needs quotes
_ASKS_FOR_QUOTES = 128  # bit in `costs`; the lower bits count the bytes that escaping adds
_LARGE = 1 << 23  # bytes of rows that no thread keeps room for
_WORD, _HALF = np.uint64(8), np.uint64(4)


@dataclass(frozen=True)
class Escapes:
    """How bytes are escaped inside quotes: `lead` and `short[byte]`, or `lead` u00XX where the cost is 5."""

    costs: Bytes
    short: Bytes
    lead: int
    specials: tuple[int, int, int]  # every byte with a cost is one of the first two, or below the third

    @staticmethod
    def of(lead: str, short: dict[str, str], *, asking: str = "", long: Sequence[int] = ()) -> Escapes:
        """Return the tables; `asking` are the characters that only ask for quotes."""
        costs = np.zeros(256, dtype=np.uint8)
        letters = np.zeros(256, dtype=np.uint8)
        for byte in long:
            costs[byte] = 5
        for character, letter in short.items():
            costs[ord(character)], letters[ord(character)] = 1, ord(letter)
        for character in asking:
            costs[ord(character)] |= _ASKS_FOR_QUOTES
        special = [int(byte) for byte in np.flatnonzero(costs)]
        high = [byte for byte in special if byte >= 32]
        below = max((byte for byte in special if byte < 32), default=-1) + 1
        return Escapes(costs, letters, ord(lead), (high[0], high[-1], below))


@dataclass(frozen=True)
class Cell:
    """How one column's cells stand in a row: what precedes them, and when they are quoted."""

    prefix: Bytes
    null: Bytes
    quoting: int
    quote: int
    scanned: bool  # False for cells that never hold a special byte
    neutralised: bool = False
    quote_empty: bool = False


class NeedsQuotes(Exception):
    """A cell cannot be written without quotes: its row in the batch, and its column's index."""

    def __init__(self, row: int, column: int) -> None:
        super().__init__(row, column)
        self.row, self.column = row, column


def calm(cells: Cells, cell: Cell, escapes: Escapes) -> Cell:
    """Return `cell` without the looks at each byte, where no value in `cells` holds one that asks for care.

    Worth it for the values of a dictionary, which are looked at once and written many times.
    """
    if _asks_for_care(cells.offsets, cells.data, cell.scanned, cell.neutralised, escapes.specials):
        return cell
    return replace(cell, scanned=False, neutralised=False)


class _Sheet(threading.local):
    """What a thread writes rows on before they leave as bytes: memory that is in use already costs no page faults."""

    def __init__(self) -> None:
        self._held: Bytes = np.empty(1 << 20, dtype=np.uint8)

    def of(self, size: int) -> Bytes:
        """Return room for `size` bytes, which holds whatever it held."""
        if size > _LARGE:
            return np.empty(size, dtype=np.uint8)
        if size > len(self._held):
            self._held = np.empty(size, dtype=np.uint8)
        return self._held[:size]


_sheet = _Sheet()


def join(columns: Sequence[Cells], layout: Sequence[Cell], escapes: Escapes, end: Bytes) -> bytes:
    """Return the rows as bytes. Raises NeedsQuotes where `quoting` forbids what a cell needs."""
    rows = columns[0].rows
    widths = np.full(rows, len(end), dtype=np.int64)
    marks = np.zeros((len(columns), rows), dtype=np.uint8)
    for index, (cells, cell) in enumerate(zip(columns, layout, strict=True)):
        failed = _measure(
            cells.offsets, cells.data, cells.nulls, cells.at, len(cell.prefix), cell.null, cell.quoting, cell.scanned,
            cell.neutralised, cell.quote_empty, escapes.costs, escapes.specials, widths, marks[index],
        )  # fmt: skip
        if failed >= 0:
            raise NeedsQuotes(failed, index)
    ends = np.cumsum(widths)
    cursor = ends - widths
    out = _sheet.of(int(ends[-1]) if rows else 0)
    for index, (cells, cell) in enumerate(zip(columns, layout, strict=True)):
        _put(
            cells.offsets, cells.data, cells.nulls, cells.at, cell.prefix, cell.null, cell.quote, marks[index],
            escapes.costs, escapes.short, escapes.lead, cursor, out,
        )  # fmt: skip
    _finish(end, cursor, out)
    return out.tobytes()


@compiled
def _dangerous(data: Bytes, start: np.int64, stop: np.int64) -> bool:
    """Whether a spreadsheet could take the text for a formula (`csv` has the rule in words)."""
    at = start
    while at < stop:
        byte = data[at]
        if byte in (32, 39):  # a space, or an apostrophe that would hide what follows
            at += 1
        elif byte in (61, 43, 45, 64, 9, 10, 13):  # = + - @ TAB LF CR
            return True
        elif at + 1 < stop and byte == 0xC2 and data[at + 1] == 0xA0:  # no-break space
            at += 2
        elif (
            at + 2 < stop
            and byte == 0xE2
            and data[at + 1] == 0x80
            and (data[at + 2] <= 0x8F or data[at + 2] == 0xAF)
        ):
            at += 3  # the typographic spaces
        elif at + 2 < stop and (
            (byte == 0xE3 and data[at + 1] == 0x80 and data[at + 2] == 0x80)  # ideographic space
            or (byte == 0xEF and data[at + 1] == 0xBB and data[at + 2] == 0xBF)  # byte order mark
        ):
            at += 3
        else:
            # The full-width = + - @ are the only other beginnings.
            if at + 2 >= stop or byte != 0xEF or data[at + 1] != 0xBC:
                return False
            return data[at + 2] in (0x9D, 0x8B, 0x8D, 0xA0)
    return False


@compiled
def _has_special(data: Bytes, start: int, stop: int, quote: int, other: int, control: int) -> bool:
    """Whether any byte of a column is one that the row scan must look at: a vector loop, 20 GB/s."""
    seen = False
    first, second, below = np.uint8(quote), np.uint8(other), np.uint8(control)
    for byte_at in range(np.uint64(start), np.uint64(stop)):
        byte = data[byte_at]
        seen |= (byte == first) | (byte == second) | (byte < below)
    return seen


@compiled
def _asks_for_care(
    offsets: Offsets, data: Bytes, scanned: bool, neutralised: bool, specials: tuple[int, int, int]
) -> bool:
    if scanned and _has_special(data, offsets[0], offsets[-1], specials[0], specials[1], specials[2]):
        return True
    if neutralised:
        for value in range(len(offsets) - 1):
            if _dangerous(data, np.int64(offsets[value]), np.int64(offsets[value + 1])):
                return True
    return False


@compiled
def _measure(
    offsets: Offsets,
    data: Bytes,
    nulls: Nulls,
    at: Offsets,
    prefix_width: int,
    null: Bytes,
    quoting: int,
    scanned: bool,
    neutralised: bool,
    quote_empty: bool,
    costs: Bytes,
    specials: tuple[int, int, int],
    widths: npt.NDArray[np.int64],
    marks: Bytes,
) -> int:
    if scanned and not len(at):
        scanned = _has_special(data, offsets[0], offsets[-1], specials[0], specials[1], specials[2])
    # Most columns ask for nothing: their widths are those of their cells, a loop without a question.
    if not (scanned or neutralised or quote_empty or len(null) or len(nulls)) and quoting == 1:
        for i in range(len(widths)):
            value = np.uint64(at[i]) if len(at) else np.uint64(i)
            widths[i] += prefix_width + offsets[value + np.uint64(1)] - offsets[value]
        return -1
    for i in range(len(widths)):
        if len(nulls) and nulls[i]:
            widths[i] += prefix_width + len(null)
            continue
        value = np.uint64(at[i]) if len(at) else np.uint64(i)
        start, stop = np.uint64(offsets[value]), np.uint64(offsets[value + np.uint64(1)])
        width = np.int64(stop - start)
        mark = 0
        asked = quote_empty and width == 0
        if len(null) > 0 and width == len(null):
            same = True
            for byte_at in range(width):
                same = same and data[start + np.uint64(byte_at)] == null[byte_at]
            asked = same  # the text that stands for null must not be taken for it
        if scanned:
            seen = np.uint8(0)
            added = 0
            for byte_at in range(start, stop):
                cost = costs[data[byte_at]]
                seen |= cost
                added += cost & 127
            asked = asked or seen >= 128
            if added:
                mark |= 4
                width += added
        if (
            neutralised
            and stop > start
            and (data[start] <= 64 or data[start] >= 0xC2)
            and _dangerous(data, np.int64(start), np.int64(stop))
        ):
            mark |= 2
            width += 1
        if quoting == 0:
            if asked:
                return i
        elif quoting == 2 or (asked and quoting == 1):
            mark |= 1
            width += 2
        widths[i] += prefix_width + width
        marks[i] = mark
    return -1


@compiled
def _copy(data: Bytes, start: np.uint64, stop: np.uint64, out: Bytes, position: np.uint64) -> None:
    """Copy a text, mostly a short one, in words that may overlap and never leave it."""
    width = stop - start
    if width >= _WORD:
        last = width - _WORD
        for word in range(np.uint64(0), last, _WORD):
            _copy_word(data, start + word, out, position + word, _WORD)
        _copy_word(data, start + last, out, position + last, _WORD)
    elif width >= _HALF:
        last = width - _HALF
        _copy_word(data, start, out, position, _HALF)
        _copy_word(data, start + last, out, position + last, _HALF)
    else:
        for byte in range(width):
            out[position + byte] = data[start + byte]


@compiled
def _copy_word(data: Bytes, start: np.uint64, out: Bytes, position: np.uint64, width: np.uint64) -> None:
    """Copy 4 or 8 bytes: one load and one store, once compiled."""
    word = np.uint64(0)
    for byte in range(width):
        word |= np.uint64(data[start + byte]) << (byte << np.uint64(3))
    for byte in range(width):
        out[position + byte] = np.uint8(word >> (byte << np.uint64(3)))


@compiled
def _put_text(text: Bytes, out: Bytes, position: np.uint64) -> np.uint64:
    """Write a prefix or what stands for null: mostly one byte, or none."""
    one = np.uint64(1)
    if len(text) == 1:
        out[position] = text[0]
        return position + one
    for byte in text:
        out[position] = byte
        position += one
    return position


@compiled
def _put(
    offsets: Offsets,
    data: Bytes,
    nulls: Nulls,
    at: Offsets,
    prefix: Bytes,
    null: Bytes,
    quote: int,
    marks: Bytes,
    costs: Bytes,
    short: Bytes,
    lead: int,
    cursor: npt.NDArray[np.int64],
    out: Bytes,
) -> None:
    # Positions are unsigned, so that no index can count from the end and the copies become vector code.
    one = np.uint64(1)
    for i in range(len(cursor)):
        position = _put_text(prefix, out, np.uint64(cursor[i]))
        if len(nulls) and nulls[i]:
            cursor[i] = _put_text(null, out, position)
            continue
        value = np.uint64(at[i]) if len(at) else np.uint64(i)
        start, stop = np.uint64(offsets[value]), np.uint64(offsets[value + np.uint64(1)])
        mark = marks[i]
        if mark & 1:
            out[position] = quote
            position += one
        if mark & 2:
            out[position] = 39
            position += one
        if mark & 4:
            for byte_at in range(start, stop):
                position = _escape(data[byte_at], costs, short, lead, position, out)
        else:
            _copy(data, start, stop, out, position)
            position += stop - start
        if mark & 1:
            out[position] = quote
            position += one
        cursor[i] = position


@compiled
def _escape(
    byte: np.uint8, costs: Bytes, short: Bytes, lead: int, position: np.uint64, out: Bytes
) -> np.uint64:
    cost = costs[byte] & 127
    if cost == 0:
        out[position] = byte
        return position + np.uint64(1)
    out[position] = lead
    if cost == 1:
        out[position + np.uint64(1)] = short[byte]
        return position + np.uint64(2)
    out[position + np.uint64(1)] = 117  # u
    out[position + np.uint64(2)] = 48
    out[position + np.uint64(3)] = 48
    for place in range(np.uint64(2)):
        digit = byte >> 4 if place == 0 else byte & 15
        out[position + np.uint64(4) + place] = digit + (48 if digit < 10 else 87)
    return position + np.uint64(6)


@compiled
def _finish(end: Bytes, cursor: npt.NDArray[np.int64], out: Bytes) -> None:
    for i in range(len(cursor)):
        for byte_at in range(len(end)):
            out[cursor[i] + byte_at] = end[byte_at]
