"""Cells joined into rows of markup by compiled code: tags, row numbers and entities, for XML and XLSX.

What belongs here: bytes around values. What does not: which tags there are, and what a column's text is.
A row depends on nothing but itself and its number, so the same rows give the same bytes however they are batched.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from include.formats.cells import NO_BYTES, Bytes, Cells
from include.ledger.compiled import compiled, read_only

# What a byte asks for: nothing, one of the entities (from 1), or a closer look.
_FORBIDDEN, _UNDERSCORE, _NONCHARACTER = 255, 254, 253
_LONGEST_ENTITY = 6  # &quot;
_LONGEST_NUMBER = 20
_PARTS = 5  # of a tag: head, before, after, and the two of odd values

Places = npt.NDArray[np.int64]


class Tag(NamedTuple):
    """What stands around one column's values; where there is none (null), nothing stands at all.

    `head`, then the row's number where `numbered`, then `before`, the value, `after`. The values that the caller
    calls odd have the pair `odd` instead of `before` and `after`. `escaped`: the value is any text.
    """

    before: str
    after: str
    head: str = ""
    numbered: bool = False
    escaped: bool = False
    odd: tuple[str, str] = ("", "")


class Forbidden(Exception):
    """A cell holds a character that the markup cannot: its row in the batch, and its column's index."""

    def __init__(self, row: int, column: int) -> None:
        super().__init__(row, column)
        self.row, self.column = row, column


class Markup:
    """The layout of rows. `row`: the tag of a row, of which only head, numbered and before are used; `end` closes it.

    `entities`: what stands for a character. `underscores`: `_x0041_` in a text is forbidden as well, because the
    format reads it as an escape.
    """

    def __init__(
        self,
        tags: Sequence[Tag],
        *,
        row: Tag,
        end: str,
        entities: Mapping[str, str],
        underscores: bool = False,
    ) -> None:
        self._tags = (row, *tags)
        parts = [[tag.head, tag.before, tag.after, *tag.odd] for tag in self._tags]
        texts = [text.encode() for part in parts for text in part]
        ends = np.cumsum([len(text) for text in texts], dtype=np.int64).reshape(-1, _PARTS)
        self._texts = read_only(np.frombuffer(b"".join(texts), np.uint8), np.uint8)
        starts = np.concatenate([[0], ends.ravel()[:-1]]).astype(np.int64).reshape(-1, _PARTS)
        self._spans = read_only(np.stack([starts, ends], axis=-1), np.int64)
        self._widest = int((ends - starts).sum()) + _LONGEST_NUMBER * len(self._tags) + len(end)
        self._flags = read_only(np.array([[tag.numbered, tag.escaped] for tag in self._tags]), np.bool_)
        self._end = read_only(np.frombuffer(end.encode(), np.uint8), np.uint8)
        self._asks, self._entities = _entities(entities, underscores=underscores)

    def join(self, columns: Sequence[Cells], odd: Mapping[int, npt.NDArray[np.bool_]], number: int) -> bytes:
        """Return the rows as bytes, of which the first has this number; `odd` by column, rows that are odd.

        Raises Forbidden for the first cell that holds a forbidden character.
        """
        rows = columns[0].rows
        starts, stops, values = _gathered(columns)
        oddities = np.zeros((len(columns), rows), np.bool_)
        for column, mask in odd.items():
            oddities[column] = mask
        widths = np.maximum(stops - starts, 0).sum(axis=1)
        factors = np.where(self._flags[1:, 1], _LONGEST_ENTITY, 1)
        out = np.empty(int((widths * factors).sum()) + rows * self._widest, np.uint8)
        used = int(_join(
            read_only(values, np.uint8), read_only(starts, np.int64), read_only(stops, np.int64),
            read_only(oddities, np.bool_), self._texts, self._spans,
            self._flags, self._end, self._asks, self._entities, number, out,
        ))  # fmt: skip
        if used < 0:
            row, column = divmod(-1 - used, len(columns))
            raise Forbidden(row, column)
        return out[:used].tobytes()


def _entities(entities: Mapping[str, str], *, underscores: bool) -> tuple[Bytes, Bytes]:
    """Return what each byte asks for, and the entities: by number its length, then its bytes."""
    asks = np.zeros(256, np.uint8)
    asks[:32] = _FORBIDDEN
    asks[[9, 10, 13]] = 0
    asks[0xEF] = _NONCHARACTER
    if underscores:
        asks[ord("_")] = _UNDERSCORE
    table = np.zeros((len(entities) + 1, _LONGEST_ENTITY + 1), np.uint8)
    for number, (character, entity) in enumerate(entities.items(), 1):
        asks[ord(character)] = number
        table[number, 0] = len(entity)
        table[number, 1 : 1 + len(entity)] = np.frombuffer(entity.encode(), np.uint8)
    return read_only(asks, np.uint8), read_only(table, np.uint8)


