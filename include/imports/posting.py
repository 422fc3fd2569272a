"""Posting: the rows of a rehearsal into the ledger, in one database transaction for the whole file, or nothing.

A row's transaction_id follows from the import's id and the row's number, so what was committed is found again, by
whoever comes after a crash, and cannot be booked twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import NamedTuple

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from include.errors import BadInput, Problem
from include.imports import balances
from include.imports.bench import Bench
from include.imports.effects import RowStatus
from include.imports.options import Mode, Options
from include.imports.outcome import of_accounts, touch
from include.imports.sessions import Session, literal
from include.ledger.people import Name
from include.reports.engine.files import ahead
from include.snapshots import canonical
from include.snapshots.erased import Erased
from include.state.tables import instant

_BATCH_ROWS = 65_536
_NUMBER_DIGITS = 8
_INSTANT = pa.timestamp("us", tz="UTC")
_NEEDED = ("transaction_id", "program_id", "customer_id", "type", "points", "created_at")
# Columns that a ledger may lack, and what would be lost then.
_MEANT = {
    "card_id": "card",
    "subledger_id": "subledger",
    "activates_at": "activates",
    "expires_at": "expires",
}
_BALANCES = ["customer", "card", "subledger", "balance_before"]
_HELD = pa.schema(
    [
        *((name, pa.string()) for name in ("spread", "customer", "card", "subledger")),
        ("balance_before", pa.int64()),
    ]
)
Progress = Callable[[str, int, int | None], None]


class Plan(NamedTuple):
    """What is posted: the rows of a rehearsal, as whose. `mode` is that of the import, `path` its rows."""

    import_id: str
    options: Options
    path: Path
    by: str
    rows: int
    erased: Erased | None


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
    if plan.options.mode is Mode.RESET:
        session.freeze()
        _compare(session, plan, bench)
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


def transaction_ids(import_id: str, lines: pa.Array) -> pa.Array:
    """Return the ids that rows of an import have in the ledger."""
    numbers = pc.utf8_lpad(lines.cast(pa.string()), _NUMBER_DIGITS, "0")
    return pc.binary_join_element_wise(pa.scalar(import_id), numbers, "-")


def done_rows(path: Path, columns: list[str] | None = None) -> Iterator[pa.RecordBatch]:
    """Yield the rows of a rehearsal that are to be booked, in the order of the file; columns: those alone."""
    wanted = None if columns is None else [*columns, "status"]
    with pq.ParquetFile(path, pre_buffer=False) as file:
        for batch in file.iter_batches(_BATCH_ROWS, columns=wanted):
            kept = batch.filter(pc.equal(batch.column("status"), RowStatus.DONE.value))
            if len(kept):
                yield kept


def again(why: str) -> BadInput:
    """Return the error for rows that do not do what the rehearsal said."""
    right = f"{why} since the rehearsal: rehearse again"
    return BadInput([Problem("import", "rehearsal", right, "rehearse_again")])


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


def _compare(session: Session, plan: Plan, bench: Bench) -> None:
    """Raise BadInput when a balance is not what the rehearsal found; nobody can change one until the end."""
    rows = (_spread(batch) for batch in done_rows(plan.path, _BALANCES))
    bench.fill("loyalty_plan", _HELD, bench.hashed("spread", plan.rows), rows)
    touch(bench, "loyalty_plan", plan.rows)
    balances.book(session, bench, plan.options.program, bench.hashed("holder", plan.rows))
    sums = of_accounts("loyalty_plan", "p", "count(*)", "")
    [changed] = bench.sums(f"{sums} WHERE coalesce(b.active, 0) - coalesce(b.debt, 0) <> p.balance_before", 1)
    if changed:
        raise again(f"{'one balance has' if changed == 1 else f'{changed} balances have'} changed")


def _spread(batch: pa.RecordBatch) -> pa.RecordBatch:
    return batch.append_column("spread", pc.coalesce(batch.column("card"), batch.column("customer")))


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
