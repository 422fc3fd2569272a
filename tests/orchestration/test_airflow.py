"""Rule: a run in a real Airflow gives the bytes that the pipeline gives, whoever started it, and ends as it went."""

from __future__ import annotations

import hashlib
import json
import time
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include import pipeline
from include.formats.verify import verify
from include.orchestration import pools
from include.orchestration.client import FINAL
from include.pipeline.checks import load_definition
from include.settings import Settings
from tests.orchestration.airflow_server import DEFINITIONS, Server

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(1200)]
MANIFEST = ".manifest.json"
OURS = {
    "loyalty-upkeep",
    "loyalty-watch",
    "loyalty-digest",
    "loyalty-restatements",
    "loyalty-imports",
    "loyalty-inbox",
}
# Two Mondays at nine in Paris, over the change to summer time on 29 March 2026.
FIRST, LAST = datetime(2026, 3, 23, 8, tzinfo=UTC), datetime(2026, 3, 30, 7, tzinfo=UTC)
FEBRUARY = datetime(2026, 2, 1, tzinfo=UTC), datetime(2026, 3, 1, tzinfo=UTC)


def files_of(folder: Path) -> dict[str, str]:
    """Return the sha256 of every data file by its name."""
    return {
        file.name: hashlib.sha256(file.read_bytes()).hexdigest()
        for file in folder.iterdir()
        if not file.name.endswith(MANIFEST)
    }


def by_pipeline(server: Server, name: str, occurrences: list[datetime], home: Path) -> dict[str, str]:
    """Return what the pipeline alone delivers at these occurrences, with a state and a store of its own."""
    settings = Settings.from_environment(
        {
            "LOYALTY_HOME": str(home),
            "LOYALTY_LEDGER_URL": server.ledger_url,
            "LOYALTY_EXPORTS": str(server.exports),
            "LOYALTY_SETTLE_SECONDS": "1",
        }
    )
    context = pipeline.Context.from_settings(settings)
    definition = load_definition(server.exports / f"{name}.yaml")
    made: dict[str, str] = {}
    for occurrence in occurrences:
        run = pipeline.pin(context, definition, occurrence=occurrence, backfill=True)
        pipeline.snapshot(context, run.run_key)
        for each in pipeline.render(context, run.run_key):
            if not each["name"].endswith(MANIFEST):
                made[each["name"]] = each["sha256"]
    return made


def ended(server: Server, dag_id: str, run_id: str, wanted: str) -> dict[str, dict]:
    """Wait for the run, check how it ended, return its task instances by name."""
    state = server.running.client.wait_for_run(dag_id, run_id, 600)
    tasks = server.running.client.tasks(dag_id, run_id)
    told = {task["task_id"]: task["state"] for task in tasks}
    if state != wanted:
        failed = [task for task in tasks if task["state"] == "failed"]
        logs = "\n".join(server.running.client.log(dag_id, run_id, task)[-4000:] for task in failed)
        pytest.fail(f"{run_id} of {dag_id} ended as {state}: {told}\n{logs}")
    return {f"{task['task_id']}[{task['map_index']}]": task for task in tasks}


def backfilled(server: Server, dag_id: str, first: datetime, last: datetime, count: int) -> list[dict]:
    """Wait until a backfill of [first, last] has made `count` runs and all ended; return them, oldest first.

    The server is shared: other tests backfill other days of the same DAG.
    """
    until = time.monotonic() + 900
    days = {"logical_date_gte": first.isoformat(), "logical_date_lte": last.isoformat()}
    while True:
        runs = server.running.client.runs(dag_id, run_type="backfill", **days)
        if len(runs) >= count and all(run["state"] in ("success", "failed") for run in runs):
            return runs
        assert time.monotonic() < until, [(run["logical_date"], run["state"]) for run in runs]
        time.sleep(1)


@dataclass(frozen=True)
class Begun:
    """The runs that the tests of this file look at: most of a run's time is waiting, so they wait together."""

    at_occurrence: str
    dry: str
    one_fails: str
    chosen: str
    impossible: str
    early: str
    pins_of_early: set[str]


