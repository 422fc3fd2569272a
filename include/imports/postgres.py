"""A PostgreSQL ledger for imports: COPY both ways, by ADBC, so that no row becomes a Python object."""

from __future__ import annotations

import contextlib
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import Any

import adbc_driver_manager
import adbc_driver_postgresql
import adbc_driver_postgresql.dbapi as adbc
import pyarrow as pa
from sqlalchemy.engine import URL

from include.errors import LoyaltyError, Permanent, Transient
from include.imports.sessions import TEMPORARY, Taken, literal
from include.snapshots.source import public_url

_UNIQUE = "23505"
# Connection lost, out of resources, shutting down, serialization, deadlock, lock not available, cancelled.
_PASSING = ("08", "53", "57", "40", "55P03")
_FULL = ("53100",)
_LOCK_SECONDS = 30
_BATCH_BYTES = adbc_driver_postgresql.StatementOptions.BATCH_SIZE_HINT_BYTES.value
_WORK = "128MB"  # of the server's memory, for each sort or hash of one statement


@contextmanager
def session(url: URL, *, write: bool) -> Iterator[PostgresSession]:
    """Open a transaction; see `sessions.opened`. One that only rehearses sees one state of the ledger throughout."""
    where = public_url(url.render_as_string(hide_password=False))
    with failures(where):
        connection = adbc.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    try:
        with failures(where):
            yield PostgresSession(connection, where, write=write)
    finally:
        with contextlib.suppress(adbc_driver_manager.Error):
            connection.close()


class PostgresSession:
    """The `Session` of PostgreSQL."""

    dialect = "postgresql"

    def __init__(self, connection: Any, where: str, *, write: bool) -> None:
        self._connection = connection
        self._where = where
        level = "READ COMMITTED" if write else "REPEATABLE READ"
        self.execute(f"SET TRANSACTION ISOLATION LEVEL {level}")
        self.execute(f"SET LOCAL lock_timeout = '{_LOCK_SECONDS}s'")
        self.execute("SET LOCAL idle_in_transaction_session_timeout = 0")
        self.execute("SET LOCAL client_min_messages = warning")
        self.execute(f"SET LOCAL work_mem = '{_WORK}'")
        self.execute("SET LOCAL jit = off")
        micro = self.one("SELECT (EXTRACT(EPOCH FROM clock_timestamp()) * 1000000)::bigint")[0]
        self.now = datetime.fromtimestamp(micro // 1_000_000, UTC).replace(microsecond=micro % 1_000_000)

    def columns(self, table: str) -> frozenset[str]:
        """Return the columns of a table of the ledger, none where it is not there."""
        found = self.stream(
            "SELECT attname::text AS name FROM pg_attribute "
            f"WHERE attrelid = to_regclass({literal(table)}) AND attnum > 0 AND NOT attisdropped"
        )
        return frozenset(name for batch in found for name in batch.column(0).to_pylist())

    def execute(self, sql: str) -> int:
        """Run a statement; return how many rows it changed, else -1."""
        with failures(self._where), self._connection.cursor() as cursor:
            cursor.execute(sql)
            return int(cursor.rowcount)

    def ingest(self, table: str, batches: Iterable[pa.RecordBatch]) -> int:
        """Append batches to a table, by the names of their columns; return the rows."""
        rows, ours = 0, table.startswith(TEMPORARY)
        with failures(self._where), self._connection.cursor() as cursor:
            for batch in batches:
                cursor.adbc_ingest(table, batch, mode="append", temporary=ours)
                rows += batch.num_rows
        return rows

    def stream(self, sql: str) -> Iterator[pa.RecordBatch]:
        """Yield what a query gives."""
        with failures(self._where), self._connection.cursor() as cursor:
            cursor.adbc_statement.set_options(**{_BATCH_BYTES: str(2 << 20)})
            cursor.execute(sql)
            yield from cursor.fetch_record_batch()

    def one(self, sql: str) -> tuple[Any, ...]:
        """Return the only row of a query."""
        [row] = [tuple(row.values()) for batch in self.stream(sql) for row in batch.to_pylist()]
        return row

    def analyze(self, table: str) -> None:
        """Let the database see what a temporary table holds."""
        self.execute(f"ANALYZE {table}")

    def alone(self, key: str) -> None:
        """Wait until no other transaction works under this key."""
        self.execute(f"SELECT pg_advisory_xact_lock(hashtextextended({literal(key)}, 0))")

    def freeze(self) -> None:
        """Let nobody else write transactions until the end."""
        self.execute("LOCK TABLE transactions IN SHARE ROW EXCLUSIVE MODE")

    def commit(self) -> None:
        """Make everything stand."""
        with failures(self._where):
            self._connection.commit()


@contextmanager
def failures(where: str) -> Iterator[None]:
    """Turn what the driver raises into errors of ours, which show no value of a row."""
    try:
        yield
    except adbc_driver_manager.Error as error:
        raise _failure(where, error) from None


def _failure(where: str, error: adbc_driver_manager.Error) -> LoyaltyError | Taken:
    state = error.sqlstate or ""
    said = str(error).strip().split("\n")
    sentence = next((line for line in said if "ERROR:" in line), said[0])
    if state == _UNIQUE:
        return Taken()
    lost = not state and "ERROR:" not in sentence
    if state not in _FULL and (lost or state.startswith(_PASSING)):
        return Transient(f"{where}: {sentence}")
    return Permanent(f"{where}: {sentence}")
