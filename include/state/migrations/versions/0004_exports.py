"""The catalogue of exports, and what its list says of their last runs and deliveries"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

# The newest delivery of each definition to each target.
LAST_DELIVERIES = """
INSERT INTO loyalty_last_deliveries (definition_id, target, state, at, run_key)
SELECT definition_id, target, state, updated_at, run_key FROM (
    SELECT r.definition_id, d.target, d.state, d.updated_at, d.run_key,
        row_number() OVER (PARTITION BY r.definition_id, d.target ORDER BY d.updated_at DESC, d.key) AS place
    FROM loyalty_deliveries d JOIN loyalty_runs r ON r.run_key = d.run_key
) AS ranked WHERE place = 1
"""


def upgrade() -> None:
    with op.batch_alter_table("loyalty_runs") as runs:
        runs.add_column(sa.Column("stage_at", sa.BigInteger(), nullable=True))
    op.create_index("ix_loyalty_runs_definition_id_created_at", "loyalty_runs", ["definition_id", "created_at"])
    op.create_table(
        "loyalty_exports",
        sa.Column("definition_id", sa.String(length=255), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("file", sa.String(length=255), nullable=True),
        sa.Column("broken", sa.Boolean(), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("document_sha256", sa.String(length=64), nullable=False),
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("name_folded", sa.Text(), nullable=False),
        sa.Column("description", sa.Text(), nullable=False),
        sa.Column("words", sa.Text(), nullable=False),
        sa.Column("models", sa.Text(), nullable=False),
        sa.Column("targets", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("target_words", sa.Text(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("timezone", sa.String(length=255), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("paused", sa.Boolean(), nullable=False),
        sa.Column("recurring", sa.Boolean(), nullable=False),
        sa.Column("schedule_key", sa.String(length=64), nullable=True),
        sa.Column("schedule", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("next_at", sa.BigInteger(), nullable=True),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("edited_by", sa.String(length=255), nullable=False),
        sa.Column("edited_at", sa.BigInteger(), nullable=False),
        sa.Column("deleted_at", sa.BigInteger(), nullable=True),
        sa.Column("run_key", sa.String(length=64), nullable=True),
        sa.Column("run_status", sa.String(length=16), nullable=True),
        sa.Column("run_bytes", sa.BigInteger(), nullable=True),
        sa.Column("run_created_at", sa.BigInteger(), nullable=True),
        sa.Column("run_moved_at", sa.BigInteger(), nullable=True),
        sa.Column("run_delivers", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("definition_id", name="pk_loyalty_exports"),
    )
    op.create_index(
        "ix_loyalty_exports_deleted_at_created_at", "loyalty_exports", ["deleted_at", "created_at"]
    )
    op.create_index(
        "ix_loyalty_exports_deleted_at_name_folded", "loyalty_exports", ["deleted_at", "name_folded"]
    )
    op.create_index("ix_loyalty_exports_next_at", "loyalty_exports", ["next_at"])
    op.create_index("ix_loyalty_exports_schedule_key", "loyalty_exports", ["schedule_key"])
    op.create_table(
        "loyalty_export_edits",
        sa.Column("definition_id", sa.String(length=255), nullable=False),
        sa.Column("number", sa.Integer(), nullable=False),
        sa.Column("source", sa.String(length=8), nullable=False),
        sa.Column("document", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("author", sa.String(length=255), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("deleted", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("definition_id", "number", name="pk_loyalty_export_edits"),
    )
    op.create_table(
        "loyalty_export_file_names",
        sa.Column("name_key", sa.String(length=64), nullable=False),
        sa.Column("definition_id", sa.String(length=255), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.PrimaryKeyConstraint("name_key", name="pk_loyalty_export_file_names"),
    )
    op.create_index(
        "ix_loyalty_export_file_names_definition_id", "loyalty_export_file_names", ["definition_id"]
    )
    op.create_table(
        "loyalty_last_deliveries",
        sa.Column("definition_id", sa.String(length=255), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("at", sa.BigInteger(), nullable=False),
        sa.Column("run_key", sa.String(length=64), nullable=False),
        sa.PrimaryKeyConstraint("definition_id", "target", name="pk_loyalty_last_deliveries"),
    )
    op.execute(LAST_DELIVERIES)
