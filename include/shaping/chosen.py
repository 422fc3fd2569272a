"""Rows kept by a list of texts that is too long for a filter, such as the customers that another report has found.

Rows are matched by the 64-bit hashes of the texts and then compared, so what is kept is exact; it takes about 40 bytes
and twice its length for each text, and no time that follows how many there are, but once.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.ledger.hashing import text_hashes

_Ints = NDArray[np.int64]


class Chosen:
    """Texts in any number and order, some of them perhaps twice; nulls are none of them."""

    def __init__(self, texts: Iterable[pa.Array]) -> None:
        parts = [part.drop_null() for part in texts]
        hashes = np.concatenate([np.empty(0, np.uint64), *(text_hashes(part) for part in parts)])
        order = np.argsort(hashes)
        self._hashes = hashes[order]
        whole = pa.chunked_array(parts, pa.string()).cast(pa.large_string()).combine_chunks()
        self._texts = whole.take(pa.array(order))

    def mask(self, array: pa.Array) -> pa.BooleanArray:
        """Return which values of a text column, dictionary-encoded or not, are among the texts."""
        if pa.types.is_dictionary(array.type):
            return self.mask(array.dictionary.cast(pa.string())).take(array.indices).fill_null(False)
        hashes = text_hashes(array)
        place = np.searchsorted(self._hashes, hashes)
        found = np.zeros(len(array), np.bool_)
        open_ = self._like(np.arange(len(array)), place, hashes)
        while open_.size:
            same = pc.equal(self._texts.take(pa.array(place[open_])), array.take(pa.array(open_)))
            equal = same.fill_null(False).to_numpy(zero_copy_only=False)
            found[open_[equal]] = True
            # Texts may share a hash, and then lie side by side.
            place[open_] += 1
            open_ = self._like(open_[~equal], place, hashes)
        return pa.array(found)

    def kept(self, batches: Iterable[pa.RecordBatch], field: str) -> Iterator[pa.RecordBatch]:
        """Yield the rows whose `field` is one of the texts."""
        for batch in batches:
            yield batch.filter(self.mask(batch.column(field)))

    def _like(self, rows: _Ints, place: _Ints, hashes: NDArray[np.uint64]) -> _Ints:
        """Return those of the rows at whose place in the texts there is one of the same hash."""
        inside = rows[place[rows] < len(self._hashes)]
        same: NDArray[np.bool_] = self._hashes[place[inside]] == hashes[inside]
        return inside[same]
