"""What the state knows of erased people: hashes and pseudonyms, once each, and how far the erasing is.

Guards docs/privacy.md, on every kind of state database.
"""

from datetime import UTC, datetime, timedelta

import pytest

from include import state
from include.state.audit import Action
from include.state.erasures import ErasureDetail, ErasureState
from include.state.mentions import replace_mentions
from include.state.runs import RunRecord
from include.state.snapshots import RegisteredSnapshot, SnapshotState
from tests.state.racing import race

AT = datetime(2026, 1, 1, tzinfo=UTC)


def detail(**names):
    return ErasureDetail(check="c", names=names, mentions={f"m{name}": new for name, new in names.items()})


def snapshot(number, is_in=SnapshotState.MADE):
    return RegisteredSnapshot(f"s-{number}", "s", number, AT, f"snapshots/s/{number}", is_in)


def run(**changes):
    asked = {"definition_id": "d", "definition_version": "v", "definition": {}, "as_of": AT, "known_at": AT}
    return RunRecord(**asked | changes)


def test_an_erasure_is_planned_once_and_takes_snapshots_out_of_use(remembered):
    remembered.snapshots.register(snapshot(1))
    first = remembered.erasures.plan("h", "erased-1", detail(a="erased-1"), by="ann")
    assert (first.state, first.pseudonym, first.requested_by) == (ErasureState.PLANNED, "erased-1", "ann")
    assert remembered.snapshots.usable("s") == []
    assert not remembered.snapshots.refer("s-1", "run")
    remembered.snapshots.register(snapshot(2))  # read without them
    again = remembered.erasures.plan("h", "erased-2", detail(a="erased-2"), by="bob")
    assert again == first
    assert [each.snapshot_id for each in remembered.snapshots.usable("s")] == ["s-2"]
    assert len(remembered.audit.newest(action=Action.ERASURE_ASKED)) == 1


def test_new_names_begin_it_again_and_known_ones_keep_their_pseudonyms(remembered):
    remembered.erasures.plan("h", "erased-1", detail(a="erased-1"), by="ann")
    before = remembered.erasures.digest()
    remembered.erasures.advance("h", ErasureState.DONE, {"files_removed": 2})
    more = remembered.erasures.plan("h", "x", detail(a="x", b="erased-b"), by="ann")
    assert more.state is ErasureState.PLANNED
    assert more.detail.names == {"a": "erased-1", "b": "erased-b"}
    assert remembered.erasures.digest() != before
    assert [each.subject for each in remembered.erasures.unfinished()] == ["h"]


def test_what_was_done_adds_up_and_is_told_once(remembered):
    remembered.erasures.plan("h", "erased-1", detail(a="erased-1"), by="ann")
    for step in (ErasureState.SNAPSHOTS, ErasureState.FILES, ErasureState.DONE, ErasureState.DONE):
        found = remembered.erasures.advance("h", step, {"files_removed": 1})
    assert found.detail.done == {"files_removed": 4}
    assert remembered.erasures.unfinished() == []
    [told] = remembered.audit.newest(action=Action.ERASED)
    assert (told.subject, told.detail["pseudonym"]) == ("h", "erased-1")


@pytest.mark.slow
def test_ten_at_once_agree_on_one_pseudonym(remembered, state_url):
    assert len(set(race(planned, [(state_url, number) for number in range(10)]))) == 1
    assert len(remembered.erasures.list()) == 1


def planned(state_url, number):
    name = f"erased-{number}"
    return state.open(state_url).erasures.plan("h", name, detail(a=name), by=f"p{number}").pseudonym


def test_a_snapshot_in_the_place_of_another_is_as_old_as_it(remembered):
    remembered.snapshots.register(snapshot(1))
    remembered.snapshots.refer("s-1", "run")
    with remembered.database.write() as connection:
        connection.exec_driver_sql("UPDATE loyalty_snapshots SET created_at = 5")
    remembered.snapshots.register(snapshot(2))
    remembered.snapshots.stale("s-1")
    assert remembered.snapshots.any_stale()
    remembered.snapshots.drop("s-1", renewed_as="s-2")
    remembered.snapshots.drop("s-1", renewed_as="s-2")
    assert not remembered.snapshots.any_stale()
    assert remembered.snapshots.references("s-1") == 0
    with remembered.database.read() as connection:
        assert (
            connection.exec_driver_sql("SELECT DISTINCT created_at FROM loyalty_snapshots").scalar_one() == 5
        )
    assert len(remembered.audit.newest(action=Action.RETIRED)) == 1


