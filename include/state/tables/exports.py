"""The catalogue of exports, and what its list says of their last runs and deliveries."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from include.state.tables.common import DOCUMENT, KEY, METADATA, NAME, Instant

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
