"""The rows of a file in a temporary table of the ledger, beside whom they mean."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import pyarrow as pa
import pyarrow.compute as pc

from include.imports.rows import Batch, RowProblem
from include.imports.sessions import Session

_STAGED = (
    "line BIGINT, ok BIGINT, customer_id TEXT, email TEXT, folded TEXT, card_id TEXT, program TEXT, subledger TEXT, "
    "points BIGINT, expected BIGINT, activates BIGINT, expires BIGINT, reason TEXT, birthday TEXT, related TEXT"
)
_SAID = {"customer_id", "email", "card_id", "program", "points", "reason", "birthday", "related"}
_RENAMED = {
    "row": "line",
    "subledger_id": "subledger",
    "expected_points": "expected",
    "activates_at": "activates",
    "expires_at": "expires",
}


def stage(session: Session, batches: Iterable[Batch], subledger: str) -> int:
    """Make `loyalty_staged` and `loyalty_problems` (line, message) from a file; return the rows.

    subledger: the subledger of rows that name none.
    """
    session.execute(f"CREATE TEMP TABLE loyalty_staged ({_STAGED})")
    session.execute("CREATE TEMP TABLE loyalty_problems (line BIGINT, message TEXT)")
    rows = 0
    for batch in batches:
        rows += session.ingest("loyalty_staged", [staged(batch.rows, subledger)])
        if batch.problems:
            session.ingest("loyalty_problems", [_told(batch.problems)])
    session.analyze("loyalty_staged")
    session.analyze("loyalty_problems")
    return rows


def staged(rows: pa.RecordBatch, subledger: str) -> pa.RecordBatch:
    """Return rows of a file as the table has them: instants in microseconds, e-mail addresses case-folded too."""
    columns = {name: rows.column(name) for name in rows.schema.names if name in _SAID}
    for name, renamed in _RENAMED.items():
        if name in rows.schema.names:
            column = rows.column(name)
            columns[renamed] = column.cast(pa.int64()) if pa.types.is_timestamp(column.type) else column
    if "subledger" in columns:
        columns["subledger"] = pc.fill_null(columns["subledger"], subledger)
    else:
        columns["subledger"] = pa.repeat(subledger, len(rows))
    columns["ok"] = rows.column("ok").cast(pa.int64())
    if "email" in columns:
        columns["folded"] = folded(columns["email"])
    return pa.RecordBatch.from_pydict(columns)


def folded(emails: pa.Array) -> pa.Array:
    """Return addresses case-folded, as Unicode says."""
    if pc.all(pc.string_is_ascii(emails)).as_py() in (True, None):
        return pc.ascii_lower(emails)
    return pa.array([None if each is None else each.casefold() for each in emails.to_pylist()], pa.string())


def _told(problems: Iterable[RowProblem]) -> pa.RecordBatch:
    """Return all that is wrong with each row as one message."""
    by_row: dict[int, list[str]] = {}
    for each in problems:
        place = f"{each.column} {each.value!r}: " if each.column else ""
        by_row.setdefault(each.row, []).append(place + each.right)
    return pa.RecordBatch.from_pydict(
        {
            "line": pa.array(list(by_row), pa.int64()),
            "message": pa.array(["; ".join(each) for each in by_row.values()], pa.string()),
        }
    )


def conformed(batches: Iterator[pa.RecordBatch], schema: pa.Schema) -> Iterator[pa.RecordBatch]:
    """Yield what a query gave in the types of `schema`; SQLite knows none of a column of nulls."""
    for batch in batches:
        arrays = [batch.column(field.name).cast(field.type) for field in schema]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
