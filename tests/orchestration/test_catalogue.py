"""Exports made in the pages become DAGs as those of files do, and nothing that is wrong with them harms the files'."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization
from sqlalchemy import update

from include import state
from include.definitions.load import from_document
from include.orchestration.catalogue import entries, entry
from include.orchestration.factory import build
from include.settings import ROOT, Settings
from include.state import RunRecord, RunStatus
from include.state.tables import EXPORT_EDITS
from tests.orchestration.test_dags import GOOD, OURS, parse

DAILY = {"kind": "daily", "time": "06:00"}


def definition(id_, **changes):
    targets = [{"kind": "folder", "options": {"folder": id_}}]
    document = {"id": id_, "name": id_.title(), "model": "balance", "targets": targets, **changes}
    return from_document(document, where="test")


@pytest.fixture
def settings(tmp_path, monkeypatch) -> Settings:
    (tmp_path / "exports").mkdir()
    (tmp_path / "exports" / "of-file.yaml").write_text(GOOD.format(id="of-file"))
    monkeypatch.setenv("LOYALTY_EXPORTS", str(tmp_path / "exports"))
    monkeypatch.setenv("LOYALTY_HOME", str(tmp_path))
    return Settings.from_environment()


@pytest.fixture
def remembered(settings):
    return state.open(settings.state_url)


def pinned(remembered, definition_id):
    moment = datetime(2026, 7, 1, tzinfo=UTC)
    values = {"definition_version": "v" * 64, "definition": {}, "known_at": moment, "as_of": moment}
    return remembered.runs.pin(RunRecord(definition_id=definition_id, **values))


def test_exports_of_the_pages_and_of_files_have_dags_with_their_tags(remembered):
    remembered.exports.create(definition("of-page", schedule=DAILY, timezone="Europe/Paris"), "ann")
    remembered.exports.create(definition("off", enabled=False), "ann")
    bag = DagBag(str(ROOT / "dags"))
    assert bag.import_errors == {}
    assert set(bag.dags) == {*OURS, "of-file", "of-page"}
    assert {"export", "balance", "folder", "ui"} <= set(bag.dags["of-page"].tags)
    assert "yaml" in bag.dags["of-file"].tags
    assert bag.dags["of-page"].timetable.summary == "Daily 06:00 Europe/Paris"
    assert remembered.exports.get("of-file").source == "yaml"  # parsing brings the catalogue up to date


@pytest.mark.parametrize(
    "url",
    ["postgresql://somebody:s3cret@127.0.0.1:9/state", "sqlite:////proc/nowhere/state.sqlite", "rubbish"],
)
def test_an_unreachable_state_database_leaves_the_dags_of_files_and_says_so(settings, monkeypatch, url):
    monkeypatch.setenv("LOYALTY_STATE_URL", url)
    bag = DagBag(str(ROOT / "dags"))
    assert set(bag.dags) == {*OURS, "of-file"}
    ((file, error),) = bag.import_errors.items()
    assert file.endswith("broken_definitions.py")
    assert "exports made in the pages have no DAG until this is right" in error
    assert "s3cret" not in error


def test_a_damaged_state_database_leaves_the_dags_of_files(settings, monkeypatch, tmp_path):
    (tmp_path / "damaged.sqlite").write_bytes(b"not a database at all" * 1000)
    found, wrong = entries(replace(settings, state_url=f"sqlite:///{tmp_path / 'damaged.sqlite'}"))
    assert set(found) == {"of-file"}
    assert [problem.code for problem in wrong] == ["state_unreachable"]


def test_an_export_of_the_pages_that_became_wrong_is_told_and_the_others_load(settings, remembered):
    for name in ("good", "stale"):
        remembered.exports.create(definition(name), "ann")
    with remembered.database.write() as connection:  # as after a version that no longer has the model
        document = {**definition("stale").document(), "model": "gone"}
        stale = update(EXPORT_EDITS).where(EXPORT_EDITS.c.definition_id == "stale")
        connection.execute(stale.values(document=document))
    assert set(entries(settings)[0]) == {"of-file", "good"}
    (problem,) = entries(settings)[1]
    assert (problem.where, problem.value, problem.code) == (
        "the export stale: model",
        "gone",
        "unknown_model",
    )
    assert remembered.exports.broken() == {"stale"}
    remembered.exports.save(definition("stale", name="Whole again"), "ann", based_on=1)
    assert remembered.exports.broken() == frozenset()


def test_a_file_that_came_later_wins_a_name_and_an_id(settings, remembered):
    named = {"file": {"name": "same_{date}"}, "targets": [{"kind": "folder", "options": {"folder": "x"}}]}
    remembered.exports.create(definition("by-name", **named), "ann")
    remembered.exports.create(definition("by-id"), "ann")
    for name in ("later", "by-id"):
        text = GOOD.format(id=name) + ("file: {name: 'same_{date}'}\n" if name == "later" else "")
        (settings.exports / f"{name}.yaml").write_text(text)
    found, wrong = entries(settings)
    assert {id_: each.source for id_, each in found.items()} == dict.fromkeys(
        ["of-file", "later", "by-id"], "yaml"
    )
    assert [(each.where, each.code) for each in wrong] == [
        ("the export by-name: file.name", "file_name_twice")
    ]
    assert remembered.exports.broken() == {"by-name"}
    (settings.exports / "later.yaml").unlink()
    entries(settings)
    assert remembered.exports.broken() == frozenset()


@pytest.mark.parametrize("source", ["ui", "yaml"])
def test_what_is_deleted_while_it_runs_keeps_an_unscheduled_dag_until_the_run_is_over(
    settings, remembered, source
):
    if source == "ui":
        remembered.exports.create(definition("ending", schedule=DAILY), "ann")
    else:
        (settings.exports / "ending.yaml").write_text(GOOD.format(id="ending"))
        entries(settings)
    run = pinned(remembered, "ending")
    if source == "ui":
        remembered.exports.delete("ending", "ann")
    else:
        (settings.exports / "ending.yaml").unlink()
    dag = DagBag(str(ROOT / "dags")).dags["ending"]
    assert type(dag.timetable).__name__ == "NullTimetable"
    assert {"deleted", source} <= set(dag.tags)
    remembered.runs.finish(run.run_key, RunStatus.DONE)
    assert "ending" not in DagBag(str(ROOT / "dags")).dags
    assert entry(settings, "ending").winds_down


def test_a_file_that_was_disabled_while_it_runs_keeps_its_dag(settings, remembered):
    entries(settings)
    pinned(remembered, "of-file")
    (settings.exports / "of-file.yaml").write_text(GOOD.format(id="of-file") + "enabled: false\n")
    assert entries(settings)[0]["of-file"].winds_down


def test_a_task_finds_the_edit_that_is_newest(settings, remembered):
    remembered.exports.create(definition("of-page"), "ann")
    remembered.exports.save(definition("of-page", name="Newer"), "ann", based_on=1)
    assert entry(settings, "of-page").definition.name == "Newer"
    assert entry(settings, "of-file").source == "yaml"
    assert entry(settings, "nobody") is None


def test_a_task_of_an_unreachable_database_says_what_is_wrong(settings):
    lost = replace(settings, state_url="postgresql://somebody:s3cret@127.0.0.1:9/state")
    assert entry(lost, "of-file").definition.id == "of-file"
    with pytest.raises(Exception, match=r"127\.0\.0\.1:9"):
        entry(lost, "of-page")


@pytest.mark.slow
def test_a_task_of_an_export_of_the_pages_reads_no_file(settings, remembered):
    remembered.exports.create(definition("of-page"), "ann")
    found = parse(asked_dag="of-page", exports=settings.exports)
    assert (found["dags"], found["opened"], found["errors"]) == (["of-page"], [], [])


def test_parameters_are_stored_once_and_not_with_every_task():
    """Their copies at the tasks made most of the time of parsing, and of what Airflow stores."""
    stored = DagSerialization.to_dict(build(definition("any")))["dag"]
    assert "dry_run" in str(stored["params"])
    assert "dry_run" not in str(stored["tasks"])


def test_a_task_process_is_told_nothing_of_other_files(settings, tmp_path):
    assert Path(settings.exports) == tmp_path / "exports"
    (settings.exports / "broken.yaml").write_text("id: [")
    assert entry(settings, "of-file").definition.id == "of-file"
