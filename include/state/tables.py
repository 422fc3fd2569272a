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
    Column("stage_at", Instant),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Index(None, "definition_id", "as_of"),
    Index(None, "definition_id", "created_at"),
    Index(None, "created_at"),
    Index(None, "status", "updated_at"),
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
    Index(None, "state", "updated_at"),
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
    Index(None, "at"),
    Index(None, "actor", "sequence"),
    Index(None, "action", "sequence"),
    Index(None, "subject", "sequence"),
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

LOOKED = Table(
    "loyalty_looked",
    METADATA,
    Column("subject", String(32), primary_key=True),
    Column("kind", String(16), nullable=False),
    Column("name", Text, nullable=False),
    Column("created_at", Instant, nullable=False),
    Index(None, "kind", "name"),
)

GRANTS = Table(
    "loyalty_grants",
    METADATA,
    Column("role", NAME, nullable=False),
    Column("right", String(16), nullable=False),
    Column("definition_id", NAME, nullable=False),
    Column("granted_by", NAME, nullable=False),
    Column("at", Instant, nullable=False),
    PrimaryKeyConstraint("role", "right", "definition_id"),
)

API_KEYS = Table(
    "loyalty_api_keys",
    METADATA,
    Column("id", String(16), primary_key=True),
    Column("name", NAME, nullable=False),
    Column("sha256", KEY, nullable=False),
    Column("scopes", DOCUMENT, nullable=False),
    Column("exports", DOCUMENT, nullable=False),
    Column("per_minute", Integer, nullable=False),
    Column("created_by", NAME, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("expires_at", Instant, nullable=False),
    Column("revoked_at", Instant),
    Column("revoked_by", NAME),
    Column("minute", BigInteger, nullable=False),
    Column("minute_requests", Integer, nullable=False),
    Column("requests", BigInteger, nullable=False),
    Column("last_used_at", Instant),
    Column("told_at", Instant),
    Index(None, "created_at"),
)

EXPORTS = Table(
    "loyalty_exports",
    METADATA,
    Column("definition_id", NAME, primary_key=True),
    Column("source", String(8), nullable=False),
    Column("file", NAME),
    Column("broken", Boolean, nullable=False),
    Column("number", Integer, nullable=False),
    Column("document_sha256", KEY, nullable=False),
    Column("name", NAME, nullable=False),
    Column("name_folded", Text, nullable=False),
    Column("description", Text, nullable=False),
    Column("words", Text, nullable=False),  # what a search looks in
    Column("models", Text, nullable=False),  # each between bars, as in |balance|history|
    Column("targets", DOCUMENT, nullable=False),  # label and kind of each
    Column("target_words", Text, nullable=False),  # labels and kinds between bars
    Column("owner", NAME, nullable=False),
    Column("timezone", NAME, nullable=False),
    Column("enabled", Boolean, nullable=False),
    Column("paused", Boolean, nullable=False),
    Column("recurring", Boolean, nullable=False),
    Column("schedule_key", KEY),
    Column("schedule", DOCUMENT),
    Column("next_at", Instant),
    Column("created_by", NAME, nullable=False),
    Column("created_at", Instant, nullable=False),
    Column("edited_by", NAME, nullable=False),
    Column("edited_at", Instant, nullable=False),
    Column("deleted_at", Instant),
    # Of the newest run; written by `include.state.last_run` alone.
    Column("run_key", KEY),
    Column("run_status", String(16)),
    Column("run_bytes", BigInteger),
    Column("run_created_at", Instant),
    Column("run_moved_at", Instant),
    Column("run_delivers", Boolean, nullable=False),
    Index(None, "deleted_at", "created_at"),
    Index(None, "deleted_at", "name_folded"),
    Index(None, "next_at"),
    Index(None, "schedule_key"),
)

EXPORT_EDITS = Table(
    "loyalty_export_edits",
    METADATA,
    Column("definition_id", NAME, nullable=False),
    Column("number", Integer, nullable=False),
    Column("source", String(8), nullable=False),
    Column("document", DOCUMENT, nullable=False),
    Column("author", NAME, nullable=False),
    Column("at", Instant, nullable=False),
    Column("deleted", Boolean, nullable=False),
    PrimaryKeyConstraint("definition_id", "number"),
)

EXPORT_FILE_NAMES = Table(
    "loyalty_export_file_names",
    METADATA,
    Column("name_key", KEY, primary_key=True),
    Column("definition_id", NAME, nullable=False, index=True),
    Column("target", NAME, nullable=False),
)

LAST_DELIVERIES = Table(
    "loyalty_last_deliveries",
    METADATA,
    Column("definition_id", NAME, nullable=False),
    Column("target", NAME, nullable=False),
    Column("state", String(16), nullable=False),
    Column("at", Instant, nullable=False),
    Column("run_key", KEY, nullable=False),
    PrimaryKeyConstraint("definition_id", "target"),
)
