"""Time that passes for leases and claims at once: no test waits, and none is too slow for a short one. A helper."""

from __future__ import annotations

from datetime import UTC, datetime

from sqlalchemy import ColumnElement, Table, update

from include.state import State


def expire(remembered: State, table: Table, *which: ColumnElement[bool]) -> None:
    """Let every lease or claim of the table have ended, or those that are meant."""
    with remembered.database.write() as connection:
        connection.execute(update(table).where(*which).values(expires_at=datetime(2000, 1, 1, tzinfo=UTC)))
