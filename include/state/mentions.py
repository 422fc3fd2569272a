"""Texts and documents of the state in which a person may be named, and giving them other names there.

Not in the audit chain and the manifest chain: those hold no names of members, and never change.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from sqlalchemy import ColumnElement, Table, select, update

from include.state.asked_exports import is_over
from include.state.database import Database
from include.state.export_rows import searched
from include.state.tables import (
    ASKED_EXPORTS,
    DEFINITIONS,
    DELIVERIES,
    EXPORT_EDITS,
    EXPORTS,
    IMPORTS,
    LINKS,
    NOTICES,
    RUNS,
    Now,
)

Replace = Callable[[Any], Any]
"""Gives back JSON values with other names in them."""

_OVER = select(RUNS.c.run_key).where(RUNS.c.files_gone_at.is_not(None))
# What is still to be done with a row needs its names: those wait until it is done, or can be done no more.
_PLACES: tuple[tuple[Table, tuple[str, ...], ColumnElement[bool] | None], ...] = (
    (DEFINITIONS, ("document",), None),
    (EXPORT_EDITS, ("document",), None),
    (EXPORTS, ("name", "description"), None),
    (RUNS, ("definition", "summary", "requested_by"), None),
    (RUNS, ("artefacts",), RUNS.c.files_gone_at.is_not(None)),
    (
        DELIVERIES,
        ("receipt", "message", "totals"),
        (DELIVERIES.c.state == "confirmed") | DELIVERIES.c.run_key.in_(_OVER),
    ),
    (LINKS, ("recipient", "file"), LINKS.c.revoked | (LINKS.c.expires_at <= Now())),
    (
        IMPORTS,
        ("file_name", "decision_note", "rehearsal", "files"),
        IMPORTS.c.state.in_(["posted", "wrong", "refused", "undone"]),
    ),
    (ASKED_EXPORTS, ("asked", "definition", "message"), is_over()),
    (NOTICES, ("recipient", "way", "notice", "message"), NOTICES.c.state.in_(["sent", "failed", "unknown"])),
)


def replace_mentions(database: Database, replace: Replace) -> int:
    """Replace the names in all rows; return how many rows changed. Keys and instants stay."""
    changed = 0
    for table, names, where in _PLACES:
        keys = list(table.primary_key.columns)
        wanted = select(*keys, *(table.c[name] for name in names))
        with database.read() as connection:
            rows = connection.execute(wanted if where is None else wanted.where(where)).all()
        for row in rows:
            before = {name: getattr(row, name) for name in names}
            after = {name: replace(value) for name, value in before.items() if value is not None}
            if all(before[name] == value for name, value in after.items()):
                continue
            if table is EXPORTS:
                after |= searched(row.definition_id, after["name"], after["description"])
            mine = [column == getattr(row, column.name) for column in keys]
            with database.write() as connection:
                connection.execute(update(table).where(*mine).values(**after))
            changed += 1
    return changed
