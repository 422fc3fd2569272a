"""Taking an import back: rows that undo what was booked, lot by lot, rehearsed and posted like any other import.

Points that came in go back as reversals of the very rows that brought them, which take their own lots first, pending
ones too (docs/ledger.md section 3 rule 5). Points that went out come back as lots with the dates of those that the
debit used; what it still owes is given back without dates. A birthday becomes what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa

from include.imports import balances, members
from include.imports.effects import Rehearsal
from include.imports.options import Options
from include.imports.outcome import touch
from include.imports.posting import done_rows, transaction_ids
from include.imports.rehearsal import conclude
from include.imports.sessions import Session
from include.reports.engine.files import Spool
from include.snapshots.erased import Erased

Progress = Callable[[str, int, int | None], None]
_POSTED = "line BIGINT, customer TEXT, card TEXT, subledger TEXT, points BIGINT, id TEXT, birthday TEXT, written TEXT"
_SAYS = (
    "CAST(NULL AS TEXT) AS email, CAST(NULL AS TEXT) AS folded, CAST(NULL AS TEXT) AS program, "
    "CAST(NULL AS BIGINT) AS expected, CAST(NULL AS BIGINT) AS activates, 1 AS ok"
)


def rehearse(
    session: Session,
    of: str,
    rows: Path,
    options: Options,
    erased: Erased | None,
    folder: Path,
    progress: Progress,
) -> tuple[Rehearsal, Path]:
    """Return what taking import `of` back would do, and its rows as a file of `folder`. rows: those it posted."""
    session.execute(f"CREATE TEMP TABLE loyalty_posted ({_POSTED})")
    session.execute("CREATE TEMP TABLE loyalty_problems (line BIGINT, message TEXT)")
    session.ingest("loyalty_posted", _posted(of, rows))
    session.analyze("loyalty_posted")
    session.execute(
        "CREATE TEMP TABLE loyalty_matched AS "
        + (_points(session, of, options, folder) if options.program else _birthdays())
    )
    if erased is not None:
        members.refuse_erased(session, erased)
        session.execute("UPDATE loyalty_matched SET code = 'erased_left' WHERE code = 'erased_member'")
    return conclude(session, options, folder, (f"takes back {of}",), progress)


def _posted(of: str, rows: Path) -> Iterator[pa.RecordBatch]:
    for batch in done_rows(rows):
        yield pa.RecordBatch.from_pydict(
            {
                **{name: batch.column(name) for name in ("line", "customer", "card", "subledger", "points")},
                "id": transaction_ids(of, batch.column("line")),
                "birthday": batch.column("old_birthday"),
                "written": batch.column("birthday"),
            }
        )


def _birthdays() -> str:
    return (
        f"SELECT line, {_SAYS}, customer AS customer_id, NULL AS card_id, customer, card, subledger, birthday, "
        "written, NULL AS points, NULL AS expires, CAST(NULL AS TEXT) AS reason, NULL AS related, "
        " CAST(NULL AS TEXT) AS code "
        "FROM loyalty_posted"
    )


def _points(session: Session, of: str, options: Options, folder: Path) -> str:
    """Return the query of rows that take points back, and make what it reads: `loyalty_used`."""
    session.execute("CREATE TEMP TABLE loyalty_used (debit_id TEXT, lot_id TEXT, points BIGINT)")
    if session.one("SELECT count(*) AS n FROM loyalty_posted WHERE points < 0")[0]:
        touch(session, "loyalty_posted WHERE points < 0")
        spool = Spool(folder / "used.arrow")
        balances.used(session, options.program, folder, spool)
        session.ingest("loyalty_used", spool.batches())
        spool.remove()
        session.execute("DROP TABLE loyalty_accounts")
        session.analyze("loyalty_used")
    expires = (
        "l.expires_at"
        if session.dialect == "sqlite"
        else "(EXTRACT(EPOCH FROM l.expires_at) * 1000000)::bigint"
    )
    if "expires_at" not in session.columns("transactions"):
        expires = "NULL"
    back = "p.customer, p.card, p.subledger, p.id, p.line AS posted"
    gone = "CASE WHEN t.transaction_id IS NULL THEN 'nothing_left' END AS code"
    still = "LEFT JOIN transactions t ON t.transaction_id = p.id"
    return (
        "SELECT row_number() OVER (ORDER BY posted, expires, points) AS line, "
        f"{_SAYS}, customer AS customer_id, card AS card_id, customer, card, subledger, "
        f"CAST(points AS BIGINT) AS points, CAST(expires AS BIGINT) AS expires, 'takes back {of}' AS reason, "
        "id AS related, code, CAST(NULL AS TEXT) AS birthday FROM ("
        f"SELECT {back}, -p.points AS points, NULL AS expires, {gone} FROM loyalty_posted p {still} WHERE p.points > 0 "
        f"UNION ALL SELECT {back}, u.points, {expires}, NULL FROM loyalty_posted p "
        "JOIN loyalty_used u ON u.debit_id = p.id JOIN transactions l ON l.transaction_id = u.lot_id "
        "WHERE p.points < 0 "
        f"UNION ALL SELECT {back}, -p.points - coalesce((SELECT sum(u.points) FROM loyalty_used u "
        f"WHERE u.debit_id = p.id), 0), NULL, {gone} FROM loyalty_posted p {still} WHERE p.points < 0) parts "
        "WHERE points <> 0"
    )
