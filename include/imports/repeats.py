"""The same row twice: a table of hashes that tells, row by row, where the first of its kind stands.

14 to 21 bytes a row: the hashes in the order of rows, and an open table of places in that order.
"""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from include.ledger.compiled import compiled, read_only
from include.ledger.hashing import FNV_PRIME, text_hashes

_FULL = 0.75  # of the table's places
_STEP = 1 << 18  # rows by which it grows


class Repeats:
    """The rows so far. Two rows of one 64-bit hash count as the same: once in 370,000 files of 10 million rows."""

    def __init__(self) -> None:
        self._hashes = np.zeros(0, np.uint64)
        # Rows follow each other but for blank ones: where each unbroken run begins, its place and its row.
        self._run_places: list[NDArray[np.int64]] = []
        self._run_rows: list[NDArray[np.int64]] = []
        self._table = np.full(1 << 17, -1, np.int32)
        self._count = 0

    def firsts(self, rows: NDArray[np.int64], columns: list[pa.Array]) -> NDArray[np.int64]:
        """Add rows; return for each the number of the row that it repeats, or 0."""
        new = np.zeros(len(rows), np.uint64)
        for column in columns:
            new = new * FNV_PRIME ^ text_hashes(column)
        self._grow(len(new))
        start, self._count = self._count, self._count + len(new)
        self._hashes[start : self._count] = new
        begins = np.flatnonzero(np.diff(rows, prepend=-1) != 1)
        self._run_places.append(begins + start)
        self._run_rows.append(rows[begins])
        found = np.empty(len(new), np.int64)
        _add(self._hashes, self._table, start, read_only(new, np.uint64), found)
        repeats = np.flatnonzero(found >= 0)
        numbers = np.zeros(len(new), np.int64)
        if len(repeats):
            numbers[repeats] = self._numbers(found[repeats])
        return numbers

    def _numbers(self, places: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the row at each place."""
        begins, rows = np.concatenate(self._run_places), np.concatenate(self._run_rows)
        run = np.searchsorted(begins, places, side="right") - 1
        numbers: NDArray[np.int64] = rows[run] + places - begins[run]
        return numbers

    def _grow(self, more: int) -> None:
        needed = self._count + more
        if needed > len(self._hashes):
            self._hashes.resize(needed + _STEP, refcheck=False)
        size = len(self._table)
        while needed > _FULL * size:
            size *= 2
        if size > len(self._table):
            self._table = np.full(0, -1, np.int32)  # never two tables at a time
            self._table = np.full(size, -1, np.int32)
            found = np.empty(_STEP, np.int64)
            for start in range(0, self._count, _STEP):
                held = read_only(self._hashes[start : min(start + _STEP, self._count)], np.uint64)
                _add(self._hashes, self._table, start, held, found)


@compiled
def _add(
    hashes: NDArray[np.uint64],
    table: NDArray[np.int32],
    start: int,
    new: NDArray[np.uint64],
    found: NDArray[np.int64],
) -> None:
    """Put places `start` and on, of the hashes `new`, into the table; found: the place of the first alike, or -1."""
    mask = np.uint64(len(table) - 1)
    for i in range(len(new)):
        found[i] = -1
        slot = new[i] & mask
        while table[slot] >= 0:
            if hashes[table[slot]] == new[i]:
                found[i] = table[slot]
                break
            slot = (slot + np.uint64(1)) & mask
        if found[i] < 0:
            table[slot] = start + i
