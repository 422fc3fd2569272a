"""What a run pins when it is first made stays pinned, whoever asks again."""

from datetime import UTC, datetime, timedelta

import pytest

from include import state
from include.errors import BadInput
from include.state import RunRecord, RunStatus
from tests.state.racing import race

T = datetime(2026, 7, 1, tzinfo=UTC)
K = datetime(2026, 7, 1, 0, 5, 0, 123456, tzinfo=UTC)


def run(**changes):
    values = {
        "definition_id": "daily",
        "definition_version": "v" * 64,
        "definition": {"id": "daily"},
        "occurrence": T,
        "as_of": T,
        "known_at": K,
    }
    return RunRecord(**(values | changes))


def test_asking_again_finds_the_first_k(remembered):
    interval = {"start": T - timedelta(days=1), "end": T}
    first = remembered.runs.pin(run(**interval))
    again = remembered.runs.pin(
        run(**interval, known_at=K + timedelta(hours=1), occurrence=T + timedelta(hours=6))
    )
    assert again == first
    assert (again.known_at, again.start, again.status) == (K, T - timedelta(days=1), RunStatus.PINNED)
    assert remembered.runs.get(first.run_key) == first
    identity = {"revision": 0, "dry_run": False}
    assert remembered.runs.of_occurrence("daily", "v" * 64, T, **identity) == first
    assert remembered.runs.of_occurrence("daily", "v" * 64, T + timedelta(hours=6), **identity) is None


def test_a_run_by_hand_is_found_by_its_instants(remembered):
    by_hand = remembered.runs.pin(run(occurrence=None))
    assert remembered.runs.pin(run(occurrence=None, known_at=K + timedelta(days=1))) == by_hand
    assert remembered.runs.pin(run(occurrence=None, as_of=T - timedelta(days=1))).run_key != by_hand.run_key


@pytest.mark.parametrize(
    "change",
    [
        {"definition_id": "weekly"},
        {"definition_version": "w" * 64},
        {"occurrence": T + timedelta(days=1), "as_of": T + timedelta(days=1)},
        {"revision": 1},
        {"dry_run": True},
    ],
)
def test_another_request_is_another_run(remembered, change):
    assert remembered.runs.pin(run()).run_key != remembered.runs.pin(run(**change)).run_key


def test_two_requests_that_lead_to_the_same_run_share_it(remembered):
    scheduled = remembered.runs.pin(run())
    assert remembered.runs.pin(run(occurrence=None)) == scheduled


def test_snapshot_and_artefacts_are_set_once(remembered):
    key = remembered.runs.pin(run()).run_key
    assert remembered.runs.pin_snapshot(key, "s-1").snapshot_id == "s-1"
    assert remembered.runs.pin_snapshot(key, "s-2").snapshot_id == "s-1"
    assert remembered.runs.pin_artefacts(key, [{"key": "a"}]).artefacts == [{"key": "a"}]
    assert remembered.runs.pin_artefacts(key, []).artefacts == [{"key": "a"}]


def test_a_rendered_run_says_so_until_it_is_settled(remembered):
    key = remembered.runs.pin(run()).run_key
    remembered.runs.progress(key, "book", 1)
    assert remembered.runs.pin_artefacts(key, [{"key": "a"}]).status is RunStatus.RENDERED
    remembered.runs.finish(key, RunStatus.DONE)
    assert remembered.runs.pin_artefacts(key, [{"key": "b"}]).status is RunStatus.DONE


def test_a_lost_snapshot_is_let_go_only_while_nothing_was_rendered(remembered):
    key = remembered.runs.pin(run()).run_key
    remembered.runs.pin_snapshot(key, "lost")
    assert remembered.runs.unpin_snapshot(key, "another").snapshot_id == "lost"
    assert remembered.runs.unpin_snapshot(key, "lost").snapshot_id is None
    assert remembered.runs.pin_snapshot(key, "new").known_at == K
    remembered.runs.pin_artefacts(key, [{"key": "a"}])
    assert remembered.runs.unpin_snapshot(key, "new").snapshot_id == "new"


def test_progress_and_end(remembered):
    key = remembered.runs.pin(run()).run_key
    remembered.runs.progress(key, "snapshot transactions", 10, None)
    half = remembered.runs.get(key)
    assert (half.status, half.stage, half.rows_done, half.rows_total) == (
        "running",
        "snapshot transactions",
        10,
        None,
    )
    done = remembered.runs.finish(key, RunStatus.DONE, {"files": 1})
    assert (done.status, done.summary) == (RunStatus.DONE, {"files": 1})
    assert done.created_at <= done.updated_at


def test_runs_are_listed_newest_first(remembered):
    first = remembered.runs.pin(run())
    second = remembered.runs.pin(run(definition_id="weekly"))
    remembered.runs.finish(second.run_key, RunStatus.FAILED)
    assert [found.run_key for found in remembered.runs.list()] == [second.run_key, first.run_key]
    assert [found.run_key for found in remembered.runs.list(definition_id="daily")] == [first.run_key]
    assert [found.run_key for found in remembered.runs.list(status=RunStatus.FAILED)] == [second.run_key]
    assert remembered.runs.list(since=datetime.now(UTC) + timedelta(hours=1)) == []


def test_an_unknown_run_is_named(remembered):
    for call in (remembered.runs.get, lambda key: remembered.runs.progress(key, "x", 0)):
        with pytest.raises(BadInput, match="nothing"):
            call("nothing")


def test_instants_are_kept_to_the_microsecond_in_any_zone(remembered):
    late = datetime.max.replace(tzinfo=UTC) - timedelta(microseconds=1)
    pinned = remembered.runs.pin(run(as_of=late))
    assert pinned.as_of == late
    assert pinned.known_at == K


@pytest.mark.slow
def test_twenty_processes_pin_one_run(state_url):
    state.open(state_url)
    pinned = race(pin_at, [(state_url, minute) for minute in range(20)])
    assert len(set(pinned)) == 1


def pin_at(url, minute):
    pinned = state.open(url).runs.pin(run(known_at=K + timedelta(minutes=minute)))
    return pinned.run_key, pinned.known_at


def test_all_revisions_of_a_period_are_found_together(remembered):
    def pinned(**changes):
        return remembered.runs.pin(run(**changes)).run_key

    month = {"start": T - timedelta(days=30), "end": T}
    first, second = pinned(**month), pinned(**month, revision=1)
    pinned(**month, dry_run=True)
    pinned(start=T - timedelta(days=7), end=T)
    pinned(**month, definition_id="weekly")
    alone = pinned()  # about T: it has no start
    runs = remembered.runs
    assert [each.run_key for each in runs.of_period(runs.get(first))] == [second, first]
    assert [each.run_key for each in runs.of_period(runs.get(alone))] == [alone]


def test_restatements_that_found_nothing_new_can_be_left_out(remembered):
    runs = remembered.runs
    first, restated, looked, open_ = (
        runs.pin(run(revision=revision, known_at=K + timedelta(hours=hour))).run_key
        for hour, revision in enumerate((0, 1, 2, 3))
    )
    for key, files in ((first, "skipped"), (restated, "name"), (looked, "skipped")):
        runs.pin_artefacts(key, [{files: "x"}])
        runs.finish(key, RunStatus.DONE)
    remembered.chain.append("daily", 1, "a" * 64, previous_sha256=None, run_key=restated)
    assert {each.run_key for each in runs.list(looks=False)} == {first, restated, open_}
    assert {each.run_key for each in runs.list()} == {first, restated, looked, open_}
