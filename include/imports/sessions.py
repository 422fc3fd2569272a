"""The ledger as imports use it: one database transaction that may write, fed and read in Arrow batches.

PostgreSQL and SQLite. What is prepared lies in temporary tables of the transaction, so the database itself matches,
sorts and sums, in its own memory and on its own disk, and ours does not follow the size of a file.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from datetime import datetime
from typing import Any, Protocol

import pyarrow as pa

from include.errors import BadInput, Problem
from include.settings import Settings
from include.snapshots.source import parse_url, public_url

# How the temporary tables of imports begin.
TEMPORARY = "loyalty_"
_NAMES = {"mysql": "MySQL or MariaDB", "mariadb": "MariaDB"}
_OFF = (
    "imports are turned off: set LOYALTY_LEDGER_WRITE_URL to the ledger with a role that may insert into "
    "transactions (and update customers.birthday)"
)


class Session(Protocol):
    """One database transaction. Nothing it did stands unless `commit` returns. Errors are those of `opened`."""

    dialect: str
    now: datetime
    """The database's clock when the transaction began, UTC."""

    def columns(self, table: str) -> frozenset[str]:
        """Return the columns of a table of the ledger, none where it is not there."""

    def execute(self, sql: str) -> int:
        """Run a statement; return how many rows it changed, where the database says so, else -1."""

    def ingest(self, table: str, batches: Iterable[pa.RecordBatch]) -> int:
        """Append batches to a table, by the names of their columns; return the rows."""

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        """Yield what a query gives. Numbers are int64, texts strings, anything else must be cast in the query."""

    def one(self, sql: str) -> tuple[Any, ...]:
        """Return the only row of a query."""

    def analyze(self, table: str) -> None:
        """Let the database see what a temporary table holds."""

    def alone(self, key: str) -> None:
        """Wait until no other transaction works under this key; the end of the transaction gives it back."""

    def freeze(self) -> None:
        """Let nobody else write transactions until the end; Transient when others keep them busy."""

    def commit(self) -> None:
        """Make everything stand."""


class Taken(Exception):
    """A row with such a key is there already."""


def why_not(settings: Settings) -> str | None:
    """Return why imports cannot be posted here, None where they can."""
    if settings.ledger_mapping is not None:
        return "imports go into the canonical tables only, and this ledger is mapped (LOYALTY_LEDGER_MAPPING)"
    kind = parse_url(settings.ledger_write_url or settings.ledger_url).get_backend_name()
    if kind not in {"postgresql", "sqlite"}:
        return (
            f"points can be imported into ledgers in PostgreSQL and SQLite; this one is in {_NAMES.get(kind, kind)}, "
            "from which exports read and to which nothing is written"
        )
    return None if settings.ledger_write_url else _OFF


@contextmanager
def opened(settings: Settings, *, write: bool) -> Iterator[Session]:
    """Open one database transaction on the ledger and end it afterwards, undone unless `commit` was called.

    write: rows of the ledger will change. Raises BadInput where imports are off, Transient for a database that is
    away, busy or chose this transaction to fail, Permanent for a missing right or a full disk, Taken for a key that
    is there already.
    """
    reason = why_not(settings)
    if reason is not None:
        raise BadInput([Problem("ledger", public_url(settings.ledger_url), reason, "imports_off")])
    parsed = parse_url(settings.ledger_write_url)
    session: AbstractContextManager[Session]
    if parsed.get_backend_name() == "postgresql":
        from include.imports import postgres

        session = postgres.session(parsed, write=write)
    else:
        from include.imports import sqlite

        session = sqlite.session(parsed, settings.scratch, write=write)
    with session as found:
        yield found


def literal(text: str) -> str:
    """Return a text as it stands in SQL of both databases; ValueError for what neither holds."""
    if "\0" in text:
        raise ValueError("no database holds NUL")
    return "'" + text.replace("'", "''") + "'"
