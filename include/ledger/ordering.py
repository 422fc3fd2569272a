"""The order of rows that booking wants: account hash, account, then docs/ledger.md section 3."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from include.ledger.compiled import compiled, compiled_with_memory, read_only
from include.ledger.rows import Ints, TransactionType
from include.ledger.text_buffers import Text, text_buffers

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
    """The permutation (int64[n]) that brings rows into ledger order: `sorted_accounts` without the starts."""
    return sorted_accounts(account_hash, created_at, type, points, transaction_ids, accounts)[0]


def sorted_accounts(
    account_hash: NDArray[np.uint64],
    created_at: Ints,
    type: NDArray[np.uint8],  # noqa: A002
    points: Ints,
    transaction_ids: Text,
    accounts: AccountColumns | None = None,
) -> tuple[Ints, Ints]:
    """The permutation (int64[n]) that brings rows into ledger order, and there the `account_starts`.

    Rows that already stand in time order cost one pass; ids are compared, as UTF-8 bytes, only within one
    instant. `accounts` separates different accounts of one hash; leave it out only where there is one account.
    """
    hashes = read_only(account_hash, np.uint64)
    order = _sorted_by_hash(hashes)
    ranks = None
    if accounts is not None and _has_collision(hashes, order, accounts):
        ranks = _ranks(accounts)
        order = order[np.lexsort((ranks[order], hashes[order]))]
    starts = _starts(hashes[order], None if ranks is None else ranks[order])
    ids_at, ids = text_buffers(transaction_ids)
    late = np.where(points == 0, ~np.isin(type, _LOT_TYPES), points < 0)
    _sort_runs(order, starts, read_only(created_at, np.int64), read_only(late, np.bool_), ids_at, ids)
    return order, starts


def account_starts(account_hash: NDArray[np.uint64], accounts: AccountColumns | None = None) -> Ints:
    """Where each account begins, and the end: int64[accounts + 1]; all inputs in ledger order."""
    hashes = read_only(account_hash, np.uint64)
    in_place = np.arange(account_hash.size)
    if accounts is not None and _has_collision(hashes, in_place, accounts):
        return _starts(hashes, _ranks(accounts))
    return _starts(hashes, None)


def _starts(account_hash: NDArray[np.uint64], ranks: Ints | None) -> Ints:
    if account_hash.size == 0:
        return np.zeros(1, np.int64)
    changes = account_hash[1:] != account_hash[:-1]
    if ranks is not None:
        changes |= ranks[1:] != ranks[:-1]
    return np.concatenate(([0], np.flatnonzero(changes) + 1, [account_hash.size])).astype(np.int64)


def _has_collision(account_hash: NDArray[np.uint64], order: Ints, accounts: AccountColumns) -> bool:
    p, s, h, c = (text_buffers(column) for column in accounts)
    return bool(_collides(account_hash, order, *p, *s, *h, *c))


def _ranks(accounts: AccountColumns) -> Ints:
    """The rank of each row's account among all, in plain Python: a collision of 64 bits practically never is."""
    columns = [[text or "" for text in column.to_pylist()] for column in accounts]
    names = [(p, s, "card", h) if h else (p, s, "customer", c) for p, s, h, c in zip(*columns, strict=True)]
    encoded = [tuple(part.encode() for part in name) for name in names]
    rank = {name: i for i, name in enumerate(sorted(set(encoded)))}
    return np.array([rank[name] for name in encoded], np.int64)


@compiled_with_memory
def _sorted_by_hash(account_hash: NDArray[np.uint64]) -> Ints:
    """The rows by hash, stable: a radix sort, 11 bits at a time; bits that all rows share are skipped."""
    count = account_hash.size
    keys, order = account_hash.copy(), np.arange(count)
    spare_keys, spare_order = np.empty_like(keys), np.empty_like(order)
    places = np.empty(2048, np.int64)
    for shift in range(0, 64, 11):
        places[:] = 0
        for i in range(count):
            places[(keys[i] >> np.uint64(shift)) & np.uint64(2047)] += 1
        if places.max() == count:
            continue
        place = 0
        for digit in range(2048):
            place, places[digit] = place + places[digit], place
        for i in range(count):
            digit = (keys[i] >> np.uint64(shift)) & np.uint64(2047)
            spare_keys[places[digit]], spare_order[places[digit]] = keys[i], order[i]
            places[digit] += np.int64(1)
        keys, spare_keys = spare_keys, keys
        order, spare_order = spare_order, order
    return order


