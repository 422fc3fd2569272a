"""The hash total of a column of ids, the control figure that shows a lost, doubled or altered id.

It is the sum modulo 2^64 of `include.ledger.hashing.text_hashes`, computed here by numpy, a byte position of
all rows at a time: the process that extracts would otherwise carry a compiler (100 MB) for this one figure.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

# FNV-1a, then the finalizer of splitmix64: include/ledger/hashing.py specifies them; a test compares.
FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)
MIX = ((np.uint64(30), np.uint64(0xBF58476D1CE4E5B9)), (np.uint64(27), np.uint64(0x94D049BB133111EB)))
SLICE_ROWS = 1 << 14  # what a slice needs stays in the processor's cache


def id_hash_total(ids: pa.ChunkedArray) -> int:
    """Return the sum of the hashes of all ids modulo 2^64; a null hashes as ''."""
    total = 0
    for chunk in ids.chunks:
        for start in range(0, len(chunk), SLICE_ROWS):
            total += _total(*_buffers(pc.fill_null(chunk.slice(start, SLICE_ROWS), "")))
    return total % (1 << 64)


def _buffers(texts: pa.StringArray) -> tuple[NDArray[np.int64], NDArray[np.uint8]]:
    """Return where each text begins (and the last one ends), and the bytes of all."""
    _, offsets, data = texts.buffers()
    positions = np.frombuffer(offsets, np.int32, len(texts) + 1, texts.offset * 4).astype(np.int64)
    return positions, np.frombuffer(data or b"", np.uint8)


def _total(offsets: NDArray[np.int64], data: NDArray[np.uint8]) -> int:
    lengths = np.diff(offsets)
    state = np.full(lengths.size, FNV_OFFSET)
    longest, shortest = int(lengths.max(initial=0)), int(lengths.min(initial=0))
    if longest == shortest:  # by far the most frequent: ids are made by one generator
        columns = data[offsets[0] : offsets[-1]].reshape(lengths.size, longest).T.astype(np.uint64)
        for column in columns:
            state ^= column
            state *= FNV_PRIME
    else:
        # The longest first: the rows that still have a byte at a position are then the first ones.
        starts = offsets[:-1][np.argsort(-lengths, kind="stable")]
        at_least = np.cumsum(np.bincount(lengths)[::-1])[::-1]
        for position in range(longest):
            active = int(at_least[position + 1])
            state[:active] ^= data[starts[:active] + position]
            state[:active] *= FNV_PRIME
    for shift, factor in MIX:
        state = (state ^ (state >> shift)) * factor
    state ^= state >> np.uint64(31)
    return int(state.sum(dtype=np.uint64))
