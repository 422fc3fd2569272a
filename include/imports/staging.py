"""The rows of a file at hand: whom they name in a temporary table of the ledger, all that they say on the bench."""

from __future__ import annotations

from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from include.imports.bench import Bench, Lines
from include.imports.rows import Batch, RowProblem
from include.imports.sessions import Session
from include.reports.engine.files import ahead

TEXT, NUMBER = pa.string(), pa.int64()
# What rows of a file say. Points are hundredths, instants microseconds.
SAID = pa.schema(
    [
        ("line", NUMBER),
        ("customer_id", TEXT),
        ("email", TEXT),
        ("card_id", TEXT),
        ("subledger", TEXT),
        ("points", NUMBER),
        ("expected", NUMBER),
        ("activates", NUMBER),
        ("expires", NUMBER),
        ("reason", TEXT),
        ("birthday", TEXT),
    ]
)
# Whom rows mean, and what they take back (related, written): as the ledger says, by line.
FOUND = pa.schema(
    [
        ("line", NUMBER),
        *((name, TEXT) for name in ("customer", "card", "code", "related", "old_birthday", "written")),
    ]
)
PROBLEMS = pa.schema([("line", NUMBER), ("message", TEXT)])
_NAMED = ("line", "customer_id", "folded", "card_id", "program")
_RENAMED = {
    "line": "row",
    "subledger": "subledger_id",
    "expected": "expected_points",
    "activates": "activates_at",
    "expires": "expires_at",
}


def stage(session: Session, bench: Bench, batches: Iterable[Batch], subledger: str) -> Lines:
    """Make the ledger's `loyalty_staged`, the bench's `loyalty_said` and `loyalty_problems` of a file.

    subledger: the subledger of rows that name none. Returns the lines by which the bench's tables lie in parts.
    """
    session.execute(
        "CREATE TEMP TABLE loyalty_staged (line BIGINT, customer_id TEXT, folded TEXT, card_id TEXT, program TEXT)"
    )
    lines = bench.lines()
    said = bench.table("loyalty_said", SAID, lines)
    problems = bench.table("loyalty_problems", PROBLEMS, lines)
    for batch in ahead(batches):
        session.ingest("loyalty_staged", [_named(batch.rows)])
        rows = _said(batch.rows, subledger)
        lines.grow(rows)
        said.write(rows)
        if batch.problems:
            problems.write(_told(batch.problems))
    session.analyze("loyalty_staged")
    return lines


def _named(rows: pa.RecordBatch) -> pa.RecordBatch:
    """Return whom rows name, without columns that name nobody; e-mail addresses case-folded."""
    columns = {
        "line": rows.column("row"),
        "folded": folded(rows.column("email")),
        **{name: rows.column(name) for name in ("customer_id", "card_id", "program")},
    }
    kept = {name: columns[name] for name in _NAMED if columns[name].null_count < len(rows)}
    return pa.RecordBatch.from_pydict(kept)


def _said(rows: pa.RecordBatch, subledger: str) -> pa.RecordBatch:
    columns = {name: rows.column(_RENAMED.get(name, name)) for name in SAID.names}
    columns["subledger"] = pc.fill_null(columns["subledger"], subledger)
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
    messages = ["; ".join(each) for each in by_row.values()]
    return pa.RecordBatch.from_arrays(
        [pa.array(list(by_row), NUMBER), pa.array(messages, TEXT)], schema=PROBLEMS
    )