@pytest.fixture(scope="module")
def begun(airflow_server: Server) -> Begun:
    """Begin them all, backfills too; the one that waits for its rows comes first, and is watched until it does."""
    client = airflow_server.running.client
    early = client.trigger("three-targets", targets=["first"])  # T is now; the definition waits 15 s after it
    seen: set[str] = set()
    while "up_for_reschedule" not in seen and client.state("three-targets", early) not in FINAL:
        seen |= {task["state"] for task in client.tasks("three-targets", early) if task["task_id"] == "pin"}
        time.sleep(0.2)
    words = ["backfill", "create", "--dag-id", "weekly-history", "--max-active-runs", "2"]
    dates = ["--from-date", FIRST.isoformat(), "--to-date", LAST.isoformat()]
    for dag_id in ("weekly-history", "month-end-balances"):
        airflow_server.wait_for_backfills(dag_id)
    client.backfill("month-end-balances", *FEBRUARY, max_active_runs=2)
    made = Begun(
        at_occurrence=client.trigger("weekly-history", datetime(2026, 5, 4, 7, tzinfo=UTC)),
        dry=client.trigger("weekly-history", start="2026-01-01T00:00", end="2026-02-01T00:00", dry_run=True),
        one_fails=client.trigger("three-targets", as_of="2026-04-01T00:00:00Z"),
        chosen=client.trigger("three-targets", as_of="2026-05-01T00:00:00Z", targets=["last"]),
        impossible=client.trigger("three-targets", as_of="2999-01-01T00:00:00Z"),
        early=early,
        pins_of_early=seen,
    )
    airflow_server.running.command(*words, *dates)
    return made


def test_backfill_by_the_command_line_gives_the_pipelines_bytes(airflow_server, begun, tmp_path):
    runs = backfilled(airflow_server, "weekly-history", FIRST, LAST, 2)
    occurrences = [datetime.fromisoformat(run["logical_date"]) for run in runs]
    assert [run["state"] for run in runs] == ["success"] * 2
    assert [moment.hour for moment in occurrences] == [8, 7]
    expected = by_pipeline(airflow_server, "weekly-history", occurrences, tmp_path)
    assert len(expected) == 2
    delivered = files_of(airflow_server.home / "history")
    assert {name: delivered.get(name) for name in expected} == expected
    for name in expected:
        assert verify(airflow_server.home / "history" / f"{name}{MANIFEST}") == []


def test_backfill_by_rest_and_the_run_of_a_last_day_is_about_the_whole_month(airflow_server, begun, tmp_path):
    client = airflow_server.running.client
    runs = backfilled(airflow_server, "month-end-balances", *FEBRUARY, 2)
    occurrences = [datetime.fromisoformat(run["logical_date"]) for run in runs]
    assert occurrences == [datetime(2026, 2, 15, 11, tzinfo=UTC), datetime(2026, 2, 28, 11, tzinfo=UTC)]
    assert [run["state"] for run in runs] == ["success"] * 2
    for run in runs:
        pinned = client.xcom("month-end-balances", run["dag_run_id"], "pin", "run")
        assert datetime.fromisoformat(pinned["as_of"]) == datetime(
            2026, 3, 1, 5, tzinfo=UTC
        )  # midnight in New York
    expected = by_pipeline(airflow_server, "month-end-balances", occurrences, tmp_path)
    delivered = files_of(airflow_server.home / "balances")
    assert {name: delivered.get(name) for name in expected} == expected


def test_a_run_at_an_occurrence_and_its_tasks_tell_what_they_did(airflow_server, begun):
    client, run_id = airflow_server.running.client, begun.at_occurrence
    tasks = ended(airflow_server, "weekly-history", run_id, "success")
    assert {name.split("[")[0] for name, task in tasks.items() if task["pool"] == "loyalty"} == {
        "snapshot",
        "render",
    }
    assert airflow_server.running.client.get("/pools/loyalty")["slots"] == pools.slots()
    assert tasks["deliver[0]"]["rendered_map_index"] == "folder"
    summary = client.xcom("weekly-history", run_id, "settle")
    assert summary["status"] == "done"
    data = summary["files"][0]
    assert files_of(airflow_server.home / "history")[data["name"]] == data["sha256"]
    pinned = client.xcom("weekly-history", run_id, "pin", "run")
    assert datetime.fromisoformat(pinned["start"]) == datetime(2026, 4, 27, 7, tzinfo=UTC)
    assert datetime.fromisoformat(pinned["end"]) == datetime(2026, 5, 4, 7, tzinfo=UTC)


def test_a_run_by_hand_with_its_own_period_and_as_a_dry_run_delivers_nothing(airflow_server, begun):
    client, run_id = airflow_server.running.client, begun.dry
    tasks = ended(airflow_server, "weekly-history", run_id, "success")
    assert tasks["deliver[-1]"]["state"] == "skipped"
    pinned = client.xcom("weekly-history", run_id, "pin", "run")
    assert datetime.fromisoformat(pinned["start"]) == datetime(2025, 12, 31, 23, tzinfo=UTC)  # Paris
    summary = client.xcom("weekly-history", run_id, "settle")
    assert summary["files"][0]["rows"] > 0
    ended(airflow_server, "weekly-history", begun.at_occurrence, "success")  # whose file is there
    names = {each["name"] for each in summary["files"]}
    assert names
    assert not names & {file.name for file in (airflow_server.home / "history").iterdir()}


