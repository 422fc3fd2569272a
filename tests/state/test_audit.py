"""The audit chain: numbered without gaps by twenty processes at once, and one with what it tells of."""

import json
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from hashlib import sha256

import pytest
from sqlalchemy import select, text

from include import state
from include.acting import acting
from include.errors import BadInput
from include.settings import ROOT
from include.state import RunRecord, RunStatus, StaleFence
from include.state.audit import Action, append, digest
from include.state.snapshots import RegisteredSnapshot, SnapshotState
from include.state.tables import Now, instant
from tests.state.racing import race

AT = datetime(2026, 3, 1, tzinfo=UTC)
SPECIAL = {"name": 'été \U0001f600 "x" \\ \n', "n": [1, None, True, {"deep": -(2**62)}], "at": AT}


def run(**values):
    about = {"definition_id": "daily", "definition_version": "v1", "definition": {}, "as_of": AT}
    return RunRecord(**about | {"known_at": AT} | values)


def told(remembered):
    return [(entry.actor, entry.action, entry.subject) for entry in remembered.audit.entries()]


def test_the_hash_can_be_computed_by_anybody_from_the_entry_as_it_is_listed(remembered):
    """sha256 over sorted, compact JSON of all but the hash itself: no code of ours is needed to check it."""
    remembered.audit.write("ann", Action.PINNED, "r1", SPECIAL)
    second = remembered.audit.write("bob", Action.DELIVERED, "d1", {})
    first = remembered.audit.get(1)
    document = {
        "sequence": 1,
        "at": first.at.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        "actor": "ann",
        "action": "pinned",
        "subject": "r1",
        "detail": SPECIAL | {"at": "2026-03-01T00:00:00Z"},
        "previous_sha256": None,
    }
    written = json.dumps(document, sort_keys=True, ensure_ascii=False, separators=(",", ":")).encode()
    assert first.sha256 == sha256(written).hexdigest()
    assert (second.sequence, second.previous_sha256) == (2, first.sha256)
    assert [digest(entry.model_dump()) for entry in remembered.audit.entries()] == [
        first.sha256,
        second.sha256,
    ]


def test_it_stands_on_the_clock_of_the_database(remembered):
    def now():
        with remembered.database.read() as connection:
            return instant(connection.scalar(select(Now())))

    before, entry, after = now(), remembered.audit.write("ann", Action.PINNED, "r1"), now()
    assert before <= entry.at <= after
    assert remembered.audit.head() == (1, entry.sha256, entry.at)


@pytest.mark.parametrize("value", [1.5, Decimal("1.5"), b"x", object()])
def test_what_reads_back_differently_is_not_written(remembered, value):
    with pytest.raises(TypeError):
        remembered.audit.write("ann", Action.PINNED, "r1", {"deep": [{"value": value}]})
    assert remembered.audit.head() is None


def test_texts_that_no_database_holds_are_written_so_that_they_can_be_read(remembered):
    remembered.audit.write("a" * 300, Action.PINNED, "x\0y", {"file": "caf\udce9"})
    (entry,) = remembered.audit.entries()
    assert (len(entry.actor), entry.subject, entry.detail) == (255, "x\\0y", {"file": "caf\\udce9"})
    assert digest(entry.model_dump()) == entry.sha256


@pytest.mark.slow
def test_twenty_processes_write_one_chain_without_gap(state_url):
    state.open(state_url)
    race(write_five, [(state_url, number) for number in range(20)])
    entries = list(state.open(state_url).audit.entries())
    assert [entry.sequence for entry in entries] == list(range(1, 101))
    assert [entry.previous_sha256 for entry in entries] == [None, *(entry.sha256 for entry in entries[:-1])]
    assert sorted(entry.subject for entry in entries) == sorted(
        f"{x}-{y}" for x in range(20) for y in range(5)
    )


def write_five(url, number):
    """Half of them in transactions with other writes, as the state's own are."""
    opened = state.open(url)
    for turn in range(5):
        subject = f"{number}-{turn}"
        if number % 2:
            opened.audit.write("racer", Action.PINNED, subject)
            continue
        with opened.database.write() as connection:
            connection.execute(text("UPDATE loyalty_leases SET owner = 'x' WHERE name = 'none'"))
            append(connection, "racer", Action.PINNED, subject)