@compiled
def _same_text(offsets: NDArray[np.int32], data: NDArray[np.uint8], a: int, b: int) -> bool:
    length = offsets[a + 1] - offsets[a]
    if offsets[b + 1] - offsets[b] != length:
        return False
    for i in range(length):  # noqa: SIM110 (all() of a generator does not compile)
        if data[offsets[a] + i] != data[offsets[b] + i]:
            return False
    return True


@compiled_with_memory
def _collides(
    account_hash: NDArray[np.uint64],
    order: Ints,
    p_at: NDArray[np.int32],
    p: NDArray[np.uint8],
    s_at: NDArray[np.int32],
    s: NDArray[np.uint8],
    h_at: NDArray[np.int32],
    h: NDArray[np.uint8],
    c_at: NDArray[np.int32],
    c: NDArray[np.uint8],
) -> bool:
    """Whether rows of one hash are ever of two accounts: each is compared with the first of its hash."""
    first = np.empty_like(order)
    for i in range(order.size):
        same = i > 0 and account_hash[order[i]] == account_hash[order[i - 1]]
        first[order[i]] = first[order[i - 1]] if same else order[i]
    for a in range(order.size):  # in the order in which texts lie in memory
        b = first[a]
        if a == b:
            continue
        if not (_same_text(p_at, p, a, b) and _same_text(s_at, s, a, b) and _same_text(h_at, h, a, b)):
            return True
        if h_at[a] == h_at[a + 1] and not _same_text(c_at, c, a, b):
            return True
    return False


@compiled
def _precedes(
    a: int,
    b: int,
    created_at: Ints,
    late: NDArray[np.bool_],
    ids_at: NDArray[np.int32],
    ids: NDArray[np.uint8],
) -> bool:
    """Time, creations before debits, then the bytes of the id."""
    if created_at[a] != created_at[b]:
        return bool(created_at[a] < created_at[b])
    if late[a] != late[b]:
        return bool(late[b])
    a_at, b_at = ids_at[a], ids_at[b]
    length = min(ids_at[a + 1] - a_at, ids_at[b + 1] - b_at)
    for i in range(length):
        if ids[a_at + i] != ids[b_at + i]:
            return bool(ids[a_at + i] < ids[b_at + i])
    return bool(ids_at[a + 1] - a_at < ids_at[b + 1] - b_at)


@compiled_with_memory
def _sort_runs(
    order: Ints,
    starts: Ints,
    created_at: Ints,
    late: NDArray[np.bool_],
    ids_at: NDArray[np.int32],
    ids: NDArray[np.uint8],
) -> None:
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
                _merge(
                    order, low, low + width, min(low + 2 * width, end), spare, created_at, late, ids_at, ids
                )
            width *= 2


@compiled
def _merge(
    order: Ints,
    low: int,
    middle: int,
    high: int,
    spare: Ints,
    created_at: Ints,
    late: NDArray[np.bool_],
    ids_at: NDArray[np.int32],
    ids: NDArray[np.uint8],
) -> None:
    if not _precedes(order[middle], order[middle - 1], created_at, late, ids_at, ids):
        return
    for i in range(middle - low):
        spare[i] = order[low + i]
    left, left_end, right, to = 0, middle - low, middle, low
    while left < left_end:
        if right < high and _precedes(order[right], spare[left], created_at, late, ids_at, ids):
            order[to] = order[right]
            right += 1
        else:
            order[to] = spare[left]
            left += 1
        to += 1
