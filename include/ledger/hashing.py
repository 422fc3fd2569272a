"""The fixed 64-bit hash of accounts and ids (docs/ledger.md section 1 says what an account is).

Files are ordered by it and partitions are ranges of it, so it is specified here and never a library's:

1. FNV-1a, 64 bit, over the UTF-8 bytes of program_id, 0x1f, subledger_id, 0x1f, holder kind (`card` or
   `customer`), 0x1f, holder id; a null reads as ''.
2. The finalizer of splitmix64, so that ranges of the hash hold about equally many accounts.

`text_hashes` is the same over the bytes of one text. Equal hashes do not prove equal accounts or ids:
whoever groups by a hash compares the texts too.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from include.ledger.compiled import compiled, read_only
from include.ledger.text_buffers import Text, text_buffers

FNV_OFFSET = np.uint64(0xCBF29CE484222325)
FNV_PRIME = np.uint64(0x100000001B3)
MIX_ONE = np.uint64(0xBF58476D1CE4E5B9)
MIX_TWO = np.uint64(0x94D049BB133111EB)
SEPARATOR = np.uint64(0x1F)
SHIFT_ONE, SHIFT_TWO, SHIFT_THREE = np.uint64(30), np.uint64(27), np.uint64(31)
_MASK = (1 << 64) - 1
_MIX, _NULL = np.uint64(0x9E3779B97F4A7C15), np.uint64(0xD1B54A32D192ED03)


def text_hash(content: bytes) -> int:
    """The specification in plain Python: FNV-1a 64, then splitmix64's finalizer. Unsigned 64-bit."""
    state = int(FNV_OFFSET)
    for byte in content:
        state = (state ^ byte) * int(FNV_PRIME) & _MASK
    state = (state ^ (state >> 30)) * int(MIX_ONE) & _MASK
    state = (state ^ (state >> 27)) * int(MIX_TWO) & _MASK
    return state ^ (state >> 31)


def account_hash(program_id: str, subledger_id: str, holder_kind: str, holder_id: str) -> int:
    """The hash of one account; `holder_kind` is `card` or `customer`. Unsigned 64-bit."""
    return text_hash(f"{program_id}\x1f{subledger_id}\x1f{holder_kind}\x1f{holder_id}".encode())


def account_hashes(program: Text, subledger: Text, card: Text, customer: Text) -> NDArray[np.uint64]:
    """`account_hash` of every row: uint64[n]. The holder is the card where it is neither null nor ''."""
    out = np.empty(len(program), np.uint64)
    for start, parts in _aligned((program, subledger, card, customer)):
        (p_at, p), (s_at, s), (h_at, h), (c_at, c) = (text_buffers(part) for part in parts)
        _hash_accounts(p_at, p, s_at, s, h_at, h, c_at, c, out[start : start + len(parts[0])])
    return out


def text_hashes(texts: Text) -> NDArray[np.uint64]:
    """`text_hash` of every row's UTF-8 bytes: uint64[n]; null hashes as ''.

    Of a large dictionary only the values that rows name are looked at, where they lie.
    """
    out = np.empty(len(texts), np.uint64)
    for start, (part,) in _aligned((texts,)):
        coded = pa.types.is_dictionary(part.type)
        offsets, data = text_buffers(part.dictionary if coded else part)
        places = part.indices.fill_null(-1).to_numpy() if coded else np.arange(len(part), dtype=np.int32)
        hashed = out[start : start + len(part)]
        if coded and len(offsets) < len(part):  # fewer values than rows: each once, and '' for null
            of_values = np.empty(len(offsets), np.uint64)
            every = np.arange(len(offsets), dtype=np.int32)
            every[-1] = -1
            _hash_texts(offsets, data, read_only(every, np.int32), of_values)
            np.take(of_values, places, out=hashed, mode="wrap")
        else:
            _hash_texts(offsets, data, read_only(places, np.int32), hashed)
    return out


def row_hashes(rows: pa.RecordBatch) -> NDArray[np.uint64]:
    """A hash of each row over all its columns, of text or 64 bits, to compare and not to keep: uint64[n]."""
    found: NDArray[np.uint64] = np.zeros(len(rows), np.uint64)
    for column in rows.columns:
        if pa.types.is_string(column.type):
            values = text_hashes(column)
        else:
            values = column.cast(pa.int64()).fill_null(0).to_numpy().view(np.uint64)
        if column.null_count:
            values = np.where(column.is_null().to_numpy(zero_copy_only=False), _NULL, values)
        found = (found ^ values) * _MIX
        found ^= found >> np.uint64(29)
    return found