def test_more_entries_than_are_read_at_once_come_in_order(remembered):
    with remembered.database.write() as connection:
        for number in range(1003):
            append(connection, "ann", Action.PINNED, str(number))
    assert [int(entry.subject) for entry in remembered.audit.entries()] == list(range(1003))
    assert [entry.sequence for entry in remembered.audit.entries(after=1001)] == [1002, 1003]


def test_an_effect_that_is_undone_leaves_no_entry(remembered):
    def written_and_lost():
        with remembered.database.write() as connection:
            append(connection, "ann", Action.PINNED, "r1")
            raise ZeroDivisionError

    with pytest.raises(ZeroDivisionError):
        written_and_lost()
    assert remembered.audit.head() is None


def test_a_run_is_told_from_pin_to_end_each_step_once(remembered):
    pinned = remembered.runs.pin(run(requested_by="ann"))
    remembered.runs.pin(run(requested_by="bob"))
    key = pinned.run_key
    for _ in range(2):
        remembered.runs.pin_snapshot(key, "s1")
        remembered.runs.pin_artefacts(
            key, [{"name": "a.csv", "sha256": "f" * 64, "rows": 3, "key": "k", "totals": {}}]
        )
    remembered.runs.finish(key, RunStatus.DONE, {"status": "done"})
    assert told(remembered) == [
        ("ann", "definition_changed", "daily"),
        ("ann", "pinned", key),
        ("ann", "snapshot_bound", key),
        ("ann", "rendered", key),
        ("ann", "settled", key),
    ]
    rendered = remembered.audit.get(4).detail
    assert rendered["files"] == [{"name": "a.csv", "sha256": "f" * 64, "rows": 3}]
    about = {
        "definition_id": "daily",
        "definition_version": "v1",
        "run_key": key,
        "as_of": "2026-03-01T00:00:00Z",
        "known_at": "2026-03-01T00:00:00Z",
        "start": None,
        "end": None,
        "revision": 0,
        "dry_run": False,
    }
    assert {name: rendered[name] for name in about} == about


def test_a_definition_is_told_when_a_run_first_has_its_new_version(remembered):
    for version, day in (("v1", 1), ("v1", 2), ("v2", 3)):
        remembered.runs.pin(run(definition_version=version, as_of=AT + timedelta(days=day)))
    changed = remembered.audit.newest(action=Action.DEFINITION_CHANGED)
    assert [entry.detail for entry in changed] == [
        {"version": "v2", "before": "v1"},
        {"version": "v1", "before": None},
    ]


def test_who_acts_is_told_rather_than_who_asked(remembered):
    with acting("operator"):
        remembered.runs.pin(run(requested_by="ann"))
    remembered.runs.pin(run(as_of=AT + timedelta(days=1)))
    assert [actor for actor, action, _ in told(remembered) if action == "pinned"] == ["operator", "schedule"]


OUTCOMES = {
    "confirmed": ("delivered", ({"files": [], "recipients": []},)),
    "uncertain": ("delivery_uncertain", ("lost",)),
    "failed": ("delivery_failed", ("down",)),
    "conflict": ("delivery_conflict", ("other bytes",)),
}


@pytest.mark.parametrize("outcome", OUTCOMES)
def test_every_outcome_of_a_delivery_is_told_with_what_was_sent(remembered, outcome):
    action, arguments = OUTCOMES[outcome]
    key = remembered.runs.pin(run()).run_key
    claim = remembered.deliveries.claim("d1", "me", timedelta(minutes=1), run_key=key, target="bank")
    remembered.deliveries.ready(claim, sha256="a" * 64, rows=3, totals={"points": "1.00"})
    remembered.deliveries.sending(claim)
    getattr(remembered.deliveries, outcome)(claim, *arguments)
    entry = remembered.audit.newest(limit=1)[0]
    assert (entry.action, entry.subject) == (action, "d1")
    said = {
        name: entry.detail[name]
        for name in ("definition_id", "run_key", "target", "sha256", "rows", "attempts")
    }
    assert said == {
        "definition_id": "daily",
        "run_key": key,
        "target": "bank",
        "sha256": "a" * 64,
        "rows": 3,
        "attempts": 1,
    }


