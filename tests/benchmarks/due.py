"""Many exports that come due in one minute over one ledger, in a real Airflow: snapshots, passes, and the time it takes.

    python -m tests.benchmarks.due --rows 10000000 --definitions 100

Airflow (API server, scheduler with its local executor, DAG processor, triggerer) and the product's state have PostgreSQL
as their database, the ledger another server. The exports are those of `together`, ten kinds in turn, made as the pages
make them and delivered to a folder. Nobody starts a run: the schedule does. Every run must end well, with its file.
With `--restarts 2` the server of both databases goes away twice meanwhile, for some seconds each.
"""

from __future__ import annotations

import argparse
import contextlib
import json
import shutil
import tempfile
import threading
import time
from collections import Counter
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from include import state
from include.errors import Transient
from include.orchestration.services import airflow
from include.state.audit import Action
from include.state.runs import RunRecord, RunStatus
from tests.benchmarks.main_job import ledger
from tests.benchmarks.saved import used
from tests.benchmarks.together import definitions
from tests.servers.running import Process, postgres_process

# Airflow starts, and knows all DAGs, within so many minutes.
_AHEAD = timedelta(minutes=3)
_MOST_SECONDS = 3600
_BETWEEN_RESTARTS, _AWAY = 20, 5


def due_at(now: datetime) -> datetime:
    """Return the minute in which all exports come due."""
    return (now + _AHEAD).replace(second=0, microsecond=0)


def ended(known: state.State, count: int, began: datetime) -> list[RunRecord]:
    """Wait until so many runs are over; return them. Raises SystemExit where that takes too long."""
    while datetime.now(UTC) - began < timedelta(seconds=_MOST_SECONDS):
        try:
            runs = known.runs.list(limit=10_000)
        except Transient:
            time.sleep(1)
            continue
        over = [each for each in runs if each.status in (RunStatus.DONE, RunStatus.FAILED)]
        print(f"{(datetime.now(UTC) - began).total_seconds():6.0f} s: {_stages(runs)}", flush=True)
        if len(over) == count:
            return over
        time.sleep(15)
    raise SystemExit(f"not over: {_stages(known.runs.list(limit=10_000))}")


def _stages(runs: list[RunRecord]) -> dict[str, int]:
    return dict(Counter(f"{each.status} {'made' if each.artefacts else ''}".strip() for each in runs))


def restart(server: Process, times: int) -> None:
    """Stop the server as an administrator does, some seconds after the runs began, and start it; again and again."""
    for _ in range(times):
        time.sleep(_BETWEEN_RESTARTS)
        server.stop()
        time.sleep(_AWAY)
        server.start()
        print("the database was away", flush=True)


def measure(url: str, home: Path, count: int, restarts: int) -> dict[str, Any]:
    """Let so many exports come due; return what was seen."""
    with contextlib.ExitStack() as stack:
        database, server = stack.enter_context(postgres_process(home / "postgres"))
        at = due_at(datetime.now(UTC))
        extra = {
            "LOYALTY_HOME": str(home),
            "LOYALTY_EXPORTS": str(home / "exports"),
            "LOYALTY_LEDGER_URL": url,
            "LOYALTY_SETTLE_SECONDS": "0",
            "LOYALTY_STATE_URL": database,
            "LOYALTY_AIRFLOW_DATABASE_URL": database.replace("postgresql://", "postgresql+psycopg2://"),
        }
        (home / "exports").mkdir()
        known = state.open(database)
        for each in definitions(count, home / "delivered", f"{at:%H:%M}"):
            known.exports.create(each, "ann")
        running = stack.enter_context(airflow(home / "airflow", extra=extra))
        running.client.wait_for_dags({f"export-{number}" for number in range(count)})
        early = (at - datetime.now(UTC)).total_seconds()
        if early < 0:
            raise SystemExit(f"the DAGs were known {-early:.0f} s after they were due")
        time.sleep(early)
        before = used()
        restarting = threading.Thread(target=restart, args=(server, restarts))
        restarting.start()
        runs = ended(known, count, at)
        restarting.join()
        after = used()
        if failed := [each.definition_id for each in runs if each.status is not RunStatus.DONE]:
            raise SystemExit(f"not delivered: {failed}")
        rendered = known.audit.newest(action=Action.RENDERED, limit=10_000)
        leaders = {each.subject for each in rendered if not each.detail.get("made_by")}
        times = sorted((each.updated_at - at).total_seconds() for each in runs if each.updated_at)
    return {
        "snapshots": len({each.snapshot_id for each in runs}),
        "runs": len(runs),
        "passes": len(leaders),
        "files_delivered": sum(1 for path in (home / "delivered").iterdir() if "manifest" not in path.name),
        "seconds_until_the_first_is_done": round(times[0]),
        "until_half_are": round(times[len(times) // 2]),
        "until_the_last_is": round(times[-1]),
        # What ends with its database and is started again begins to count anew.
        "processor_seconds": {
            name: round(after[name] - before.get(name, 0)) for name in after if not restarts
        },
    }


def main() -> None:
    """Parse arguments, measure, print."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--definitions", type=int, default=100)
    parser.add_argument("--restarts", type=int, default=0)
    parser.add_argument("--url", help="a sample ledger of --rows transactions that stands already")
    chosen = parser.parse_args()
    home = Path(tempfile.mkdtemp(prefix="loyalty-"))
    try:
        standing = contextlib.nullcontext(chosen.url) if chosen.url else ledger(home / "pg", chosen.rows, 0.0)
        with standing as url:
            print(json.dumps(measure(url, home, chosen.definitions, chosen.restarts), indent=2))
    finally:
        shutil.rmtree(home, ignore_errors=True)


if __name__ == "__main__":
    main()
