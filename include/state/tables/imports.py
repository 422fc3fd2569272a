"""Imports of points and birthdays."""

from __future__ import annotations

from sqlalchemy import BigInteger, Column, Integer, String, Table, Text

from include.state.tables.common import DOCUMENT, KEY, METADATA, NAME, Instant

IMPORTS = Table(
    "loyalty_imports",
    METADATA,
    Column("import_id", KEY, primary_key=True),
    Column("state", String(16), nullable=False, index=True),
    Column("options", DOCUMENT, nullable=False),
    Column("file_name", Text, nullable=False),
    Column("sha256", KEY, nullable=False, index=True),
    Column("bytes", BigInteger, nullable=False),
    Column("repeat", Integer, nullable=False),
    Column("undoes", KEY, index=True),
    Column("undone_by", KEY),
    Column("requested_by", NAME, nullable=False),
    Column("requested_at", Instant, nullable=False, index=True),
    Column("rehearsal", DOCUMENT),
    Column("rows_key", Text),
    Column("decided_by", NAME),
    Column("decided_at", Instant),
    Column("decision", String(16)),
    Column("decision_note", Text),
    Column("posted_by", NAME),
    Column("posted_at", Instant),
    Column("receipt", DOCUMENT),
    Column("files", DOCUMENT),
    Column("updated_at", Instant, nullable=False),
)