def test_one_target_that_fails_makes_the_run_red_and_the_others_have_their_files(airflow_server, begun):
    run_id = begun.one_fails
    tasks = ended(airflow_server, "three-targets", run_id, "failed")
    states = {
        task["rendered_map_index"]: task["state"]
        for name, task in tasks.items()
        if name.startswith("deliver")
    }
    assert states == {"first": "success", "broken": "failed", "last": "success"}
    assert tasks["settle[-1]"]["state"] == "failed"
    [first], [last] = (
        {(name, of) for name, of in files_of(airflow_server.home / folder).items() if "2026-04-01" in name}
        for folder in ("first", "last")
    )
    assert first == last
    log = airflow_server.running.client.log("three-targets", run_id, tasks["settle[-1]"])
    assert "broken" in log
    # It was not tried again: no attempt can turn a file into a folder.
    ours = ("deliver", "settle")
    assert {task["try_number"] for name, task in tasks.items() if name.startswith(ours)} == {1}


def test_targets_can_be_chosen(airflow_server, begun):
    tasks = ended(airflow_server, "three-targets", begun.chosen, "success")
    assert [task["rendered_map_index"] for name, task in tasks.items() if name.startswith("deliver")] == [
        "last"
    ]
    names = {name for name in files_of(airflow_server.home / "last") if "2026-05-01" in name}
    assert len(names) == 1
    assert not names & set(files_of(airflow_server.home / "first"))


def test_what_cannot_be_is_refused_in_words_and_not_tried_again(airflow_server, begun):
    run_id = begun.impossible
    tasks = ended(airflow_server, "three-targets", run_id, "failed")
    assert tasks["pin[-1]"]["state"] == "failed"
    assert tasks["pin[-1]"]["try_number"] == 1
    assert tasks["settle[-1]"]["state"] == "failed"
    log = airflow_server.running.client.log("three-targets", run_id, tasks["pin[-1]"])
    assert "2999-01-01" in log
    assert "as_of" in log


def test_a_run_whose_rows_may_still_be_written_waits_without_a_slot(airflow_server, begun):
    client, run_id = airflow_server.running.client, begun.early
    tasks = ended(airflow_server, "three-targets", run_id, "success")
    assert "up_for_reschedule" in begun.pins_of_early
    (run,) = [run for run in client.runs("three-targets") if run["dag_run_id"] == run_id]
    instant = datetime.fromisoformat(run["run_after"])
    pinned = client.xcom("three-targets", run_id, "pin", "run")
    assert datetime.fromisoformat(pinned["as_of"]) == instant
    began = datetime.fromisoformat(tasks["snapshot[-1]"]["start_date"])
    assert began >= instant + timedelta(seconds=15)


def test_a_broken_definition_is_shown_and_the_others_have_their_dags(airflow_server):
    errors = airflow_server.running.client.get("/importErrors")["import_errors"]
    assert [Path(error["filename"]).name for error in errors] == ["broken_definitions.py"]
    assert "broken.yaml: model" in errors[0]["stack_trace"]
    dags = {dag["dag_id"]: dag for dag in airflow_server.running.client.dags()}
    expected = (set(DEFINITIONS) - {"broken"}) | OURS  # other tests of this server add theirs
    assert expected <= set(dags)
    assert "broken" not in dags
    assert not any(dags[name]["is_paused"] for name in expected)


def test_the_client_turns_the_pages_of_lists(airflow_server, monkeypatch):
    whole = airflow_server.running.client.dags()
    monkeypatch.setattr("include.orchestration.client.PAGE", 3)
    assert len(whole) > 3
    assert [dag["dag_id"] for dag in airflow_server.running.client.dags()] == [dag["dag_id"] for dag in whole]


def test_no_secret_lies_in_the_logs(airflow_server):
    keys = json.loads((airflow_server.home / "airflow" / "keys.json").read_text("utf-8"))
    logs = "".join(
        file.read_text("utf-8", "replace")
        for file in (airflow_server.home / "airflow" / "logs").rglob("*.log")
    )
    assert logs
    assert not [name for name, secret in keys.items() if secret in logs]
