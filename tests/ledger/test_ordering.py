"""Ledger order: account hash, account, time, creations before debits, the bytes of the id."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from include.ledger.booking import AccountColumns, TransactionType, account_starts, sort_order

rows = st.lists(
    st.tuples(
        st.sampled_from([0, 1, 255, 256, 2**63, 2**64 - 1]),  # hash, often shared by two accounts
        st.sampled_from("pq"),
        st.sampled_from(["", "c", "d"]),
        st.integers(-2, 3),
        st.sampled_from([TransactionType.EARNED, TransactionType.ADJUSTED]),
        st.integers(-1, 1),
        st.text("aé\U0001f600z\uffff", max_size=3),
    ),
    max_size=60,
)


def in_plain_python(row):
    hash_, program, card, created_at, type_, points, id_ = row
    account = (program, "", "card" if card else "customer", card or "x")
    is_debit = points < 0 or (points == 0 and type_ == TransactionType.ADJUSTED)
    return (hash_, tuple(part.encode() for part in account), created_at, is_debit, id_.encode())


def columns_of(table):
    hashes, programs, cards, created_at, types, points, ids = zip(*table, strict=True)
    none = pa.array([None] * len(table), pa.string())
    accounts = AccountColumns(pa.array(programs), none, pa.array(cards), pa.array(["x"] * len(table)))
    return (
        np.array(hashes, np.uint64), np.array(created_at, np.int64), np.array(types, np.uint8),
        np.array(points, np.int64), pa.array(ids, pa.string()), accounts,
    )  # fmt: skip


@settings(deadline=None)
@given(rows)
def test_sort_order_is_that_of_plain_python_also_when_two_accounts_share_a_hash(table):
    if not table:
        return
    columns = columns_of(table)
    found = [table[i] for i in sort_order(*columns)]
    assert [in_plain_python(row) for row in found] == sorted(map(in_plain_python, table))

    order = pa.array(sort_order(*columns))
    sorted_accounts = AccountColumns(*(column.take(order) for column in columns[5]))
    starts = account_starts(columns[0][order.to_numpy()], sorted_accounts)
    keys = [in_plain_python(row)[:2] for row in found]
    assert starts.tolist() == [i for i in range(len(keys)) if i == 0 or keys[i] != keys[i - 1]] + [len(keys)]


@pytest.mark.parametrize("how", ["in time order", "reversed", "shuffled"])
def test_one_long_account(how):
    count = 100_003
    created_at = np.arange(count) // 3  # three rows at each instant
    if how == "reversed":
        created_at = created_at[::-1].copy()
    if how == "shuffled":
        np.random.default_rng(1).shuffle(created_at)
    ids = pa.array([f"{i:06}" for i in range(count)])
    order = sort_order(
        np.full(count, 7, np.uint64), created_at, np.zeros(count, np.uint8), np.ones(count, np.int64), ids
    )
    assert order.tolist() == np.lexsort((np.arange(count), created_at)).tolist()


def test_no_rows():
    none, text = np.array([], np.int64), pa.array([], pa.string())
    accounts = AccountColumns(text, text, text, text)
    assert (
        sort_order(none.astype(np.uint64), none, none.astype(np.uint8), none, text, accounts).tolist() == []
    )
    assert account_starts(none.astype(np.uint64), accounts).tolist() == [0]
