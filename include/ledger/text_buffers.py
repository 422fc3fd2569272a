"""Arrow text columns as two plain numpy arrays, the only form of text that compiled code reads.

No hashing, ordering or comparing here.
"""

from __future__ import annotations

from typing import NamedTuple, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from include.ledger.compiled import read_only

Text: TypeAlias = pa.Array | pa.ChunkedArray


class TextBuffers(NamedTuple):
    """Row i is `data[offsets[i]:offsets[i + 1]]`, UTF-8. Both are read-only views, or copies where need be."""

    offsets: NDArray[np.int32]  # rows + 1
    data: NDArray[np.uint8]


def text_buffers(column: Text) -> TextBuffers:
    """The buffers of one text column; a null reads as ''. Dictionaries and large strings are cast.

    Raises pyarrow.ArrowInvalid when the text of the column exceeds 2 GiB: pass it in chunks.
    """
    if isinstance(column, pa.ChunkedArray):
        column = column.chunk(0) if column.num_chunks == 1 else pa.concat_arrays(_as_string(column.chunks))
    (array,) = _as_string([column])
    if array.null_count and _nulls_hold_text(array):
        array = pc.fill_null(array, "")
    if len(array) == 0:
        return TextBuffers(
            read_only(np.zeros(1, np.int32), np.int32), read_only(np.zeros(0, np.uint8), np.uint8)
        )
    _, offset_buffer, data_buffer = array.buffers()
    offsets = np.frombuffer(offset_buffer, np.int32, len(array) + 1, array.offset * 4)
    data = np.zeros(0, np.uint8) if data_buffer is None else np.frombuffer(data_buffer, np.uint8)
    return TextBuffers(read_only(offsets, np.int32), read_only(data, np.uint8))


def _nulls_hold_text(array: pa.Array) -> bool:
    """Whether bytes stand behind nulls, which Arrow allows: else they read as '' as they are, without a copy."""
    offsets = np.frombuffer(array.buffers()[1], np.int32, len(array) + 1, array.offset * 4)
    held = np.diff(offsets) > 0
    return int(held.sum()) > 0 and bool(pc.any(pc.and_(array.is_null(), pa.array(held))).as_py())


def _as_string(arrays: list[pa.Array]) -> list[pa.Array]:
    if not arrays:
        return [pa.array([], pa.string())]
    return [array if array.type == pa.string() else array.cast(pa.string()) for array in arrays]
