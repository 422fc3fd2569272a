"""What the accounts that an import touches hold, by the booking kernel of every report (docs/ledger.md section 4).

The accounts stand in the bench's `loyalty_accounts` (holder_kind, holder, subledger, owner). The database gives their
rows; reports book them from files of scratch, in bounded memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from include.imports.bench import Bench, Split
from include.imports.sessions import Session, literal
from include.ledger.catalog import BOOKING_COLUMNS, RELATIONS, FieldType, arrow_schema
from include.reports import allocations, balance, tiers
from include.reports.engine.files import Spool, ahead
from include.reports.engine.render import Job, render
from include.reports.model import Asked, LocalSnapshot
from include.state.tables import microseconds

_WANTED = frozenset({"program_id", "subledger_id", "holder_kind", "holder_id", "tier", "active", "pending"})
_BALANCE = pa.schema(
    [
        ("holder_kind", pa.string()),
        ("holder", pa.string()),
        ("subledger", pa.string()),
        ("tier", pa.string()),
        ("active", pa.int64()),
        ("pending", pa.int64()),
        ("debt", pa.int64()),
    ]
)
_HOLDERS = pa.schema([("customer", pa.string()), ("card", pa.string())])
_GROUP_ROWS = 100_000
_MOST_PURSES = 200


def book(session: Session, bench: Bench, program: str, split: Split) -> None:
    """Make `loyalty_balances`: active, pending and debt of the accounts in hundredths, and the tier's name.

    An account without a row of the ledger has none here. Raises LedgerViolation where the rows do not add up.
    """
    table = bench.table("loyalty_balances", _BALANCE, split)
    snapshot = taken(session, bench, program)
    if snapshot is None:
        return

    def sink(batches: Iterator[pa.RecordBatch]) -> None:
        for batch in batches:
            table.write(_figures(batch))

    now = microseconds(session.now)
    asked = Asked(None, None, now, now, balance.Options(), "UTC", wanted=_WANTED)
    report: Any = balance
    render([Job(report, asked, sink)], snapshot, bench.folder)
    _clear(snapshot)


def used(session: Session, bench: Bench, program: str, spool: Spool) -> None:
    """Write into `spool` which lots every debit of these accounts used: debit_id, lot_id, points (hundredths)."""
    snapshot = taken(session, bench, program)
    if snapshot is None:
        return

    def sink(batches: Iterator[pa.RecordBatch]) -> None:
        for batch in batches:
            spool.write(batch.select(["debit_id", "lot_id", "points"]))
        spool.close()

    now = microseconds(session.now)
    report: Any = allocations
    asked = Asked(None, None, now, now, allocations.Options(), "UTC")
    render([Job(report, asked, sink)], snapshot, bench.folder)
    _clear(snapshot)


def taken(session: Session, bench: Bench, program: str) -> LocalSnapshot | None:
    """Write the rows of the accounts, and what tells their tiers, as files; None where no account has a row."""
    if not bench.rows("loyalty_accounts"):
        return None
    purses = _purses(session, bench)
    wanted = {"transactions": BOOKING_COLUMNS, "programs": ("program_id", "name"), **tiers.NEEDS}
    files: dict[str, list[Path]] = {}
    columns: dict[str, tuple[str, ...]] = {}
    for relation, names in wanted.items():
        there = session.columns(relation)
        if not there:
            continue
        present = tuple(name for name in names if name in there)
        path = bench.folder / f"touched-{relation}.parquet"
        rows = _write(session, relation, present, _rows_of(relation, session, present, program, purses), path)
        if relation == "transactions" and not rows:
            path.unlink()
            break
        files[relation], columns[relation] = [path], present
    session.execute("DROP TABLE loyalty_holders")
    return LocalSnapshot(files, columns) if "transactions" in files else None


def _purses(session: Session, bench: Bench) -> list[str] | None:
    """Make the ledger's `loyalty_holders` of `loyalty_accounts`; return their subledgers, None for very many.

    card is null for accounts of customers.
    """
    session.execute("CREATE TEMP TABLE loyalty_holders (customer TEXT, card TEXT)")
    for batch in bench.query(
        "SELECT owner AS customer, CASE WHEN holder_kind = 'card' THEN holder END AS card FROM loyalty_accounts",
        _HOLDERS,
    ):
        cards = batch.column("card")
        session.ingest(
            "loyalty_holders", [batch.select(["customer"]) if cards.null_count == len(cards) else batch]
        )
    session.analyze("loyalty_holders")
    purses = f"SELECT DISTINCT subledger FROM loyalty_accounts LIMIT {_MOST_PURSES + 1}"
    found = {subledger for (subledger,) in bench.all(purses, subledger=pa.string())}
    return sorted(found) if len(found) <= _MOST_PURSES else None


def _clear(snapshot: LocalSnapshot) -> None:
    for paths in snapshot.files.values():
        for path in paths:
            path.unlink()


def _write(session: Session, relation: str, names: tuple[str, ...], sql: str, path: Path) -> int:
    schema, rows = arrow_schema(RELATIONS[relation], names), 0
    with pq.ParquetWriter(path, schema, compression="lz4") as writer:
        for batch in ahead(session.stream(sql)):
            arrays = [each.cast(field.type) for each, field in zip(batch.columns, schema, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema), row_group_size=_GROUP_ROWS)
            rows += batch.num_rows
    return rows


def _rows_of(
    relation: str, session: Session, names: tuple[str, ...], program: str, purses: list[str] | None
) -> str:
    columns = ", ".join(f"{_read(session, relation, name)} AS {name}" for name in names)
    ours = f"t.program_id = {literal(program)}"
    customers = "t.customer_id IN (SELECT customer FROM loyalty_holders"
    if relation == "tier_changes":
        return f"SELECT {columns} FROM {relation} t WHERE {ours} AND {customers})"
    if relation != "transactions":
        return f"SELECT {columns} FROM {relation} t WHERE {ours}"
    there = session.columns("transactions")
    if "subledger_id" in there and purses is not None:
        ours += f" AND (t.subledger_id IN ({', '.join(map(literal, purses))})"
        ours += " OR t.subledger_id IS NULL)" if "" in purses else ")"
    if "card_id" not in there:
        return f"SELECT {columns} FROM transactions t WHERE {ours} AND {customers} WHERE card IS NULL)"
    return (
        f"SELECT {columns} FROM transactions t WHERE {ours} AND (t.card_id IS NULL OR t.card_id = '') "
        f"AND {customers} WHERE card IS NULL) UNION ALL "
        f"SELECT {columns} FROM transactions t WHERE {ours} AND t.card_id IN (SELECT card FROM loyalty_holders "
        "WHERE card IS NOT NULL)"
    )


def _read(session: Session, relation: str, name: str) -> str:
    """Return a column as it travels: points as hundredths; SQLite keeps them, and instants, as such integers."""
    points = RELATIONS[relation].field(name).type is FieldType.POINTS
    return f"(t.{name} * 100)::bigint" if points and session.dialect == "postgresql" else f"t.{name}"


def _figures(batch: pa.RecordBatch) -> pa.RecordBatch:
    def plain(name: str) -> Any:
        column = batch.column(name)
        return column.dictionary_decode() if pa.types.is_dictionary(column.type) else column

    names = ("holder_kind", "holder_id", "subledger_id", "tier", "active", "pending", "negative_balance")
    return pa.RecordBatch.from_arrays(
        [plain(name).cast(field.type) for name, field in zip(names, _BALANCE, strict=True)], schema=_BALANCE
    )
