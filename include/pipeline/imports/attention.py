"""Imports that wait for somebody, or did not come to an end."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from typing import NamedTuple

from include.pipeline.context import Context
from include.pipeline.imports.telling import counted, what
from include.state.imports import ImportRecord, ImportState

# What Airflow does by itself takes less.
STUCK = timedelta(minutes=30)
# A rehearsal that nobody posts by then was forgotten, or should be withdrawn.
FORGOTTEN = timedelta(days=1)
# Whoever asked was told of wrong rows; after that long nobody corrects them any more.
LOOKED_AT = timedelta(days=7)
MOST = 100
_AFTER = {
    ImportState.WAITING: timedelta(0),
    ImportState.WRONG: timedelta(0),
    ImportState.REHEARSED: FORGOTTEN,
    ImportState.RECEIVED: STUCK,
    ImportState.POSTING: STUCK,
}


class Matter(NamedTuple):
    """An import that needs somebody: what happened, and what to do."""

    record: ImportRecord
    happened: str
    to_do: str


def matters(context: Context, now: datetime) -> Iterator[Matter]:
    """Yield the imports that need somebody."""
    for record in context.state.imports.list(tuple(_AFTER), limit=MOST):
        age = now - record.updated_at
        over = record.state is ImportState.WRONG and age > LOOKED_AT
        again = record.state is ImportState.RECEIVED and record.rehearsal is not None
        if (again or age >= _AFTER[record.state]) and not over:
            yield _matter(record)


def _matter(record: ImportRecord) -> Matter:
    seen = record.rehearsal
    rows = counted(seen.rows, "row") if seen and seen.rows else "its file"
    wrong = f"{counted(seen.wrong, 'row')} wrong" if seen and seen.rows else "the file cannot be read"
    asked = f"{what(record.options)}: {rows}, asked for by {record.requested_by}."
    happened, to_do = {
        ImportState.WAITING: (
            f"It waits for a second person. {asked}",
            f"Somebody who may import, other than {record.requested_by}, looks at it, and approves or refuses.",
        ),
        ImportState.WRONG: (
            f"It cannot be posted: {wrong}. {asked}",
            "Correct what its page names and import the file again, or withdraw it.",
        ),
        ImportState.REHEARSED: (
            f"It is rehearsed, and nobody has posted it. {asked}",
            "Post it, or withdraw it.",
        ),
        ImportState.RECEIVED: (
            (
                f"Balances have changed since it was rehearsed, so nothing was posted. {asked}",
                "Rehearse it again on its page, and look at it again.",
            )
            if record.rehearsal
            else (
                f"It was received, and not rehearsed. {asked}",
                "Look at its run of the DAG loyalty-imports in Airflow, then rehearse it again on its page.",
            )
        ),
        ImportState.POSTING: (
            f"Posting it began, and has not ended. {asked}",
            "Run its run of the DAG loyalty-imports again in Airflow: what was posted is not posted twice.",
        ),
    }[record.state]
    return Matter(record, happened, to_do)
