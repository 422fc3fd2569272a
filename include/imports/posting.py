"""Posting: the rows of a rehearsal into the ledger, in one database transaction for the whole file, or nothing."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc

from include.errors import BadInput, Problem
from include.imports import unchanged
from include.imports.bench import Bench
from include.imports.options import Mode
from include.imports.plan import Plan, again, done_rows, transaction_ids
from include.imports.sessions import Session, literal
from include.ledger.people import Name
from include.reports.engine.files import ahead
from include.snapshots import canonical
from include.snapshots.erased import Erased
from include.state.tables import instant

_INSTANT = pa.timestamp("us", tz="UTC")
_NEEDED = ("transaction_id", "program_id", "customer_id", "type", "points", "created_at")
# Columns that a ledger may lack, and what would be lost then.
_MEANT = {
    "card_id": "card",
    "subledger_id": "subledger",
    "activates_at": "activates",
    "expires_at": "expires",
}
Progress = Callable[[str, int, int | None], None]


class Posted(NamedTuple):
    """When the rows were booked, on the ledger's clock, and the first and last transaction_id; None for birthdays."""

    at: datetime
    first: str | None
    last: str | None


def post(session: Session, plan: Plan, bench: Bench, progress: Progress) -> Posted:
    """Book all rows and commit, or find that they are booked already.

    Raises BadInput `rehearse_again` when the rows no longer do what the rehearsal said.
    """
    session.alone(plan.import_id)
    if not plan.options.program:
        return _birthdays(session, plan, progress)
    before = found(session, plan)
    if before is not None:
        return before
    unchanged.check(session, plan, bench)
    batches = ahead(_transactions(session, _there(session), plan, progress))
    session.ingest("transactions", batches)
    progress("commit", plan.rows, plan.rows)
    session.commit()
    return Posted(session.now, *_ends(plan))


def found(session: Session, plan: Plan) -> Posted | None:
    """Return when the rows were booked, None where they are not. All are, or none."""
    first, last = _ends(plan)
    if first is None:
        return Posted(session.now, None, None)
    created = (
        "created_at" if session.dialect == "sqlite" else "(EXTRACT(EPOCH FROM created_at) * 1000000)::bigint"
    )
    rows = session.stream(f"SELECT {created} AS at FROM transactions WHERE transaction_id = {literal(first)}")
    for row in (row for batch in rows for row in batch.to_pylist()):
        return Posted(instant(row["at"]), first, last)
    return None


def _ends(plan: Plan) -> tuple[str | None, str | None]:
    first = last = None
    for batch in done_rows(plan.path, ["line"]):
        lines = batch.column("line")
        first, last = first or lines[0].as_py(), lines[len(lines) - 1].as_py()
    if first is None:
        return None, None
    ids = transaction_ids(plan.import_id, pa.array([first, last]))
    return ids[0].as_py(), ids[1].as_py()


def _there(session: Session) -> frozenset[str]:
    """Return the columns of the ledger's relation `transactions`."""
    there = session.columns("transactions")
    missing = [name for name in _NEEDED if name not in there]
    if missing:
        right = f"the table lacks {', '.join(missing)}: imports need the canonical columns"
        raise BadInput([Problem("ledger", "transactions", right, "missing_column")])
    return there


def _transactions(
    session: Session, there: frozenset[str], plan: Plan, progress: Progress
) -> Iterator[pa.RecordBatch]:
    """Yield rows of the ledger's relation `transactions`."""
    done = 0
    for batch in done_rows(plan.path):
        refuse_erased(batch, plan.erased)
        _refuse_lost(batch, there)
        columns = _columns(session, plan, batch)
        kept = {
            name: array for name, array in columns.items() if name in there and array.null_count < len(array)
        }
        yield pa.RecordBatch.from_pydict(kept)
        done += len(batch)
        progress("post", done, plan.rows)


def _columns(session: Session, plan: Plan, batch: pa.RecordBatch) -> dict[str, pa.Array]:
    rows, points = len(batch), batch.column("points")
    reversal = pc.and_(pa.repeat(plan.options.mode is Mode.UNDO, rows), pc.less(points, 0))
    # An instant before the row itself is the row's (docs/ledger.md section 2).
    return {
        "transaction_id": transaction_ids(plan.import_id, batch.column("line")),
        "program_id": pa.repeat(plan.options.program, rows),
        "subledger_id": batch.column("subledger"),
        "customer_id": batch.column("customer"),
        "card_id": batch.column("card"),
        "type": pc.if_else(reversal, "earned_reversed", "adjusted"),
        "points": canonical.decimals(points) if session.dialect == "postgresql" else points,
        "created_at": pa.repeat(pa.scalar(session.now, _INSTANT), rows),
        "activates_at": batch.column("activates").cast(_INSTANT),
        "expires_at": batch.column("expires").cast(_INSTANT),
        "reason": batch.column("reason"),
        "source": pa.repeat("import", rows),
        "admin_user": pa.repeat(plan.by, rows),
        "related_transaction_id": batch.column("related"),
        "import_id": pa.repeat(plan.import_id, rows),
    }


def _refuse_lost(batch: pa.RecordBatch, there: frozenset[str]) -> None:
    for name, column in _MEANT.items():
        said = pc.any(pc.not_equal(batch.column(column).cast(pa.string()), "")).as_py()
        if name not in there and said:
            right = f"the table has no column {name}, and rows of the file say one"
            raise BadInput([Problem("ledger", "transactions", right, "missing_column")])


def refuse_erased(batch: pa.RecordBatch, erased: Erased | None) -> None:
    """Raise BadInput when somebody was erased after the rehearsal."""
    if erased is None:
        return
    for kind, name in ((Name.CUSTOMER, "customer"), (Name.CARD, "card")):
        if pc.any(erased.among(kind, batch.column(name))).as_py():
            raise again("a member was erased")


def _birthdays(session: Session, plan: Plan, progress: Progress) -> Posted:
    """Write the birthdays, where nobody changed them since."""
    session.execute("CREATE TEMP TABLE loyalty_new (customer TEXT, birthday TEXT, old TEXT)")

    def new() -> Iterator[pa.RecordBatch]:
        for batch in done_rows(plan.path):
            refuse_erased(batch, plan.erased)
            chosen = batch.select(["customer", "birthday", "old_birthday"])
            yield chosen.rename_columns(["customer", "birthday", "old"])

    rows = session.ingest("loyalty_new", new())
    session.analyze("loyalty_new")
    written = (
        "SELECT count(*) AS n FROM loyalty_new n JOIN customers c ON c.customer_id = n.customer "
        "AND c.birthday IS NOT DISTINCT FROM n.birthday"
    )
    if session.one(written)[0] == rows:  # committed before, or nothing is to do
        return Posted(session.now, None, None)
    stamp = _stamp(session) if "updated_at" in session.columns("customers") else ""
    session.execute(
        f"UPDATE customers SET birthday = n.birthday{stamp} FROM loyalty_new n "
        "WHERE customers.customer_id = n.customer AND customers.birthday IS NOT DISTINCT FROM n.old"
    )
    if session.one(written)[0] != rows:
        raise again("birthdays have changed")
    progress("commit", rows, rows)
    session.commit()
    return Posted(session.now, None, None)


def _stamp(session: Session) -> str:
    if session.dialect == "sqlite":
        return f", updated_at = {pa.scalar(session.now, _INSTANT).value}"
    return f", updated_at = {literal(session.now.astimezone(UTC).isoformat())}::timestamptz"
