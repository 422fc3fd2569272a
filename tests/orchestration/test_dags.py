"""Policy for every DAG, the ones that ship and any definition: who owns it, how it retries, what it says of itself."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest
from airflow.dag_processing.dagbag import DagBag
from airflow.serialization.serialized_objects import DagSerialization

from include.definitions.load import from_document, load_all
from include.orchestration import imports, notices, restatements, upkeep
from include.orchestration.factory import build
from include.settings import IMPORTS_DAG, ROOT

OURS = {upkeep.ID, restatements.ID, notices.WATCH_ID, notices.DIGEST_ID, IMPORTS_DAG, imports.INBOX_ID}
EXPORTS = ROOT / "include" / "exports"
DEFINITIONS = load_all(EXPORTS)
GOOD = """
id: {id}
name: Good
model: balance
schedule: {{kind: daily, time: "06:00"}}
targets: [{{kind: folder, options: {{folder: x}}}}]
"""


@pytest.fixture(scope="module")
def bag() -> DagBag:
    return DagBag(str(ROOT / "dags"))


def bag_of(monkeypatch, folder: Path) -> DagBag:
    monkeypatch.setenv("LOYALTY_EXPORTS", str(folder))
    return DagBag(str(ROOT / "dags"))


def dag_of(**more):
    document = {"id": "a", "name": "A", "model": "balance", "targets": [{"kind": "folder"}], **more}
    return build(from_document(document, where="test"))


def test_every_definition_has_its_dag_and_nothing_is_wrong(bag):
    assert bag.import_errors == {}
    assert set(bag.dags) == {*OURS, *(each.id for each in DEFINITIONS.values() if each.enabled)}
    assert len(bag.dags) >= 10


@pytest.mark.parametrize("dag_id", sorted(DEFINITIONS))
def test_policy(bag, dag_id):
    dag, definition = bag.dags[dag_id], DEFINITIONS[dag_id]
    assert dag.doc_md
    assert definition.name in dag.doc_md
    assert dag.description
    assert {"export", *(part.model for part in definition.parts)} <= set(dag.tags)
    assert dag.catchup is False
    assert dag.is_paused_upon_creation is False
    assert [task.task_id for task in dag.topological_sort()] == [
        "pin",
        "snapshot",
        "render",
        "deliver",
        "settle",
    ]
    for task in dag.tasks:
        assert task.owner == definition.owner
        assert task.retries >= 3
        assert task.retry_policy is not None
        assert task.doc_md
    assert dag.task_dict["settle"].trigger_rule == "all_done"
    assert dag.task_dict["deliver"].is_mapped


@pytest.mark.parametrize("dag_id", sorted(DEFINITIONS))
def test_the_ui_says_when_it_runs(bag, dag_id):
    recurrence = DEFINITIONS[dag_id].recurrence
    summary = bag.dags[dag_id].timetable.summary
    assert summary == (recurrence.describe() if recurrence else "None")


@pytest.mark.parametrize("dag_id", sorted(DEFINITIONS))
def test_it_can_be_stored_and_read_back(bag, dag_id):
    stored = json.loads(json.dumps(DagSerialization.to_dict(bag.dags[dag_id])))
    again = DagSerialization.from_dict(stored)
    assert again.timetable.summary == bag.dags[dag_id].timetable.summary
    assert {task.task_id for task in again.tasks} == set(bag.dags[dag_id].task_dict)


def test_parsing_again_gives_the_same_dag():
    """Airflow stores a new version of a DAG whenever its serialised form changes."""
    definition = DEFINITIONS["daily-balances"]
    assert DagSerialization.to_dict(build(definition)) == DagSerialization.to_dict(build(definition))


def test_a_broken_definition_is_an_import_error_that_says_what_and_where_and_the_others_load(
    tmp_path, monkeypatch
):
    (tmp_path / "good.yaml").write_text(GOOD.format(id="good"))
    (tmp_path / "bad.yaml").write_text(GOOD.format(id="bad").replace("daily", "dayly"))
    (tmp_path / "worse.yaml").write_text(GOOD.format(id="worse").replace("balance", "balnce"))
    found = bag_of(monkeypatch, tmp_path)
    assert set(found.dags) == {*OURS, "good"}
    ((file, error),) = found.import_errors.items()
    assert file.endswith("broken_definitions.py")  # not the file of the good ones: Airflow would retire them
    for words in ("bad.yaml: schedule.kind", "dayly", "daily", "worse.yaml: model", "balnce", "history"):
        assert words in error


def test_a_disabled_definition_has_no_dag(tmp_path, monkeypatch):
    (tmp_path / "off.yaml").write_text(GOOD.format(id="off") + "enabled: false\n")
    assert set(bag_of(monkeypatch, tmp_path).dags) == OURS


def test_a_paused_definition_runs_by_hand_only():
    dag = dag_of(paused=True, schedule={"kind": "daily", "time": "06:00"})
    assert type(dag.timetable).__name__ == "NullTimetable"
    assert "paused" in dag.tags


def test_a_period_that_did_not_change_or_a_look_that_failed_keeps_no_restatement_back(bag):
    dag = bag.dags[restatements.ID]
    # By Airflow's default one look that is skipped skips every `send`, and one that failed fails them all.
    assert dag.task_dict["send"].trigger_rule == "all_done"
    # A leaf decides what becomes of the run: this one fails where a look did.
    assert dag.task_dict["end"].trigger_rule == "none_failed"
    assert dag.task_dict["end"].upstream_task_ids == {"look"}
    assert dag.task_dict["end"].downstream_task_ids == set()


def test_runs_that_follow_the_last_delivery_come_one_after_another():
    weekly = {"kind": "weekly", "days": ["monday"], "time": "09:00"}
    assert dag_of(model="history", period="since_last_delivery", schedule=weekly).max_active_runs == 1
    assert dag_of(model="history", period="previous_week", schedule=weekly).max_active_runs > 1


def parse(*, asked_dag: str | None, exports: Path) -> dict[str, list[str]]:
    """Parse each file in one process; return the DAGs, the definition files that were opened, and modules loaded."""
    program = f"""
