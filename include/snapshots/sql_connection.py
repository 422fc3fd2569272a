"""Connecting to a ledger in any database but PostgreSQL."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL, Connection
from sqlalchemy.exc import DBAPIError
from sqlalchemy.pool import NullPool

from include.errors import BadInput, Problem, Transient
from include.snapshots import dialects
from include.snapshots.source import Source, engine, public_url

MYSQL = frozenset({"mysql", "mariadb"})
"""SQLAlchemy's names of what speaks MySQL's protocol."""

_FILES = {"sqlite": "SQLite", "duckdb": "DuckDB"}
# Errors of MySQL that say the URL is wrong: access denied, unknown database.
_WRONG_URL = frozenset({1044, 1045, 1049})


def connect(source: Source, url: URL) -> Connection:
    """Return a connection; BadInput when the URL is wrong, Transient when the database cannot be reached."""
    where = public_url(source.url)
    name = url.get_backend_name()
    if name in _FILES:
        path = url.database or ""
        if path in {"", ":memory:"} or not Path(path.removeprefix("file:").split("?")[0]).is_file():
            right = f"there is no such {_FILES[name]} file; make one with `loyalty ledger init`"
            raise BadInput([Problem(where, path, right, "no_ledger")])
    if name in MYSQL and "charset" not in url.query:
        url = url.update_query_dict({"charset": "utf8mb4"})
    # Database transactions are begun by the statements of `dialects`, not by the driver.
    more: dict[str, Any] = {"isolation_level": "AUTOCOMMIT"} if dialects.of(name).autocommit else {}
    if name == "duckdb":
        more["connect_args"] = {"read_only": True}
    made = engine(url, poolclass=NullPool, **more)
    try:
        return made.connect()
    except DBAPIError as error:
        codes = getattr(error.orig, "args", ())
        no_file = name == "sqlite" or (name == "duckdb" and "lock" not in str(error.orig))
        if no_file or (codes and codes[0] in _WRONG_URL):
            right = "give a ledger URL that connects"
            raise BadInput([Problem(where, str(error.orig), right, "bad_url")]) from error
        raise Transient(f"{where} cannot be reached: {error.orig}") from error
