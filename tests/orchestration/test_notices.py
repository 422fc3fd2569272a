"""Rule: the watch runs every quarter of an hour, the digest on Monday; a step's failure is told without the ledger's rows."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from types import SimpleNamespace

import pytest
from airflow.serialization.serialized_objects import DagSerialization

from include.errors import BadInput, LedgerViolation, Permanent, Problem, Transient
from include.orchestration import notices
from include.orchestration.occasion import occasion, telling


@pytest.mark.parametrize(
    ("build", "summary"),
    [(notices.build_watch, "*/15 * * * *"), (notices.build_digest, "Weekly on Monday 07:00 Europe/Paris")],
)
def test_the_dags_say_what_they_do_and_retry(build, summary, monkeypatch):
    monkeypatch.setenv("LOYALTY_TIMEZONE", "Europe/Paris")
    dag = build()
    assert (dag.catchup, dag.max_active_runs, dag.is_paused_upon_creation) == (False, 1, False)
    assert "By hand: `loyalty" in dag.doc_md
    (task,) = dag.tasks
    assert (task.owner, task.retries >= 3, bool(task.doc_md)) == ("loyalty", True, True)
    again = DagSerialization.from_dict(json.loads(json.dumps(DagSerialization.to_dict(dag))))
    assert again.timetable.summary == summary


@pytest.mark.parametrize(
    ("until", "hours"),
    # Paris puts its clocks forward on 29 March 2026 and back on 25 October.
    [((2026, 3, 23, 6), 168), ((2026, 3, 30, 5), 167), ((2026, 10, 26, 6), 169)],
)
def test_a_digest_begins_where_the_last_one_ended_whatever_the_clocks_did(until, hours):
    end = datetime(*until, tzinfo=UTC)  # seven in the morning, in Paris
    assert end - notices.week_before(end, "Europe/Paris") == timedelta(hours=hours)


class Instance:
    def __init__(self):
        self.pushed = {}

    def xcom_push(self, key, value):
        self.pushed[key] = value


ROW = "customer 4711"


@pytest.mark.parametrize(
    ("step", "error", "said"),
    [
        ("pin", BadInput([Problem("as_of", "2999", "must not be after now", "x")]), "must not be after now"),
        ("render", BadInput([Problem("row 7", ROW, "has a control character", "x")]), "must be put right"),
        ("render", LedgerViolation(ROW), "the ledger breaks a rule"),
        ("snapshot", Permanent(ROW), "a setting or a right"),
        ("snapshot", Transient(ROW), "failed in every attempt"),
    ],
)
def test_why_a_step_failed_is_left_for_the_notice_without_rows(step, error, said):
    instance = Instance()
    with pytest.raises(type(error)), telling(step, {"ti": instance}):
        raise error
    assert said in instance.pushed["failure"]
    assert ROW not in instance.pushed["failure"]
    assert instance.pushed["failure"].startswith(f"{step} failed")


def test_an_occasion_is_who_triggered_the_run_and_where_it_is_shown():
    run = SimpleNamespace(
        dag_id="weekly",
        run_id="manual__2026-03-02T05:00:00+00:00",
        run_type="manual",
        triggering_user_name="ann",
    )
    found = occasion("definition", {"dag_run": run}, "https://loyalty.example")
    assert (found.requested_by, found.login, found.backfill) == ("ann", True, False)
    assert found.page == "https://loyalty.example/dags/weekly/runs/manual__2026-03-02T05%3A00%3A00%2B00%3A00"
    scheduled = SimpleNamespace(dag_id="weekly", run_id="x", run_type="backfill", triggering_user_name=None)
    found = occasion("definition", {"dag_run": scheduled}, "")
    assert (found.requested_by, found.login, found.backfill) == (None, False, True)
    assert found.page == "http://127.0.0.1:8080/dags/weekly/runs/x"  # Airflow's own base_url
