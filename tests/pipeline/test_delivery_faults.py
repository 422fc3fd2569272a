"""Deliveries through the record, claim and lease: attempts that wake up too late, many at once, keys that change.

The targets' own tests cut and freeze each protocol; here is what only the whole can promise.
"""

from __future__ import annotations

import json
import os
import signal
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from include.definitions.load import from_document
from include.errors import LoyaltyError, Permanent
from include.pipeline import Context, settle
from include.pipeline.deliver import deliver
from include.state import RunRecord
from include.state.deliveries import DeliveryState
from include.state.tables import DELIVERIES
from tests.benchmarks.killing import ours, waves
from tests.benchmarks.killing.nursery import Nursery
from tests.benchmarks.killing.places import Place, opened
from tests.benchmarks.killing.points import Points
from tests.benchmarks.killing.waves import Field, Sent
from tests.forks import ended, forked
from tests.servers import receiver
from tests.state.expiry import expire
from tests.targets.kills import KILLS

pytestmark = [pytest.mark.slow, pytest.mark.servers]


@contextmanager
def field_at(name: str, state_url: str | None = None) -> Iterator[tuple[Field, Place, Path]]:
    """A place, and runs whose files can be brought there."""
    with tempfile.TemporaryDirectory() as folder, opened(name) as place:
        home = Path(folder)
        (home / "store").mkdir()
        yield Field(place, home, Context(ours.settings(home, state_url)), None, 1), place, home


def begun(home: Path, place: Place, sent: Sent, point: int | None = None) -> tuple[int, int]:
    """Start an attempt in a process of its own that stops itself at a point; its id, and a pipe with how it ended."""
    hear, tell = os.pipe()

    def work() -> None:
        task = {"home": str(home), "run_key": sent.run_key, **place.task()}
        os.write(tell, ours.attempt(task, Points(point, lambda _: None, signal.SIGSTOP)).encode())

    child = forked(work)
    os.close(tell)
    return child, hear


def said_of(child: int, hear: int) -> str:
    with os.fdopen(hear, "rb") as pipe:
        said = pipe.read().decode()
    assert ended(child) == 0
    return said


def attempt(home: Path, place: Place, sent: Sent) -> str:
    return said_of(*begun(home, place, sent))


def state_of(field: Field, sent: Sent):
    (found,) = field._context.state.deliveries.list(run_key=sent.run_key)
    return found


def points_of(home: Path, place: Place, sent: Sent) -> int:
    """How many points a delivery passes."""
    hear, tell = os.pipe()

    def work() -> None:
        points = Points(None, lambda _: None)
        ours.attempt({"home": str(home), "run_key": sent.run_key, **place.task()}, points)
        os.write(tell, str(points.passed).encode())

    child = forked(work)
    os.close(tell)
    return int(said_of(child, hear))


