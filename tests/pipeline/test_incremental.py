"""What is delivered from a snapshot that began from an earlier one is, byte for byte, what a whole reading gives."""

from __future__ import annotations

import shutil
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from include import pipeline
from include.connections import Secrets
from include.definitions.model import ExportDefinition
from include.pipeline import Context, attention, snapshot_stage
from include.pipeline.context import silent
from include.pipeline.erasure import erase
from include.pipeline.privacy import erasure_key
from include.reports import models
from include.settings import Settings
from include.snapshots import registry
from include.snapshots.manifest import SnapshotManifest
from tests.pipeline.people import kept_of, key_of_erased

pytestmark = pytest.mark.slow

NEW = """INSERT INTO transactions (transaction_id, program_id, customer_id, type, points, created_at, recorded_at)
         SELECT 'new-' || transaction_id, program_id, customer_id, 'earned', 500, created_at + {0}, recorded_at + {0}
         FROM transactions WHERE type = 'earned' ORDER BY {1} LIMIT {2}"""
ONE = """(SELECT transaction_id FROM transactions WHERE type = 'earned' AND transaction_id NOT LIKE 'new-%'
          AND transaction_id NOT LIKE 'late-%' ORDER BY transaction_id LIMIT 1 OFFSET {})"""
CHANGES = (
    NEW.format(3_600_000_000, "created_at DESC", 60),  # a day's rows
    NEW.format(60_000_000, "transaction_id", 5).replace("'new-'", "'late-'"),  # of days that were over
    f"UPDATE transactions SET points = points + 100 WHERE transaction_id = {ONE.format(20)}",
    f"DELETE FROM transactions WHERE transaction_id = {ONE.format(900)}",
)


def of(context: Context) -> list[SnapshotManifest]:
    """All usable snapshots, the newest first."""
    found = [row for key in context.state.snapshots.sources() for row in context.state.snapshots.usable(key)]
    return [registry.read(context.store, row.manifest_key) for row in found]


def again(context: Context, definition: ExportDefinition) -> SnapshotManifest:
    """Take another snapshot, though the last one would do."""
    after = of(context)[0].read_at + timedelta(microseconds=1)
    secrets: Secrets = erasure_key(context)
    return snapshot_stage.take_for(context.settings, definition.document(), after, secrets, progress=silent)


def files(context: Context, definition: ExportDefinition) -> dict[str, str]:
    """The hashes of what is rendered, by name."""
    key = pipeline.pin(context, definition, occurrence=datetime(2026, 7, 2, 6, tzinfo=UTC)).run_key
    pipeline.snapshot(context, key)
    return {each["name"]: each["sha256"] for each in pipeline.render(context, key) if "rows" in each}


def change(url: str) -> None:
    with sa.create_engine(url).begin() as connection:
        for statement in CHANGES:
            assert connection.exec_driver_sql(statement).rowcount > 0, statement


def test_every_model_and_format_gives_the_same_bytes(
    ledger_url: str,
    tmp_path: Path,
    settings_for: Callable[..., Settings],
    define: Callable[..., ExportDefinition],
    inline: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    path = shutil.copy(sa.make_url(ledger_url).database or "", tmp_path / "changing.sqlite")
    url = f"sqlite:///{path}"
    kinds = ("csv", "parquet", "jsonl")
    parts = [
        {
            "id": f"{name.replace('_', '-')}-{kind}",
            "model": name,
            "file": {"name": "{export}_{date}", "compression": "none", "format": kind},
        }
        for name in models.names()
        for kind in (kinds if name in {"transactions", "history", "lots", "balance"} else kinds[:1])
    ]
    packs = [
        define(
            id=f"pack{first}", owner="o", period="previous_month", exports=parts[first : first + 25],
            model=None, file={}, privacy=None,
        )
        for first in range(0, len(parts), 25)
    ]  # fmt: skip
    # As if all were saved exports: one snapshot serves them all.
    everything = snapshot_stage.read_by(packs)
    monkeypatch.setattr(snapshot_stage, "needs", lambda *_: everything)
    began = Context(settings_for(url, "began"))
    files(began, packs[0].model_copy(update={"id": "before"}))
    change(url)
    made = again(began, packs[0])
    assert made.increment is not None
    assert (made.increment.late, made.increment.changed, made.increment.removed) == (65, 1, 1)
    assert made.rows_read < made.totals.rows / 5  # type: ignore[operator]
    [item] = [each for each in attention.collect(began, attention.Visible()) if each.group == "ledger"]
    assert "1 transactions were changed and 1 are gone" in item.happened
    whole = Context(replace(settings_for(url, "whole"), whole_snapshots=timedelta(0)))
    for pack in packs:
        assert files(began, pack) == files(whole, pack)
    assert all(each.increment is None for each in of(whole))


def test_an_erasure_is_made_once_in_files_that_snapshots_share(
    ledger_url: str,
    tmp_path: Path,
    settings_for: Callable[..., Settings],
    define: Callable[..., ExportDefinition],
    inline: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("include.snapshots.parquet.ROW_GROUP_ROWS", 500)
    monkeypatch.setattr("include.snapshots.parquet.FILE_ROWS", 1000)
    monkeypatch.setattr("include.snapshots.sql._BATCH_ROWS", 500)
    path = shutil.copy(sa.make_url(ledger_url).database or "", tmp_path / "changing.sqlite")
    url = f"sqlite:///{path}"
    context = Context(settings_for(url), key_of_erased)
    definition = define(model="transactions", period="previous_month")
    files(context, definition)
    with sa.create_engine(url).begin() as connection:
        connection.exec_driver_sql(CHANGES[0])
        who = connection.exec_driver_sql(
            "SELECT customer_id FROM transactions WHERE customer_id > '' ORDER BY 1 LIMIT 1"
        ).scalar_one()
    again(context, definition)
    [second, first] = of(context)
    shared = first.keys() & second.keys()
    assert shared
    erase.erase(context, customer=who)
    assert kept_of(context, who) == []
    [later, earlier] = of(context)
    assert [later.renews, earlier.renews] == [second.id, first.id]
    assert [later.totals, earlier.totals] == [second.totals, first.totals]
    assert len(earlier.keys() & later.keys()) == len(shared)  # still shared
    stored = {each.key for each in context.store.list("snapshots") if "/attempts/" in each.key}
    assert stored == earlier.keys() | later.keys()  # and what held the person is gone
    with sa.create_engine(url).begin() as connection:
        connection.exec_driver_sql(CHANGES[3])
    third = again(context, definition)  # begins from what was written anew
    assert third.increment is not None
    assert third.increment.base == later.id
    assert (third.increment.late, third.increment.changed, third.increment.removed) == (0, 0, 1)
    assert kept_of(context, who) == []
