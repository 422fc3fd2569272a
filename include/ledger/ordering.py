"""The order of rows that booking wants: account hash, account, then docs/ledger.md section 3."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
import pyarrow as pa
from numba import njit
from numpy.typing import NDArray

from include.ledger.rows import Ints, TransactionType
from include.ledger.text_buffers import text_buffers

Text = pa.Array | pa.ChunkedArray

_LOT_TYPES = (
    int(TransactionType.EARNED),
    int(TransactionType.REDEMPTION_REFUNDED),
    int(TransactionType.TRANSFERRED_IN),
)


class AccountColumns(NamedTuple):
    """What names the account of each row; nulls count as ''."""

    program: Text
    subledger: Text
    card: Text
    customer: Text


def sort_order(
    account_hash: NDArray[np.uint64],
    created_at: Ints,
    type: NDArray[np.uint8],  # noqa: A002
    points: Ints,
    transaction_ids: Text,
    accounts: AccountColumns | None = None,
) -> Ints:
    """The permutation (int64[n]) that brings rows into ledger order.

    Rows that already stand in time order cost one pass; ids are compared, as UTF-8 bytes, only within one
    instant. `accounts` separates different accounts of one hash; leave it out only where there is one account.
    """
    ranks = None if accounts is None else _ranks_of_collisions(account_hash, accounts)
    order = np.arange(account_hash.size)
    if ranks is not None:
        order = np.argsort(ranks, kind="stable")
    order = _sorted_by_hash(_frozen(account_hash, np.uint64), order)
    starts = _starts(account_hash[order], None if ranks is None else ranks[order])
    ids_at, ids = text_buffers(transaction_ids)
    late = np.where(points == 0, ~np.isin(type, _LOT_TYPES), points < 0)
    _sort_runs(order, starts, _frozen(created_at, np.int64), _frozen(late, np.bool_), ids_at, ids)
    return order


def account_starts(account_hash: NDArray[np.uint64], accounts: AccountColumns | None = None) -> Ints:
    """Where each account begins, and the end: int64[accounts + 1]; all inputs in ledger order."""
    ranks = None if accounts is None else _ranks_of_collisions(account_hash, accounts)
    return _starts(account_hash, ranks)


def _starts(account_hash: NDArray[np.uint64], ranks: Ints | None) -> Ints:
    if account_hash.size == 0:
        return np.zeros(1, np.int64)
    changes = account_hash[1:] != account_hash[:-1]
    if ranks is not None:
        changes |= ranks[1:] != ranks[:-1]
    return np.concatenate(([0], np.flatnonzero(changes) + 1, [account_hash.size])).astype(np.int64)


def _ranks_of_collisions(account_hash: NDArray[np.uint64], accounts: AccountColumns) -> Ints | None:
    """None when every hash is one account (practically always); else the rank of each row's account."""
    order = _sorted_by_hash(_frozen(account_hash, np.uint64), np.arange(account_hash.size))
    p, s, h, c = (text_buffers(column) for column in accounts)
    if not _collides(_frozen(account_hash, np.uint64), order, *p, *s, *h, *c):
        return None
    columns = [[text or "" for text in column.to_pylist()] for column in accounts]
    names = [(p, s, "card", h) if h else (p, s, "customer", c) for p, s, h, c in zip(*columns, strict=True)]
    encoded = [tuple(part.encode() for part in name) for name in names]
    rank = {name: i for i, name in enumerate(sorted(set(encoded)))}
    return np.array([rank[name] for name in encoded], np.int64)


def _frozen(array: NDArray[np.generic], dtype: type[np.generic]) -> NDArray[np.generic]:
    view = np.ascontiguousarray(array, dtype).view()
    view.flags.writeable = False
    return view


@njit(nogil=True, cache=True)
def _sorted_by_hash(account_hash, order):
    """A stable radix sort of `order` by hash, a byte at a time; bytes that all rows share are skipped."""
    spare = np.empty_like(order)
    for shift in range(0, 64, 8):
        counts = np.zeros(257, np.int64)
        for row in order:
            counts[((account_hash[row] >> np.uint64(shift)) & np.uint64(255)) + np.uint64(1)] += 1
        if counts.max() == order.size:
            continue
        places = np.cumsum(counts)
        for row in order:
            byte = (account_hash[row] >> np.uint64(shift)) & np.uint64(255)
            spare[places[byte]] = row
            places[byte] += 1
        order, spare = spare, order
    return order


@njit(nogil=True, cache=True)
def _same_text(offsets, data, a, b):
    length = offsets[a + 1] - offsets[a]
    if offsets[b + 1] - offsets[b] != length:
        return False
    for i in range(length):
        if data[offsets[a] + i] != data[offsets[b] + i]:
            return False
    return True


@njit(nogil=True, cache=True)
def _collides(account_hash, order, p_at, p, s_at, s, h_at, h, c_at, c):
    """Whether neighbours of one hash are ever of two accounts."""
    for i in range(1, order.size):
        a, b = order[i - 1], order[i]
        if account_hash[a] != account_hash[b]:
            continue
        if not (_same_text(p_at, p, a, b) and _same_text(s_at, s, a, b) and _same_text(h_at, h, a, b)):
            return True
        if h_at[a] == h_at[a + 1] and not _same_text(c_at, c, a, b):
            return True
    return False


@njit(nogil=True, cache=True)
def _precedes(a, b, created_at, late, ids_at, ids):
    """Time, creations before debits, then the bytes of the id."""
    if created_at[a] != created_at[b]:
        return created_at[a] < created_at[b]
    if late[a] != late[b]:
        return late[b]
    a_at, b_at = ids_at[a], ids_at[b]
    length = min(ids_at[a + 1] - a_at, ids_at[b + 1] - b_at)
    for i in range(length):
        if ids[a_at + i] != ids[b_at + i]:
            return ids[a_at + i] < ids[b_at + i]
    return ids_at[a + 1] - a_at < ids_at[b + 1] - b_at


@njit(nogil=True, cache=True)
def _sort_runs(order, starts, created_at, late, ids_at, ids):
    """Sorts each account's stretch of `order` in place: insertion in short blocks, then merges."""
    spare = np.empty(0, order.dtype)
    for run in range(starts.size - 1):
        first, end = starts[run], starts[run + 1]
        unsorted = 0
        for i in range(first + 1, end):
            unsorted += _precedes(order[i], order[i - 1], created_at, late, ids_at, ids)
        if unsorted == 0:
            continue
        for block in range(first, end, 16):
            for i in range(block + 1, min(block + 16, end)):
                row = order[i]
                j = i
                while j > block and _precedes(row, order[j - 1], created_at, late, ids_at, ids):
                    order[j] = order[j - 1]
                    j -= 1
                order[j] = row
        if spare.size < end - first:
            spare = np.empty(end - first, order.dtype)
        width = 16
        while width < end - first:
            for low in range(first, end - width, 2 * width):
                _merge(order, low, low + width, min(low + 2 * width, end), spare, created_at, late, ids_at, ids)
            width *= 2


@njit(nogil=True, cache=True)
def _merge(order, low, middle, high, spare, created_at, late, ids_at, ids):
    if not _precedes(order[middle], order[middle - 1], created_at, late, ids_at, ids):
        return
    spare[: middle - low] = order[low:middle]
    left, left_end, right, to = 0, middle - low, middle, low
    while left < left_end:
        if right < high and _precedes(order[right], spare[left], created_at, late, ids_at, ids):
            order[to] = order[right]
            right += 1
        else:
            order[to] = spare[left]
            left += 1
        to += 1
