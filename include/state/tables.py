"""The tables of the state database, and its clock. SQLite and PostgreSQL hold the same values.

All names begin with `loyalty_`, so that the tables can live beside others. Instants are BIGINT microseconds
of UTC (SQLite has no type for them); documents are JSON. Migrations make these tables; see `upgrade`.
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Column,
    Dialect,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    TypeDecorator,
    UniqueConstraint,
)
from sqlalchemy.ext.compiler import compiles
from sqlalchemy.sql.functions import FunctionElement

PREFIX = "loyalty_"
EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
MICROSECOND = timedelta(microseconds=1)


def microseconds(instant: datetime) -> int:
    """Return a zoned instant as whole microseconds since 1970 UTC, exactly."""
    return (instant - EPOCH) // MICROSECOND


def instant(value: int) -> datetime:
    """Return the UTC instant of microseconds since 1970, exactly."""
    return EPOCH + value * MICROSECOND


class Instant(TypeDecorator[datetime]):
    """A zoned datetime in Python, BIGINT microseconds in the database."""

    impl = BigInteger
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> int | None:  # noqa: ARG002
        """Refuse an instant without a zone; store microseconds."""
        if value is not None and value.tzinfo is None:
            raise ValueError(f"an instant without a zone: {value}")
        return None if value is None else microseconds(value)

    def process_result_value(self, value: int | None, dialect: Dialect) -> datetime | None:  # noqa: ARG002
        """Give UTC back."""
        return None if value is None else instant(value)


class Now(FunctionElement[int]):
    """The database's own clock in microseconds, so that the clocks of hosts need not agree."""

    type = BigInteger()
    inherit_cache = True
    name = "loyalty_now"


@compiles(Now, "postgresql")
def _now_postgresql(_element: Now, _compiler: Any, **_: Any) -> str:
    return "CAST(EXTRACT(EPOCH FROM clock_timestamp()) * 1000000 AS BIGINT)"


@compiles(Now, "sqlite")
def _now_sqlite(_element: Now, _compiler: Any, **_: Any) -> str:
    return "CAST((julianday('now') - 2440587.5) * 86400000000 AS INTEGER)"


METADATA = MetaData(
    naming_convention={
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "fk": "fk_%(table_name)s_%(column_0_N_name)s",
        "pk": "pk_%(table_name)s",
    }
)
KEY = String(64)
NAME = String(255)
DOCUMENT = JSON(none_as_null=True)

