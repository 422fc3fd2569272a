"""Finding texts among many, compiled: a table of slots, open addressing, by `hashing.text_hashes`.

A hash only says where to look: texts are compared byte by byte. numba's cache looks only at the file of the
function that is called, so everything compiled stays in this one.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from include.ledger.compiled import compiled, read_only
from include.ledger.rows import Ints
from include.ledger.text_buffers import Text, TextBuffers, text_buffers

Hashes = NDArray[np.uint64]
_FEWEST_SLOTS = 16


class TextIndex:
    """Where texts stand among `texts`; of equal ones the first in `order` counts.

    hashes: uint64 of each text, spread over all bits.
    """

    def __init__(self, texts: Text, hashes: Hashes, order: Ints) -> None:
        slots = 1 << max(2 * order.size, _FEWEST_SLOTS).bit_length()
        self._slots = np.full(slots, -1, np.int32)
        self._texts = text_buffers(texts)
        self._hashes = read_only(hashes, np.uint64)
        _fill(self._hashes, self._texts, read_only(order, np.int64), self._slots)

    def find(self, texts: Text, hashes: Hashes) -> NDArray[np.int32]:
        """Return where each text stands, -1 where it is not: int32[texts]. A null reads as ''."""
        found = np.empty(len(texts), np.int32)
        _find(
            self._hashes, self._texts, self._slots, read_only(hashes, np.uint64), text_buffers(texts), found
        )
        return found


@compiled
def _same(a: TextBuffers, i: int, b: TextBuffers, j: int) -> bool:
    start, other = np.uint64(a.offsets[i]), np.uint64(b.offsets[j])
    length = np.uint64(a.offsets[i + 1]) - start
    if np.uint64(b.offsets[j + 1]) - other != length:
        return False
    for byte in range(length):  # noqa: SIM110 (all() of a generator does not compile)
        if a.data[start + byte] != b.data[other + byte]:
            return False
    return True


@compiled
def _slot(
    hashes: Hashes,
    texts: TextBuffers,
    slots: NDArray[np.int32],
    hash_: np.uint64,
    among: TextBuffers,
    at: int,
) -> np.uint64:
    """The slot that holds the text `at` of `among`, or the free one where it would stand."""
    last = np.uint64(slots.size - 1)
    place = hash_ & last
    while slots[place] >= 0:
        held = slots[place]
        if hashes[held] == hash_ and _same(texts, held, among, at):
            break
        place = (place + np.uint64(1)) & last
    return place


@compiled
def _fill(hashes: Hashes, texts: TextBuffers, order: Ints, slots: NDArray[np.int32]) -> None:
    for row in order:
        place = _slot(hashes, texts, slots, hashes[row], texts, row)
        if slots[place] < 0:
            slots[place] = row


@compiled
def _find(
    hashes: Hashes,
    texts: TextBuffers,
    slots: NDArray[np.int32],
    wanted: Hashes,
    among: TextBuffers,
    found: NDArray[np.int32],
) -> None:
    for row in range(found.size):
        found[row] = slots[_slot(hashes, texts, slots, wanted[row], among, row)]
