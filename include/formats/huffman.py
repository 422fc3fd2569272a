"""Huffman codes for deflate (RFC 1951, sections 3.2.2 and 3.2.7): lengths from counts, codes, and their header.

Compiled, integers only, every tie broken by the symbol's number: the same counts give the same bits anywhere.
Bits that wait for a full byte travel as (position in `out`, bits, how many): `put` adds some and writes.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from include.ledger.compiled import compiled

LITERALS, DISTANCES, WIDTHS = 286, 30, 19  # symbols: bytes, end and lengths; distances; widths of codes
_WIDEST_CODE, _WIDEST_WIDTH_CODE = 15, 7
_REPEAT, _ZEROS, _MORE_ZEROS = 16, 17, 18
_FIRST_LENGTH = 257
_WIDTHS_ORDER = np.array([16, 17, 18, 0, 8, 7, 9, 6, 10, 5, 11, 4, 12, 3, 13, 2, 14, 1, 15], np.uint8)
_FIRST_GAP = 121  # of the sort: 121, 40, 13, 4, 1
_BYTE, _SEVEN, _WHOLE = np.uint64(3), np.uint64(7), np.uint64(56)

Counts = NDArray[np.uint32]
Bits = tuple[np.uint64, np.uint64, np.uint64]
Number = int | np.integer[Any]


class Code(NamedTuple):
    """The symbols of one alphabet: how often each occurs, the width of its code in bits, and the code."""

    counts: Counts
    widths: NDArray[np.uint8]
    codes: NDArray[np.uint32]

    @staticmethod
    def of(symbols: int) -> Code:
        """Return an empty one."""
        return Code(np.zeros(symbols, np.uint32), np.zeros(symbols, np.uint8), np.zeros(symbols, np.uint32))


class Desk(NamedTuple):
    """Room to make a code in: sorted symbols, then a tree of at most twice as many nodes; and the header's runs."""

    order: NDArray[np.int64]
    weights: NDArray[np.int64]
    parents: NDArray[np.int64]
    depths: NDArray[np.int64]
    of_width: NDArray[np.int64]
    runs: NDArray[np.uint8]
    extras: NDArray[np.uint8]
    widths: Code

    @staticmethod
    def new() -> Desk:
        """Return an empty one."""
        order, weights, parents, depths = (np.zeros(2 * LITERALS, np.int64) for _ in range(4))
        runs, extras = (np.zeros(LITERALS + DISTANCES, np.uint8) for _ in range(2))
        return Desk(order, weights, parents, depths, np.zeros(16, np.int64), runs, extras, Code.of(WIDTHS))


@compiled
def put(
    out: NDArray[np.uint8], position: np.uint64, bits: np.uint64, held: np.uint64, code: Number, width: Number
) -> Bits:
    """Add `width` bits, at most 49, and write what is whole; 8 bytes from `position` on must be free."""
    bits |= np.uint64(code) << held
    held += np.uint64(width)
    for byte in range(np.uint64(8)):  # one store of 8 bytes, once compiled
        out[position + byte] = np.uint8(bits >> (byte << _BYTE))
    return position + (held >> _BYTE), bits >> (held & _WHOLE), held & _SEVEN


@compiled
def make(code: Code, widest: int, desk: Desk) -> None:
    """Set widths and codes from the counts: the shortest ones in which no code is wider than `widest`."""
    used = _sort(code.counts, desk.order)
    for symbol in range(len(code.widths)):
        code.widths[symbol] = 0
    if used == 1:
        code.widths[desk.order[0]] = 1
    elif used:
        _grow(code.counts, used, desk)
        _measure(used, widest, desk)
        leaf = 0
        for width in range(widest, 0, -1):
            for _ in range(desk.of_width[width]):
                code.widths[desk.order[leaf]] = width
                leaf += 1
    _number(code, desk.weights)


@compiled
def _sort(counts: Counts, order: NDArray[np.int64]) -> int:
    """Put the symbols that occur in order of count, then number; return how many they are."""
    used = 0
    for symbol in range(len(counts)):
        if counts[symbol]:
            order[used] = symbol
            used += 1
    gap = _FIRST_GAP
    while gap:
        for start in range(gap, used):
            symbol, place = order[start], start
            key = (np.int64(counts[symbol]) << 9) | symbol
            while place >= gap and (np.int64(counts[order[place - gap]]) << 9) | order[place - gap] > key:
                order[place] = order[place - gap]
                place -= gap
            order[place] = symbol
        gap //= 3
    return used


@compiled
def _grow(counts: Counts, used: int, desk: Desk) -> None:
    """Grow Huffman's tree: leaves 0 to used - 1 in order, then the inner nodes in order of weight."""
    for leaf in range(used):
        desk.weights[leaf] = counts[desk.order[leaf]]
    leaf, inner = 0, used
    for node in range(used, 2 * used - 1):
        desk.weights[node] = 0
        for _ in range(2):
            if leaf < used and (inner >= node or desk.weights[leaf] <= desk.weights[inner]):
                child = leaf
                leaf += 1
            else:
                child = inner
                inner += 1
            desk.weights[node] += desk.weights[child]
            desk.parents[child] = node


