"""How long until an export that was saved in the pages is a DAG in Airflow: 3 seconds are promised, with 100 definitions.

    python -m tests.benchmarks.saved [--definitions 100] [--saves 10]

A real Airflow (API server, scheduler, DAG processor; its database is PostgreSQL where there is one) holds the exports
that ship, as files, and as many more made in the pages. Each save is one more export, and then one edit of it: the row
is committed and announced as the pages do, and the time counts until Airflow's REST interface shows the DAG so.
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
from functools import cache
from pathlib import Path
from typing import Any

from include import state
from include.definitions.load import from_document, load_all
from include.errors import Permanent
from include.orchestration.client import Client
from include.orchestration.environment import USER, password
from include.orchestration.services import airflow
from include.settings import ROOT
from tests.servers.running import find, postgres_server

PROMISED = 3.0


@cache
def _shipped() -> list[Any]:
    return list(load_all(ROOT / "include" / "exports").values())


def more(number: int, **changes: Any) -> Any:
    """Return one of the definitions that ship, as an export of its own."""
    chosen = _shipped()[number % len(_shipped())].document()
    named = {"id": f"made-{number}", "name": f"Made {number}", "enabled": True}
    folder = [{"kind": "folder", "options": {"folder": f"made-{number}"}}]
    return from_document({**chosen, **named, "targets": folder, **changes}, where="benchmark")


def save(home: Path, url: str, first: int, saves: int) -> list[dict[str, float]]:
    """Save exports one after another, in Airflow's environment; return the seconds until each was seen."""
    from include.orchestration.announcing import announce

    exports = state.open(os.environ["LOYALTY_STATE_URL"]).exports
    client = Client(url, USER, password(home))
    found = []
    for number in range(first, first + saves):
        # At all moments of the processor's second.
        time.sleep(3 + 0.37 * (number % 7))
        began = time.monotonic()
        made = exports.create(more(number), "ann")
        announce(made.definition_id)
        new = _until(client, made.definition_id, "", began)
        began = time.monotonic()
        exports.save(more(number, description="Edited."), "ann", based_on=made.number)
        announce(made.definition_id)
        found.append({"new": new, "edited": _until(client, made.definition_id, "Edited.", began)})
    return found


def _until(client: Client, dag_id: str, description: str, began: float) -> float:
    while time.monotonic() - began < 60:
        with contextlib.suppress(Permanent):
            if client.get(f"/dags/{dag_id}")["description"].startswith(description):
                return time.monotonic() - began
        time.sleep(0.2)  # asking costs what Airflow needs
    raise TimeoutError(f"{dag_id} is not seen")


def main() -> None:
    """Start Airflow, save, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--definitions", type=int, default=100)
    parser.add_argument("--saves", type=int, default=10)
    parser.add_argument("--inside", nargs=3, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.inside:
        home, url, first = asked.inside
        print(json.dumps(save(Path(home), url, int(first), asked.saves)))
        return
    home = Path(tempfile.mkdtemp(prefix="loyalty-"))
    extra = {"LOYALTY_HOME": str(home), "LOYALTY_STATE_URL": f"sqlite:///{home / 'state.sqlite'}"}
    exports = state.open(extra["LOYALTY_STATE_URL"]).exports
    files = len(_shipped())
    for number in range(asked.definitions - files):
        exports.create(more(number), "ann")
    with contextlib.ExitStack() as stack:
        stack.callback(shutil.rmtree, home, ignore_errors=True)
        if find("initdb"):
            url = stack.enter_context(postgres_server(home / "postgres"))
            extra["LOYALTY_AIRFLOW_DATABASE_URL"] = url.replace("postgresql://", "postgresql+psycopg2://")
        services = ("api-server", "scheduler", "dag-processor")
        running = stack.enter_context(airflow(home / "airflow", services=services, extra=extra))
        began = time.monotonic()
        made = {f"made-{number}" for number in range(asked.definitions - files)}
        running.client.wait_for_dags(made, seconds=max(120, asked.definitions))
        known = time.monotonic() - began
        inside = [str(running.home), running.url, str(asked.definitions)]
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
        times = json.loads(done.stdout.splitlines()[-1])
        parsed = running.client.get("/dags/made-0")["last_parse_duration"]
    print(json.dumps({
        "definitions": asked.definitions,
        "airflow_database": "postgresql" if find("initdb") else "sqlite",
        "load_before": os.getloadavg()[2],
        "all_known_seconds": round(known, 1),
        "parse_seconds": round(parsed, 2),
        **{
            kind: {
                "median": round(statistics.median(each[kind] for each in times), 2),
                "worst": round(max(each[kind] for each in times), 2),
            }
            for kind in ("new", "edited")
        },
        "promised": PROMISED,
    }, indent=2))  # fmt: skip


if __name__ == "__main__":
    main()
