"""How long a page of the list of exports takes: 10,000 exports with 100,000 runs, on SQLite and PostgreSQL.

    python -m tests.benchmarks.listing [--exports 10000] [--runs 100000] [--databases sqlite postgresql]

Each question is asked 15 times; the median counts. What is measured is all of `search` in one process: the connection,
the statements, and the rows made into exports. A page of the list may take 150 ms at the server, with everything.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import statistics
import tempfile
import time
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from sqlalchemy import insert

from include import state
from include.definitions.collisions import file_names
from include.state import State
from include.state.export_rows import described
from include.state.exports import Query, Status
from include.state.tables import EXPORT_EDITS, EXPORT_FILE_NAMES, EXPORTS, LAST_DELIVERIES, RUNS
from tests.benchmarks.saved import more
from tests.servers.running import postgres_server

ASKED = 15
START = datetime(2026, 1, 1, tzinfo=UTC)
STATES = ("done", "failed", "running", "pinned", "done", "done", "done", "done", None, "done")
QUESTIONS: dict[str, Query] = {
    "first page": Query(),
    "last page": Query(page=200),
    "by name": Query(sort="name", descending=False),
    "by status": Query(sort="status"),
    "by file size": Query(sort="filesize"),
    "by next run": Query(sort="next_at", descending=False),
    "text": Query(text="made 77"),
    "text of nothing": Query(text="no such words"),
    "failed, of a model, to a kind of target": Query(status=Status.FAILED, model="balance", target="folder"),
    "active": Query(status=Status.ACTIVE, sort="name"),
    "visible: 9,000 of them": Query(visible=[f"made-{number}" for number in range(9000)]),
}


def fill(remembered: State, exports: int, runs: int) -> None:
    """Write rows as the product does, in bulk."""
    each = runs // exports
    with remembered.database.write() as connection:
        for first in range(0, exports, 1000):
            rows: dict[Any, list[dict[str, Any]]] = {table: [] for table in (EXPORTS, EXPORT_EDITS, EXPORT_FILE_NAMES, RUNS, LAST_DELIVERIES)}  # fmt: skip
            for number in range(first, min(first + 1000, exports)):
                _one(rows, number, each)
            for table, values in rows.items():
                if values:
                    connection.execute(insert(table), values)


def _one(rows: dict[Any, list[dict[str, Any]]], number: int, runs: int) -> None:
    definition = more(number)
    at = START + timedelta(minutes=number)
    status = STATES[number % len(STATES)]
    edit = {"definition_id": definition.id, "number": 1, "source": "ui"}
    about = {
        "broken": False,
        "created_by": f"user{number % 40}",
        "edited_by": "ann",
        "file": None,
        "deleted_at": None,
    }
    last = {
        "run_key": f"{number:050}-{runs - 1}" if status else None,
        "run_status": status,
        "run_bytes": number * 977 if status else None,
        "run_created_at": at if status else None,
        "run_moved_at": at if status else None,
        "run_delivers": bool(status),
    }
    rows[EXPORTS].append(
        {**edit, **described(definition), **about, **last, "created_at": at, "edited_at": at}
    )
    document = definition.document()
    rows[EXPORT_EDITS].append({**edit, "document": document, "author": "ann", "at": at, "deleted": False})
    rows[EXPORT_FILE_NAMES] += [
        {"name_key": key, "definition_id": definition.id, "target": label}
        for key, label in file_names(definition).items()
    ]
    for run in range(runs if status else 0):
        moment = at + timedelta(days=run)
        key = f"{number:050}-{run}"
        pinned = {"definition_id": definition.id, "definition_version": "v" * 64, "definition": document}
        instants = dict.fromkeys(("as_of", "known_at", "created_at", "updated_at"), moment)
        rows[RUNS].append({
            "run_key": key, "request_key": key, **pinned, **instants, "revision": 0, "dry_run": False,
            "status": status, "stage": "render", "rows_done": 10, "rows_total": 20,
        })  # fmt: skip
    if status:
        delivery = {
            "definition_id": definition.id,
            "state": "confirmed",
            "at": at,
            "run_key": last["run_key"],
        }
        rows[LAST_DELIVERIES] += [{**delivery, "target": target.label} for target in definition.targets]


def measure(remembered: State) -> dict[str, float]:
    """Return the median milliseconds of each question."""
    asked: dict[str, Any] = {
        name: lambda q=query: remembered.exports.search(q) for name, query in QUESTIONS.items()
    }
    asked |= {
        "one export": lambda: remembered.exports.get("made-5000"),
        "choices": remembered.exports.choices,
    }
    asked |= {"a new one's collisions": lambda: remembered.exports.problems(more(1_000_000), new=True)}
    asked |= {"what a DAG's task asks": lambda: remembered.exports.for_dags(["made-5000"])}
    found = {}
    for name, question in asked.items():
        question()
        times = []
        for _ in range(ASKED):
            began = time.perf_counter()
            question()
            times.append(time.perf_counter() - began)
        found[name] = round(statistics.median(times) * 1000, 1)
    return found


@contextlib.contextmanager
def database(kind: str) -> Iterator[str]:
    """Yield the URL of an empty database."""
    home = Path(tempfile.mkdtemp(prefix="loyalty-"))
    try:
        if kind == "sqlite":
            yield f"sqlite:///{home / 'state.sqlite'}"
        else:
            with postgres_server(home) as url:
                yield url
    finally:
        shutil.rmtree(home, ignore_errors=True)


def main() -> None:
    """Fill, ask, and print the figures."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--exports", type=int, default=10_000)
    parser.add_argument("--runs", type=int, default=100_000)
    parser.add_argument("--databases", nargs="+", default=["sqlite", "postgresql"])
    asked = parser.parse_args()
    for kind in asked.databases:
        with database(kind) as url:
            remembered = state.open(url)
            fill(remembered, asked.exports, asked.runs)
            about = {"database": kind, "exports": asked.exports, "runs": asked.runs}
            print(json.dumps({**about, "milliseconds": measure(remembered)}, indent=2))


if __name__ == "__main__":
    main()
