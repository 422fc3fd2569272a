"""Taking an import back: rows that undo what was booked, lot by lot, rehearsed and posted like any other import.

Points that came in go back as reversals of the very rows that brought them, which take their own lots first, pending
ones too (docs/ledger.md section 3 rule 5). Points that went out come back as lots with the dates of those that the
debit used, pending where those were; what it still owes is given back without dates. A birthday becomes what it was.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.imports import lots, members
from include.imports.bench import Bench
from include.imports.effects import Rehearsal
from include.imports.options import Options
from include.imports.plan import done_rows, transaction_ids
from include.imports.rehearsal import conclude
from include.imports.sessions import Session
from include.imports.staging import FOUND, PROBLEMS, SAID
from include.snapshots.erased import Erased

Progress = Callable[[str, int, int | None], None]
_TEXTS = ("customer", "card", "subledger", "id", "birthday", "written")
_POSTED_SQL = f"line BIGINT, points BIGINT, {', '.join(f'{name} TEXT' for name in _TEXTS)}"
_BIRTHDAYS = (
    "SELECT line, customer AS customer_id, customer, card, subledger, birthday, written FROM loyalty_posted"
)


def rehearse(
    session: Session,
    bench: Bench,
    of: str,
    rows: Path,
    options: Options,
    erased: Erased | None,
    progress: Progress,
) -> tuple[Rehearsal, Path]:
    """Return what taking import `of` back would do, and its rows as a file of the bench. rows: those it posted."""
    lines = bench.lines()
    bench.table("loyalty_problems", PROBLEMS, lines)
    session.execute(f"CREATE TEMP TABLE loyalty_posted ({_POSTED_SQL})")
    session.ingest("loyalty_posted", _posted(of, rows))
    session.analyze("loyalty_posted")
    found = (
        _points(session, bench, of, options, rows)
        if options.program
        else members.with_birthdays(session, _BIRTHDAYS)
    )
    said, meant = bench.table("loyalty_said", SAID, lines), bench.table("loyalty_found", FOUND, lines)
    for batch in session.stream(f"SELECT * FROM ({found}) back ORDER BY line"):
        lines.grow(batch)
        said.write(batch)
        meant.write(batch)
    if erased is not None:
        members.refuse_erased(bench, lines, erased, "erased_left")
    return conclude(session, bench, lines, options, (f"takes back {of}",), progress)


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


def _debits(rows: Path) -> Iterator[pa.RecordBatch]:
    """Yield whose points went out."""
    for batch in done_rows(rows, ["customer", "card", "subledger", "points"]):
        yield batch.filter(pc.less(batch.column("points"), 0)).select(["customer", "card", "subledger"])


def _points(session: Session, bench: Bench, of: str, options: Options, rows: Path) -> str:
    """Return the query of rows that take points back, and make what it reads: `loyalty_used`."""
    posted = pq.read_metadata(rows).num_rows
    lots.used(session, bench, options.program, _debits(rows), posted)
    activates, expires = lots.dates(session)
    back = "p.customer, p.card, p.subledger, p.id, p.line AS posted"
    gone = "CASE WHEN t.transaction_id IS NULL THEN 'nothing_left' END AS code"
    still = "LEFT JOIN transactions t ON t.transaction_id = p.id"
    return (
        "SELECT row_number() OVER (ORDER BY posted, expires, activates, points) AS line, "
        "customer AS customer_id, card AS card_id, customer, card, subledger, CAST(points AS BIGINT) AS points, "
        "CAST(activates AS BIGINT) AS activates, CAST(expires AS BIGINT) AS expires, "
        f"'takes back {of}' AS reason, "
        "id AS related, code FROM ("
        f"SELECT {back}, -p.points AS points, NULL AS activates, NULL AS expires, {gone} "
        f"FROM loyalty_posted p {still} WHERE p.points > 0 "
        f"UNION ALL SELECT {back}, u.points, {activates}, {expires}, NULL FROM loyalty_posted p "
        "JOIN loyalty_used u ON u.debit_id = p.id JOIN transactions l ON l.transaction_id = u.lot_id "
        "WHERE p.points < 0 "
        f"UNION ALL SELECT {back}, -p.points - coalesce((SELECT sum(u.points) FROM loyalty_used u "
        f"WHERE u.debit_id = p.id), 0), NULL, NULL, {gone} FROM loyalty_posted p {still} WHERE p.points < 0) parts "
        "WHERE points <> 0"
    )
