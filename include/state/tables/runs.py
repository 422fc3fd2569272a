"""Versions of definitions, runs, deliveries, leases, snapshots and the chain of manifests."""

from __future__ import annotations

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    ForeignKey,
    Index,
    Integer,
    PrimaryKeyConstraint,
    String,
    Table,
    Text,
    UniqueConstraint,
)

from include.state.tables.common import DOCUMENT, KEY, METADATA, NAME, Instant

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
