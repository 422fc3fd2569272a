"""Heaps of lots, by two keys and then by row; compiled into booking_kernel.py.

`usable` lots have major = expires_at and minor = activates_at: that is docs/ledger.md section 3 rule 2.
Waiting lots have them the other way round: the order of activation.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from include.ledger.compiled import compiled
from include.ledger.rows import Ints


@compiled
def precedes(a: int, b: int, major: Ints, minor: Ints) -> bool:
    """Whether lot `a` stands before lot `b`."""
    if major[a] != major[b]:
        return bool(major[a] < major[b])
    if minor[a] != minor[b]:
        return bool(minor[a] < minor[b])
    return a < b  # the order of rows is that of created_at, then transaction_id


@compiled
def push(heap: NDArray[np.int32], size: int, row: int, major: Ints, minor: Ints) -> None:
    """Adds a row to a heap of `size` rows."""
    at = size
    while at > 0:
        parent = (at - 1) >> 1
        if not precedes(row, heap[parent], major, minor):
            break
        heap[at] = heap[parent]
        at = parent
    heap[at] = row


@compiled
def pop(heap: NDArray[np.int32], size: int, major: Ints, minor: Ints) -> None:
    """Removes the top of a heap of `size` rows."""
    row = heap[size - 1]
    size -= 1
    at = 0
    while True:
        child = 2 * at + 1
        if child >= size:
            break
        if child + 1 < size and precedes(heap[child + 1], heap[child], major, minor):
            child += 1
        if not precedes(heap[child], row, major, minor):
            break
        heap[at] = heap[child]
        at = child
    heap[at] = row