def _gathered(columns: Sequence[Cells]) -> tuple[Places, Places, Bytes]:
    """Return where each column's cells start and stop in all their bytes put together; a null starts at -1."""
    rows, base = columns[0].rows, 0
    starts = np.empty((len(columns), rows), np.int64)
    stops = np.empty((len(columns), rows), np.int64)
    held = []
    for index, cells in enumerate(columns):
        first, last = (int(cells.offsets[0]), int(cells.offsets[-1])) if len(cells.offsets) else (0, 0)
        held.append(cells.data[first:last])
        begins, ends = cells.offsets[:-1], cells.offsets[1:]
        if len(cells.at) and len(begins):  # without values, all cells are null
            # The place of a null is any number.
            begins, ends = np.take(begins, cells.at, mode="clip"), np.take(ends, cells.at, mode="clip")
        starts[index] = begins if len(begins) else 0
        stops[index] = ends if len(ends) else 0
        starts[index] += base - first
        stops[index] += base - first
        if len(cells.nulls):
            starts[index, cells.nulls] = -1
            stops[index, cells.nulls] = -1
        base += last - first
    return starts, stops, np.concatenate(held) if held else NO_BYTES


@compiled
def _copy(source: Bytes, start: np.uint64, stop: np.uint64, out: Bytes, at: np.uint64) -> np.uint64:
    # Positions are unsigned, so that no index can count from the end and the copies become vector code.
    width = stop - start
    for byte_at in range(width):
        out[at + byte_at] = source[start + byte_at]
    return at + width


@compiled
def _put_number(number: int, out: Bytes, at: np.uint64) -> np.uint64:
    left, width = np.uint64(number), np.uint64(1)
    power = np.uint64(10)
    while left >= power:
        power *= np.uint64(10)
        width += np.uint64(1)
    place = at + width
    for _ in range(width):
        place -= np.uint64(1)
        tens = left // np.uint64(10)
        out[place] = np.uint8(48) + np.uint8(left - tens * np.uint64(10))
        left = tens
    return at + width


@compiled
def _is_forbidden(ask: np.uint8, values: Bytes, at: np.uint64, stop: np.uint64) -> bool:
    """Whether a byte that asks for a closer look begins what must not be written."""
    if ask == 255:
        return True
    if ask == 253:  # U+FFFE and U+FFFF are EF BF BE and EF BF BF
        inside = at + np.uint64(2) < stop
        return bool(inside and values[at + np.uint64(1)] == 0xBF and values[at + np.uint64(2)] >= 0xBE)
    if at + np.uint64(6) >= stop or values[at + np.uint64(1)] != 120 or values[at + np.uint64(6)] != 95:
        return False
    hexadecimal = True
    for digit in range(np.uint64(2), np.uint64(6)):
        byte = values[at + digit]
        hexadecimal &= bool(48 <= byte <= 57 or 65 <= byte <= 70 or 97 <= byte <= 102)
    return hexadecimal


@compiled
def _put_text(
    values: Bytes, start: np.uint64, stop: np.uint64, asks: Bytes, entities: Bytes, out: Bytes, at: np.uint64
) -> np.int64:
    """Write a text with entities; return where it ends, or -1 for a forbidden character."""
    for byte_at in range(start, stop):
        byte = values[byte_at]
        ask = asks[byte]
        if ask == 0:
            out[at] = byte
            at += np.uint64(1)
        elif ask < 253:
            for letter in range(np.uint64(entities[ask, 0])):
                out[at + letter] = entities[ask, letter + np.uint64(1)]
            at += np.uint64(entities[ask, 0])
        elif _is_forbidden(ask, values, np.uint64(byte_at), stop):
            return np.int64(-1)
        else:
            out[at] = byte
            at += np.uint64(1)
    return np.int64(at)


@compiled
def _join(
    values: Bytes,
    starts: Places,
    stops: Places,
    odd: npt.NDArray[np.bool_],
    texts: Bytes,
    spans: Places,
    flags: npt.NDArray[np.bool_],
    end: Bytes,
    asks: Bytes,
    entities: Bytes,
    number: int,
    out: Bytes,
) -> np.int64:
    at = np.uint64(0)
    columns, rows = starts.shape
    for row in range(rows):
        at = _copy(texts, np.uint64(spans[0, 0, 0]), np.uint64(spans[0, 0, 1]), out, at)
        if flags[0, 0]:
            at = _put_number(number + row, out, at)
        at = _copy(texts, np.uint64(spans[0, 1, 0]), np.uint64(spans[0, 1, 1]), out, at)
        for column in range(columns):
            start = starts[column, row]
            if start < 0:
                continue
            part = column + 1
            at = _copy(texts, np.uint64(spans[part, 0, 0]), np.uint64(spans[part, 0, 1]), out, at)
            if flags[part, 0]:
                at = _put_number(number + row, out, at)
            kind = 3 if odd[column, row] else 1
            at = _copy(texts, np.uint64(spans[part, kind, 0]), np.uint64(spans[part, kind, 1]), out, at)
            first, last = np.uint64(start), np.uint64(stops[column, row])
            if flags[part, 1]:
                ended = _put_text(values, first, last, asks, entities, out, at)
                if ended < 0:
                    return np.int64(-1 - (row * columns + column))
                at = np.uint64(ended)
            else:
                at = _copy(values, first, last, out, at)
            kind += 1
            at = _copy(texts, np.uint64(spans[part, kind, 0]), np.uint64(spans[part, kind, 1]), out, at)
        at = _copy(end, np.uint64(0), np.uint64(len(end)), out, at)
    return np.int64(at)
