"""The ledger database as a source: one consistent, read-only read that streams Arrow record batches."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL
from sqlalchemy.exc import ArgumentError

from include import database_url
from include.errors import BadInput, Problem
from include.settings import Settings
from include.snapshots import mapping as mappings
from include.snapshots.mapping import Mapping
from include.snapshots.reading import InvalidValue, Reading

__all__ = ["InvalidValue", "Reading", "Source", "engine", "open_read", "parse_url", "public_url"]

# Query parameters of a URL that hold no secret; others are not shown.
_SHOWN = frozenset({"host", "port", "dbname", "sslmode", "charset", "options", "mode", "driver"})
# What to install for a kind of database, or for a driver, whose package has another name.
_PACKAGES = {
    "snowflake": "snowflake-sqlalchemy",
    "bigquery": "sqlalchemy-bigquery",
    "MySQLdb": "mysqlclient, or write mysql+pymysql://",
}


@dataclass(frozen=True)
class Source:
    """Where the ledger is, and how its tables map to the catalog (None: canonical tables).

    statement_seconds: the database ends a read that takes longer, where it can.
    """

    url: str
    mapping: Mapping | None = None
    statement_seconds: int = 6 * 3600

    @staticmethod
    def from_settings(settings: Settings) -> Source:
        """Return the configured source; BadInput when the mapping file is wrong."""
        path = settings.ledger_mapping
        return Source(settings.ledger_url, mappings.load(path) if path else None)

    @property
    def mapping_sha256(self) -> str | None:
        """The hash of the mapping, None for canonical tables."""
        return self.mapping.sha256 if self.mapping else None

    @property
    def trusted(self) -> frozenset[str]:
        """The relations for whose `updated_at` the mapping vouches."""
        return self.mapping.trusted if self.mapping else frozenset()

    @property
    def where(self) -> str:
        """The source in messages: the mapping's file name, or the URL without secrets."""
        return self.mapping.name if self.mapping else public_url(self.url)


def parse_url(url: str) -> URL:
    """Return the parsed URL; BadInput, without showing it, when it is none, or what to install for it."""
    parsed = database_url.read(url)
    try:
        if parsed is not None:
            parsed.get_dialect()
            return parsed
    except (ArgumentError, ImportError) as error:
        if parsed is not None and parsed.get_backend_name() in _PACKAGES:
            raise _not_installed(parsed, error) from error
    example = "give a SQLAlchemy URL such as postgresql://user@host/database or sqlite:///ledger.sqlite"
    right = f"{example}; {database_url.ESCAPE}"
    raise BadInput([Problem("ledger URL", database_url.hidden(url), right, "bad_url")])


def engine(url: URL, **more: Any) -> sa.Engine:
    """Return SQLAlchemy's engine; BadInput says what to install where the driver is missing."""
    try:
        return sa.create_engine(url, **more)
    except ImportError as error:
        raise _not_installed(url, error) from error


def _not_installed(url: URL, error: Exception) -> BadInput:
    module = getattr(error, "name", None) or url.drivername
    package = _PACKAGES.get(url.get_backend_name()) or _PACKAGES.get(module, module)
    right = f"install {package} (docs/sources.md, What to install)"
    where = public_url(url.render_as_string(hide_password=False))
    return BadInput([Problem(where, str(error), right, "no_driver")])


def public_url(url: str) -> str:
    """Return a URL as it may be shown, logged and kept: no password, no parameter that may hold a secret."""
    parsed = database_url.read(url)
    if parsed is None:
        return database_url.hidden(url)
    shown = {key: value for key, value in parsed.query.items() if key in _SHOWN}
    return URL.create(
        parsed.drivername, parsed.username, None, parsed.host, parsed.port, parsed.database, shown
    ).render_as_string(hide_password=True)


@contextmanager
def open_read(source: Source, *, values: bool = True) -> Iterator[Reading]:
    """Open one read-only, repeatable-read database transaction on the ledger, and end it afterwards.

    values: look at a mapped ledger's values too (null keys; wrong types where queries are not typed). The check
    leaves that out, as it names the rows. Raises BadInput that lists every missing relation and column, wrong
    type and null key at once; Permanent that lists every relation for which only the right is missing; Transient when
    the database cannot be reached or the connection is lost.
    """
    parsed = parse_url(source.url)
    opened: AbstractContextManager[Reading]
    if parsed.get_backend_name() == "postgresql":
        from include.snapshots import postgres

        opened = postgres.reading(source, parsed, values=values)
    else:
        from include.snapshots import sql

        opened = sql.reading(source, parsed, values=values)
    with opened as reading:
        yield reading
