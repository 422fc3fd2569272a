"""Rule: what a program does with a key of ours, in a real Airflow, comes to the same end as on the pages."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from include.pipeline import Context
from include.settings import IMPORTS_DAG, Settings
from include.state.keys import Scope
from tests.orchestration.airflow_server import Server
from tests.servers.waiting import until

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(1200)]
PATIENCE = 300


@pytest.fixture
def keyed(airflow_server: Server) -> Iterator[httpx.Client]:
    """A program with a key that may make, start and delete every export, and import."""
    settings = Settings.from_environment({"LOYALTY_HOME": str(airflow_server.home)})
    keys = Context.from_settings(settings).state.keys
    scopes = [Scope.DEFINITIONS_READ, Scope.DEFINITIONS_WRITE, Scope.RUNS_START, Scope.IMPORTS_WRITE]
    made = keys.make("robot", scopes, by="ann", expires=timedelta(days=1))
    with httpx.Client(
        base_url=f"{airflow_server.running.url}/loyalty/api/v1",
        headers={"authorization": f"Bearer {made.key}"},
        timeout=60,
    ) as client:
        yield client
    keys.revoke(made.record.id, by="ann")


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
    started = until(lambda: _started(keyed, name), "the run", pause=0.5)
    until(lambda: _pin(airflow, name, started) == "up_for_reschedule", "a run that waits", pause=0.5)

    gone = keyed.delete(f"/definitions/{name}", headers={"if-match": made.headers["etag"]})
    assert gone.status_code == 204, gone.text
    assert airflow.state(name, started) == "failed"
    logged = airflow.get("/eventLogs", dag_id=name, event="loyalty_export_deleted")["event_logs"]
    assert [each["owner"].startswith("key robot") for each in logged] == [True]


def test_airflow_asks_a_person_about_what_a_key_imports_until_it_is_refused(
    airflow_server: Server, keyed: httpx.Client
) -> None:
    wish = {"name": "by-key.csv", "mode": "reset", "program": "club"}
    received = keyed.post("/imports", params=wish, content=b"customer_id,points\nc0000021,7\n").json()
    place = f"/imports/{received['import_id']}"
    assert keyed.post(f"{place}/rehearse").json()["state"] == "waiting"
    airflow = airflow_server.running.client

    def asked() -> Any:
        path = f"/dags/{IMPORTS_DAG}/dagRuns/~/hitlDetails"
        found = airflow.get(path, subject_search=received["import_id"], response_received="false")
        return found["hitl_details"]

    [question] = until(asked, "the question", pause=0.5)
    run_id = question["task_instance"]["dag_run_id"]
    assert airflow.state(IMPORTS_DAG, run_id) == "running"
    refused = keyed.post(f"{place}/refuse", json={"note": "the wrong month"})
    assert refused.json()["state"] == "refused"
    assert airflow.wait_for_run(IMPORTS_DAG, run_id, PATIENCE) == "success"
    tasks = {each["task_id"]: each["state"] for each in airflow.tasks(IMPORTS_DAG, run_id)}
    assert (tasks["approve"], tasks["post"], asked()) == ("skipped", "skipped", [])


def _started(keyed: httpx.Client, name: str) -> str | None:
    answer = keyed.post(f"/definitions/{name}/runs", json={})
    return str(answer.json()["airflow_run_id"]) if answer.status_code == 202 else None


def _pin(airflow: Any, name: str, run_id: str) -> str | None:
    return next(each["state"] for each in airflow.tasks(name, run_id) if each["task_id"] == "pin")
