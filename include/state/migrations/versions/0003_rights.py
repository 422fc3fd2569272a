"""What is granted to roles, API keys, and finding entries of the audit chain and what is open quickly"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "loyalty_grants",
        sa.Column("role", sa.String(length=255), nullable=False),
        sa.Column("right", sa.String(length=16), nullable=False),
        sa.Column("definition_id", sa.String(length=255), nullable=False),
        sa.Column("granted_by", sa.String(length=255), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("role", "right", "definition_id", name="pk_loyalty_grants"),
    )
    op.create_table(
        "loyalty_api_keys",
        sa.Column("id", sa.String(length=16), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=False),
        sa.Column("scopes", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("exports", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("per_minute", sa.Integer(), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("revoked_at", sa.BigInteger(), nullable=True),
        sa.Column("revoked_by", sa.String(length=255), nullable=True),
        sa.Column("minute", sa.BigInteger(), nullable=False),
        sa.Column("minute_requests", sa.Integer(), nullable=False),
        sa.Column("requests", sa.BigInteger(), nullable=False),
        sa.Column("last_used_at", sa.BigInteger(), nullable=True),
        sa.Column("told_at", sa.BigInteger(), nullable=True),
        sa.PrimaryKeyConstraint("id", name="pk_loyalty_api_keys"),
    )
    op.create_index("ix_loyalty_api_keys_created_at", "loyalty_api_keys", ["created_at"])
    op.drop_index("ix_loyalty_audit_subject", "loyalty_audit")
    op.create_index("ix_loyalty_audit_subject_sequence", "loyalty_audit", ["subject", "sequence"])
    op.create_index("ix_loyalty_audit_actor_sequence", "loyalty_audit", ["actor", "sequence"])
    op.create_index("ix_loyalty_audit_action_sequence", "loyalty_audit", ["action", "sequence"])
    op.create_index("ix_loyalty_audit_at", "loyalty_audit", ["at"])
    op.create_index("ix_loyalty_deliveries_state_updated_at", "loyalty_deliveries", ["state", "updated_at"])
    op.create_index("ix_loyalty_runs_status_updated_at", "loyalty_runs", ["status", "updated_at"])
