"""`python -m tests.benchmarks.pages`: how long pages take at the server with 10,000 exports and 100,000 runs.

Through Airflow's own application in this process, with its middlewares and login; medians, wall clock and CPU. The
state is SQLite, or the PostgreSQL that `--state-url` names (an empty database).
"""

from __future__ import annotations

import argparse
import hashlib
import os
import random
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import tests.airflow_environment  # noqa: F401 - before any module of Airflow

EXPORTS, RUNS_EACH, ROUNDS = 10_000, 10, 25
RUNS_OF_THE_FIRST = 5_000
OWNERS = ("finance", "marketing", "customer care", "data platform")
MODELS = ("balance", "history", "liability", "transactions", "customers")
TOTALS = ("active", "pending", "expired", "spent", "negative_balance", "points_balance", "lifetime_earned")
STATES = ("done", "done", "done", "failed", "running")
NOW = datetime.now(UTC)


def main() -> None:
    """Fill a state, ask for pages, print a line for each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--exports", type=int, default=EXPORTS)
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--state-url")
    told = parser.parse_args()
    with tempfile.TemporaryDirectory(prefix="loyalty-pages-") as home:
        (Path(home) / "exports").mkdir()
        os.environ.update(LOYALTY_HOME=home, LOYALTY_EXPORTS=str(Path(home) / "exports"))
        if told.state_url:
            os.environ["LOYALTY_STATE_URL"] = told.state_url
        os.environ["AIRFLOW__CORE__AUTH_MANAGER"] = "tests.web.rights.PerExport"
        fill(told.exports)
        measure(told.exports, told.rounds)


def fill(exports: int) -> None:
    """Write exports with their edits, runs and last deliveries straight into the tables: a thousand a statement."""
    from sqlalchemy import insert

    from include import state as states
    from include.definitions.load import from_document
    from include.settings import Settings
    from include.state import tables
    from include.state.export_rows import between_bars, described, searched

    document = {
        "id": "export",
        "name": "Export",
        "model": "balance",
        "timezone": "Europe/Paris",
        "schedule": {"kind": "daily", "time": "06:00"},
        "targets": [
            {"kind": "folder", "name": name, "options": {"folder": name}} for name in ("bank", "archive")
        ],
    }
    definition = from_document(document, where="export")
    same = described(definition) | {
        "source": "ui",
        "file": None,
        "broken": False,
        "number": 1,
        "deleted_at": None,
        "created_by": "olga",
        "edited_by": "olga",
        "run_moved_at": NOW,
        "run_delivers": True,
    }
    chance = random.Random(1)

    def rows() -> Iterator[dict[str, list[dict[str, Any]]]]:
        for number in range(exports):
            id_ = f"export-{number:05}"
            created = NOW - timedelta(minutes=number)
            many = RUNS_EACH if number else RUNS_OF_THE_FIRST
            runs = [run(document | {"id": id_}, each, many, created, chance) for each in range(many)]
            last = runs[-1]
            name = f"Export {number} of {chance.choice(OWNERS)}"
            own = {"definition_id": id_, "name": name, "created_at": created, "edited_at": created}
            own |= searched(id_, name, "") | {"owner": chance.choice(OWNERS)}
            own |= {"models": between_bars([chance.choice(MODELS)]), "run_key": last["run_key"]}
            own |= {"run_status": last["status"], "run_bytes": chance.randrange(10**8)}
            own |= {"run_created_at": last["created_at"]}
            edit = {"definition_id": id_, "number": 1, "source": "ui", "document": document | {"id": id_}}
            edit |= {"author": "olga", "at": created, "deleted": False}
            sent = [(each, last["run_key"]) for each in ("bank", "archive")]
            newest = [
                {"definition_id": id_, "target": each, "state": "confirmed", "at": NOW, "run_key": key}
                for each, key in sent
            ]
            deliveries = [delivery(each, key) for each, key in sent]
            yield {"EXPORTS": [same | own], "EXPORT_EDITS": [edit], "RUNS": runs, "LAST_DELIVERIES": newest,
                   "DELIVERIES": deliveries}  # fmt: skip

    database = states.open(Settings.from_environment().state_url).database
    batch: dict[str, list[dict[str, Any]]] = {}
    for index, each in enumerate(rows(), 1):
        for table, made in each.items():
            batch.setdefault(table, []).extend(made)
        if index % 1000 == 0 or index == exports:
            with database.write() as connection:
                for table, made in batch.items():
                    connection.execute(insert(getattr(tables, table)), made)
            batch = {}


def run(
    definition: dict[str, Any], number: int, many: int, created: datetime, chance: random.Random
) -> dict[str, Any]:
    """Return the row of a run; each is a day after the one before."""
    key = hashlib.sha256(f"{definition['id']} {number}".encode()).hexdigest()
    at = created + timedelta(days=number - many)
    status = chance.choice(STATES) if number == many - 1 else "done"
    totals = {name: f"{chance.randrange(10**9)}.{chance.randrange(100):02}" for name in TOTALS}
    file = {
        "name": f"{definition['id']}_{at:%Y-%m-%d}.csv.gz",
        "sha256": key,
        "bytes": 10**6,
        "media_type": "text/csv",
    }
    file |= {"key": f"artefacts/{key}", "rows": chance.randrange(10**6), "totals": totals, "export": None}
    manifest = {
        "name": f"{file['name']}.manifest.json",
        "sha256": key,
        "bytes": 3500,
        "key": f"artefacts/m-{key}",
    }
    return {
        "run_key": key,
        "request_key": key,
        "definition_id": definition["id"],
        "definition_version": "v" * 64,
        "definition": definition,
        "as_of": at,
        "known_at": at,
        "revision": 0,
        "dry_run": False,
        "status": status,
        "stage": "book",
        "stage_at": NOW,
        "rows_done": 1000,
        "rows_total": 4000,
        "artefacts": [file | {"notes": [], "told": []}, manifest | {"media_type": "application/json"}],
        "summary": {"status": status, "deliveries": {}},
        "created_at": at,
        "updated_at": NOW,
    }


def delivery(target: str, run_key: str) -> dict[str, Any]:
    """Return the row of a delivery that has arrived."""
    key = hashlib.sha256(f"{target} {run_key}".encode()).hexdigest()
    there = {
        "name": "a.csv",
        "place": f"/in/{target}/a.csv",
        "bytes": 10**6,
        "sha256": key,
        "outcome": "created",
    }
    receipt = {"target": "folder", "key": key, "files": [there], "recipients": []}
    same = {"state": "confirmed", "fence": 1, "owner": "worker", "expires_at": NOW, "attempts": 1}
    same |= {
        "may_have_sent": True,
        "sending": 0,
        "rows": 1000,
        "totals": {},
        "created_at": NOW,
        "updated_at": NOW,
    }
    return same | {"key": key, "run_key": run_key, "target": target, "sha256": key, "receipt": receipt}


def measure(exports: int, rounds: int) -> None:
    """Ask for each page so often, after once to warm up."""
    from airflow.api_fastapi.app import create_app
    from airflow.utils.db import initdb
    from starlette.testclient import TestClient

    from tests.web.conftest import login_token
    from tests.web.rights import READS

    READS["half"] = {f"export-{number:05}" for number in range(0, exports, 2)}
    initdb()
    client = TestClient(create_app(apps="core"), base_url="http://127.0.0.1:8080", follow_redirects=False)
    client.headers["accept"] = "text/html"
    of_run = hashlib.sha256(b"export-00001 9").hexdigest()
    asked = (
        ("list, administrator", "admin", "ADMIN", "/loyalty/exports"),
        ("list, somebody who may see all", "olga", "VIEWER", "/loyalty/exports"),
        ("list, somebody who may see half", "half", "VIEWER", "/loyalty/exports"),
        ("search as typed", "admin", "ADMIN", "/loyalty/exports?q=777"),
        ("by status", "admin", "ADMIN", "/loyalty/exports?sort=status&descending=false"),
        ("failed, by filesize", "admin", "ADMIN", "/loyalty/exports?status=Failed&sort=filesize"),
        ("last page", "admin", "ADMIN", f"/loyalty/exports?page={-(-exports // 50)}"),
        ("what is at work", "admin", "ADMIN", "/loyalty/processing?id=export-00001&id=export-00002"),
        ("an export", "admin", "ADMIN", "/loyalty/exports/export-00001"),
        ("an export, who may see half", "half", "VIEWER", "/loyalty/exports/export-00002"),
        (f"an export of {RUNS_OF_THE_FIRST:,} runs", "admin", "ADMIN", "/loyalty/exports/export-00000"),
        (
            "its last page of runs",
            "admin",
            "ADMIN",
            f"/loyalty/exports/export-00000?page={RUNS_OF_THE_FIRST // 20}",
        ),
        ("its versions", "admin", "ADMIN", "/loyalty/exports/export-00000/versions"),
        ("a run", "admin", "ADMIN", f"/loyalty/exports/export-00001/runs/{of_run}"),
    )
    print(f"{exports:,} exports, {exports * RUNS_EACH:,} runs; median of {rounds}, ms")
    print(f"{'page':34}{'wall':>8}{'CPU':>8}{'slowest':>9}{'kB':>7}")
    for name, user, role, path in asked:
        client.cookies.set("_token", login_token(user, role))
        taken = []
        for _ in range(rounds + 1):
            wall, cpu = time.perf_counter(), time.process_time()
            answer = client.get(path)
            taken.append((time.perf_counter() - wall, time.process_time() - cpu))
        assert answer.status_code == 200, (path, answer.status_code)
        walls, cpus = zip(*taken[1:], strict=True)
        medians = f"{1000 * statistics.median(walls):8.1f}{1000 * statistics.median(cpus):8.1f}"
        print(f"{name:34}{medians}{1000 * max(walls):9.1f}{len(answer.content) / 1000:7.1f}")


if __name__ == "__main__":
    main()
