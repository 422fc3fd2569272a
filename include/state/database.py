"""Opening the state database: SQLite (one machine) or PostgreSQL. The schema is brought up to date."""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any
from weakref import WeakSet

from sqlalchemy import Connection, Engine, create_engine, event, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.exc import DBAPIError, InterfaceError, OperationalError
from sqlalchemy.pool import NullPool, Pool, QueuePool

from include import database_url
from include.errors import BadInput, Problem, Transient

HEAD = "0008"  # the newest migration; a test compares it with the files
VERSION_TABLE = "loyalty_alembic_version"
UPGRADE_LOCK = 0x6C6F79616C7479  # any number that nobody else takes: "loyalty"
BUSY_MILLISECONDS = 60_000
# A server that was restarted is noticed before a kept connection is used; more at once are opened, and not kept.
_KEPT = {
    "poolclass": QueuePool,
    "pool_size": 4,
    "max_overflow": -1,
    "pool_recycle": 60,
    "pool_pre_ping": True,
}
_engines: WeakSet[Engine] = WeakSet()
_of_the_parent: list[Pool] = []


class Database:
    """Database transactions on the state. Only `look`, which every request needs, keeps its connections."""

    def __init__(self, url: str) -> None:
        self._url = _checked(url)
        self.engine = _engine(self._url, poolclass=NullPool)
        self._looking = _engine(self._url, **_KEPT)
        _engines.add(self._looking)
        self.dialect = self.engine.dialect.name

    @contextmanager
    def write(self) -> Iterator[Connection]:
        """Run one database transaction that may write; a lost or busy database is Transient."""
        with self._errors(), self.engine.begin() as connection:
            yield connection

    @contextmanager
    def read(self) -> Iterator[Connection]:
        """Run one database transaction that only reads, and so waits for no writer."""
        with self._errors(), self.engine.connect().execution_options(loyalty_read=True) as connection:
            yield connection

    @contextmanager
    def look(self) -> Iterator[Connection]:
        """Run one database transaction that only reads, on a connection that is kept for the next one."""
        with self._errors(), self._looking.connect().execution_options(loyalty_read=True) as connection:
            yield connection

    def upgrade(self) -> None:
        """Bring the schema to HEAD; one process does it, the others wait for it."""
        if self._revision() == HEAD:
            return
        with self._errors(), self._alone():
            if self._revision() != HEAD:
                from include.state.migrations.run import upgrade

                upgrade(self.engine)

    def bytes(self) -> int | None:
        """Return how large the database is; None where nobody can tell."""
        with self.read() as connection:
            if self.dialect == "sqlite":
                pages = connection.scalar(text("PRAGMA page_count")) or 0
                return int(pages * (connection.scalar(text("PRAGMA page_size")) or 0))
            size = connection.scalar(text("SELECT pg_database_size(current_database())"))
            return None if size is None else int(size)

    def _revision(self) -> str | None:
        with self.read() as connection:
            if not inspect(connection).has_table(VERSION_TABLE):
                return None
            found: str | None = connection.scalar(text(f"SELECT version_num FROM {VERSION_TABLE}"))
            return found

    @contextmanager
    def _alone(self) -> Iterator[None]:
        if self.dialect == "sqlite":
            path = Path(str(self._url.database))
            with path.with_name(path.name + ".upgrade-lock").open("w") as lock:
                fcntl.flock(lock, fcntl.LOCK_EX)
                yield
            return
        with self.engine.connect() as connection:
            connection.execute(text("SELECT pg_advisory_lock(:lock)"), {"lock": UPGRADE_LOCK})
            connection.commit()
            yield  # closing the connection gives the lock back

    @contextmanager
    def _errors(self) -> Iterator[None]:
        try:
            yield
        except (OperationalError, InterfaceError) as error:
            raise Transient(f"the state database {self._shown()}: {_sentence(error)}") from error
        except DBAPIError as error:
            if error.connection_invalidated:
                raise Transient(f"the state database {self._shown()}: the connection was lost") from error
            raise

    def _shown(self) -> str:
        """Return where the database is, without who we are there."""
        url = self._url
        return URL.create(
            url.get_backend_name(), host=url.host, port=url.port, database=url.database
        ).render_as_string()


def _checked(url: str) -> URL:
    """Refuse a URL that cannot hold the state, without showing what may be secret in it."""
    right = "sqlite:////absolute/path or postgresql://host/database"
    parsed = database_url.read(url)
    if parsed is None:
        right = f"{right}; {database_url.ESCAPE}"
        raise BadInput([Problem("LOYALTY_STATE_URL", "(unreadable)", right, "bad_state_url")])
    backend = parsed.get_backend_name()
    if backend not in {"sqlite", "postgresql"} or (backend == "sqlite" and not parsed.database):
        raise BadInput([Problem("LOYALTY_STATE_URL", f"{backend}://", right, "bad_state_url")])
    if backend == "postgresql" and parsed.drivername == "postgresql":
        parsed = parsed.set(drivername="postgresql+psycopg")
    return parsed


def _engine(url: URL, **pool: Any) -> Engine:
    if url.get_backend_name() != "sqlite":
        arguments = {
            "connect_timeout": 10,
            "tcp_user_timeout": 30_000,  # milliseconds; of a network that swallows everything
            "application_name": "loyalty state",
        }
        # Whatever the server's default: after a lock is taken, what others committed must be seen.
        isolation = {"isolation_level": "READ COMMITTED"}
        return create_engine(url, connect_args=arguments, hide_parameters=True, **isolation, **pool)
    path = Path(str(url.database))
    path.parent.mkdir(parents=True, exist_ok=True)
    waiting = {"timeout": BUSY_MILLISECONDS / 1000}
    engine = create_engine(url, connect_args=waiting, hide_parameters=True, **pool)
    event.listen(engine, "connect", _configure)
    event.listen(engine, "begin", _begin)
    return engine


def _anew() -> None:
    """Have a process that was forked open connections of its own: two on one would read each other's answers."""
    for engine in _engines:
        _of_the_parent.append(engine.pool)  # not even closed here
        engine.dispose(close=False)


os.register_at_fork(after_in_child=_anew)


def _configure(connection: Any, _record: object) -> None:
    """Take over transactions from the driver, and wait for writers instead of failing."""
    connection.isolation_level = None
    cursor = connection.cursor()
    cursor.execute(f"PRAGMA busy_timeout={BUSY_MILLISECONDS}")
    cursor.execute("PRAGMA synchronous=FULL")  # a confirmed delivery survives a power cut
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin(connection: Connection) -> None:
    """Take the write lock at once: upgrading a read lock later could only fail."""
    reads = connection.get_execution_options().get("loyalty_read")
    connection.exec_driver_sql("BEGIN" if reads else "BEGIN IMMEDIATE")


def _sentence(error: DBAPIError) -> str:
    return str(error.orig).strip().split("\n", 1)[0]
