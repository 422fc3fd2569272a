"""How long until an export that was saved in the pages is a DAG, and how soon a run begins, with many definitions.

    python -m tests.benchmarks.saved [--definitions 100] [--saves 10] [--ways shards one each]

A real Airflow (API server, scheduler, DAG processor; its database is PostgreSQL where there is one) holds the exports
that ship, as files, and as many more made in the pages. Then, one after another, while it parses them again and again:
what it takes when nothing happens; runs that are started by hand, until their first task is queued; and saves, each of
one more export and of an edit of it, where the row is committed and announced as the pages do, and the time counts until
Airflow's REST interface shows the DAG so. 5 seconds are promised with 1,000 definitions.

ways: the DAG files as they are (`shards`), all in one file, and a file for each definition, as a bundle could make them.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
import urllib.parse
from datetime import datetime
from functools import cache, partial
from pathlib import Path
from typing import Any

import psutil

from include import state
from include.definitions.load import from_document, load_all
from include.errors import Permanent
from include.orchestration.client import Client
from include.orchestration.environment import USER, password
from include.orchestration.services import Running, airflow
from include.settings import ROOT
from tests.benchmarks import dag_files
from tests.servers.running import find, postgres_server

PROMISED = 5.0


@cache
def _shipped() -> list[Any]:
    return list(load_all(ROOT / "include" / "exports").values())


def more(number: int, **changes: Any) -> Any:
    """Return one of the definitions that ship, as an export of its own."""
    chosen = _shipped()[number % len(_shipped())].document()
    named = {"id": f"made-{number}", "name": f"Made {number}", "enabled": True}
    folder = [{"kind": "folder", "options": {"folder": f"made-{number}"}}]
    return from_document({**chosen, **named, "targets": folder, **changes}, where="benchmark")


def save(home: Path, url: str, first: int, saves: int, way: str) -> list[dict[str, float]]:
    """Save exports one after another, in Airflow's environment; return the seconds until each was seen."""
    from include.orchestration import announcing

    announcing.file_of = partial(dag_files.file_of, way)
    exports = state.open(os.environ["LOYALTY_STATE_URL"]).exports
    client = Client(url, USER, password(home))
    found = []
    for number in range(first, first + saves):
        # At all moments of the processor's second, and of its round through the files.
        time.sleep(3 + 1.37 * (number % 7))
        began = time.monotonic()
        made = exports.create(more(number), "ann")
        dag_files.added(way, home.parent, made.definition_id)
        announcing.announce(made.definition_id)
        new = _until(client, made.definition_id, "", began)
        began = time.monotonic()
        exports.save(more(number, description="Edited."), "ann", based_on=made.number)
        announcing.announce(made.definition_id)
        found.append({"new": new, "edited": _until(client, made.definition_id, "Edited.", began)})
    return found


def _until(client: Client, dag_id: str, description: str, began: float) -> float:
    while time.monotonic() - began < 60:
        with contextlib.suppress(Permanent):
            if client.get(f"/dags/{dag_id}")["description"].startswith(description):
                return time.monotonic() - began
        time.sleep(0.2)  # asking costs what Airflow needs
    raise TimeoutError(f"{dag_id} is not seen")


def trigger(client: Client, number: int) -> float:
    """Start a run by hand; return the seconds until its first task is queued. The run is ended."""
    dag_id = f"made-{number}"
    time.sleep(2 + 1.37 * (number % 7))
    began = time.time()
    run_id = client.trigger(dag_id, test_targets=True)
    while not (
        queued := [task["queued_when"] for task in client.tasks(dag_id, run_id) if task["queued_when"]]
    ):
        time.sleep(0.2)
    client.patch(f"/dags/{dag_id}/dagRuns/{urllib.parse.quote(run_id, safe='')}", {"state": "failed"})
    return datetime.fromisoformat(queued[0]).timestamp() - began


def used() -> dict[str, float]:
    """Return the processor seconds that each of the services that run here has taken, with its children."""
    found: dict[str, float] = {}
    for leader in psutil.Process().children():
        words = " ".join(leader.cmdline())
        name = next((x for x in ("api-server", "scheduler", "dag-processor", "postgres") if x in words), None)
        if name:
            every = [leader, *leader.children(recursive=True)]
            found[name] = found.get(name, 0) + sum(_used(each) for each in every)
    return found


