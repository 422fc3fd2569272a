"""Rule: a definition's DAG, run in this process by Airflow's own `dag.test()`, delivers what the pipeline makes.

Quick beside the tests on a running Airflow, and with a debugger where one is needed.
"""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from include import sample
from include.formats.verify import verify
from include.sample.plan import Plan

pytestmark = [pytest.mark.slow, pytest.mark.timeout(600)]
DEFINITION = """
id: balances
name: Balances
model: balance
as_of: end_of_previous_day
timezone: Europe/Paris
file: {compression: none}
schedule: {kind: daily, time: "06:00"}
targets:
  - {kind: folder, name: one, options: {folder: one}}
  - {kind: folder, name: two, options: {folder: two}}
"""


@pytest.fixture
def stored_dag(tmp_path, monkeypatch, airflow_database):
    """The DAG of the definition, known to an Airflow database as a scheduler would know it."""
    exports = tmp_path / "exports"
    exports.mkdir()
    (exports / "balances.yaml").write_text(DEFINITION)
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    sample.load(url, Plan(customers=60, transactions=1500))
    monkeypatch.setenv("LOYALTY_HOME", str(tmp_path))
    monkeypatch.setenv("LOYALTY_EXPORTS", str(exports))
    monkeypatch.setenv("LOYALTY_LEDGER_URL", url)
    monkeypatch.setenv("LOYALTY_SETTLE_SECONDS", "0")
    return airflow_database().dags["balances"]


def test_a_run_at_an_occurrence_ends_well_and_both_targets_have_the_same_files(stored_dag, tmp_path):
    run = stored_dag.test(logical_date=datetime(2026, 6, 20, 4, tzinfo=UTC))
    assert run.state == "success"
    found = {name: sorted(file.name for file in (tmp_path / name).iterdir()) for name in ("one", "two")}
    assert (
        found["one"] == found["two"] == ["balances_2026-06-20.csv", "balances_2026-06-20.csv.manifest.json"]
    )
    assert verify(tmp_path / "one" / "balances_2026-06-20.csv.manifest.json") == []


@pytest.mark.usefixtures("inline")
@pytest.mark.parametrize(("rows", "shares"), [("500", 3), ("100000", 0)])
def test_a_large_snapshot_is_rendered_in_shares_and_a_small_one_by_one_task(
    rows, shares, stored_dag, tmp_path, monkeypatch, airflow_database
):
    monkeypatch.setenv("LOYALTY_SHARE_ROWS", rows)
    run = airflow_database().dags["balances"].test(logical_date=datetime(2026, 6, 20, 4, tzinfo=UTC))
    assert run.state == "success"
    states = {(each.task_id, each.map_index): each.state for each in run.get_task_instances()}
    made = [state for (task, _), state in states.items() if task == "share" and state == "success"]
    assert len(made) == shares
    assert states["render", -1] == "success"
    assert verify(tmp_path / "one" / "balances_2026-06-20.csv.manifest.json") == []
    assert not list((tmp_path / "store" / "shares").rglob("*.zip"))