def test_files_are_gone_once(remembered):
    pinned = remembered.runs.pin(run())
    remembered.runs.pin_artefacts(pinned.run_key, [{"name": "a.csv", "key": "k"}])
    assert [each.run_key for each in remembered.runs.with_files()] == [pinned.run_key]
    assert remembered.runs.files_gone(pinned.run_key, "retention", {"files": 1})
    assert not remembered.runs.files_gone(pinned.run_key, "erasure", {"files": 1})
    gone = remembered.runs.get(pinned.run_key)
    assert gone.files_gone_why == "retention"
    assert gone.files
    assert remembered.runs.with_files() == ()
    assert len(remembered.audit.newest(action=Action.FILES_REMOVED)) == 1


def test_who_makes_files_now(remembered):
    working, waiting = remembered.runs.pin(run()), remembered.runs.pin(run(revision=1))
    remembered.runs.progress(working.run_key, "render rows", 5)
    remembered.runs.progress(waiting.run_key, "snapshot transactions", 5)
    minute = timedelta(minutes=1)
    assert [each.run_key for each in remembered.runs.at_work(minute)] == [working.run_key]
    with remembered.database.write() as connection:
        connection.exec_driver_sql("UPDATE loyalty_runs SET updated_at = updated_at - 120000000")
    assert remembered.runs.at_work(minute) == ()


def test_mentions_in_records_are_replaced_and_keys_stay(remembered):
    remembered.definitions.register("d", "v", {"filters": {"is": "ada"}})
    named = remembered.runs.pin(run(definition={"filters": {"is": "ada"}}, requested_by="ada"))
    other = remembered.runs.pin(run(definition={"filters": {"is": "bob"}}, revision=1))

    def replace(value):
        if isinstance(value, dict):
            return {name: replace(each) for name, each in value.items()}
        return "erased-1" if value == "ada" else value

    assert replace_mentions(remembered.database, replace) == 2
    assert replace_mentions(remembered.database, replace) == 0
    found = remembered.runs.get(named.run_key)
    assert (found.definition, found.requested_by) == ({"filters": {"is": "erased-1"}}, "erased-1")
    assert remembered.runs.get(other.run_key) == other
    assert remembered.definitions.get("d").document == {"filters": {"is": "erased-1"}}


def test_what_another_process_erased_is_known_to_the_next_question(remembered, state_url):
    elsewhere = state.open(state_url)
    assert remembered.erasures.list() == []
    for number in range(3):
        made = elsewhere.erasures.plan(f"h{number}", f"e{number}", detail(**{f"a{number}": "e"}), by="ann")
        assert remembered.erasures.list()[-1] == made
    changed = elsewhere.erasures.plan("h0", "x", detail(b="e0"), by="ann")
    assert remembered.erasures.list()[0] == changed != remembered.erasures.list()[1]
    assert len(remembered.erasures.list()) == 3


def test_a_forked_process_asks_on_a_connection_of_its_own(remembered):
    remembered.erasures.plan("h", "erased-1", detail(a="erased-1"), by="ann")

    def ask(times):
        return {len(remembered.erasures.list()) for _ in range(times)}

    assert ask(1) == {1}  # a connection is kept now
    assert race(ask, [(200,)] * 3) == [{1}] * 3
    assert ask(1) == {1}


@pytest.mark.servers
def test_a_kept_connection_that_the_server_has_ended_is_replaced(postgres_ledger):
    remembered = state.open(postgres_ledger)
    assert remembered.erasures.list() == []
    with remembered.database.write() as connection:
        others = "datname = current_database() AND pid <> pg_backend_pid()"
        ended = f"SELECT count(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE {others}"
        assert connection.exec_driver_sql(ended).scalar_one() == 1
    assert remembered.erasures.list() == []
