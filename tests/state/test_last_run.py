"""What the list says of an export's last run and deliveries follows every change of them, in the same transaction."""

from datetime import UTC, datetime, timedelta

import pytest
from alembic import command
from sqlalchemy import text, update

from include import state
from include.definitions.load import from_document
from include.state import RunRecord, RunStatus
from include.state.database import Database
from include.state.exports import Query, Status
from include.state.migrations.run import configuration
from include.state.tables import EXPORTS, RUNS

T = datetime(2026, 7, 1, tzinfo=UTC)
LONG = timedelta(minutes=5)
TARGETS = [{"kind": "folder", "name": label, "options": {"folder": label}} for label in ("first", "second")]
FILES = [{"name": "a.csv", "bytes": 700, "key": "k"}, {"name": "b.csv", "bytes": 300, "key": "l"}]
MANIFEST = {"name": "a.manifest.json", "bytes": 5000, "key": "m"}


def definition(id_="daily", **changes):
    document = {"id": id_, "name": id_.title(), "model": "balance", "targets": TARGETS, **changes}
    return from_document(document, where="test")


def pin(remembered, day=0, **changes):
    values = {"definition_id": "daily", "definition_version": "v" * 64, "definition": {}, "known_at": T}
    return remembered.runs.pin(RunRecord(**{**values, "as_of": T + timedelta(days=day), **changes}))


def deliver(remembered, run, target, key=None):
    key = key or (run.run_key[:32] + target).ljust(64, "0")
    return remembered.deliveries.claim(key, "one", LONG, run_key=run.run_key, target=target)


def age(remembered, **ages):
    """Let it be that long ago that something happened to the last run."""
    with remembered.database.write() as connection:
        connection.execute(update(EXPORTS).values(run_moved_at=datetime.now(UTC) - timedelta(**ages)))


@pytest.fixture
def daily(remembered):
    remembered.exports.create(definition(), "ann")
    return lambda: remembered.exports.search(Query()).rows[0]


def test_a_run_from_pin_to_end(remembered, daily):
    assert (daily().status, daily().last_run) == (Status.PENDING, None)
    run = pin(remembered)
    assert (daily().status, daily().last_run.run_key) == (Status.PROCESSING, run.run_key)
    remembered.runs.progress(run.run_key, "render", 10, 40)
    shown = daily().last_run
    assert (shown.status, shown.stage, shown.rows_done, shown.rows_total) == ("running", "render", 10, 40)
    assert shown.bytes is None
    remembered.runs.pin_artefacts(run.run_key, [*FILES, MANIFEST])
    assert (daily().status, daily().last_run.bytes) == (Status.PROCESSING, 1000)
    claim = deliver(remembered, run, "first")
    assert daily().last_deliveries["first"].state == "claimed"
    remembered.deliveries.confirmed(claim, {})
    failed = deliver(remembered, run, "second")
    remembered.deliveries.failed(failed, "no room")
    last = daily().last_deliveries
    assert {label: each.state for label, each in last.items()} == {"first": "confirmed", "second": "failed"}
    assert last["first"].run_key == run.run_key
    assert daily().status is Status.PROCESSING
    remembered.runs.finish(run.run_key, RunStatus.FAILED)
    assert daily().status is Status.FAILED
    remembered.runs.finish(run.run_key, RunStatus.DONE)
    assert daily().status is Status.FINISHED
    for status in (Status.FINISHED, Status.PROCESSING):
        assert remembered.exports.search(Query(status=status)).total == (status is Status.FINISHED)


def test_the_present_stage_has_a_beginning(remembered, daily):
    run = pin(remembered)
    assert daily().last_run.stage_at is None
    remembered.runs.progress(run.run_key, "render", 1, 10)
    began = daily().last_run.stage_at
    remembered.runs.progress(run.run_key, "render", 5, 10)
    assert (daily().last_run.stage_at, daily().last_run.rows_done) == (began, 5)
    remembered.runs.progress(run.run_key, "deliver", 0, 10)
    assert daily().last_run.stage_at > began
    assert remembered.runs.get(run.run_key).stage_at == daily().last_run.stage_at


def test_files_that_nobody_delivers_are_finished_after_a_minute_and_deliveries_after_a_day(remembered, daily):
    run = pin(remembered)
    remembered.runs.pin_artefacts(run.run_key, [*FILES, MANIFEST])
    assert daily().status is Status.PROCESSING
    age(remembered, seconds=61)
    assert daily().status is Status.FINISHED
    deliver(remembered, run, "first")
    age(remembered, hours=23)
    assert daily().status is Status.PROCESSING
    age(remembered, hours=25)
    assert daily().status is Status.FINISHED


def test_only_the_newest_run_counts(remembered, daily):
    first, second = pin(remembered, 0), pin(remembered, 1)
    remembered.runs.finish(first.run_key, RunStatus.FAILED)
    remembered.runs.progress(first.run_key, "late attempt", 1)
    assert (daily().last_run.run_key, daily().status) == (second.run_key, Status.PROCESSING)
    assert daily().last_run.stage == ""


def test_a_look_back_that_finds_nothing_is_no_run_and_a_restatement_is_one(remembered, daily):
    run = pin(remembered)
    remembered.runs.finish(run.run_key, RunStatus.DONE)
    nothing = pin(remembered, revision=1)
    remembered.runs.pin_artefacts(nothing.run_key, [{"skipped": "nothing changed"}])
    remembered.runs.finish(nothing.run_key, RunStatus.DONE)
    assert daily().last_run.run_key == run.run_key
    restated = pin(remembered, revision=2)
    assert daily().last_run.run_key == run.run_key
    remembered.runs.pin_artefacts(restated.run_key, [*FILES, MANIFEST])
    assert (daily().last_run.run_key, daily().last_run.bytes) == (restated.run_key, 1000)


