"""First tables"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op


revision = "0001"
down_revision = None
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.create_table(
        "loyalty_chain",
        sa.Column("definition_id", sa.String(length=255), nullable=False),
        sa.Column("sequence", sa.BigInteger(), nullable=False),
        sa.Column("run_key", sa.String(length=64), nullable=False),
        sa.Column("manifest_sha256", sa.String(length=64), nullable=False),
        sa.Column("previous_sha256", sa.String(length=64), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("definition_id", "sequence", name="pk_loyalty_chain"),
        sa.UniqueConstraint("run_key", name="uq_loyalty_chain_run_key"),
    )
    op.create_table(
        "loyalty_definitions",
        sa.Column("definition_id", sa.String(length=255), nullable=False),
        sa.Column("version", sa.String(length=64), nullable=False),
        sa.Column("document", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("created_by", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("enabled", sa.Boolean(), nullable=False),
        sa.Column("current", sa.Boolean(), nullable=False),
        sa.PrimaryKeyConstraint("definition_id", "version", name="pk_loyalty_definitions"),
    )
    op.create_table(
        "loyalty_deliveries",
        sa.Column("key", sa.String(length=64), nullable=False),
        sa.Column("run_key", sa.String(length=64), nullable=False),
        sa.Column("target", sa.String(length=255), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.Column("attempts", sa.Integer(), nullable=False),
        sa.Column("may_have_sent", sa.Boolean(), nullable=False),
        sa.Column("sha256", sa.String(length=64), nullable=True),
        sa.Column("rows", sa.BigInteger(), nullable=True),
        sa.Column("totals", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("receipt", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("message", sa.Text(), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("key", name="pk_loyalty_deliveries"),
    )
    op.create_index("ix_loyalty_deliveries_run_key", "loyalty_deliveries", ["run_key"])
    op.create_table(
        "loyalty_leases",
        sa.Column("name", sa.String(length=255), nullable=False),
        sa.Column("owner", sa.String(length=255), nullable=False),
        sa.Column("fence", sa.BigInteger(), nullable=False),
        sa.Column("expires_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name="pk_loyalty_leases"),
    )
    op.create_table(
        "loyalty_runs",
        sa.Column("run_key", sa.String(length=64), nullable=False),
        sa.Column("request_key", sa.String(length=64), nullable=False),
        sa.Column("definition_id", sa.String(length=255), nullable=False),
        sa.Column("definition_version", sa.String(length=64), nullable=False),
        sa.Column("definition", sa.JSON(none_as_null=True), nullable=False),
        sa.Column("occurrence", sa.BigInteger(), nullable=True),
        sa.Column("start", sa.BigInteger(), nullable=True),
        sa.Column("end", sa.BigInteger(), nullable=True),
        sa.Column("as_of", sa.BigInteger(), nullable=False),
        sa.Column("known_at", sa.BigInteger(), nullable=False),
        sa.Column("revision", sa.Integer(), nullable=False),
        sa.Column("dry_run", sa.Boolean(), nullable=False),
        sa.Column("snapshot_id", sa.String(length=255), nullable=True),
        sa.Column("artefacts", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("status", sa.String(length=16), nullable=False),
        sa.Column("stage", sa.String(length=255), nullable=False),
        sa.Column("rows_done", sa.BigInteger(), nullable=False),
        sa.Column("rows_total", sa.BigInteger(), nullable=True),
        sa.Column("summary", sa.JSON(none_as_null=True), nullable=True),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.Column("updated_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("run_key", name="pk_loyalty_runs"),
        sa.UniqueConstraint("request_key", name="uq_loyalty_runs_request_key"),
    )
    op.create_index("ix_loyalty_runs_created_at", "loyalty_runs", ["created_at"])
    op.create_index("ix_loyalty_runs_definition_id_as_of", "loyalty_runs", ["definition_id", "as_of"])
    op.create_table(
        "loyalty_snapshots",
        sa.Column("snapshot_id", sa.String(length=255), nullable=False),
        sa.Column("source_key", sa.String(length=64), nullable=False),
        sa.Column("generation", sa.Integer(), nullable=False),
        sa.Column("read_at", sa.BigInteger(), nullable=False),
        sa.Column("manifest_key", sa.Text(), nullable=False),
        sa.Column("state", sa.String(length=16), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("snapshot_id", name="pk_loyalty_snapshots"),
        sa.UniqueConstraint("source_key", "generation", name="uq_loyalty_snapshots_source_key_generation"),
    )
    op.create_index("ix_loyalty_snapshots_source_key", "loyalty_snapshots", ["source_key"])
    op.create_table(
        "loyalty_snapshot_references",
        sa.Column("snapshot_id", sa.String(length=255), nullable=False),
        sa.Column("holder", sa.String(length=255), nullable=False),
        sa.Column("created_at", sa.BigInteger(), nullable=False),
        sa.ForeignKeyConstraint(
            ["snapshot_id"],
            ["loyalty_snapshots.snapshot_id"],
            name="fk_loyalty_snapshot_references_snapshot_id",
        ),
        sa.PrimaryKeyConstraint("snapshot_id", "holder", name="pk_loyalty_snapshot_references"),
    )


def downgrade() -> None:
    op.drop_table("loyalty_snapshot_references")
    op.drop_table("loyalty_snapshots")
    op.drop_table("loyalty_runs")
    op.drop_table("loyalty_leases")
    op.drop_table("loyalty_deliveries")
    op.drop_table("loyalty_definitions")
    op.drop_table("loyalty_chain")
