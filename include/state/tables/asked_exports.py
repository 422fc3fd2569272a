"""Exports that programs asked for through an API."""

from __future__ import annotations

from sqlalchemy import Boolean, Column, Index, Integer, String, Table, Text

from include.state.tables.common import DOCUMENT, KEY, METADATA, NAME, Instant

ASKED_EXPORTS = Table(
    "loyalty_asked_exports",
    METADATA,
    Column("export_id", NAME, primary_key=True),
    Column("owner", NAME, nullable=False),
    Column("requested_by", NAME, nullable=False),
    Column("kind", String(64), nullable=False),
    Column("asked", DOCUMENT, nullable=False),
    Column("definition", DOCUMENT, nullable=False),
    Column("personal", Boolean, nullable=False),
    Column("as_of", Instant, nullable=False),
    Column("status", String(16), nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("not_before", Instant, nullable=False),
    Column("run_key", KEY),
    Column("message", Text),
    Column("created_at", Instant, nullable=False),
    Column("updated_at", Instant, nullable=False),
    Column("deleted_at", Instant),
    Index(None, "owner", "deleted_at", "created_at"),
    Index(None, "status", "created_at"),
    Index(None, "run_key"),
)