@compiled
def _measure(used: int, widest: int, desk: Desk) -> None:
    """Count the leaves of each depth; those that lie too deep are lifted, and others sunk to make room."""
    for width in range(len(desk.of_width)):
        desk.of_width[width] = 0
    desk.depths[2 * used - 2] = 0
    for node in range(2 * used - 3, -1, -1):
        desk.depths[node] = desk.depths[desk.parents[node]] + 1
        if node < used:
            desk.of_width[min(desk.depths[node], widest)] += 1
    taken = 0  # of the 2**widest codes that there are
    for width in range(1, widest + 1):
        taken += desk.of_width[width] << (widest - width)
    while taken > 1 << widest:
        width = widest - 1
        while desk.of_width[width] == 0:
            width -= 1
        desk.of_width[width] -= 1
        desk.of_width[width + 1] += 2
        desk.of_width[widest] -= 1
        taken -= 1


@compiled
def _number(code: Code, following: NDArray[np.int64]) -> None:
    """Set the codes: in order of width, then symbol; the first bit of a code is the lowest."""
    for width in range(_WIDEST_CODE + 1):
        following[width] = 0
    for symbol in range(len(code.widths)):
        following[code.widths[symbol]] += 1
    first = before = 0
    for width in range(1, _WIDEST_CODE + 1):
        first = (first + before) << 1
        before = following[width]
        following[width] = first
    for symbol in range(len(code.widths)):
        width = code.widths[symbol]
        if width:
            value, turned = following[width], 0
            following[width] += 1
            for _ in range(width):
                turned = (turned << 1) | (value & 1)
                value >>= 1
            code.codes[symbol] = turned


@compiled
def put_header(
    literals: Code, distances: Code, desk: Desk, out: NDArray[np.uint8], position: np.uint64,
    bits: np.uint64, held: np.uint64,
) -> Bits:  # fmt: skip
    """Make both codes and begin a block, not the last one, that is written in them."""
    make(literals, _WIDEST_CODE, desk)
    make(distances, _WIDEST_CODE, desk)
    last_literal, last_distance = LITERALS, DISTANCES
    while last_literal > _FIRST_LENGTH and literals.widths[last_literal - 1] == 0:
        last_literal -= 1
    while last_distance > 1 and distances.widths[last_distance - 1] == 0:
        last_distance -= 1
    runs = _runs(literals.widths, last_literal, distances.widths, last_distance, desk)
    code = desk.widths
    make(code, _WIDEST_WIDTH_CODE, desk)
    last_width = WIDTHS
    while last_width > 4 and code.widths[_WIDTHS_ORDER[last_width - 1]] == 0:
        last_width -= 1
    lasts = (last_literal - _FIRST_LENGTH) | (last_distance - 1) << 5 | (last_width - 4) << 10
    position, bits, held = put(out, position, bits, held, 4 | lasts << 3, 17)
    for place in range(last_width):
        position, bits, held = put(out, position, bits, held, code.widths[_WIDTHS_ORDER[place]], 3)
    for run in range(runs):
        symbol = desk.runs[run]
        position, bits, held = put(out, position, bits, held, code.codes[symbol], code.widths[symbol])
        if symbol >= _REPEAT:
            width = 2 if symbol == _REPEAT else 3 if symbol == _ZEROS else 7
            position, bits, held = put(out, position, bits, held, desk.extras[run], width)
    return position, bits, held


@compiled
def _runs(
    literals: NDArray[np.uint8],
    literals_count: int,
    distances: NDArray[np.uint8],
    distances_count: int,
    desk: Desk,
) -> int:
    """Write the widths of both codes, one after the other, as runs, counting their symbols; return how many."""
    for symbol in range(WIDTHS):
        desk.widths.counts[symbol] = 0
    total, at, runs = literals_count + distances_count, 0, 0
    while at < total:
        width = literals[at] if at < literals_count else distances[at - literals_count]
        same = 1
        while at + same < total and width == (
            literals[at + same] if at + same < literals_count else distances[at + same - literals_count]
        ):
            same += 1
        at += same
        begun = False
        while same:
            symbol, taken, least = int(width), 1, 1
            if width == 0 and same >= 11:
                symbol, taken, least = _MORE_ZEROS, min(same, 138), 11
            elif width == 0 and same >= 3:
                symbol, taken, least = _ZEROS, same, 3
            elif begun and same >= 3:
                symbol, taken, least = _REPEAT, min(same, 6), 3
            desk.runs[runs], desk.extras[runs] = symbol, taken - least
            desk.widths.counts[symbol] += 1
            runs += 1
            same -= taken
            begun = True
    return runs