import builtins, contextlib, io, json, pathlib, sys
import airflow.sdk, airflow.dag_processing.dagbag, airflow.timetables.base
before, opened = set(sys.modules), []
real = io.open
def watching(file, *rest, **more):
    if str(file).endswith(".yaml"): opened.append(pathlib.Path(str(file)).name)
    return real(file, *rest, **more)
io.open = builtins.open = watching
from airflow.sdk.definitions._internal.contextmanager import DagContext
from airflow.sdk.execution_time import context as _c
from airflow.sdk import definitions
from airflow.dag_processing.dagbag import DagBag
import os
with contextlib.redirect_stdout(sys.stderr):
    bags = [DagBag(str(file)) for file in pathlib.Path({str(ROOT / "dags")!r}).glob("*.py")]
dags = sorted(set().union(*(bag.dags for bag in bags)))
errors = [error for bag in bags for error in bag.import_errors.values()]
print(json.dumps({{"dags": dags, "opened": sorted(set(opened)), "modules": sorted(set(sys.modules) - before), "errors": errors}}))
"""
    import os

    environment = {**os.environ, "LOYALTY_EXPORTS": str(exports)}
    if asked_dag:
        environment |= {
            "_AIRFLOW_PARSING_CONTEXT_DAG_ID": asked_dag,
            "_AIRFLOW_PARSING_CONTEXT_TASK_ID": "pin",
        }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True, cwd=ROOT
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


@pytest.mark.slow
def test_parsing_imports_nothing_heavy():
    found = parse(asked_dag=None, exports=EXPORTS)
    assert found["errors"] == []
    loaded = {name.split(".")[0] for name in found["modules"]}
    heavy = {
        "pyarrow",
        "duckdb",
        "pandas",
        "polars",
        "numba",
        "numpy",
        "obstore",
        "paramiko",
        "gspread",
    }
    assert loaded & heavy == set()
    ours = {name for name in found["modules"] if name.startswith("include.")}
    assert not any(name.startswith(("include.pipeline", "include.snapshots.")) for name in ours)


@pytest.mark.slow
def test_a_task_reads_only_its_own_definition(tmp_path):
    for name in ("one", "two", "three"):
        (tmp_path / f"{name}.yaml").write_text(GOOD.format(id=name))
    found = parse(asked_dag="two", exports=tmp_path)
    assert found["dags"] == ["two"]
    assert found["opened"] == ["two.yaml"]
    assert not any(name.startswith("include.state") for name in found["modules"])


@pytest.mark.slow
def test_a_task_finds_its_definition_in_a_file_of_another_name(tmp_path):
    (tmp_path / "one.yaml").write_text(GOOD.format(id="two"))
    assert "two" in parse(asked_dag="two", exports=tmp_path)["dags"]


@pytest.mark.slow
def test_a_task_of_a_sound_definition_does_not_fail_because_of_a_broken_one(tmp_path):
    (tmp_path / "one.yaml").write_text(GOOD.format(id="one"))
    (tmp_path / "two.yaml").write_text("id: [")
    found = parse(asked_dag="one", exports=tmp_path)
    assert (found["dags"], found["errors"]) == (["one"], [])
