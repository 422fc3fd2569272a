"""Arrow text columns made by the hundred thousand: numbered ids and picks from short lists."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import pyarrow as pa

Integers = npt.NDArray[np.int64]
Flags = npt.NDArray[np.bool_]


def numbered(prefix: str, numbers: Integers, width: int, valid: Flags | None = None) -> pa.Array:
    """Return ids such as `t0000000042`: the prefix and `width` digits; null where `valid` is false."""
    count, lead = len(numbers), prefix.encode("ascii")
    chosen = numbers if valid is None else numbers[valid]
    letters = np.empty((len(chosen), len(lead) + width), np.uint8)
    letters[:, : len(lead)] = np.frombuffer(lead, np.uint8)
    rest = chosen.astype(np.int64, copy=True)
    for place in range(len(lead) + width - 1, len(lead) - 1, -1):
        rest, digit = np.divmod(rest, 10)
        letters[:, place] = digit + 48
    lengths = np.full(count, letters.shape[1], np.int32)
    bitmap = None
    if valid is not None:
        lengths[~valid] = 0
        bitmap = pa.py_buffer(np.packbits(valid, bitorder="little"))
    offsets = np.zeros(count + 1, np.int32)
    np.cumsum(lengths, out=offsets[1:])
    data = pa.py_buffer(np.ascontiguousarray(letters))
    return pa.StringArray.from_buffers(count, pa.py_buffer(offsets), data, bitmap)


def pick(choices: Sequence[str | None], indices: npt.NDArray[Any]) -> pa.Array:
    """Return `choices[index]` for each index; a choice of None is null."""
    return pa.array(choices, pa.string()).take(pa.array(indices))


def instants(moments: Integers, valid: Flags | None = None) -> pa.Array:
    """Return instants from microseconds; null where `valid` is false."""
    return pa.array(moments, mask=None if valid is None else ~valid).cast(pa.timestamp("us", tz="UTC"))


def money(hundredths: Integers, valid: Flags | None = None) -> pa.Array:
    """Return money from whole hundredths; null where `valid` is false."""
    words = np.empty((len(hundredths), 2), np.int64)
    words[:, 0], words[:, 1] = hundredths * 100, hundredths >> 63
    bitmap = None if valid is None else pa.py_buffer(np.packbits(valid, bitorder="little"))
    return pa.Array.from_buffers(pa.decimal128(18, 4), len(hundredths), [bitmap, pa.py_buffer(words)])