def test_who_received_it_and_where_is_told(remembered):
    claim = remembered.deliveries.claim("d1", "me", timedelta(minutes=1), run_key="r", target="mail")
    file = {"name": "a.csv", "place": "/out/a.csv", "bytes": 3, "sha256": "b" * 64, "outcome": "created"}
    people = [{"address": "ann@x.org", "answer": "accepted", "said": "250 ok queued as 1234"}]
    remembered.deliveries.confirmed(claim, {"target": "mail", "files": [file], "recipients": people})
    detail = remembered.audit.newest(limit=1)[0].detail
    assert detail["files"] == [file]
    assert detail["recipients"] == [{"address": "ann@x.org", "answer": "accepted"}]


def test_no_delivery_is_confirmed_when_the_chain_cannot_be_written(remembered):
    """One database transaction: without its entry the outcome is not there either."""
    claim = remembered.deliveries.claim("d1", "me", timedelta(minutes=1), run_key="r", target="bank")
    with remembered.database.write() as connection:
        connection.execute(text("ALTER TABLE loyalty_audit RENAME TO away"))
    with pytest.raises(Exception, match="loyalty_audit"):
        remembered.deliveries.confirmed(claim, {})
    with remembered.database.write() as connection:
        connection.execute(text("ALTER TABLE away RENAME TO loyalty_audit"))
    assert remembered.deliveries.get("d1").state == "claimed"
    remembered.deliveries.confirmed(claim, {})
    assert remembered.audit.untold() == []


def test_a_zombie_is_not_told(remembered):
    claim = remembered.deliveries.claim("d1", "me", timedelta(minutes=1), run_key="r", target="bank")
    remembered.deliveries.confirmed(claim, {})
    with pytest.raises(StaleFence):
        remembered.deliveries.confirmed(claim, {})
    assert len(list(remembered.audit.entries())) == 1


def test_opening_a_delivery_again_is_told_with_the_person(remembered):
    claim = remembered.deliveries.claim("d1", "me", timedelta(minutes=1), run_key="r", target="bank")
    remembered.deliveries.failed(claim, "down")
    remembered.deliveries.reopen("d1", by="ann")
    assert told(remembered)[-1] == ("ann", "delivery_reopened", "d1")
    with pytest.raises(BadInput):
        remembered.deliveries.reopen("d2", by="ann")
    assert len(list(remembered.audit.entries())) == 2


def test_a_confirmed_delivery_without_an_entry_is_found(remembered):
    remembered.audit.write("ann", Action.PINNED, "r1")
    claim = remembered.deliveries.claim("d1", "me", timedelta(minutes=1), run_key="r", target="bank")
    assert remembered.audit.untold() == []
    with remembered.database.write() as connection:
        connection.execute(text("UPDATE loyalty_deliveries SET state = 'confirmed'"))
    assert remembered.audit.untold() == [claim.key]


def test_a_snapshot_is_told_when_it_is_made_damaged_and_retired(remembered):
    made = RegisteredSnapshot("s1", "source", 1, AT, "s1/manifest.json", SnapshotState.MADE)
    for _ in range(2):
        remembered.snapshots.register(made)
    remembered.snapshots.refer("s1", "run")
    assert not remembered.snapshots.retire("s1")
    remembered.snapshots.unrefer("s1", "run")
    remembered.snapshots.damaged("s1")
    assert remembered.snapshots.retire("s1")
    assert [action for _, action, _ in told(remembered)] == ["snapshot_taken", "snapshot_damaged", "retired"]


def test_entries_are_found_by_what_was_done_by_whom_to_what_and_when(remembered):
    for actor, action, subject in (
        ("ann", Action.PINNED, "a_1"),
        ("bob", Action.PINNED, "ax1"),
        ("ann", Action.ERASED, "b"),
    ):
        remembered.audit.write(actor, action, subject)
    newest = remembered.audit.newest
    assert [entry.sequence for entry in newest()] == [3, 2, 1]
    assert [entry.sequence for entry in newest(action=Action.PINNED, actor="ann")] == [1]
    assert [entry.sequence for entry in newest(subject="a_")] == [1]
    assert [entry.sequence for entry in newest(limit=1)] == [3]
    assert newest(since=datetime.now(UTC) + timedelta(hours=1)) == []


def test_the_guide_names_every_action():
    guide = (ROOT / "docs" / "audit.md").read_text()
    assert [action.value for action in Action if f"`{action.value}`" not in guide] == []
