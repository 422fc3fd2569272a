"""Who asked for a run, the audit chain, download links, notices, erasures"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    with op.batch_alter_table("loyalty_runs") as runs:
        runs.add_column(sa.Column("requested_by", sa.String(length=255), nullable=True))
        runs.add_column(sa.Column("files_gone_at", sa.BigInteger(), nullable=True))
        runs.add_column(sa.Column("files_gone_why", sa.String(length=16), nullable=True))
    with op.batch_alter_table("loyalty_deliveries") as deliveries:
        deliveries.add_column(sa.Column("sending", sa.Integer(), server_default="0", nullable=False))
    with op.batch_alter_table("loyalty_deliveries") as deliveries:
        deliveries.alter_column("sending", server_default=None)
    op.create_table(
        "loyalty_audit",
        sa.Column("sequence", sa.BigInteger(), autoincrement=False, nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("actor", sa.String(length=255), nullable=False),
        sa.Column("action", sa.String(length=64), nullable=False),
        sa.Column("subject", sa.Text(), nullable=False),
        sa.Column("detail", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("previous_sha256", sa.String(length=64), nullable=True),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("sequence", name="pk_loyalty_audit"),
    )
    op.create_index("ix_loyalty_audit_subject", "loyalty_audit", ["subject"])
    op.create_table(
        "loyalty_links",
        sa.Column("token_sha256", sa.String(length=64), nullable=False),
        sa.Column("delivery_key", sa.String(length=64), nullable=True),
        sa.Column("run_key", sa.String(length=64), nullable=False),
        sa.Column("file", sa.Text(), nullable=False),
        sa.Column("recipient", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("codes", sa.Integer(), nullable=False),
        sa.Column("code_sha256", sa.String(length=64), nullable=True),
        sa.Column("code_sent_at", sa.BigInteger(), nullable=True),
        sa.Column("code_expires_at", sa.BigInteger(), nullable=True),
        sa.Column("code_attempts", sa.Integer(), nullable=False),
        sa.Column("downloads", sa.Integer(), nullable=False),
        sa.Column("revoked", sa.Boolean(), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("token_sha256", name="pk_loyalty_links"),
    )
    op.create_index("ix_loyalty_links_run_key", "loyalty_links", ["run_key"])
    op.create_table(
        "loyalty_notices",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("event", sa.String(length=32), nullable=False),
        sa.Column("definition_id", sa.String(length=255), nullable=True),
        sa.Column("run_key", sa.String(length=64), nullable=True),
        sa.Column("channel", sa.String(length=32), nullable=False),
        sa.Column("recipient", sa.String(length=255), nullable=False),
        sa.Column("way", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("notice", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("may_have_left", sa.Boolean(), nullable=False),
        sa.Column("next_at", sa.BigInteger(), nullable=False),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_loyalty_notices"),
    )
    op.create_index("ix_loyalty_notices_run_key", "loyalty_notices", ["run_key"])
    op.create_index("ix_loyalty_notices_state_next_at", "loyalty_notices", ["state", "next_at"])
    op.create_table(
        "loyalty_watches",
        sa.Column("definition_id", sa.String(length=255), nullable=False),
        sa.Column("schedule", sa.String(length=64), nullable=False),
        sa.Column("since", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("definition_id", name="pk_loyalty_watches"),
    )
    op.create_table(
        "loyalty_erasures",
        sa.Column("subject", sa.String(length=64), nullable=False),
        sa.Column("pseudonym", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("requested_by", sa.String(length=255), nullable=False),
        sa.Column("detail", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("subject", name="pk_loyalty_erasures"),
        sa.UniqueConstraint("pseudonym", name="uq_loyalty_erasures_pseudonym"),
    )