@pytest.mark.parametrize("name", ["folder", "sftp", "webhook", "webhook-hold"])
def test_an_attempt_that_wakes_up_past_its_lease_changes_nothing(name):
    """Row 1: SIGSTOP at a point, the lease runs out, a second attempt delivers, SIGCONT: still one, and confirmed."""
    with field_at(name) as (field, place, home):
        count = points_of(home, place, field._new(place.sizes[0]))
        for point in range(3, count - 1, max(1, count * 6 // KILLS)):
            sent = field._new(place.sizes[0])
            zombie, hear = begun(home, place, sent, point)
            os.waitpid(zombie, os.WUNTRACED)
            assert attempt(home, place, sent).startswith("not yet")  # the lease still holds
            expire(field._context.state, DELIVERIES)
            second = attempt(home, place, sent)
            os.kill(zombie, signal.SIGCONT)
            said_of(zombie, hear)
            if second != "done":  # nobody can tell what the first one had sent: a person looks
                assert place.holds
                assert second.startswith("uncertain")
                field._ask_a_person(sent)
                assert attempt(home, place, sent) == "done"
            field._settled(sent)
        assert field.count.told == []


@pytest.mark.parametrize("name", ["folder", "webhook-hold"])
def test_twenty_attempts_at_one_delivery_make_one(name):
    """Row 2: all start at the same moment; one delivers, the others are told to wait or that it is done."""
    with field_at(name) as (field, place, home):
        sent = field._new(place.sizes[0])
        said = Counter(
            said_of(*each).partition(":")[0] for each in [begun(home, place, sent) for _ in range(20)]
        )
        assert set(said) <= {"done", "not yet"}
        assert said["done"] >= 1
        assert attempt(home, place, sent) == "done"
        assert state_of(field, sent).attempts == 1
        field._settled(sent)
        assert field.count.told == []


@pytest.mark.parametrize("idempotent", [False, True])
def test_a_secret_that_changes_in_the_middle_is_used_by_the_next_attempt_from_where_it_stood(
    tmp_path, idempotent
):
    """Row 21: the receiver takes a new token after the first batch; the administrator changes the connection."""
    with field_at("webhook") as (field, place, home), receiver.receiver() as server:
        valid = ["first-t0ken"]

        def answer(request: receiver.Received) -> receiver.Answer:
            if request.headers["Authorization"] != f"Bearer {valid[-1]}":
                return receiver.Answer(401, body=f"unknown token {valid[0]}".encode())
            if len(valid) == 1:
                valid.append("second-t0ken")
            return receiver.Answer(202)

        server.always = answer
        options = {"connection": receiver.NAME, "body": "file", "receiver_is_idempotent": idempotent}
        field.place = replace(place, options=options)
        sent = field._new(300_000)
        held = {receiver.NAME: server.connection(token="first-t0ken")}
        context = Context(ours.settings(home), lambda name: held[name])
        with pytest.raises(Permanent, match=r"401.*\*\*\*.*login and password, token") as caught:
            deliver(context, sent.run_key, 0)
        assert "t0ken" not in str(caught.value)
        assert state_of(field, sent).state is DeliveryState.FAILED
        assert "t0ken" not in json.dumps(state_of(field, sent).model_dump(mode="json"))
        held[receiver.NAME] = server.connection(token="second-t0ken")
        receipt = deliver(context, sent.run_key, 0)
        taken = [
            each.name for each in server.requests if each.headers["Authorization"] == "Bearer second-t0ken"
        ]
        assert taken == [list(sent.contents)[1]]
        assert [each["outcome"] for each in receipt["files"]] == ["already there", "created"]


def test_one_of_four_targets_fails_and_the_other_three_are_not_sent_again(tmp_path):
    """Row 23: two folders and two webhooks; one receiver refuses, and later does not."""
    with field_at("folder") as (field, _, home), receiver.receiver() as good, receiver.receiver() as bad:
        sent = field._new(300_000)
        held = {"good": good.connection(), "bad": bad.connection()}
        context = Context(ours.settings(home), lambda name: replace(held[name], name=name))
        run = _to_four(context, sent, tmp_path)
        bad.always = lambda _: receiver.Answer(422, body=b"not today")
        outcomes = [_tried(context, run.run_key, index) for index in range(4)]
        assert outcomes == ["", "Permanent", "", ""]
        with pytest.raises(Permanent, match=r"two: failed.*not today"):
            settle(context, run.run_key)
        inodes = {path: path.stat().st_ino for path in tmp_path.rglob("*.csv")}
        assert len(inodes) == 2
        bad.always = lambda _: receiver.Answer()
        assert [_tried(context, run.run_key, index) for index in range(4)] == [""] * 4
        assert settle(context, run.run_key)["status"] == "done"
        assert {path: path.stat().st_ino for path in tmp_path.rglob("*.csv")} == inodes
        assert (len(good.requests), len(bad.requests)) == (1, 2)
        states = context.state.deliveries.list(run_key=run.run_key)
        assert {each.target: each.attempts for each in states} == {"one": 1, "two": 2, "three": 1, "four": 1}
        assert {each.state for each in states} == {DeliveryState.CONFIRMED}


def _to_four(context: Context, sent: Sent, folder: Path) -> RunRecord:
    """A run with the same files and four targets."""
    first = context.state.runs.get(sent.run_key)
    targets = [
        {"kind": "folder", "name": "one", "options": {"folder": str(folder / "one")}},
        {"kind": "webhook", "name": "two", "options": {"connection": "bad"}},
        {"kind": "folder", "name": "three", "options": {"folder": str(folder / "three")}},
        {"kind": "webhook", "name": "four", "options": {"connection": "good"}},
    ]
    document = {
        "id": "four",
        "name": "Four",
        "model": "balance",
        "timezone": "UTC",
        "schedule": {"kind": "daily", "time": "06:00"},
        "targets": targets,
    }
    definition = from_document(document, where="four.yaml").model_dump(mode="json")
    now = datetime.now(UTC)
    run = RunRecord(
        definition_id="four",
        definition_version="v1",
        definition=definition,
        as_of=now - timedelta(days=1),
        known_at=now,
    )
    run = context.state.runs.pin(run)
    return context.state.runs.pin_artefacts(run.run_key, first.artefacts or [])


def _tried(context: Context, run_key: str, index: int) -> str:
    try:
        deliver(context, run_key, index)
    except LoyaltyError as error:
        return type(error).__name__
    return ""


@pytest.mark.parametrize(
    ("name", "state"), [("folder", "sqlite"), ("folder", "postgres"), ("webhook-hold", "sqlite")]
)
def test_kills_leave_one_of_each(name, state, monkeypatch, request):
    """The first wave of the benchmark that kills two thousand (tests/benchmarks/kills.py)."""
    monkeypatch.setattr(waves, "WAVE", 6)
    state_url = request.getfixturevalue("postgres_ledger") if state == "postgres" else None
    with field_at(name, state_url) as (field, _, __), Nursery(ours.__name__) as nursery:
        field._nursery = nursery
        field.calibrate()
        field.wave()
        count = field.count
        assert count.kills >= 6
        found = (count.partial, count.early, count.doubled, count.lost, count.wrong, count.left)
        assert found == (0, 0, 0, 0, 0, 0)


def test_the_count_of_kills_sees_what_is_wrong(monkeypatch):
    """A place that shows a part of each file, has it twice, and keeps what is temporary."""
    monkeypatch.setattr(waves, "WAVE", 2)
    with field_at("folder") as (field, place, _), Nursery(ours.__name__) as nursery:
        field._nursery = nursery
        field.calibrate()
        real = place.find
        field.place = replace(
            place, find=lambda name: [each[:-1] for each in real(name)] * 2, left=lambda: [".part-x"]
        )
        field.wave()
        count = field.count
        assert min(count.partial, count.doubled, count.lost, count.left) > 0
