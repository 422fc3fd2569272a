"""Rule: once a day, what no run needs and is old is retired; what is needed, new or newest stays."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from include.errors import BadInput
from include.orchestration import tasks, upkeep
from include.settings import Settings
from tests.snapshots.ledgers import NEEDS, Desk, ledger

WIDER = {**NEEDS, "rewards": ("reward_id",)}


@pytest.fixture
def desk(tmp_path, monkeypatch):
    """A ledger of ten rows, with store and state where the settings' defaults say."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    ledger(url, 10)
    monkeypatch.setenv("LOYALTY_HOME", str(tmp_path))
    for name in ("LOYALTY_STATE_URL", "LOYALTY_STORE", "LOYALTY_SNAPSHOT_DAYS"):
        monkeypatch.delenv(name, raising=False)
    return Desk(tmp_path, url)


def test_the_dag_says_what_it_does_runs_daily_and_retries():
    dag = upkeep.build()
    assert dag.dag_id == upkeep.ID
    assert dag.timetable.summary == "Daily 03:30 UTC"
    assert (dag.catchup, dag.max_active_runs, dag.is_paused_upon_creation) == (False, 1, False)
    assert "LOYALTY_SNAPSHOT_DAYS" in dag.doc_md
    (task,) = dag.tasks
    assert (task.owner, task.retries >= 3, bool(task.doc_md)) == ("loyalty", True, True)
    again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    assert again.timetable.summary == dag.timetable.summary


def test_its_task_retires_what_is_old_and_not_needed(desk, monkeypatch):
    first, second = desk.take(holder="a run"), desk.take(needs=WIDER)
    assert tasks.upkeep()["retired_snapshots"] == []  # younger than 35 days
    monkeypatch.setenv("LOYALTY_SNAPSHOT_DAYS", "0")
    assert tasks.upkeep()["retired_snapshots"] == []  # a run needs it
    desk.state.snapshots.unrefer(first.id, "a run")
    assert tasks.upkeep()["retired_snapshots"] == [first.id]
    assert tasks.upkeep()["retired_snapshots"] == []
    assert desk.take() == second


@pytest.mark.slow
def test_a_run_of_the_dag_retires(desk, monkeypatch, airflow_database):
    first, _ = desk.take(), desk.take(needs=WIDER)
    monkeypatch.setenv("LOYALTY_SNAPSHOT_DAYS", "0")
    dag = airflow_database().dags[upkeep.ID]
    run = dag.test(logical_date=datetime(2026, 6, 20, 3, 30, tzinfo=UTC))
    assert run.state == "success"
    assert first.key() not in desk.stored()


def test_how_long_snapshots_are_kept_is_a_setting():
    assert Settings.from_environment({}).keep_snapshots == timedelta(days=35)
    assert Settings.from_environment({"LOYALTY_SNAPSHOT_DAYS": "7"}).keep_snapshots == timedelta(days=7)
    for wrong in ("-1", "a week", "nan", "1e9"):
        with pytest.raises(BadInput, match="LOYALTY_SNAPSHOT_DAYS"):
            Settings.from_environment({"LOYALTY_SNAPSHOT_DAYS": wrong})
