"""Rule: what a program does with a key of ours, in a real Airflow, comes to the same end as on the pages."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from include.pipeline import Context
from include.settings import Settings
from include.state.keys import Scope
from tests.orchestration.airflow_server import Server

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(1200)]
PATIENCE = 300


@pytest.fixture
def keyed(airflow_server: Server) -> Iterator[httpx.Client]:
    """A program with a key that may make, start and delete every export."""
    settings = Settings.from_environment({"LOYALTY_HOME": str(airflow_server.home)})
    keys = Context.from_settings(settings).state.keys
    scopes = [Scope.DEFINITIONS_READ, Scope.DEFINITIONS_WRITE, Scope.RUNS_START]
    made = keys.make("robot", scopes, by="ann", expires=timedelta(days=1))
    with httpx.Client(
        base_url=f"{airflow_server.running.url}/loyalty/api/v1",
        headers={"authorization": f"Bearer {made.key}"},
        timeout=60,
    ) as client:
        yield client
    keys.revoke(made.record.id, by="ann")


def until(true: Callable[[], Any], what: str) -> Any:
    end = time.monotonic() + PATIENCE
    while not (found := true()):
        assert time.monotonic() < end, f"{what} does not come"
        time.sleep(0.5)
    return found


def test_an_export_that_a_key_deletes_leaves_no_run_that_waits(
    airflow_server: Server, keyed: httpx.Client
) -> None:
    name = "waits-for-its-time"
    document = {
        "id": name,
        "name": "Waits",
        "owner": "finance",
        "model": "balance",
        "settle_delay": "7d",
        "targets": [{"kind": "folder", "options": {"folder": "waits"}}],
    }
    made = keyed.post("/definitions", json=document)
    assert made.status_code == 201, made.text
    assert made.headers["location"] == f"/loyalty/api/v1/definitions/{name}"
    airflow = airflow_server.running.client
    airflow.wait_for_dags({name})
    started = until(lambda: _started(keyed, name), "the run")
    until(lambda: _pin(airflow, name, started) == "up_for_reschedule", "a run that waits")

    gone = keyed.delete(f"/definitions/{name}", headers={"if-match": made.headers["etag"]})
    assert gone.status_code == 204, gone.text
    assert airflow.state(name, started) == "failed"
    logged = airflow.get("/eventLogs", dag_id=name, event="loyalty_export_deleted")["event_logs"]
    assert [each["owner"].startswith("key robot") for each in logged] == [True]


def _started(keyed: httpx.Client, name: str) -> str | None:
    answer = keyed.post(f"/definitions/{name}/runs", json={})
    return str(answer.json()["airflow_run_id"]) if answer.status_code == 202 else None


def _pin(airflow: Any, name: str, run_id: str) -> str | None:
    return next(each["state"] for each in airflow.tasks(name, run_id) if each["task_id"] == "pin")
