"""Batches cut into pieces of a size that suits the processor's cache, each with its place in the file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa

ROWS_AT_ONCE = 8192


def numbered_pieces(
    batches: Iterable[pa.RecordBatch], rows: int = ROWS_AT_ONCE
) -> Iterator[tuple[int, pa.RecordBatch]]:
    """Yield (number of the first row in the file, from 1, and the piece of at most `rows`) in order."""
    first_row = 1
    for batch in batches:
        for start in range(0, batch.num_rows, rows):
            piece = batch.slice(start, rows)
            yield first_row, piece
            first_row += piece.num_rows
