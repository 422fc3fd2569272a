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
    scopes = [Scope.DEFINITIONS_READ, Scope.DEFINITIONS_WRITE, Scope.RUNS_START, Scope.IMPORTS_WRITE]
    yield from _with_key(airflow_server, "robot", scopes, by="ann")


@pytest.fixture
def agreeing(airflow_server: Server) -> Iterator[httpx.Client]:
    """A program with another person's key, that may agree to imports and nothing else."""
    yield from _with_key(airflow_server, "controlling", [Scope.IMPORTS_APPROVE], by="paul")


def _with_key(server: Server, name: str, scopes: list[Scope], by: str) -> Iterator[httpx.Client]:
    keys = Context.from_settings(Settings.from_environment({"LOYALTY_HOME": str(server.home)})).state.keys
    made = keys.make(name, scopes, by=by, expires=timedelta(days=1))
    with httpx.Client(
        base_url=f"{server.running.url}/loyalty/api/v1",
        headers={"authorization": f"Bearer {made.key}"},
        timeout=60,
    ) as client:
        yield client
    keys.revoke(made.record.id, by=by)


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


@pytest.mark.parametrize(
    ("row", "decide", "option", "state", "ends"),
    [
        ("c0000021,7", "refuse", "Refuse", "refused", "skipped"),
        ("c0000022,8", "approve", "Approve", "posted", "success"),
    ],
)
def test_another_persons_key_answers_what_airflow_asks_about_the_import_of_a_key(
    row: str, decide: str, option: str, state: str, ends: str, airflow_server: Server,
    keyed: httpx.Client, agreeing: httpx.Client,
) -> None:  # fmt: skip
    wish = {"name": f"{decide}.csv", "mode": "reset", "program": "club"}
    received = keyed.post("/imports", params=wish, content=f"customer_id,points\n{row}\n".encode()).json()
    place = f"/imports/{received['import_id']}"
    assert keyed.post(f"{place}/rehearse").json()["state"] == "waiting"
    airflow = airflow_server.running.client

    def question() -> Any:
        path = f"/dags/{IMPORTS_DAG}/dagRuns/~/hitlDetails"
        found = airflow.get(path, subject_search=received["import_id"])["hitl_details"]
        return found[0] if found else None

    def waits() -> Any:
        asked = question()
        return asked if asked and asked["task_instance"]["state"] == "awaiting_input" else None

    run_id = until(waits, "the question", pause=0.5)["task_instance"]["dag_run_id"]
    assert airflow.state(IMPORTS_DAG, run_id) == "running"
    decided = agreeing.post(f"{place}/{decide}", json={"note": "seen"})
    assert decided.status_code == 200, decided.text
    answered = question()
    assert (answered["response_received"], answered["chosen_options"]) == (True, [option])
    assert answered["responded_by_user"]["name"].startswith("key controlling")
    assert airflow.wait_for_run(IMPORTS_DAG, run_id, PATIENCE) == "success"
    tasks = {each["task_id"]: each["state"] for each in airflow.tasks(IMPORTS_DAG, run_id)}
    assert tasks["post"] == ends
    assert keyed.get(place).json()["state"] == state


def _started(keyed: httpx.Client, name: str) -> str | None:
    answer = keyed.post(f"/definitions/{name}/runs", json={})
    return str(answer.json()["airflow_run_id"]) if answer.status_code == 202 else None


def _pin(airflow: Any, name: str, run_id: str) -> str | None:
    return next(each["state"] for each in airflow.tasks(name, run_id) if each["task_id"] == "pin")
