"""Deflate (RFC 1951) whose bytes depend on the content alone: on no processor, no library and no earlier call.

Compiled, in integers only. Matches are found greedily, through a table of where each hash of six bytes was
seen last; every TOKENS tokens get Huffman codes of their own; and each call ends with an empty stored block,
so that what several calls return can be joined into one stream. The size and speed are those of the fast levels
of the usual libraries. None of these promises the same bytes for other processors and for its next version.

A token is a byte, or a match's length, in 9 bits; then in 9 bits a second byte, the symbol of a match's distance,
or nothing; then the distance's extra bits.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from include.formats import huffman
from include.formats.huffman import Code, Desk, put
from include.ledger.compiled import compiled

STREAM_END = b"\x03\x00"  # an empty last block: what ends a stream of joined pieces
TOKENS = 1 << 15
_WINDOW, _LONGEST, _SHORTEST = np.uint64(1 << 15), np.uint64(258), np.uint64(3)
_HASH_BITS = 14
_SHIFT, _SIX_BYTES = np.uint64(64 - _HASH_BITS), np.uint64(16)
_MULTIPLIER = np.uint64(0x9E3779B97F4A7C15)
_FOUR_BYTES = np.uint64(0xFFFFFFFF)
_MARGIN = np.uint64(16)  # the last bytes are never looked up, so that 8 can be read at once
_ZERO, _ONE, _THREE, _SEVEN, _EIGHT, _FIELD = (np.uint64(n) for n in (0, 1, 3, 7, 8, 9))
_FIELD_MASK, _SECOND = np.uint64(511), np.uint64(256)
_NOTHING = np.uint64(286 << 9)
_EXTRA = np.uint64(18)
_END, _FIRST_LENGTH = 256, 257

# The lowest set bit of a power of two, through a de Bruijn sequence.
_SEQUENCE, _SEQUENCE_SHIFT = np.uint64(0x03F79D71B4CB0A89), np.uint64(58)
_LOWEST_BYTE = np.zeros(64, np.uint8)
for _bit in range(64):
    _LOWEST_BYTE[((int(_SEQUENCE) << _bit) % 2**64) >> 58] = _bit // 8


def _starts(extras: list[int], first: int) -> list[int]:
    """Return where the range of each symbol starts, each having 2**extra values."""
    return [first + sum(1 << extra for extra in extras[:symbol]) for symbol in range(len(extras))]


def _symbols(starts: list[int], values: range) -> NDArray[np.uint8]:
    return (np.searchsorted(starts, values, side="right") - 1).astype(np.uint8)


_lengths = [0] * 8 + [bits for bits in range(1, 6) for _ in range(4)]
_LENGTH_EXTRA = np.array([*_lengths, 0], np.uint8)
_LENGTH_START = np.array([*_starts(_lengths, 3), 258], np.uint16)  # 258 has a symbol of its own
_LENGTH_SYMBOL = _symbols(_LENGTH_START.tolist(), range(259))
_distances = [0, 0, *(bits for bits in range(14) for _ in range(2))]
_DISTANCE_EXTRA = np.array(_distances, np.uint8)
_DISTANCE_START = np.array(_starts(_distances, 1), np.uint16)
# Of distance d, less 1: at d - 1 below 256; at 256 + (d - 1) // 128 above, where ranges have at least 128 values.
_DISTANCE_SYMBOL = np.concatenate([
    _symbols(_DISTANCE_START.tolist(), range(1, 257)),
    _symbols(_DISTANCE_START.tolist(), range(1, 1 + (1 << 15), 128)),
])  # fmt: skip


class Room(NamedTuple):
    """What a call works in; one thread at a time. Nothing in it outlives a call."""

    last_seen: NDArray[np.uint32]
    tokens: NDArray[np.uint32]
    literals: Code
    distances: Code
    first: NDArray[np.uint32]
    second: NDArray[np.uint32]
    desk: Desk
    out: NDArray[np.uint8]


def room(size: int) -> Room:
    """Return room for contents of at most `size` bytes.

    A Huffman code is never longer than the fixed one of 9 bits a byte, and a match never than what it stands for.
    """
    return Room(
        np.zeros(1 << _HASH_BITS, np.uint32), np.zeros(TOKENS, np.uint32), Code.of(huffman.LITERALS),
        Code.of(huffman.DISTANCES), np.zeros(512, np.uint32), np.zeros(512, np.uint32), Desk.new(),
        np.zeros(size + size // 4 + 4096, np.uint8),
    )  # fmt: skip


def deflate(content: NDArray[np.uint8], room: Room) -> bytes:
    """Return blocks, none of them the last one, that hold the content and end at a whole byte."""
    return room.out[: _deflate(content, room)].tobytes()


@compiled
def _deflate(content: NDArray[np.uint8], room: Room) -> int:
    at = position = bits = held = _ZERO
    for place in range(len(room.last_seen)):
        room.last_seen[place] = 0
    while at < np.uint64(len(content)):
        for symbol in range(huffman.LITERALS):
            room.literals.counts[symbol] = 0
        for symbol in range(huffman.DISTANCES):
            room.distances.counts[symbol] = 0
        room.literals.counts[_END] = 1
        at, count = _find(content, at, room)
        position, bits, held = huffman.put_header(
            room.literals, room.distances, room.desk, room.out, position, bits, held
        )
        _spell(room)
        for place in range(count):
            token = np.uint64(room.tokens[place])
            first = np.uint64(room.first[token & _FIELD_MASK])
            second = np.uint64(room.second[(token >> _FIELD) & _FIELD_MASK])
            position, bits, held = _put_token(token, first, second, room.out, position, bits, held)
        literals = room.literals
        position, bits, held = put(
            room.out, position, bits, held, literals.codes[_END], literals.widths[_END]
        )
    position, bits, held = put(room.out, position, bits, held, 0, 3)  # a stored block
    if held:
        position, bits, held = put(room.out, position, bits, held, 0, _EIGHT - held)
    position, bits, held = put(room.out, position, bits, held, 0xFFFF0000, 32)
    return int(position)


@compiled
def _eight(content: NDArray[np.uint8], at: np.uint64) -> np.uint64:
    """The 8 bytes from `at` on, the first one lowest: one read, once compiled."""
    value = _ZERO
    for byte in range(_EIGHT):
        value |= np.uint64(content[at + byte]) << (byte << _THREE)
    return value


@compiled
def _hashed(eight: np.uint64) -> np.uint64:
    return ((eight << _SIX_BYTES) * _MULTIPLIER) >> _SHIFT


@compiled
def _same(difference: np.uint64) -> np.uint64:
    """How many of 8 bytes agree, by the xor of both, which is not 0."""
    lowest = difference & (~difference + _ONE)
    return np.uint64(_LOWEST_BYTE[(lowest * _SEQUENCE) >> _SEQUENCE_SHIFT])


@compiled
def _length(content: NDArray[np.uint8], earlier: np.uint64, at: np.uint64) -> np.uint64:
    """The length of a match that agrees in 8 bytes."""
    most = min(np.uint64(len(content)) - at, _LONGEST)
    length = _EIGHT
    while length + _EIGHT <= most:
        difference = _eight(content, earlier + length) ^ _eight(content, at + length)
        if difference:
            return length + _same(difference)
        length += _EIGHT
    while length < most and content[earlier + length] == content[at + length]:
        length += _ONE
    return length


@compiled
def _find(content: NDArray[np.uint8], at: np.uint64, room: Room) -> tuple[np.uint64, np.uint64]:
    """Write and count tokens from `at` on until they are TOKENS or all is said; return where, and how many."""
    size = np.uint64(len(content))
    safe = size - min(size, _MARGIN)
    count, lone, byte = _ZERO, _ZERO, _ZERO  # lone: 1 when the last token has room for a second byte
    while at < safe and count < np.uint64(TOKENS):
        eight = _eight(content, at)
        hashed = _hashed(eight)
        earlier = np.uint64(room.last_seen[hashed])
        room.last_seen[hashed] = at
        difference = _eight(content, earlier) ^ eight
        back = at - earlier - _ONE  # beyond the window where both are the same place
        if (difference & _FOUR_BYTES) == _ZERO and back < _WINDOW:
            length = _same(difference) if difference else _length(content, earlier, at)
            symbol = _DISTANCE_SYMBOL[back if back < _SECOND else _SECOND + (back >> _SEVEN)]
            extra = back + _ONE - np.uint64(_DISTANCE_START[symbol])
            room.literals.counts[_FIRST_LENGTH + _LENGTH_SYMBOL[length]] += 1
            room.distances.counts[symbol] += 1
            second = _SECOND + np.uint64(symbol)
            room.tokens[count] = (_SECOND + length - _SHORTEST) | second << _FIELD | extra << _EXTRA
            count += _ONE
            lone = _ZERO
            room.last_seen[_hashed(_eight(content, at + _ONE))] = at + _ONE
            at += length
            if at < safe + _THREE:
                room.last_seen[_hashed(_eight(content, at - _THREE))] = at - _THREE
        else:
            before, byte = byte, eight & np.uint64(255)
            room.literals.counts[byte] += 1
            room.tokens[count - lone] = before | byte << _FIELD if lone else byte | _NOTHING
            count += _ONE - lone
            lone = _ONE - lone
            at += _ONE
    while safe <= at < size and count < np.uint64(TOKENS):
        room.literals.counts[content[at]] += 1
        room.tokens[count] = np.uint64(content[at]) | _NOTHING
        count += _ONE
        at += _ONE
    return at, count


@compiled
def _spell(room: Room) -> None:
    """Make what tokens are written by: 24 bits of code and their number; 16, their number, and that with extra bits."""
    widths, codes = room.literals.widths, room.literals.codes
    for byte in range(256):
        room.first[byte] = codes[byte] | np.uint32(widths[byte]) << 24
        room.second[byte] = codes[byte] | np.uint32(widths[byte]) << 16 | np.uint32(widths[byte]) << 24
    for length in range(3, 259):
        symbol = _LENGTH_SYMBOL[length]
        width = widths[_FIRST_LENGTH + symbol]
        code = codes[_FIRST_LENGTH + symbol] | np.uint32(length - _LENGTH_START[symbol]) << width
        room.first[253 + length] = code | np.uint32(width + _LENGTH_EXTRA[symbol]) << 24
    for symbol in range(huffman.DISTANCES):
        width = room.distances.widths[symbol]
        code = room.distances.codes[symbol] | np.uint32(width) << 16
        room.second[256 + symbol] = code | np.uint32(width + _DISTANCE_EXTRA[symbol]) << 24


@compiled
def _put_token(
    token: np.uint64, first: np.uint64, second: np.uint64, out: NDArray[np.uint8], position: np.uint64,
    bits: np.uint64, held: np.uint64,
) -> huffman.Bits:  # fmt: skip
    width = first >> np.uint64(24)
    extra = (token >> _EXTRA) << ((second >> np.uint64(16)) & np.uint64(255))
    code = (first & np.uint64(0xFFFFFF)) | ((second & np.uint64(0xFFFF)) | extra) << width
    return put(out, position, bits, held, code, width + (second >> np.uint64(24)))