def _used(process: psutil.Process) -> float:
    with contextlib.suppress(psutil.NoSuchProcess):
        times = process.cpu_times()
        return float(times.user + times.system + times.children_user + times.children_system)
    return 0.0


def measure(way: str, asked: argparse.Namespace) -> dict[str, Any]:
    """Start Airflow with the DAG files of one way; return what was measured."""
    home = Path(tempfile.mkdtemp(prefix="loyalty-"))
    extra = {"LOYALTY_HOME": str(home), "LOYALTY_STATE_URL": f"sqlite:///{home / 'state.sqlite'}"}
    exports = state.open(extra["LOYALTY_STATE_URL"]).exports
    made = asked.definitions - len(_shipped())
    for number in range(made):
        exports.create(more(number), "ann")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        extra |= dag_files.environment(way, home, [each.id for each in _shipped()], exports.ids())
        if find("initdb"):
            url = stack.enter_context(postgres_server(home / "postgres"))
            extra["LOYALTY_AIRFLOW_DATABASE_URL"] = url.replace("postgresql://", "postgresql+psycopg2://")
        services = ("api-server", "scheduler", "dag-processor")
        began, load = time.monotonic(), os.getloadavg()[0]
        running = stack.enter_context(airflow(home / "airflow", services=services, extra=extra))
        healthy = time.monotonic() - began
        running.client.wait_for_dags(
            {f"made-{number}" for number in range(made)}, seconds=120 + 3 * asked.definitions
        )
        known, until_known = time.monotonic() - began - healthy, used()
        time.sleep(30)
        before = used()
        time.sleep(asked.quiet)
        after = used()
        triggered = [trigger(running.client, number) for number in range(asked.saves)]
        times = _saved(running, asked, way)
        parsed = {dag["relative_fileloc"]: dag["last_parse_duration"] for dag in running.client.dags()}
    return {
        "load_before": round(load, 2),
        "healthy_seconds": round(healthy, 1),
        "all_known_seconds": round(known, 1),
        "processor_seconds_until_known": {name: round(each, 1) for name, each in until_known.items()},
        "longest_parse_seconds": round(max(parsed.values()), 2),
        "files": len(parsed),
        "processor_percent_when_quiet": {
            name: round(100 * (after[name] - before[name]) / asked.quiet, 1) for name in after
        },
        "trigger_until_queued": _middle_and_worst(triggered),
        **{kind: _middle_and_worst([each[kind] for each in times]) for kind in ("new", "edited")},
    }


def _saved(running: Running, asked: argparse.Namespace, way: str) -> list[dict[str, float]]:
    inside = [str(running.home), running.url, str(asked.definitions), way]
    command = [
        sys.executable,
        "-m",
        "tests.benchmarks.saved",
        "--saves",
        str(asked.saves),
        "--inside",
        *inside,
    ]
    done = subprocess.run(command, env=running.environment, cwd=ROOT, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(done.stderr[-3000:])
    found: list[dict[str, float]] = json.loads(done.stdout.splitlines()[-1])
    return found


def _middle_and_worst(seconds: list[float]) -> dict[str, float]:
    return {"median": round(statistics.median(seconds), 2), "worst": round(max(seconds), 2)}


def main() -> None:
    """Measure each way, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--definitions", type=int, default=100)
    parser.add_argument("--saves", type=int, default=10)
    parser.add_argument("--quiet", type=int, default=60, help="seconds in which nothing happens")
    parser.add_argument("--ways", nargs="+", choices=dag_files.WAYS, default=["shards"])
    parser.add_argument("--inside", nargs=4, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        home, url, first, way = asked.inside
        print(json.dumps(save(Path(home), url, int(first), asked.saves, way)))
        return
    found = {
        "definitions": asked.definitions,
        "airflow_database": "postgresql" if find("initdb") else "sqlite",
        "promised": PROMISED,
    }
    print(json.dumps(found, indent=2))
    for way in asked.ways:
        print(json.dumps({way: measure(way, asked)}, indent=2), flush=True)


if __name__ == "__main__":
    main()
