"""Once a day: runs that died are closed and let go of snapshots, and what killed deliveries left at targets goes."""

from __future__ import annotations

import os
import time
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa
import yaml

from include import pipeline
from include.connections import Connection, missing
from include.definitions.model import ExportDefinition
from include.errors import NeedsPerson, Permanent
from include.pipeline import Context, closing, janitor
from include.pipeline.upkeep import upkeep
from include.settings import Settings
from include.state.runs import RunStatus
from include.targets.protocol import KEY_CHARACTERS
from tests.pipeline.test_steps import AT, whole

DAY = timedelta(days=1)
OLD = 3 * 86_400


def age(context: Context, run_key: str, days: int) -> None:
    """Let nothing have happened to the run for so long."""
    with context.state.database.write() as connection:
        past = {"days": days * 86_400_000_000, "key": run_key}
        text = "UPDATE loyalty_runs SET updated_at = updated_at - :days WHERE run_key = :key"
        connection.execute(sa.text(text), past)


@pytest.mark.slow
def test_a_run_that_died_is_closed_and_its_snapshot_let_go(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    key = pipeline.pin(context, define(), occurrence=AT).run_key
    snapshot_id = pipeline.snapshot(context, key)
    assert context.state.snapshots.references(snapshot_id) == 1
    assert closing.close_forsaken(context) == []  # it may be at work
    age(context, key, 1)
    assert closing.close_forsaken(context) == []
    age(context, key, 2)
    assert closing.close_forsaken(context) == [key]
    run = context.state.runs.get(key)
    assert run.status is RunStatus.FAILED
    assert "its process ended" in (run.summary or {})["failure"]
    assert "for 2 days nothing has happened; run it again" in (run.summary or {})["failure"]
    assert context.state.snapshots.references(snapshot_id) == 0
    assert closing.close_forsaken(context) == []
    # Asked for again, it continues.
    assert whole(context, define(), occurrence=AT)[1]["status"] == "done"


@pytest.mark.slow
def test_files_that_were_never_to_be_sent_stay_and_keep_no_snapshot(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    key = pipeline.pin(context, define(), occurrence=AT).run_key
    snapshot_id = pipeline.snapshot(context, key)
    pipeline.render(context, key)
    age(context, key, 3)
    assert closing.close_forsaken(context) == []
    run = context.state.runs.get(key)
    assert (run.status, run.summary) == (RunStatus.RENDERED, None)
    assert context.state.snapshots.references(snapshot_id) == 0
    assert context.state.runs.idle(DAY) == []


@pytest.mark.slow
def test_a_run_that_died_while_it_delivered_ends_as_its_deliveries_did(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path, inline: None
) -> None:
    (tmp_path / "taken").mkdir()
    (tmp_path / "taken" / "balances_2026-03-02T0600.csv.gz").write_text("another")
    keys = {}
    for name, folders in {"done": ["one"], "half": ["one", "never"], "waits": ["taken"]}.items():
        targets = [
            {"kind": "folder", "name": each, "options": {"folder": str(tmp_path / each)}} for each in folders
        ]
        file = (
            {"compression": "gzip", "name": "balances_{period}"}
            if name == "waits"
            else {"compression": "gzip"}
        )
        definition = define(id=name, targets=targets, file=file)
        keys[name] = key = pipeline.pin(context, definition, occurrence=AT).run_key
        pipeline.snapshot(context, key)
        pipeline.render(context, key)
        if name == "waits":
            with pytest.raises(NeedsPerson):
                pipeline.deliver(context, key, 0)
        else:
            pipeline.deliver(context, key, 0)
        age(context, key, 3)
    assert set(closing.close_forsaken(context)) == set(keys.values())
    ended = {name: context.state.runs.get(key) for name, key in keys.items()}
    assert {name: run.status for name, run in ended.items()} == {
        "done": RunStatus.DONE, "half": RunStatus.FAILED, "waits": RunStatus.FAILED,
    }  # fmt: skip
    states = {name: each["state"] for name, each in (ended["half"].summary or {})["deliveries"].items()}
    assert states == {"one": "confirmed", "never": "not tried"}


@pytest.mark.slow
def test_a_run_with_an_attempt_at_work_is_left_alone(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    key = pipeline.pin(context, define(), occurrence=AT).run_key
    pipeline.snapshot(context, key)
    pipeline.render(context, key)
    context.state.deliveries.claim("d" * 64, "host", DAY, run_key=key, target="folder")
    age(context, key, 30)
    assert closing.close_forsaken(context) == []
    assert context.state.runs.get(key).status is RunStatus.RENDERED


@pytest.mark.slow
def test_a_definition_of_another_version_does_not_stop_upkeep(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    key = pipeline.pin(context, define(), occurrence=AT).run_key
    snapshot_id = pipeline.snapshot(context, key)
    with context.state.database.write() as connection:
        connection.execute(sa.text('UPDATE loyalty_runs SET definition = \'{"id": "balances", "gone": 1}\''))
    age(context, key, 3)
    assert closing.close_forsaken(context) == [key]
    assert context.state.runs.get(key).status is RunStatus.FAILED
    assert context.state.snapshots.references(snapshot_id) == 0


def part(folder: Path, name: str, seconds: int = 0) -> Path:
    """A temporary file as a killed delivery leaves it, so old."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_bytes(b"x")
    then = time.time() - seconds
    os.utime(path, (then, then))
    return path


@pytest.fixture
def exports(context: Context) -> Callable[..., None]:
    """Write a definition with these targets where the installation's are."""

    def write(name: str, *targets: dict[str, object]) -> None:
        folder = context.settings.exports
        folder.mkdir(exist_ok=True)
        document = {"id": name, "name": name, "model": "balance", "targets": list(targets)}
        (folder / f"{name}.yaml").write_text(yaml.safe_dump(document))

    return write


def test_the_janitor_takes_what_is_old_at_every_target_and_no_attempt_needs(
    context: Context, exports: Callable[..., None], tmp_path: Path
) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    exports("a", {"kind": "folder", "name": "first", "options": {"folder": str(one)}})
    exports("b", {"kind": "folder", "name": "second", "options": {"folder": str(two)}},
            {"kind": "folder", "name": "same-as-a", "options": {"folder": str(one)}})  # fmt: skip
    exports("c", {"kind": "folder", "options": {"folder": str(tmp_path / "never")}})
    dead, living = "d" * KEY_CHARACTERS, "e" * 64
    context.state.deliveries.claim(living, "host", DAY, run_key="r", target="first")
    part(one, f".part-{dead}-1a2b-0", OLD)
    part(one, ".part-probe-12ab", OLD)
    part(two, f".part-{dead}-3c4d-0", OLD)
    kept = {
        part(one, f".part-{dead}-5e6f-1"),
        part(one, f".part-{living[:KEY_CHARACTERS]}-1a2b-0", OLD),
        part(one, "x.csv", OLD),
        part(one, ".profile", OLD),
    }
    found = janitor.clean_targets(context)
    assert found == {
        "removed": {
            "a: first": [f".part-{dead}-1a2b-0", ".part-probe-12ab"],
            "b: second": [f".part-{dead}-3c4d-0"],
        },
        "failed": {},
    }
    assert set(one.iterdir()) == kept
    assert not (tmp_path / "never").exists()


def test_a_target_that_cannot_be_looked_at_does_not_stop_the_others(
    context: Context, exports: Callable[..., None], tmp_path: Path
) -> None:
    blocked = tmp_path / "blocked"
    blocked.write_text("a file where a folder should be")
    exports("a", {"kind": "sftp", "name": "gone", "options": {"connection": "gone"}})
    exports("b", {"kind": "pigeon"})
    exports("d", {"kind": "folder", "options": {"folder": str(tmp_path / "d")}})
    left = part(tmp_path / "d", ".part-probe-1", OLD)

    def none(name: str) -> Connection:
        raise missing(name)

    found = janitor.clean_targets(Context(context.settings, none))
    assert found["removed"] == {"d: folder": [left.name]}
    assert set(found["failed"]) == {"a: gone", "b: pigeon"}
    assert "there is no such connection" in found["failed"]["a: gone"]


@pytest.mark.slow
def test_targets_of_definitions_that_are_gone_are_cleaned_too(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path, inline: None
) -> None:
    whole(context, define(), occurrence=AT)
    left = part(tmp_path / "delivered", ".part-probe-1", OLD)
    assert janitor.clean_targets(context)["removed"] == {"balances: folder": [left.name]}


def test_an_attempt_that_lasts_long_keeps_what_is_younger_than_itself(
    context: Context, exports: Callable[..., None], tmp_path: Path
) -> None:
    """An upload in parts is as old as its beginning, and does not say whose it is."""
    exports("a", {"kind": "folder", "options": {"folder": str(tmp_path / "a")}})
    context.state.deliveries.claim("e" * 64, "host", DAY, run_key="r", target="t")
    with context.state.database.write() as connection:
        past = {"by": 2 * 86_400_000_000}
        connection.execute(sa.text("UPDATE loyalty_deliveries SET created_at = created_at - :by"), past)
    young, old = part(tmp_path / "a", ".part-x-1", 86_400 + 60), part(tmp_path / "a", ".part-y-1", OLD)
    assert janitor.clean_targets(context)["removed"] == {"a: folder": [old.name]}
    assert young.exists()


@pytest.mark.slow
def test_upkeep_does_all_of_it(
    ledger_url: str, settings_for: Callable[..., Settings], define: Callable[..., ExportDefinition],
    tmp_path: Path, inline: None,
) -> None:  # fmt: skip
    context = Context(settings_for(ledger_url))
    key = pipeline.pin(context, define(), occurrence=AT).run_key
    pipeline.snapshot(context, key)
    whole(context, define(id="other"), occurrence=AT)
    age(context, key, 3)
    left = part(tmp_path / "delivered", ".part-probe-1", OLD)
    done = upkeep(context)
    assert done["closed_runs"] == [key]
    assert done["targets"] == {"removed": {"other: folder": [left.name]}, "failed": {}}
    assert datetime.now(UTC) > AT
    with pytest.raises(Permanent):
        pipeline.settle(context, key)
