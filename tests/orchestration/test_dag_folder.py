"""The DAG processor is asked for the files of what has changed, and for no other."""

from __future__ import annotations

import json

import pytest
from airflow.sdk.module_loading import import_string

from include import state
from include.orchestration import shards
from include.orchestration.dag_folder import PROBLEMS, DagFolder, Seen, look, outdated
from include.orchestration.environment import BUNDLES, variables
from include.settings import ROOT
from include.state import RunStatus
from tests.orchestration.test_catalogue import definition, pinned
from tests.orchestration.test_dags import GOOD

ALL = {PROBLEMS, *(shards.file_name(number) for number in range(shards.COUNT))}
NOW = Seen((("a.yaml", 1, 1),), {"x": False, "y": False})


def test_the_file_that_tells_what_is_wrong_is_there():
    assert (ROOT / "dags" / PROBLEMS).is_file()


@pytest.mark.parametrize(
    ("broken", "ids"),
    [
        ({"x": False, "y": False}, set()),
        ({"x": True, "y": False}, {"x"}),
        ({"y": False}, {"x"}),
        ({"y": True}, {"x", "y"}),
        ({"x": False, "y": False, "announced": False}, set()),
    ],
)
def test_an_end_in_the_pages_concerns_the_files_of_what_ends(broken, ids):
    wanted = {PROBLEMS, *map(shards.file_of, ids)} if ids else set()
    assert outdated(NOW, Seen(NOW.files, broken)) == wanted


@pytest.mark.parametrize(
    ("before", "now"),
    [
        (NOW, Seen((("a.yaml", 2, 1),), NOW.broken)),
        (NOW, Seen((), NOW.broken)),
        (NOW, Seen(NOW.files, None)),
        (Seen(NOW.files, None), NOW),
    ],
)
def test_a_changed_yaml_file_or_a_database_that_comes_or_goes_concerns_all(before, now):
    assert outdated(before, now) == ALL


def test_airflow_finds_the_class_by_the_name_in_its_environment(tmp_path):
    (bundle,) = json.loads(variables(tmp_path, 8080, {})[BUNDLES])
    assert import_string(bundle["classpath"]) is DagFolder
    mine = json.dumps([{**bundle, "name": "mine"}])
    assert variables(tmp_path, 8080, {BUNDLES: mine})[BUNDLES] == mine


def test_what_nobody_announces_is_seen(settings):
    exports = state.open(settings.state_url).exports
    exports.create(definition("x"), "ann")
    path = settings.exports / "a.yaml"
    steps = {
        "a file": lambda: path.write_text(GOOD.format(id="a")),
        "its edit": lambda: path.write_text(GOOD.format(id="a") + "paused: true\n"),
        "its end": path.unlink,
        "what is wrong with an export": lambda: exports.mark_broken({"x"}),
    }
    for what, step in steps.items():
        before = look(settings)
        assert outdated(before, look(settings)) == set()
        step()
        assert outdated(before, look(settings)), what


def test_what_winds_down_is_seen_until_its_run_is_over(settings):
    remembered = state.open(settings.state_url)
    remembered.exports.create(definition("x"), "ann")
    run = pinned(remembered, "x")
    remembered.exports.delete("x", "ann")
    ending = look(settings)
    assert ending.broken == {"x": False}
    remembered.runs.finish(run.run_key, RunStatus.DONE)
    assert outdated(ending, look(settings)) == {PROBLEMS, shards.file_of("x")}


@pytest.mark.slow
def test_a_refresh_asks_airflow_for_the_files_of_what_changed(settings, airflow_database):
    from airflow.models.dagbag import DagPriorityParsingRequest
    from airflow.utils.session import create_session
    from sqlalchemy import delete, select

    def asked():
        with create_session() as session:
            found = set(session.scalars(select(DagPriorityParsingRequest.relative_fileloc)))
            session.execute(delete(DagPriorityParsingRequest))
        return found

    airflow_database()
    folder = DagFolder(name="dags-folder")
    assert folder.path.is_dir()
    exports = state.open(settings.state_url).exports
    asked()
    folder.refresh()
    assert asked() == set()  # all are parsed when the processor starts
    exports.create(definition("x"), "ann")
    folder.refresh()
    assert asked() == set()  # it is announced
    exports.delete("x", "ann")
    folder.refresh()
    assert asked() == {PROBLEMS, shards.file_of("x")}
    folder.refresh()
    assert asked() == set()
    (settings.exports / "a.yaml").write_text(GOOD.format(id="a"))
    folder.refresh()
    assert asked() == ALL
