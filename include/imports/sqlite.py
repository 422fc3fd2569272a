"""A SQLite ledger for imports."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Iterator
from contextlib import closing, contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
from sqlalchemy.engine import URL

from include.errors import LoyaltyError, Permanent, Transient
from include.imports.sessions import Taken, literal
from include.snapshots.source import public_url

_BUSY_SECONDS = 60
_AT_ONCE = 50_000


@contextmanager
def session(url: URL, scratch: Path, *, write: bool) -> Iterator[SqliteSession]:
    """Open a transaction; see `sessions.opened`. One that writes waits for the file's only write lock at once."""
    where = public_url(url.render_as_string(hide_password=False))
    path = Path(url.database or "")
    if not path.exists():
        raise Permanent(f"{where}: there is no such ledger")
    scratch.mkdir(parents=True, exist_ok=True)
    # A query may be read by one thread ahead of another, never two at once.
    with (
        failures(where),
        closing(
            sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        ) as file,
    ):
        yield SqliteSession(file, where, write=write)


class SqliteSession:
    """The `Session` of SQLite, whose instants are integer microseconds and points integer hundredths."""

    dialect = "sqlite"

    def __init__(self, connection: sqlite3.Connection, where: str, *, write: bool) -> None:
        self._connection = connection
        self._where = where
        self.execute("PRAGMA temp_store = FILE")
        self.execute("PRAGMA synchronous = FULL")
        self.execute("BEGIN IMMEDIATE" if write else "BEGIN")
        self.now = datetime.now(UTC)

    def columns(self, table: str) -> frozenset[str]:
        """Return the columns of a table of the ledger, none where it is not there."""
        found = self._connection.execute(f"SELECT name FROM pragma_table_info({literal(table)})")
        return frozenset(name for (name,) in found)

    def execute(self, sql: str) -> int:
        """Run a statement; return how many rows it changed, else -1."""
        with failures(self._where):
            return self._connection.execute(sql).rowcount

    def ingest(self, table: str, batches: Iterable[pa.RecordBatch]) -> int:
        """Append batches to a table, by the names of their columns; return the rows."""
        rows = 0
        for batch in batches:
            names = ", ".join(f'"{name}"' for name in batch.schema.names)
            marks = ", ".join("?" * batch.num_columns)
            values = zip(*(_plain(column) for column in batch.columns), strict=True)
            with failures(self._where):
                self._connection.executemany(f'INSERT INTO "{table}" ({names}) VALUES ({marks})', values)
            rows += batch.num_rows
        return rows

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        """Yield what a query gives; a column of nulls alone has the null type."""
        with failures(self._where), closing(self._connection.execute(sql)) as cursor:
            names = [each[0] for each in cursor.description]
            while rows := cursor.fetchmany(_AT_ONCE):
                columns = [pa.array(values) for values in zip(*rows, strict=True)]
                yield pa.RecordBatch.from_arrays(columns, names)

    def one(self, sql: str) -> tuple[Any, ...]:
        """Return the only row of a query."""
        with failures(self._where):
            [row] = self._connection.execute(sql).fetchall()
        return tuple(row)

    def analyze(self, table: str) -> None:
        """SQLite's planner needs no statistics of temporary tables, only their keys."""

    def alone(self, key: str) -> None:
        """One that writes is alone anyway."""

    def freeze(self) -> None:
        """One that writes is alone anyway."""

    def commit(self) -> None:
        """Make everything stand."""
        self.execute("COMMIT")


def _plain(column: pa.Array) -> list[Any]:
    if pa.types.is_timestamp(column.type):
        column = column.cast(pa.timestamp("us", "UTC")).cast(pa.int64())
    return list(column.to_pylist())


@contextmanager
def failures(where: str) -> Iterator[None]:
    """Turn what the driver raises into errors of ours, which show no value of a row."""
    try:
        yield
    except sqlite3.Error as error:
        raise _failure(where, error) from error


def _failure(where: str, error: sqlite3.Error) -> LoyaltyError | Taken:
    name = getattr(error, "sqlite_errorname", "")
    if name in {"SQLITE_CONSTRAINT_PRIMARYKEY", "SQLITE_CONSTRAINT_UNIQUE"}:
        return Taken()
    if name.startswith(("SQLITE_BUSY", "SQLITE_LOCKED")):
        return Transient(f"{where}: {error}")
    return Permanent(f"{where}: {error}")
