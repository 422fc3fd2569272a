"""Runs that begin from a checkpoint deliver, byte for byte, what a full replay of the same snapshot gives."""

from __future__ import annotations

import json
import logging
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from include import pipeline, sample
from include.definitions.model import ExportDefinition
from include.pipeline import Context, attention, checkpoints, snapshot_stage
from include.pipeline.artefacts import FOLDER
from include.pipeline.context import silent
from include.pipeline.erasure import erase
from include.pipeline.privacy import erasure_key
from include.settings import Settings
from include.snapshots import canonical
from include.snapshots import checkpoints as stored
from include.snapshots.manifest import SnapshotManifest
from tests.pipeline.people import kept_of, key_of_erased
from tests.pipeline.test_incremental import of

pytestmark = pytest.mark.slow

ROWS = canonical.METADATA.tables["transactions"]
FIRST = datetime(2026, 7, 2, 6, tzinfo=UTC)
DAY = timedelta(days=1)
PLAN = sample.Plan(customers=600, transactions=9_000)


@pytest.fixture(autouse=True)
def _small_files(monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture) -> None:
    monkeypatch.setattr("include.snapshots.parquet.ROW_GROUP_ROWS", 500)
    monkeypatch.setattr("include.snapshots.parquet.FILE_ROWS", 1000)
    monkeypatch.setattr("include.snapshots.sql._BATCH_ROWS", 500)
    monkeypatch.setattr("include.snapshots.copy_stream.BLOCK_BYTES", 100_000)
    caplog.set_level(logging.INFO, "include.pipeline.checkpoints")


@pytest.fixture(params=["sqlite", "postgres"])
def ledger(request: pytest.FixtureRequest) -> str:
    url: str = request.getfixturevalue(f"{request.param}_ledger")
    sample.load(url, PLAN)
    return url


@pytest.fixture
def daily(define: Callable[..., ExportDefinition]) -> ExportDefinition:
    """Balances as of midnight, of accounts and customers, and the history of the day before."""
    file = {"name": "{export}_{date}", "compression": "none"}
    exports = [
        {"id": "accounts", "model": "balance", "file": file},
        {"id": "customers", "model": "balance", "options": {"grain": "customer"}, "file": file},
        {"id": "day", "model": "history", "options": {"profile": "all"}, "file": file},
    ]
    return define(id="daily", exports=exports, period="previous_day", model=None, file={}, privacy=None)


def pass_day(url: str, number: int) -> None:
    """A day of a ledger: earned, spent, given back, expired by posting; a row that came late, one changed, one gone."""
    engine = sa.create_engine(url)
    at = FIRST + (number - 1) * DAY - timedelta(hours=12)
    with engine.begin() as connection:
        wanted = sa.select(ROWS).where(ROWS.c.type == "earned", ROWS.c.transaction_id.not_like("day-%"))
        some = [row._asdict() for row in connection.execute(wanted.order_by(ROWS.c.transaction_id))]
        picked = iter(some[number * 37 :: 61])

        def row(name: str, kind: str, points: int, **more: Any) -> dict[str, Any]:
            whose = next(picked)
            key = {"transaction_id": f"day-{number}-{name}", "type": kind, "points": Decimal(points)}
            own = {each: whose[each] for each in ("program_id", "customer_id", "card_id")}
            when = {"created_at": at, "recorded_at": at, "activates_at": at, "expires_at": at + 3 * DAY}
            related = whose["transaction_id"] if kind in {"earned_reversed", "expired"} else None
            return {**key, **own, **when, "related_transaction_id": related, **more}

        new = [row(f"earned-{n}", "earned", 5 + n) for n in range(20)]
        new += [row(f"spent-{n}", "redeemed", -900 * n, expires_at=None) for n in range(1, 9)]
        new += [row(f"back-{n}", "earned_reversed", -40, expires_at=None) for n in range(6)]
        new += [row(f"expired-{n}", "expired", -30, expires_at=None) for n in range(4)]
        new += [row("late", "earned", 77, created_at=at - 40 * DAY, activates_at=None, expires_at=None)]
        connection.execute(ROWS.insert(), new)
        changed, gone = (some[number * 101 + n]["transaction_id"] for n in range(2))
        connection.execute(ROWS.update().where(ROWS.c.transaction_id == changed).values(points=Decimal(9)))
        connection.execute(ROWS.delete().where(ROWS.c.transaction_id == gone))
    engine.dispose()


def again(context: Context, definition: ExportDefinition) -> None:
    after = of(context)[0].read_at + timedelta(microseconds=1) if context.state.snapshots.sources() else FIRST
    secrets = erasure_key(context)
    snapshot_stage.take_for(context.settings, definition.document(), after, secrets, progress=silent)


def made(context: Context, definition: ExportDefinition, number: int) -> dict[str, Any]:
    """The hashes of a day's files by name, and what its manifest notes of the ledger."""
    key = pipeline.pin(context, definition, occurrence=FIRST + number * DAY).run_key
    pipeline.snapshot(context, key)
    found = {each["name"]: each["sha256"] for each in pipeline.render(context, key) if "rows" in each}
    [manifest] = [x for x in context.store.list(f"{FOLDER}/{key}") if x.key.endswith(".manifest.json")]
    return found | {"notes": json.loads(context.store.read(manifest.key))["origin"]["notes"]}


def kept(context: Context) -> list[tuple[SnapshotManifest, stored.Checkpoint]]:
    return [(each, one) for each in of(context) for one in stored.of(context.store, each)]