def _aligned(columns: Sequence[Text]) -> Iterator[tuple[int, list[pa.Array]]]:
    """(first row, one array per column) over stretches in which no column changes its chunk."""
    if len({len(column) for column in columns}) != 1:
        raise ValueError("columns differ in length")
    table = pa.table(
        [pa.chunked_array([c]) if isinstance(c, pa.Array) else c for c in columns],
        [*map(str, range(len(columns)))],
    )
    start = 0
    for batch in table.to_batches():
        yield start, list(batch.columns)
        start += batch.num_rows


@compiled
def _absorb_bytes(state: np.uint64, data: NDArray[np.uint8], start: np.uint64, stop: np.uint64) -> np.uint64:
    for byte in range(start, stop):
        state = (state ^ np.uint64(data[byte])) * FNV_PRIME
    return state


@compiled
def _absorb(state: np.uint64, offsets: NDArray[np.int32], data: NDArray[np.uint8], row: int) -> np.uint64:
    return _absorb_bytes(state, data, np.uint64(offsets[row]), np.uint64(offsets[row + 1]))


@compiled
def _finish(state: np.uint64) -> np.uint64:
    state = (state ^ (state >> SHIFT_ONE)) * MIX_ONE
    state = (state ^ (state >> SHIFT_TWO)) * MIX_TWO
    return state ^ (state >> SHIFT_THREE)


@compiled
def _text(offsets: NDArray[np.int32], place: int) -> tuple[np.uint64, np.uint64]:
    """Where a text begins and ends; the text of a negative place is ''."""
    if place < 0:
        return np.uint64(0), np.uint64(0)
    return np.uint64(offsets[place]), np.uint64(offsets[place + 1])


@compiled
def _hash_texts(
    offsets: NDArray[np.int32], data: NDArray[np.uint8], places: NDArray[np.int32], out: NDArray[np.uint64]
) -> None:
    # Three at a time: a hash waits for each byte of its own, and the others fill the gap.
    last = out.size - 1
    for row in range(0, out.size, 3):
        second, third = min(row + 1, last), min(row + 2, last)
        (a, a_end), (b, b_end) = _text(offsets, places[row]), _text(offsets, places[second])
        c, c_end = _text(offsets, places[third])
        one = two = three = FNV_OFFSET
        shared = min(a_end - a, b_end - b, c_end - c)
        for byte in range(shared):
            one = (one ^ np.uint64(data[a + byte])) * FNV_PRIME
            two = (two ^ np.uint64(data[b + byte])) * FNV_PRIME
            three = (three ^ np.uint64(data[c + byte])) * FNV_PRIME
        out[row] = _finish(_absorb_bytes(one, data, a + shared, a_end))
        out[second] = _finish(_absorb_bytes(two, data, b + shared, b_end))
        out[third] = _finish(_absorb_bytes(three, data, c + shared, c_end))


@compiled
def _hash_accounts(
    program_at: NDArray[np.int32],
    program: NDArray[np.uint8],
    subledger_at: NDArray[np.int32],
    subledger: NDArray[np.uint8],
    card_at: NDArray[np.int32],
    card: NDArray[np.uint8],
    customer_at: NDArray[np.int32],
    customer: NDArray[np.uint8],
    out: NDArray[np.uint64],
) -> None:
    for row in range(out.size):
        state = _absorb(FNV_OFFSET, program_at, program, row)
        state = (state ^ SEPARATOR) * FNV_PRIME
        state = _absorb(state, subledger_at, subledger, row)
        state = (state ^ SEPARATOR) * FNV_PRIME
        if card_at[row] != card_at[row + 1]:
            for byte in b"card\x1f":
                state = (state ^ np.uint64(byte)) * FNV_PRIME
            state = _absorb(state, card_at, card, row)
        else:
            for byte in b"customer\x1f":
                state = (state ^ np.uint64(byte)) * FNV_PRIME
            state = _absorb(state, customer_at, customer, row)
        out[row] = _finish(state)
