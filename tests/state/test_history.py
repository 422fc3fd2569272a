"""The runs of an export by page, its figures over time, and the versions that ran."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from sqlalchemy import update

from include import state as states
from include.state.runs import RunRecord, RunStatus
from include.state.tables import RUNS

DAY = datetime(2026, 1, 1, tzinfo=UTC)


@pytest.fixture
def state(tmp_path):
    return states.open(f"sqlite:///{tmp_path / 'state.sqlite'}")


def ran(
    state, day, *, export="daily", version="a", revision=0, rows=None, dry_run=False, skipped=None, done=True
):
    run = state.runs.pin(
        RunRecord(
            definition_id=export,
            definition_version=version * 64,
            definition={"id": export, "version": version},
            as_of=DAY + timedelta(days=day),
            known_at=DAY + timedelta(days=day + revision),
            revision=revision,
            dry_run=dry_run,
        )
    )
    if skipped:
        state.runs.pin_artefacts(run.run_key, [{"skipped": skipped}])
    elif rows is not None:
        file = {"name": "a.csv", "sha256": "0" * 64, "bytes": 1, "rows": rows, "totals": {}, "key": "a"}
        state.runs.pin_artefacts(run.run_key, [file])
    if done:
        state.runs.finish(run.run_key, RunStatus.DONE)
    return run.run_key


def test_pages_hold_every_run_once_the_newest_first(state):
    keys = [ran(state, day) for day in range(7)]
    ran(state, 3, export="another")
    pages = [state.history.page("daily", page=number, per_page=3) for number in (1, 2, 3, 4)]
    assert [page.total for page in pages] == [7] * 4
    assert [run.run_key for page in pages for run in page.runs] == keys[::-1]
    assert [len(page.runs) for page in pages] == [3, 3, 1, 0]
    assert state.history.page("nobody").runs == ()


def test_figures_are_of_finished_runs_in_the_order_of_what_they_report(state):
    ran(state, 2, rows=30)
    ran(state, 1, rows=20)
    ran(state, 1, rows=21, revision=1)  # a restatement takes the place of what it restates
    ran(state, 3, rows=40, dry_run=True)
    ran(state, 4, rows=50, done=False)
    ran(state, 5, skipped="nothing changed")
    ran(state, 6)
    found = state.history.figures("daily")
    assert [(each.as_of - DAY).days for each in found] == [1, 2]
    assert [each.artefacts[0]["rows"] for each in found] == [21, 30]
    assert [each.artefacts[0]["rows"] for each in state.history.figures("daily", limit=1)] == [30]


def test_versions_that_ran(state):
    first, second = ran(state, 1, version="a"), ran(state, 2, version="b")
    again = ran(state, 3, version="a")
    found = state.history.versions("daily")
    assert [(each.version[0], each.runs) for each in found] == [("a", 2), ("b", 1)]
    assert [each.first_at for each in found] == [state.runs.get(key).created_at for key in (first, second)]
    newest = state.history.of_version("daily", "a" * 64)
    assert newest is not None
    assert newest.run_key == again
    assert state.history.of_version("daily", "z" * 64) is None


def test_whether_one_is_at_work(state):
    assert not state.history.is_at_work("daily")
    ran(state, 1)
    assert not state.history.is_at_work("daily")
    ran(state, 2, done=False)
    assert state.history.is_at_work("daily")
    assert not state.history.is_at_work("another")


@pytest.mark.parametrize(("minutes", "open_"), [(59, True), (61, False)])
def test_files_that_were_never_sent_are_no_work_for_ever(state, minutes, open_):
    key = ran(state, 1, rows=1, done=False)
    made = datetime.now(UTC) - timedelta(minutes=minutes)
    with state.database.write() as connection:
        assert connection.execute(update(RUNS).where(RUNS.c.run_key == key).values(updated_at=made)).rowcount
    assert state.runs.get(key).status is RunStatus.RENDERED
    assert state.history.is_at_work("daily") is open_
