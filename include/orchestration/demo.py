"""`make demo`: the whole product on this machine in about a minute, checked, with nothing left running.

A sample ledger, an Airflow of its own under var/demo, runs that make every model and a backfill, then every file
that arrived is read again and compared with its manifest. What it made stays under var/demo to be looked at.
"""

from __future__ import annotations

import os
import shutil
import sys
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import typer

from include.definitions.load import load_all
from include.definitions.model import ExportDefinition
from include.errors import LoyaltyError, Permanent
from include.formats.manifest import SUFFIX
from include.formats.verify import verify
from include.orchestration.client import Client
from include.orchestration.one_of_each import one_of_each
from include.orchestration.sample_ledger import ensure
from include.orchestration.services import Running, airflow
from include.sample.plan import END
from include.settings import ROOT, Settings

HOME = ROOT / "var" / "demo"
SERVICES = ("api-server", "scheduler", "dag-processor")
BACKFILLED = 3


@dataclass(frozen=True)
class Delivered:
    """One file at one target."""

    export: str
    target: str
    period: str
    place: Path
    manifest: Path
    rows: int | None
    bytes: int
    sha256: str


def main() -> int:
    """Run the demo; return 0 when every run succeeded and every file is what its manifest says."""
    began = time.monotonic()

    def say(text: str) -> None:
        typer.echo(f"demo {time.monotonic() - began:5.0f} s  {text}")

    try:
        delivered = _demo(say)
    except LoyaltyError as error:
        typer.echo(f"demo: failed: {error}", err=True)
        return error.exit_code
    _show(delivered)
    say(f"done: {len(delivered)} files delivered and verified, Airflow stopped. To look around: make up")
    return 0


def _demo(say: Any) -> list[Delivered]:
    settings = Settings.from_environment()
    definitions = load_all(settings.exports)
    shutil.rmtree(HOME, ignore_errors=True)
    extra = {"LOYALTY_LEDGER_URL": settings.ledger_url, "LOYALTY_HOME": str(HOME)}
    say("starting Airflow; making the sample ledger if there is none")
    with ThreadPoolExecutor(1) as pool:
        ledger = pool.submit(ensure, settings.ledger_url)
        with airflow(HOME / "airflow", services=SERVICES, extra=extra) as running:
            say(f"Airflow answers at {running.url}")
            say(f"ledger: {ledger.result()}")
            running.client.wait_for_dags({one.id for one in definitions.values() if one.enabled})
            runs = list(_start(running, definitions))
            say(f"{len(runs)} runs started: every model once, and a backfill over {BACKFILLED} occurrences")
            delivered = [
                each
                for dag_id, run_id in runs
                for each in _finished(running.client, dag_id, run_id, definitions[dag_id].timezone)
            ]
            say("all runs succeeded")
    manifests = dict.fromkeys(each.manifest for each in delivered)
    problems = [problem for manifest in manifests for problem in verify(manifest)]
    if problems:
        raise Permanent("files differ from their manifests:\n" + "\n".join(map(str, problems)))
    return delivered


def _start(running: Running, definitions: dict[str, ExportDefinition]) -> Iterator[tuple[str, str]]:
    """Start the last run before the ledger's end of exports of every model, and a backfill of a weekly one."""
    usable = [one for one in definitions.values() if one.enabled and not one.paused and one.recurrence]
    weekly = next(
        (one for one in usable if one.period and one.schedule and one.schedule.kind == "weekly"), None
    )
    if weekly:
        # First, while Airflow is quiet: its backfills take several steps, and SQLite has one writer at a time.
        occurrences = _last(weekly, BACKFILLED)
        running.client.backfill(weekly.id, occurrences[0], occurrences[-1])
        until = time.monotonic() + 60
        while len(found := running.client.runs(weekly.id, run_type="backfill")) < BACKFILLED:
            if time.monotonic() > until:
                raise Permanent(f"the backfill of {weekly.id} made {len(found)} runs of {BACKFILLED}")
            time.sleep(0.5)
        yield from ((weekly.id, str(run["dag_run_id"])) for run in found)
    for one in one_of_each(usable, lambda part: part.model):
        (occurrence,) = _last(one, 1)
        yield one.id, running.client.trigger(one.id, occurrence)


def _last(definition: ExportDefinition, count: int) -> list[datetime]:
    """Return the last occurrences whose data the sample ledger holds, oldest first."""
    assert definition.recurrence
    found: list[datetime] = []
    before = END
    while len(found) < count:
        previous = definition.recurrence.previous_before(before)
        if previous is None:
            raise Permanent(f"{definition.id} has fewer than {count} occurrences before {END}")
        found.insert(0, previous)
        before = previous
    return found


def _finished(client: Client, dag_id: str, run_id: str, timezone: str) -> Iterator[Delivered]:
    """Wait for a run and yield what it delivered; Permanent with the reason when it failed."""
    if client.wait_for_run(dag_id, run_id) != "success":
        failed = [task for task in client.tasks(dag_id, run_id) if task["state"] == "failed"]
        told = "\n".join(f"{task['task_id']}: {client.log(dag_id, run_id, task)[-3000:]}" for task in failed)
        raise Permanent(f"run {run_id} of {dag_id} failed\n{told}")
    run = client.xcom(dag_id, run_id, "pin", "run")
    start, end, as_of = (_local(run[name], timezone) for name in ("start", "end", "as_of"))
    summary = client.xcom(dag_id, run_id, "settle")
    rows = {each["name"]: each.get("rows") for each in summary["files"]}
    period = f"{start} to {end}" if end else f"as of {as_of}"
    for target, delivery in summary["deliveries"].items():
        files = delivery["receipt"]["files"]
        places = {each["name"]: Path(each["place"].removeprefix("file://")) for each in files}
        [manifest] = [place for name, place in places.items() if name.endswith(SUFFIX)]
        for file in files:
            name, size = file["name"], file["bytes"]
            if places[name] != manifest:
                known = rows.get(name)
                yield Delivered(dag_id, target, period, places[name], manifest, known, size, file["sha256"])


def _local(instant: str | None, timezone: str) -> str:
    """Return an instant as people of that zone write it, the day alone where it is midnight there."""
    if instant is None:
        return ""
    there = datetime.fromisoformat(instant).astimezone(ZoneInfo(timezone))
    return f"{there:%Y-%m-%d}" if f"{there:%H%M%S}" == "000000" else f"{there:%Y-%m-%d %H:%M}"


def _show(delivered: list[Delivered]) -> None:
    from rich.console import Console
    from rich.table import Column, Table

    file = Column("file", overflow="fold", min_width=60)
    table = Table("export", "period", "rows", "bytes", "sha256", "target", file, title="What went where")
    for each in delivered:
        rows = "" if each.rows is None else f"{each.rows:,}"
        place = os.path.relpath(each.place, ROOT)
        table.add_row(each.export, each.period, rows, f"{each.bytes:,}", each.sha256[:12], each.target, place)
    Console(width=max(160, shutil.get_terminal_size().columns)).print(table)


if __name__ == "__main__":
    sys.exit(main())
