"""How each kind of database that SQLAlchemy speaks to is read consistently; PostgreSQL has a reader of its own.

Where a database transaction sees one state, all relations are read in one. Warehouses have no such transaction: there
every table is read as it was at the read point, which a mapped query says with `:read_at` at each of its tables.
Run in tests: SQLite, MariaDB, DuckDB. Of the others the tests check the SQL that is sent, by their own dialects.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy.engine import Connection

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
# Rows of one customer lie all over the file: with SQLite's own 2 MiB its pages are read again for each look.
_SQLITE_KIBIBYTES = 16 * 1024
# After so many steps of its machine SQLite asks whether to go on: some ten times a second.
_SQLITE_STEPS = 1_000_000
READ_AT = ":read_at"
"""Stands in SQL for the instant of the read point."""


def _nothing(_connection: Connection, _seconds: int) -> tuple[str, ...]:
    return ()


@dataclass(frozen=True)
class Dialect:
    """One kind of database.

    clock: gives now (us). begin: statements that begin a read of at most so many seconds each. ends: whether `ROLLBACK`
    ends it. autocommit: the driver is told to begin nothing itself. naive_is_utc: instants come without a zone, in UTC.
    travel: follows a table's name, to read it as of the read point, which `instant` writes. upper: names that are not
    quoted are stored in capitals. top: the first rows are asked for by TOP. contains: {of} has the text {value} in it.
    floats: names of its floating-point types, by the text of the type code that its driver gives.
    """

    clock: str | None = None
    begin: Callable[[Connection, int], tuple[str, ...]] = _nothing
    ends: bool = False
    autocommit: bool = False
    naive_is_utc: bool = False
    travel: str = ""
    instant: str = ""
    upper: bool = False
    top: bool = False
    contains: str = "INSTR({of}, {value}) > 0"
    floats: Mapping[str, str] = field(default_factory=dict)

    def literal(self, moment: int) -> str:
        """Return an instant (us) as the database writes it."""
        text = (_EPOCH + timedelta(microseconds=moment)).strftime("%Y-%m-%d %H:%M:%S.%f+00:00")
        return self.instant.format(text)


def is_mariadb(connection: Connection) -> bool:
    """Say whether what speaks MySQL's protocol is MariaDB."""
    return bool(getattr(connection.dialect, "is_mariadb", False))


def _sqlite(connection: Connection, seconds: int) -> tuple[str, ...]:
    end = time.monotonic() + seconds
    driver: Any = connection.connection.dbapi_connection
    driver.set_progress_handler(lambda: time.monotonic() > end, _SQLITE_STEPS)
    cache = f"PRAGMA cache_size = -{_SQLITE_KIBIBYTES}"
    return "PRAGMA query_only = ON", cache, "BEGIN", "SELECT 1 FROM sqlite_master LIMIT 1"


def _mysql(connection: Connection, seconds: int) -> tuple[str, ...]:
    mariadb = is_mariadb(connection)
    limit = f"max_statement_time = {seconds}" if mariadb else f"max_execution_time = {seconds * 1000}"
    return (
        f"SET SESSION time_zone = '+00:00', {limit}",
        "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ",
        "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
    )


def _duckdb(_connection: Connection, _seconds: int) -> tuple[str, ...]:
    return "SET TimeZone = 'UTC'", "BEGIN TRANSACTION READ ONLY", "SELECT 1 FROM duckdb_tables() LIMIT 1"


def _mssql(_connection: Connection, _seconds: int) -> tuple[str, ...]:
    return "SET TRANSACTION ISOLATION LEVEL SNAPSHOT", "BEGIN TRANSACTION"


def _snowflake(_connection: Connection, seconds: int) -> tuple[str, ...]:
    return (f"ALTER SESSION SET TIMEZONE = 'UTC', STATEMENT_TIMEOUT_IN_SECONDS = {seconds}",)


def _other(connection: Connection, _seconds: int) -> tuple[str, ...]:
    known = connection.get_isolation_level()
    driver = connection.connection.dbapi_connection
    assert driver is not None
    levels = connection.dialect.get_isolation_level_values(driver)
    level = next((x for x in ("SNAPSHOT", "REPEATABLE READ", "SERIALIZABLE") if x in levels), known)
    connection.execution_options(isolation_level=level)
    return ()


_MYSQL = Dialect(
    clock="SELECT TIMESTAMPDIFF(MICROSECOND, '1970-01-01', UTC_TIMESTAMP(6))",
    begin=_mysql,
    ends=True,
    autocommit=True,
    naive_is_utc=True,
    floats={"4": "FLOAT", "5": "DOUBLE"},
)
_KNOWN = {
    "sqlite": Dialect(
        clock="SELECT CAST(ROUND((julianday('now') - 2440587.5) * 86400000) AS INTEGER) * 1000",
        begin=_sqlite,
        ends=True,
        autocommit=True,
    ),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "duckdb": Dialect(
        clock="SELECT epoch_us(get_current_timestamp())",
        begin=_duckdb,
        ends=True,
        autocommit=True,
        floats={"FLOAT": "FLOAT", "DOUBLE": "DOUBLE"},
    ),
    "mssql": Dialect(
        clock="SELECT DATEDIFF_BIG(MICROSECOND, '1970-01-01', SYSUTCDATETIME())",
        begin=_mssql,
        ends=True,
        autocommit=True,
        top=True,
        contains="CHARINDEX({value}, {of}) > 0",
        floats={str(float): "FLOAT"},
    ),
    "snowflake": Dialect(
        clock="SELECT DATE_PART(EPOCH_MICROSECOND, CURRENT_TIMESTAMP())",
        begin=_snowflake,
        travel=f" AT(TIMESTAMP => {READ_AT})",
        instant="'{}'::TIMESTAMP_TZ",
        upper=True,
        contains="CHARINDEX({value}, {of}) > 0",
        floats={"1": "FLOAT"},
    ),
    "bigquery": Dialect(
        clock="SELECT UNIX_MICROS(CURRENT_TIMESTAMP())",
        travel=f" FOR SYSTEM_TIME AS OF {READ_AT}",
        instant="TIMESTAMP '{}'",
        floats={"FLOAT": "FLOAT64", "FLOAT64": "FLOAT64"},
    ),
}


def of(name: str) -> Dialect:
    """Return what is known of a kind of database by SQLAlchemy's name; of one that is not listed, what it promises."""
    return _KNOWN.get(name, Dialect(begin=_other, autocommit=True))
