"""`loyalty export restate`: what late rows changed reaches every target that it can reach, and what failed is said."""

from __future__ import annotations

import json
import shutil
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest
import sqlalchemy as sa

from include.snapshots import canonical
from tests.cli.test_cli import Loyalty, files, home, ledger_file, loyalty

__all__ = ["home", "ledger_file", "loyalty"]  # fixtures
DEFINITION = """
id: march
name: March
model: history
period: previous_month
schedule: {kind: monthly, days: [1], time: "06:00"}
targets:
  - {kind: folder, name: first, options: {folder: first}}
  - {kind: folder, name: second, options: {folder: second}}
"""
AT = "2026-04-01T06:00Z"
LATE = {
    "transaction_id": "late",
    "points": Decimal("12.50"),
    "created_at": datetime(2026, 3, 15, tzinfo=UTC),
    "recorded_at": datetime(2026, 10, 1, tzinfo=UTC),
    "activates_at": None,
    "expires_at": None,
}


@pytest.fixture
def late_row(home: Path, ledger_file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A ledger in which one row of March was recorded in October, and the definition that reports March."""
    (home / "exports" / "march.yaml").write_text(DEFINITION)
    path = home / "ledger.sqlite"
    shutil.copy(ledger_file, path)
    monkeypatch.setenv("LOYALTY_LEDGER_URL", f"sqlite:///{path}")
    table = canonical.METADATA.tables["transactions"]
    kept = table.c.type == "earned", table.c.created_at < LATE["created_at"]
    with sa.create_engine(f"sqlite:///{path}").begin() as connection:
        row = dict(connection.execute(sa.select(table).where(*kept).limit(1)).mappings().one())
        connection.execute(table.insert(), row | LATE)


@pytest.mark.slow
@pytest.mark.usefixtures("late_row")
def test_one_target_that_fails_keeps_no_other_from_the_restatement(loyalty: Loyalty, home: Path) -> None:
    first = loyalty("export", "run", "march", "--occurrence", AT, "--known-at", AT, "--deliver")
    assert first.code == 0, first.error
    (home / "first" / "march_2026-03_r1.csv.gz").write_text("somebody else's")
    done = loyalty("export", "restate", "march", "--deliver")
    assert done.code == 1
    assert "exists with other content" in done.error
    assert {"march_2026-03_r1.csv.gz", "march_2026-03_r1_changes.csv.gz"} <= set(files(home / "second"))
    restated = json.loads(loyalty("runs", "--json").out)[0]
    assert (restated["revision"], restated["status"]) == (1, "failed")
