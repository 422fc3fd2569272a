"""Which lots the debits of an import used, by the allocations of the booking kernel (docs/ledger.md section 3)."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from include.imports import balances
from include.imports.bench import Bench
from include.imports.outcome import touch
from include.imports.sessions import Session
from include.reports.engine.files import Spool
from include.state.tables import microseconds

_DEBITS = pa.schema([(name, pa.string()) for name in ("spread", "customer", "card", "subledger")])


def used(session: Session, bench: Bench, program: str, accounts: Iterable[pa.RecordBatch], rows: int) -> None:
    """Make the ledger's `loyalty_used`: debit_id, lot_id, points (hundredths), of all debits of these accounts.

    accounts: customer, card, subledger of about so many rows; those with a card are the card's.
    """
    session.execute("CREATE TEMP TABLE loyalty_used (debit_id TEXT, lot_id TEXT, points BIGINT)")
    spread = (
        each.append_column("spread", pc.coalesce(each.column("card"), each.column("customer")))
        for each in accounts
    )
    bench.fill("loyalty_debits", _DEBITS, bench.hashed("spread", rows), spread)
    touch(bench, "loyalty_debits", rows)
    if not bench.rows("loyalty_accounts"):
        return
    spool = Spool(bench.folder / "used.arrow")
    balances.used(session, bench, program, spool)
    session.ingest("loyalty_used", spool.batches())
    spool.remove()
    session.analyze("loyalty_used")


def dates(session: Session) -> tuple[str, str]:
    """Return as SQL when a lot `l` of the ledger activates, null where it has, and when it expires; microseconds."""
    there = session.columns("transactions")

    def instant(name: str) -> str:
        if name not in there:
            return "NULL"
        return (
            f"l.{name}"
            if session.dialect == "sqlite"
            else f"(EXTRACT(EPOCH FROM l.{name}) * 1000000)::bigint"
        )

    activates = instant("activates_at")
    now = microseconds(session.now)
    return (
        f"CAST(CASE WHEN {activates} > {now} THEN {activates} END AS BIGINT)",
        f"CAST({instant('expires_at')} AS BIGINT)",
    )
