"""The audit chain, links, notices, erasures, grants and keys: what is kept of people, and for them."""

from __future__ import annotations

from sqlalchemy import BigInteger, Boolean, Column, Index, Integer, PrimaryKeyConstraint, String, Table, Text

from include.state.tables.common import DOCUMENT, KEY, METADATA, NAME, Instant

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
