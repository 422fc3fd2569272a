"""What only booking a ledger shows: its reported problems, its identity, and balances that the ledger states."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import duckdb
import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from include.ledger.booking import (
    AccountColumns,
    RowProblem,
    Rows,
    TransactionType,
    account_starts,
    book,
    sort_order,
)
from include.ledger.hashing import account_hashes
from include.ledger.invariants import PROBLEM_SENTENCES, identity_violations
from include.ledger.rows import NEVER, NO_RELATED, RELATED_NOT_FOUND
from include.snapshots.check_rules import NO_HOLDER, WRONG_SIGN

_SLICE_ROWS = 200_000
_TYPES = [kind.word for kind in TransactionType]
NEEDED = ("transaction_id", "program_id", "subledger_id", "card_id", "customer_id", "type", "points",
           "created_at", "activates_at", "expires_at", "related_transaction_id")  # fmt: skip


@dataclass
class BookingFindings:
    """Row ids by problem (at most `limit` each) and how many there were; accounts whose identity fails."""

    limit: int
    row_ids: dict[RowProblem, list[str]] = field(default_factory=dict)
    counts: dict[RowProblem, int] = field(default_factory=dict)
    broken_accounts: list[str] = field(default_factory=list)

    def sentence(self, problem: RowProblem) -> str:
        """Return what is wrong, as a sentence about the row."""
        return PROBLEM_SENTENCES[problem]


def find(connection: duckdb.DuckDBPyConnection, at: int, limit: int) -> BookingFindings:
    """Book every row that can be booked, up to `at`, and write the table `balances` (one row per account)."""
    findings = BookingFindings(limit)
    connection.execute(
        "CREATE TABLE balances (program_id VARCHAR, card_id VARCHAR, customer_id VARCHAR, points BIGINT)"
    )
    for slice_ in _accounts(connection, at):
        _book(connection, slice_, at, findings)
    return findings


def _accounts(connection: duckdb.DuckDBPyConnection, at: int) -> Iterator[pa.Table]:
    """Yield the rows of whole accounts together; rows that block are left out, of a double id all but one."""
    listed = ", ".join(f"'{kind}'" for kind in _TYPES)
    query = f"""
        SELECT {", ".join(NEEDED)} FROM transactions
        WHERE transaction_id IS NOT NULL AND COALESCE(program_id, '') <> '' AND NOT ({NO_HOLDER})
          AND type IN ({listed}) AND points IS NOT NULL AND created_at < {at} AND NOT ({WRONG_SIGN})
          AND rowid NOT IN (SELECT unnest(list(rowid)[2:]) FROM transactions
                            GROUP BY transaction_id HAVING count(*) > 1)
        ORDER BY program_id, COALESCE(subledger_id, ''), COALESCE(card_id, ''),
                 CASE WHEN COALESCE(card_id, '') = '' THEN customer_id END"""
    held: list[pa.Table] = []
    held_rows = 0
    # A cursor of its own: balances are written while this result is read.
    for batch in connection.cursor().sql(query).to_arrow_reader(_SLICE_ROWS):
        held.append(pa.Table.from_batches([batch]))
        held_rows += batch.num_rows
        table = pa.concat_tables(held).combine_chunks()
        last = account_starts(_hashes(table), _columns(table))[-2] if table.num_rows else 0
        if last and held_rows >= _SLICE_ROWS:
            yield table.slice(0, last)
            held, held_rows = [table.slice(last)], table.num_rows - last
    if held_rows:
        yield pa.concat_tables(held)


def _columns(table: pa.Table) -> AccountColumns:
    names = ("program_id", "subledger_id", "card_id", "customer_id")
    return AccountColumns(*(pc.fill_null(table[name].combine_chunks(), "") for name in names))


def _hashes(table: pa.Table) -> np.ndarray[tuple[int], np.dtype[np.uint64]]:
    return account_hashes(*_columns(table))


def _book(connection: duckdb.DuckDBPyConnection, table: pa.Table, at: int, findings: BookingFindings) -> None:
    columns, hashes = _columns(table), _hashes(table)
    kinds = pc.index_in(table["type"], pa.array(_TYPES)).to_numpy().astype(np.uint8)
    ids = table["transaction_id"].combine_chunks()
    created, points = table["created_at"].to_numpy(), table["points"].to_numpy()
    order = sort_order(hashes, created, kinds, points, ids, columns)
    placed = pa.array(order)
    table = table.take(placed)
    columns, hashes = AccountColumns(*(column.take(placed) for column in columns)), hashes[order]
    starts = account_starts(hashes, columns)
    created = table["created_at"].to_numpy()
    activates = np.maximum(pc.fill_null(table["activates_at"], 0).to_numpy(), created)
    expires = pc.fill_null(table["expires_at"], NEVER).to_numpy()
    related = _related(table, starts)
    rows = Rows(starts, created, activates, expires, kinds[order], table["points"].to_numpy(), related)
    booked = book(rows, at, allocations=False)
    ids = table["transaction_id"]
    for problem in RowProblem:
        found = np.flatnonzero(booked.problem & int(problem))
        if len(found):
            findings.counts[problem] = findings.counts.get(problem, 0) + len(found)
            kept = findings.row_ids.setdefault(problem, [])
            kept += ids.take(pa.array(found[: findings.limit - len(kept)])).to_pylist()
    first = pa.array(starts[:-1])
    account = {name: table[name].take(first) for name in ("program_id", "card_id", "customer_id")}
    findings.broken_accounts += [ids[int(starts[index])].as_py() for index in identity_violations(booked)]
    balances = pa.table({**account, "points": booked.active - booked.debt})
    connection.register("booked_slice", balances)
    connection.execute("INSERT INTO balances SELECT * FROM booked_slice")
    connection.unregister("booked_slice")


def _related(table: pa.Table, starts: np.ndarray[tuple[int], np.dtype[np.int64]]) -> np.ndarray[
    tuple[int], np.dtype[np.int64]
]:  # fmt: skip
    """Return the row that each row's related_transaction_id names in the same account."""
    named = table["related_transaction_id"]
    found = pc.index_in(named, table["transaction_id"].combine_chunks()).to_numpy()
    place = np.where(np.isnan(found), RELATED_NOT_FOUND, np.nan_to_num(found)).astype(np.int64)
    account = np.repeat(np.arange(len(starts) - 1), np.diff(starts))
    elsewhere = (place >= 0) & (account[np.maximum(place, 0)] != account)
    place[elsewhere] = RELATED_NOT_FOUND
    absent = pc.fill_null(pc.equal(named, ""), True).to_numpy()
    place[absent] = NO_RELATED
    return place