@pytest.fixture
def context(ledger: str, settings_for: Callable[..., Settings], inline: None) -> Context:
    return Context(replace(settings_for(ledger), checkpoint_every=7 * DAY), key_of_erased)


@pytest.fixture
def full(ledger: str, settings_for: Callable[..., Settings]) -> Context:
    return Context(replace(settings_for(ledger, "full"), whole_snapshots=timedelta(0)), key_of_erased)


@pytest.fixture
def days(ledger: str, context: Context, daily: ExportDefinition) -> Iterator[int]:
    """Numbers of days, each of which has passed in the ledger, with a snapshot of its own."""

    def passed() -> Iterator[int]:
        for number in range(20):
            if number:
                pass_day(ledger, number)
            again(context, daily)
            yield number

    return passed()


def begun(caplog: pytest.LogCaptureFixture) -> int:
    return sum(record.getMessage().startswith("begun from") for record in caplog.records)


def test_days_that_begin_from_a_checkpoint_have_the_bytes_of_a_full_replay(
    context: Context, full: Context, daily: ExportDefinition, days: Iterator[int], caplog: Any
) -> None:
    for number in (next(days) for _ in range(9)):
        again(full, daily)
        assert made(context, daily, number) == made(full, daily, number), number
        assert begun(caplog) == number  # on the seventh day only to compare
    assert [one.full_at for _, one in kept(context)] == sorted(
        (one.full_at for _, one in kept(context)), reverse=True
    )
    assert len({one.full_at for _, one in kept(context)}) == 2
    assert not [
        item for item in attention.collect(context, attention.Visible()) if "checkpoint" in item.happened
    ]
    assert kept(full) == []


def test_a_damaged_checkpoint_is_found_and_the_ledger_is_replayed_in_full(
    context: Context, full: Context, daily: ExportDefinition, days: Iterator[int], caplog: Any
) -> None:
    made(context, daily, next(days))
    [(_, checkpoint)] = kept(context)
    path = context.store.path(checkpoint.file.key)
    assert path is not None
    path.chmod(0o600)
    path.write_bytes(path.read_bytes()[:-1] + b"!")
    number = next(days)
    again(full, daily)
    assert made(context, daily, number) == made(full, daily, number)
    assert "the ledger is replayed in full" in caplog.text
    assert begun(caplog) == 0
    assert checkpoint not in [one for _, one in kept(context)]
    made(context, daily, next(days))
    assert begun(caplog) == 1


def test_a_checkpoint_that_gives_other_figures_is_told_and_never_delivered(
    context: Context,
    full: Context,
    daily: ExportDefinition,
    days: Iterator[int],
    monkeypatch: pytest.MonkeyPatch,
    caplog: Any,
) -> None:
    weekly = Context(replace(context.settings, checkpoint_every=DAY), key_of_erased)
    made(weekly, daily, next(days))
    changed = checkpoints.engine.changed
    monkeypatch.setattr(checkpoints.engine, "changed", lambda *some, **more: changed(*some, **more)[5:])
    number = next(days)
    again(full, daily)
    assert made(weekly, daily, number) == made(full, daily, number)
    assert "differ from a full replay" in caplog.text
    [item] = [
        each for each in attention.collect(weekly, attention.Visible()) if "checkpoint" in each.happened
    ]
    assert item.group == "ledger"
    [(_, left)] = kept(weekly)
    assert left.as_of == left.full_at


def test_an_erasure_takes_checkpoints_along(
    context: Context, daily: ExportDefinition, days: Iterator[int], ledger: str, caplog: Any
) -> None:
    made(context, daily, next(days))
    [(_, checkpoint)] = kept(context)
    engine = sa.create_engine(ledger)
    with engine.connect() as connection:
        who = connection.scalar(sa.select(sa.func.min(ROWS.c.customer_id)).where(ROWS.c.customer_id > ""))
    engine.dispose()
    erase.erase(context, customer=who)
    assert kept_of(context, who) == []
    assert kept(context) == []
    assert not context.store.exists(checkpoint.file.key)
    number = next(days)
    # Who was erased has another name in every installation: a full replay is made in the same one.
    full = Context(replace(context.settings, checkpoint_every=timedelta(0)), key_of_erased)
    assert made(context, daily, number) == made(full, daily.model_copy(update={"id": "full"}), number)
    assert begun(caplog) == 0
    assert len(kept(context)) == 1
    assert kept_of(context, who) == []


def test_two_runs_that_keep_the_same_checkpoint(
    context: Context, daily: ExportDefinition, days: Iterator[int], tmp_path: Path
) -> None:
    number = next(days)
    made(context, daily, number)
    [(manifest, first)] = kept(context)
    path = tmp_path / "same.parquet"
    context.store.get_to(first.file.key, path)
    known = {"as_of": first.as_of, "known_at": first.known_at, "full_at": first.full_at}
    exists = context.store.exists
    # As if neither had seen the other's.
    object.__setattr__(context.store, "exists", lambda key: False if key == first.key else exists(key))
    stored.put(context.store, manifest, path, **known, rows=first.file.rows, code_version=first.code_version)
    assert kept(context) == [(manifest, first)]
    there = [each.key for each in context.store.list("snapshots") if "/checkpoints/" in each.key]
    assert sorted(there) == sorted([first.key, first.file.key])
    made(
        context, daily.model_copy(update={"id": "other"}), number
    )  # the same T and K: nothing is booked anew
    assert kept(context) == [(manifest, first)]
