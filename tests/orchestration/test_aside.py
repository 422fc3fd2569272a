"""Rule: a DAG sends a finished run once more, sends a test, or tries its targets, and its schedule goes on as it was.

By Airflow's own `dag.test()`, over the DAG as it is stored.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime

import pytest

from include import sample
from include.pipeline import Context
from include.sample.plan import Plan
from include.settings import Settings
from include.state.audit import Action

pytestmark = [pytest.mark.slow, pytest.mark.timeout(900), pytest.mark.usefixtures("inline")]
DEFINITION = """
id: aside
name: Aside
model: balance
as_of: end_of_previous_day
timezone: Europe/Paris
file: {compression: none}
schedule: {kind: daily, time: "06:00"}
targets:
  - {kind: folder, name: one, options: {folder: one}}
  - {kind: folder, name: two, options: {folder: two}}
"""
NAME = "aside_2026-06-20.csv"
# dag.test() leaves the parameters of one run in the DAG for the next.
NOTHING_ASKED = {"targets": None, "resend": None, "again": False, "test_to": None, "test_targets": False}
AT = datetime(2026, 6, 20, 4, tzinfo=UTC)


@pytest.fixture
def home(tmp_path, monkeypatch):
    exports = tmp_path / "exports"
    exports.mkdir()
    (exports / "aside.yaml").write_text(DEFINITION)
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    sample.load(url, Plan(customers=60, transactions=1500))
    monkeypatch.setenv("LOYALTY_HOME", str(tmp_path))
    monkeypatch.setenv("LOYALTY_EXPORTS", str(exports))
    monkeypatch.setenv("LOYALTY_LEDGER_URL", url)
    monkeypatch.setenv("LOYALTY_SETTLE_SECONDS", "0")
    monkeypatch.delenv("LOYALTY_STATE_URL", raising=False)
    monkeypatch.delenv("LOYALTY_STORE", raising=False)
    return tmp_path


def names(folder):
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def ended(run) -> dict[str, str]:
    return {f"{ti.task_id}[{ti.map_index}]": str(ti.state) for ti in run.get_task_instances()}


def test_what_a_person_asks_instead_of_a_run(home, airflow_database):
    """One DAG, asked one thing after another, since each run of it takes seconds."""
    dag = airflow_database().dags["aside"]
    minutes = iter(range(1, 20))

    def run(**params):
        moment = AT.replace(hour=5, minute=next(minutes))
        return dag.test(logical_date=moment, run_conf=NOTHING_ASKED | params)

    assert dag.test(logical_date=AT).state == "success"
    state = Context(Settings.from_environment()).state
    [first] = state.runs.list()
    chain = state.chain.list("aside")

    # The targets are tried, and nothing is made.
    (home / "two" / NAME).unlink()
    tried = run(test_targets=True)
    assert tried.state == "success", ended(tried)
    assert names(home / "two") == [f"{NAME}.manifest.json"]
    assert {each.subject for each in state.audit.newest(action=Action.TARGET_TESTED)} == {"one", "two"}

    # What arrived is not sent again, unless that is asked for.
    assert run(resend="latest").state == "success"
    assert NAME not in names(home / "two")
    again = run(resend=first.run_key[:10], again=True, targets=["two"])
    assert again.state == "success", ended(again)
    assert (home / "two" / NAME).read_bytes() == (home / "one" / NAME).read_bytes()
    sendings = [(each.target, each.sending, each.state.value) for each in state.deliveries.list()]
    assert sorted(sendings) == [("one", 0, "confirmed"), ("two", 0, "confirmed"), ("two", 1, "confirmed")]

    # A test goes to a folder of its own: of the finished run, and of one that is made as a dry run.
    assert run(resend="latest", test_to="mine").state == "success"
    assert names(home / "tests" / "mine") == [f"TEST_{NAME}", f"TEST_{NAME}.manifest.json"]
    assert run(test_to="fresh").state == "success"
    assert names(home / "tests" / "fresh") == [f"TEST_{NAME}", f"TEST_{NAME}.manifest.json"]

    # Nothing of the schedule has moved: one run was delivered, one manifest is in the chain.
    assert state.chain.list("aside") == chain
    assert [each.dry_run for each in state.runs.list()] == [True, False]
    assert state.runs.get(first.run_key) == first
    assert len(state.deliveries.list()) == 3

    # A target that cannot take files makes the task red, with words that say why.
    for path in (home / "two").iterdir():
        path.unlink()
    (home / "two").rmdir()
    (home / "two").write_text("a file where a folder should be")
    broken = run(test_targets=True)
    assert broken.state == "failed"
    states = ended(broken)
    assert (states["deliver[0]"], states["deliver[1]"], states["settle[-1]"]) == (
        "success",
        "failed",
        "failed",
    )
    found = state.audit.newest(action=Action.TARGET_TESTED, subject="two", limit=1)
    assert json.dumps(found[0].detail["problems"]) == '["folder_unusable"]'
    nowhere = run(resend="no such run")
    assert nowhere.state == "failed"
    assert ended(nowhere)["pin[-1]"] == "failed"
