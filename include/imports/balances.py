"""What the accounts that an import touches hold, by the booking kernel of every report (docs/ledger.md section 4).

The accounts stand in the temporary table `loyalty_accounts` (holder_kind, holder, subledger). The database gives their
rows; reports book them from files of scratch, in bounded memory.
"""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from include.imports.sessions import Session, literal
from include.ledger.catalog import RELATIONS, FieldType, arrow_schema
from include.reports import allocations, balance, tiers
from include.reports.engine.files import Spool
from include.reports.engine.partitions import BOOKING_COLUMNS
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
_GROUP_ROWS = 100_000


def book(session: Session, program: str, folder: Path) -> None:
    """Make the temporary table `loyalty_balances`: active, pending and debt in hundredths, and the tier's name.

    An account without a row of the ledger has none here. Raises LedgerViolation where the rows do not add up.
    """
    spool = Spool(folder / "balances.arrow")
    snapshot = taken(session, program, folder)
    session.execute(
        "CREATE TEMP TABLE loyalty_balances (holder_kind TEXT, holder TEXT, subledger TEXT, tier TEXT, "
        "active BIGINT, pending BIGINT, debt BIGINT)"
    )
    if snapshot is None:
        return

    def sink(batches: Iterator[pa.RecordBatch]) -> None:
        for batch in batches:
            spool.write(_figures(batch))
        spool.close()

    now = microseconds(session.now)
    asked = Asked(None, None, now, now, balance.Options(), "UTC", wanted=_WANTED)
    report: Any = balance
    render([Job(report, asked, sink)], snapshot, folder)
    session.ingest("loyalty_balances", spool.batches())
    session.analyze("loyalty_balances")
    spool.remove()
    _clear(snapshot)


def used(session: Session, program: str, folder: Path, spool: Spool) -> None:
    """Write into `spool` which lots every debit of these accounts used: debit_id, lot_id, points (hundredths)."""
    snapshot = taken(session, program, folder)
    if snapshot is None:
        return

    def sink(batches: Iterator[pa.RecordBatch]) -> None:
        for batch in batches:
            spool.write(batch.select(["debit_id", "lot_id", "points"]))
        spool.close()

    now = microseconds(session.now)
    report: Any = allocations
    asked = Asked(None, None, now, now, allocations.Options(), "UTC")
    render([Job(report, asked, sink)], snapshot, folder)
    _clear(snapshot)


def taken(session: Session, program: str, folder: Path) -> LocalSnapshot | None:
    """Write the rows of the accounts, and what tells their tiers, as files; None where no account has a row."""
    wanted = {"transactions": BOOKING_COLUMNS, "programs": ("program_id", "name"), **tiers.NEEDS}
    files: dict[str, list[Path]] = {}
    columns: dict[str, tuple[str, ...]] = {}
    for relation, names in wanted.items():
        there = session.columns(relation)
        if not there:
            continue
        present = tuple(name for name in names if name in there)
        path = folder / f"touched-{relation}.parquet"
        rows = _write(session, relation, present, _rows_of(relation, session, present, program), path)
        if relation == "transactions" and not rows:
            path.unlink()
            return None
        files[relation], columns[relation] = [path], present
    return LocalSnapshot(files, columns)


def _clear(snapshot: LocalSnapshot) -> None:
    for paths in snapshot.files.values():
        for path in paths:
            path.unlink()


def _write(session: Session, relation: str, names: tuple[str, ...], sql: str, path: Path) -> int:
    schema, rows = arrow_schema(RELATIONS[relation], names), 0
    with pq.ParquetWriter(path, schema, compression="lz4") as writer:
        for batch in session.stream(sql):
            arrays = [each.cast(field.type) for each, field in zip(batch.columns, schema, strict=True)]
            writer.write_batch(pa.RecordBatch.from_arrays(arrays, schema=schema), row_group_size=_GROUP_ROWS)
            rows += batch.num_rows
    return rows


def _rows_of(relation: str, session: Session, names: tuple[str, ...], program: str) -> str:
    columns = ", ".join(f"{_read(session, relation, name)} AS {name}" for name in names)
    ours = f"t.program_id = {literal(program)}"
    if relation != "transactions":
        customers = (
            "SELECT holder FROM loyalty_accounts WHERE holder_kind = 'customer' "
            "UNION SELECT owner FROM loyalty_accounts"
        )
        theirs = f" AND t.customer_id IN ({customers})" if relation == "tier_changes" else ""
        return f"SELECT {columns} FROM {relation} t WHERE {ours}{theirs}"
    there = session.columns("transactions")
    subledger = "coalesce(t.subledger_id, '')" if "subledger_id" in there else "''"
    on = f"JOIN loyalty_accounts a ON a.subledger = {subledger} AND a.holder_kind ="
    if "card_id" not in there:
        return (
            f"SELECT {columns} FROM transactions t {on} 'customer' AND a.holder = t.customer_id WHERE {ours}"
        )
    return (
        f"SELECT {columns} FROM transactions t {on} 'customer' AND a.holder = t.customer_id "
        f"WHERE {ours} AND coalesce(t.card_id, '') = '' UNION ALL "
        f"SELECT {columns} FROM transactions t {on} 'card' AND a.holder = t.card_id WHERE {ours}"
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
