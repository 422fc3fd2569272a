"""Rule: on Celery workers a run gives the bytes that the command line gives, and a worker that dies costs its task."""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from include.formats.verify import verify
from include.orchestration.client import FINAL
from include.settings import ROOT
from tests.servers.running import find
from tests.workers.cluster import SILENT_SECONDS, Cluster, Worker, cluster

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(1200)]
MANIFEST = ".manifest.json"
HISTORY, BALANCES = "weekly-history", "daily-balances"
# Four Mondays at nine in Paris, the last two over the change to summer time.
EARLIER, BEFORE, FIRST, LAST = (
    datetime(2026, 3, 9, 8, tzinfo=UTC),
    datetime(2026, 3, 16, 8, tzinfo=UTC),
    datetime(2026, 3, 23, 8, tzinfo=UTC),
    datetime(2026, 3, 30, 7, tzinfo=UTC),
)


@pytest.fixture(scope="module")
def celery() -> Iterator[Cluster]:
    """One cluster for all tests of this file."""
    missing = [program for program in ("initdb", "redis-server", "weed") if not _found(program)]
    if missing:
        (pytest.fail if os.environ.get("CI") else pytest.skip)(f"not installed: {', '.join(missing)}")
    home = Path(tempfile.mkdtemp(prefix="loyalty-"))
    try:
        with cluster(home) as made:
            yield made
    finally:
        shutil.rmtree(home, ignore_errors=True)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Where the command line keeps its state and its store, a snapshot for all occurrences among them."""
    return tmp_path_factory.mktemp("beside")


def _found(program: str) -> bool:
    return bool(find(program)) or (Path(sys.executable).parent / program).exists()


def files_of(folder: Path) -> dict[str, str]:
    """Return the sha256 of every data file by its name, once its manifest has been found to be right."""
    found = {}
    for file in folder.iterdir() if folder.exists() else ():
        if not file.name.endswith(MANIFEST):
            assert verify(file.with_name(f"{file.name}{MANIFEST}")) == []
            found[file.name] = hashlib.sha256(file.read_bytes()).hexdigest()
    return found


def by_command_line(celery: Cluster, name: str, occurrence: datetime, home: Path) -> dict[str, str]:
    """Return what `loyalty export run` makes of the same ledger with a state and a store of its own."""
    words = [
        "export",
        "run",
        name,
        "--occurrence",
        occurrence.isoformat(),
        "--out",
        str(home / "out"),
        "--json",
    ]
    environment = {**os.environ, **celery.beside, "LOYALTY_HOME": str(home)}
    command = [sys.executable, "-m", "include.cli", *words]
    done = subprocess.run(command, env=environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    made = json.loads(done.stdout)["files"]
    return {each["name"]: each["sha256"] for each in made if not each["name"].endswith(MANIFEST)}


def ended(celery: Cluster, dag_id: str, run_id: str) -> dict[str, dict]:
    """Wait for the run's success; return its task instances by name, and print the logs of those tried again."""
    state = celery.running.client.wait_for_run(dag_id, run_id, 600)
    tasks = celery.tasks(dag_id, run_id)
    for name in again(tasks):
        for log in (celery.running.home / "logs").glob(
            f"*{dag_id}/*{run_id}/task_id={name.split('[')[0]}/**/attempt=1.log"
        ):
            print(log, log.read_text("utf-8"), sep="\n")
    if again(tasks):  # a task that Airflow itself gave up says nothing of it
        scheduler = (celery.running.home / "logs" / "services" / "scheduler.log").read_text("utf-8")
        print(*(line for line in scheduler.splitlines() if run_id in line and "reported" in line), sep="\n")
    assert state == "success", {name: task["state"] for name, task in tasks.items()}
    return tasks


def again(tasks: dict[str, dict]) -> dict[str, int]:
    """Return how many attempts the tasks took that took more than one."""
    return {name: task["try_number"] for name, task in tasks.items() if task["try_number"] > 1}


def test_a_backfill_runs_on_both_workers_and_gives_the_command_lines_bytes(celery, home):
    client = celery.running.client
    client.backfill(HISTORY, FIRST, LAST, max_active_runs=2)
    expected = {}
    for occurrence in (FIRST, LAST):
        expected |= by_command_line(celery, HISTORY, occurrence, home)
    runs = []
    while len(runs) < 2 or any(run["state"] not in FINAL for run in runs):
        time.sleep(0.5)
        runs = client.runs(HISTORY, run_type="backfill")
    tasks = [ended(celery, HISTORY, run["dag_run_id"]) for run in runs]
    assert [shares_of(each) for each in tasks] == [["share[0]", "share[1]", "share[2]"]] * 2
    assert {each[name]["hostname"] for each in tasks for name in shares_of(each)} == {"one", "two"}
    assert [again(each) for each in tasks] == [{}, {}]
    assert len(expected) == 2
    assert files_of(celery.home / "delivered" / "history") == expected


def shares_of(tasks: dict[str, dict]) -> list[str]:
    """Return the names of a run's shares."""
    return sorted(name for name in tasks if name.startswith("share"))


def test_workers_that_are_killed_at_work_cost_these_tasks_only(celery, home):
    """Two of three, one at a share and one that renders. It comes last, for they stay dead."""
    client = celery.running.client
    celery.workers["three"].start()
    other_id = client.trigger(BALANCES, EARLIER)
    runs = {}
    for stage, occurrence in (("share", EARLIER), ("render", BEFORE)):
        run_id = client.trigger(HISTORY, occurrence)
        runs[stage] = (run_id, killed_at(celery, stage, HISTORY, run_id), datetime.now(UTC))
    assert len({dead.name for _, dead, _ in runs.values()}) == 2
    expected = by_command_line(celery, HISTORY, EARLIER, home) | by_command_line(
        celery, HISTORY, BEFORE, home
    )
    assert len(expected) == 2
    for stage, (run_id, dead, killed) in runs.items():
        tasks = ended(celery, HISTORY, run_id)
        [(lost, attempts)] = again(tasks).items()
        assert (lost.split("[")[0], attempts) == (stage, 2)
        assert tasks[lost]["hostname"] != dead.name
        waited = datetime.fromisoformat(tasks[lost]["start_date"]) - killed
        print(f"{lost} was taken up after {waited.total_seconds():.0f} s")
        assert waited.total_seconds() > SILENT_SECONDS / 2  # it was noticed by its silence
    assert again(ended(celery, BALANCES, other_id)) == {}
    delivered = files_of(celery.home / "delivered" / "history")
    assert {name: delivered[name] for name in expected} == expected


def killed_at(celery: Cluster, stage: str, dag_id: str, run_id: str) -> Worker:
    """Wait until a worker is in the middle of a stage of the run, and kill it there; return it."""
    while celery.tasks(dag_id, run_id).get("pin", {}).get("state") != "success":
        time.sleep(0.2)
    key = celery.running.client.xcom(dag_id, run_id, "pin", "run_key")
    until = time.monotonic() + 300
    while time.monotonic() < until:
        for worker in celery.workers.values():
            if any(worker.scratch.glob(f"{stage}-{key[:24]}*/*")):
                worker.kill()
                # What a process leaves behind that ended before its work was done.
                assert any(worker.scratch.glob(f"{stage}-{key[:24]}*/*"))
                return worker
        time.sleep(0.02)
    raise AssertionError(f"nobody has begun to {stage}: {celery.tasks(dag_id, run_id)}")
