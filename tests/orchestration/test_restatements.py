"""Rule: what a late row changes in a delivered day is delivered as a restatement, by the export's own DAG, once."""

from __future__ import annotations

import gzip
import os
import time
from datetime import UTC, datetime, timedelta
from datetime import time as clock
from pathlib import Path

import pytest
import sqlalchemy as sa

from include import pipeline
from include.formats.manifest import read_manifest
from include.formats.verify import verify
from include.orchestration.restatements import ID
from include.pipeline.checks import load_definition
from include.settings import Settings
from include.snapshots import canonical
from tests.orchestration.airflow_server import Server
from tests.orchestration.test_airflow import ended

pytestmark = [pytest.mark.servers, pytest.mark.slow, pytest.mark.timeout(1200)]
DEFINITION = """
id: restated-days
name: Days, restated
model: history
period: previous_day
restate: {last: 2}
schedule: {kind: daily, time: "06:00"}
paused: true
targets: [{kind: folder, options: {folder: days}}]
"""


def late_row(server: Server) -> tuple[str, datetime]:
    """Return a row that was recorded after its day was delivered, and when that was."""
    table = canonical.METADATA.tables["transactions"]
    late = (
        sa.select(table).where(table.c.recorded_at > table.c.created_at).order_by(table.c.created_at.desc())
    )
    with sa.create_engine(server.ledger_url).connect() as connection:
        for row in connection.execute(late):
            after = datetime.combine(row.created_at.date() + timedelta(days=1), clock(6), UTC)
            if row.recorded_at.replace(tzinfo=UTC) > after:
                return row.transaction_id, after
    pytest.fail("the sample ledger has no late row")


def delivered_then(server: Server, path: Path, occurrence: datetime, known_at: datetime | None) -> str:
    """Deliver as the schedule would have at the occurrence, knowing what was recorded by then; None: by now."""
    home = {"LOYALTY_HOME": str(server.home), "LOYALTY_EXPORTS": str(server.exports)}
    settings = Settings.from_environment(
        os.environ | home | {"LOYALTY_LEDGER_URL": server.ledger_url, "LOYALTY_SETTLE_SECONDS": "1"}
    )
    context = pipeline.Context.from_settings(settings)
    run = pipeline.pin(context, load_definition(path), occurrence=occurrence, known_at=known_at)
    pipeline.snapshot(context, run.run_key)
    pipeline.render(context, run.run_key)
    pipeline.deliver(context, run.run_key, 0)
    pipeline.settle(context, run.run_key)
    return run.run_key


def test_a_late_row_is_restated_by_the_exports_own_dag(airflow_server, monkeypatch):
    monkeypatch.setenv("LOYALTY_HOME", str(airflow_server.home))  # a target's folder is below it
    late, occurrence = late_row(airflow_server)
    path = airflow_server.exports / "restated-days.yaml"
    path.write_text(DEFINITION)
    delivered_then(airflow_server, path, occurrence, occurrence)
    delivered_then(airflow_server, path, occurrence - timedelta(days=1), None)  # nothing of it is late
    there = airflow_server.home / "days"
    day = f"{occurrence - timedelta(days=1):%Y-%m-%d}"
    before = {each.name: each.read_bytes() for each in there.iterdir()}
    assert late.encode() not in b"".join(before.values())

    client = airflow_server.running.client
    airflow_server.wait_for_files({"restated-days"})
    tasks = ended(airflow_server, ID, client.trigger(ID), "success")
    assert [task["state"] for name, task in tasks.items() if name.startswith("send")] == ["success"]
    looks = sorted(task["state"] for name, task in tasks.items() if name.startswith("look"))
    assert looks == ["skipped", "success"]
    until = time.monotonic() + 300
    while not (runs := client.runs("restated-days")):
        assert time.monotonic() < until
        time.sleep(0.5)
    [run] = runs
    assert run["dag_run_id"].startswith("restatement__")
    ended(airflow_server, "restated-days", run["dag_run_id"], "success")

    manifests = sorted(there.glob("*_r1*.manifest.json"))
    assert [verify(each) for each in manifests] == [[]]
    told = read_manifest(manifests[0])
    assert told.origin.revision == 1
    assert {file.holds for file in told.files} == {"rows", "changes"}
    changes = next(file for file in told.files if file.holds == "changes")
    text = (there / changes.name).read_bytes()
    assert late in (gzip.decompress(text) if changes.name.endswith(".gz") else text).decode()
    assert day in changes.name
    assert {name: (there / name).read_bytes() for name in before} == before

    # Another look finds nothing new: no run, nothing delivered.
    files = sorted(each.name for each in there.iterdir())
    tasks = ended(airflow_server, ID, client.trigger(ID), "success")
    assert {task["state"] for name, task in tasks.items() if name.startswith(("look", "send"))} == {"skipped"}
    assert len(client.runs("restated-days")) == 1
    assert sorted(each.name for each in there.iterdir()) == files