def test_a_file_brings_its_runs_of_before_with_it(remembered):
    pin(remembered, 0)
    run = pin(remembered, 1)
    remembered.runs.pin_artefacts(run.run_key, [*FILES, MANIFEST])
    claim = deliver(remembered, run, "first")
    remembered.deliveries.confirmed(claim, {})
    remembered.runs.finish(run.run_key, RunStatus.DONE)
    remembered.exports.sync({"daily.yaml": definition()})
    found = remembered.exports.get("daily")
    assert (found.last_run.run_key, found.last_run.bytes, found.status) == (
        run.run_key,
        1000,
        Status.FINISHED,
    )
    assert found.last_deliveries["first"].state == "confirmed"


def test_an_id_that_is_taken_again_begins_anew(remembered, daily):
    run = pin(remembered)
    deliver(remembered, run, "first")
    remembered.exports.delete("daily", "ann")
    remembered.exports.create(definition(name="Again"), "bob")
    assert (daily().status, daily().last_run, dict(daily().last_deliveries)) == (Status.PENDING, None, {})
    remembered.runs.finish(run.run_key, RunStatus.FAILED)  # that of before
    assert daily().last_run is None
    assert daily().status is Status.PENDING


def test_a_delivery_to_a_target_that_is_gone_is_not_shown(remembered, daily):
    deliver(remembered, pin(remembered), "first")
    remembered.exports.save(definition(targets=TARGETS[1:]), "ann", based_on=1)
    assert dict(daily().last_deliveries) == {}


def test_filesize_sorts_what_has_none_last(remembered):
    for number, size in enumerate((300, 20, 1000)):
        remembered.exports.create(definition(f"e{number}"), "ann")
        run = pin(remembered, definition_id=f"e{number}")
        remembered.runs.pin_artefacts(run.run_key, [{"bytes": size, "key": "k"}, MANIFEST])
    remembered.exports.create(definition("none"), "ann")
    for descending, order in ((False, ["e1", "e0", "e2", "none"]), (True, ["e2", "e0", "e1", "none"])):
        found = remembered.exports.search(Query(sort="filesize", descending=descending))
        assert [row.definition_id for row in found.rows] == order


@pytest.mark.parametrize("change", ["delete", "disable"])
def test_a_dag_stays_for_a_run_that_is_open_and_for_no_longer(remembered, daily, change):
    exports = remembered.exports
    (live,) = exports.for_dags()
    assert (live.definition_id, live.source, live.winds_down) == ("daily", "ui", False)
    run = pin(remembered)
    if change == "delete":
        exports.delete("daily", "ann")
    else:
        exports.save(definition(enabled=False), "ann", based_on=1)
    (ending,) = exports.for_dags()
    assert (ending.winds_down, ending.document["name"]) == (True, "Daily")
    remembered.runs.pin_artefacts(run.run_key, [*FILES, MANIFEST])
    assert len(exports.for_dags()) == 1
    remembered.runs.finish(run.run_key, RunStatus.DONE)
    assert exports.for_dags() == []
    (still,) = exports.for_dags(["daily"])  # a process that runs a task of it finds it all the same
    assert still.winds_down
    assert exports.for_dags(["nobody"]) == []


def test_a_file_that_is_gone_keeps_its_dag_while_a_run_is_open(remembered):
    remembered.exports.sync({"daily.yaml": definition()})
    assert remembered.exports.for_dags() == []  # the file says so itself
    run = pin(remembered)
    remembered.exports.sync({})
    (ending,) = remembered.exports.for_dags()
    assert (ending.source, ending.winds_down) == ("yaml", True)
    with remembered.database.write() as connection:
        connection.execute(update(EXPORTS).values(deleted_at=datetime.now(UTC) - timedelta(days=11)))
        connection.execute(update(RUNS).where(RUNS.c.run_key == run.run_key).values(status="running"))
    assert remembered.exports.for_dags() == []


def test_the_migration_finds_the_last_deliveries(state_url):
    database = Database(state_url)
    command.upgrade(configuration(database.engine), "0003")
    instants = {"at": 1, "later": 2}
    run = (
        "INSERT INTO loyalty_runs (run_key, request_key, definition_id, definition_version, definition, as_of,"
        " known_at, revision, dry_run, status, stage, rows_done, created_at, updated_at)"
        " VALUES ('r', 'q', 'daily', 'v', '{}', 1, 1, 0, :no, 'done', '', 0, 1, 1)"
    )
    delivery = (
        "INSERT INTO loyalty_deliveries (key, run_key, target, sending, state, fence, owner, expires_at, attempts,"
        " may_have_sent, created_at, updated_at) VALUES (:key, 'r', 'first', 0, :state, 1, '', 0, 1, :no, 1, :at)"
    )
    with database.write() as connection:
        connection.execute(text(run), {"no": False})
        for key, at in instants.items():
            values = {"key": key, "state": "failed" if key == "at" else "confirmed", "at": at, "no": False}
            connection.execute(text(delivery), values)
    remembered = state.open(state_url)
    remembered.exports.sync({"daily.yaml": definition()})
    found = remembered.exports.get("daily")
    assert found.last_deliveries["first"].state == "confirmed"
    assert (found.last_run.run_key, found.status) == ("r", Status.FINISHED)
