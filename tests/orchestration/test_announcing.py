"""An export that is saved in the pages is a DAG of a running Airflow at once, and runs to its end if it is deleted."""

from __future__ import annotations

import subprocess
import sys

import pytest

from include import state
from include.definitions.load import from_document
from include.orchestration.shards import file_of
from include.orchestration.upkeep import ID as ALWAYS_THERE
from include.settings import ROOT
from include.state import RunStatus
from tests.orchestration.test_dags import GOOD
from tests.servers.waiting import until

ANNOUNCE = """
import sys, threading
from include.orchestration.announcing import announce
announce(sys.argv[1])
for thread in threading.enumerate():
    if thread is not threading.main_thread() and thread.name.endswith("(_until_parsed)"):
        thread.join()
"""


def announce(server, definition_id):
    command = [sys.executable, "-c", ANNOUNCE, definition_id]
    done = subprocess.run(command, env=server.running.environment, cwd=ROOT, capture_output=True, text=True)
    assert done.returncode == 0, done.stderr[-2000:]


@pytest.mark.slow
@pytest.mark.servers
def test_an_export_of_the_pages_is_announced_runs_and_is_deleted_while_it_runs(airflow_server):
    client = airflow_server.running.client
    remembered = state.open(f"sqlite:///{airflow_server.home / 'state.sqlite'}")
    targets = [{"kind": "folder", "options": {"folder": "of-pages"}}]
    document = {"id": "of-pages", "name": "Of the pages", "model": "balance", "targets": targets}
    made = remembered.exports.create(from_document(document, where="test"), "ann")
    announce(airflow_server, made.definition_id)
    client.wait_for_dags({"of-pages"})
    dag = client.get("/dags/of-pages")
    assert (dag["dag_display_name"], dag["relative_fileloc"], dag["is_paused"]) == (
        "Of the pages",
        file_of("of-pages"),
        False,
    )
    assert {tag["name"] for tag in dag["tags"]} >= {"ui", "export", "balance"}

    run_id = client.trigger("of-pages", targets=["folder"])
    run = until(lambda: remembered.runs.list(definition_id="of-pages"), "the run", pause=0.2)[0]
    remembered.exports.delete("of-pages", "ann")
    announce(airflow_server, made.definition_id)
    until(lambda: client.state("of-pages", run_id) in {"success", "failed"}, "its end", pause=0.2)
    assert client.state("of-pages", run_id) == "success"
    assert remembered.runs.get(run.run_key).status is RunStatus.DONE
    last = remembered.exports.get("of-pages", deleted=True)
    assert (last.status, last.last_deliveries["folder"].state) == ("Finished", "confirmed")
    assert len(list((airflow_server.home / "of-pages").iterdir())) == 2
    assert "of-pages" not in {row.definition_id for row in remembered.exports.for_dags()}


@pytest.mark.slow
@pytest.mark.servers
def test_a_file_that_changes_is_a_dag_before_all_is_parsed_again(airflow_server):
    client = airflow_server.running.client
    path = airflow_server.exports / "of-a-file.yaml"

    def parsed(description):
        path.write_text(GOOD.format(id="of-a-file") + f"description: {description}\npaused: true\n")
        before = client.get(f"/dags/{ALWAYS_THERE}")["last_parsed_time"]
        until(lambda: description in {dag["description"] for dag in client.dags()})
        return before == client.get(f"/dags/{ALWAYS_THERE}")["last_parsed_time"]

    try:
        # A round through all files may come between, but not each time.
        assert any(parsed(f"Number {number}.") for number in range(5))
    finally:
        path.unlink()