DEFINITIONS = Table(
    "loyalty_definitions",
    METADATA,
    Column("definition_id", NAME, nullable=False),
    Column("version", KEY, nullable=False),
    Column("document", DOCUMENT, nullable=False),
    Column("created_by", NAME, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("current", Boolean, nullable=False),
    PrimaryKeyConstraint("definition_id", "version"),
)

RUNS = Table(
    "loyalty_runs",
    METADATA,
    Column("run_key", KEY, primary_key=True),
    Column("request_key", KEY, nullable=False, unique=True),
    Column("definition_id", NAME, nullable=False),
    Column("definition_version", KEY, nullable=False),
    Column("definition", DOCUMENT, nullable=False),
    Column("occurrence", Instant),
    Column("start", Instant),
    Column("end", Instant),
    Column("as_of", Instant, nullable=False),
    Column("known_at", Instant, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("dry_run", Boolean, nullable=False),
    Column("requested_by", NAME),
    Column("snapshot_id", NAME),
    Column("artefacts", DOCUMENT),
    Column("files_gone_at", Instant),
    Column("files_gone_why", String(16)),
    Column("status", String(16), nullable=False),
    Column("stage", NAME, nullable=False),
    Column("rows_done", BigInteger, nullable=False),
    Column("rows_total", BigInteger),
    Column("summary", DOCUMENT),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index(None, "definition_id", "as_of"),
    Index(None, "created_at"),
)

DELIVERIES = Table(
    "loyalty_deliveries",
    METADATA,
    Column("key", KEY, primary_key=True),
    Column("run_key", KEY, nullable=False, index=True),
    Column("target", NAME, nullable=False),
    Column("sending", Integer, nullable=False),
    Column("state", String(16), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("owner", NAME, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("may_have_sent", Boolean, nullable=False),
    Column("sha256", KEY),
    Column("rows", BigInteger),
    Column("totals", DOCUMENT),
    Column("receipt", DOCUMENT),
    Column("message", Text),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)

LEASES = Table(
    "loyalty_leases",
    METADATA,
    Column("name", NAME, primary_key=True),
    Column("owner", NAME, nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("expires_at", Instant, nullable=False),
)

SNAPSHOTS = Table(
    "loyalty_snapshots",
    METADATA,
    Column("snapshot_id", NAME, primary_key=True),
    Column("source_key", KEY, nullable=False, index=True),
    Column("generation", Integer, nullable=False),
    Column("read_at", Instant, nullable=False),
    Column("manifest_key", Text, nullable=False),
    Column("state", String(16), nullable=False),
    Column("created_at", Instant, nullable=False),
    UniqueConstraint("source_key", "generation"),
)

SNAPSHOT_REFERENCES = Table(
    "loyalty_snapshot_references",
    METADATA,
    Column("snapshot_id", NAME, ForeignKey("loyalty_snapshots.snapshot_id"), nullable=False),
    Column("holder", NAME, nullable=False),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("snapshot_id", "holder"),
)

CHAIN = Table(
    "loyalty_chain",
    METADATA,
    Column("definition_id", NAME, nullable=False),
    Column("sequence", BigInteger, nullable=False),
    Column("run_key", KEY, nullable=False, unique=True),
    Column("manifest_sha256", KEY, nullable=False),
    Column("previous_sha256", KEY),
    Column("created_at", Instant, nullable=False),
    PrimaryKeyConstraint("definition_id", "sequence"),
)

AUDIT = Table(
    "loyalty_audit",
    METADATA,
    Column("sequence", BigInteger, primary_key=True, autoincrement=False),
    Column("at", Instant, nullable=False),
    Column("actor", NAME, nullable=False),
    Column("action", String(64), nullable=False),
    Column("subject", Text, nullable=False),
    Column("detail", DOCUMENT, nullable=False),
    Column("previous_sha256", KEY),
    Column("sha256", KEY, nullable=False),
    Index(None, "subject"),
)

LINKS = Table(
    "loyalty_links",
    METADATA,
    Column("token_sha256", KEY, primary_key=True),
    Column("delivery_key", KEY),
    Column("run_key", KEY, nullable=False, index=True),
    Column("file", Text, nullable=False),
    Column("recipient", NAME, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("codes", Integer, nullable=False),
    Column("code_sha256", KEY),
    Column("code_sent_at", Instant),
    Column("code_expires_at", Instant),
    Column("code_attempts", Integer, nullable=False),
    Column("downloads", Integer, nullable=False),
    Column("revoked", Boolean, nullable=False),
    Column("created_at", Instant, nullable=False),
)

NOTICES = Table(
    "loyalty_notices",
    METADATA,
    Column("key", KEY, primary_key=True),
    Column("event", String(32), nullable=False),
    Column("definition_id", NAME),
    Column("run_key", KEY, index=True),
    Column("channel", String(32), nullable=False),
    Column("recipient", NAME, nullable=False),
    Column("way", DOCUMENT, nullable=False),
    Column("notice", DOCUMENT, nullable=False),
    Column("state", String(16), nullable=False),
    Column("fence", BigInteger, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("may_have_left", Boolean, nullable=False),
    Column("next_at", Instant, nullable=False),
    Column("message", Text),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index(None, "state", "next_at"),
)

WATCHES = Table(
    "loyalty_watches",
    METADATA,
    Column("definition_id", NAME, primary_key=True),
    Column("schedule", KEY, nullable=False),
    Column("since", Instant, nullable=False),
)

ERASURES = Table(
    "loyalty_erasures",
    METADATA,
    Column("subject", KEY, primary_key=True),
    Column("pseudonym", NAME, nullable=False, unique=True),
    Column("state", String(16), nullable=False),
    Column("requested_by", NAME, nullable=False),
    Column("detail", DOCUMENT, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
)
