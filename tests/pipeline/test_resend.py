"""Sending a finished run once more: what arrived is not sent twice, and nothing of the schedule moves."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
import sqlalchemy as sa

from include import pipeline
from include.connections import Connection
from include.definitions.model import ExportDefinition
from include.errors import BadInput, NeedsPerson, Permanent
from include.pipeline import Context, resend, resolving, trial
from include.state.audit import Action
from include.state.deliveries import DeliveryState
from include.state.runs import RunRecord, RunStatus
from tests.pipeline.test_steps import AT, whole

pytestmark = pytest.mark.slow
NAME = "balances_2026-03-02T0600.csv.gz"


@pytest.fixture
def delivered(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path, inline: None
) -> RunRecord:
    """A run that two folders have: one, two."""
    targets = [
        {"kind": "folder", "name": n, "options": {"folder": str(tmp_path / n)}} for n in ("one", "two")
    ]
    key, _ = whole(context, define(targets=targets), occurrence=AT)
    return context.state.runs.get(key)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir()) if folder.exists() else []


def sent(context: Context, run: RunRecord, *labels: str, again: bool = False) -> dict[str, object]:
    found = resend.resend(context, run, resend.plan(context, run, labels or None, again=again))
    return {
        label: [file["outcome"] for file in each["files"]] if isinstance(each, dict) else each
        for label, each in found.items()
    }


def test_what_arrived_is_recognised_and_not_sent_again(
    context: Context, delivered: RunRecord, tmp_path: Path
) -> None:
    (tmp_path / "one" / NAME).unlink()  # the receiver took it
    before = context.state.deliveries.list()
    assert sent(context, delivered) == {
        "one": ["created"] * 2,
        "two": ["created"] * 2,
    }  # the receipts of then
    assert context.state.deliveries.list() == before
    assert NAME not in names(tmp_path / "one")


def test_again_is_a_numbered_sending_of_the_same_bytes(
    context: Context, delivered: RunRecord, tmp_path: Path
) -> None:
    bytes_before = (tmp_path / "one" / NAME).read_bytes()
    (tmp_path / "one" / NAME).unlink()
    assert sent(context, delivered, "one", again=True) == {"one": ["created", "already there"]}
    assert (tmp_path / "one" / NAME).read_bytes() == bytes_before
    assert sent(context, delivered, "one", again=True) == {"one": ["already there"] * 2}
    told = [(each.target, each.sending, each.state.value) for each in context.state.deliveries.list()]
    assert sorted(told) == [
        ("one", 0, "confirmed"), ("one", 1, "confirmed"), ("one", 2, "confirmed"), ("two", 0, "confirmed"),
    ]  # fmt: skip
    asked = context.state.audit.newest(action=Action.SENT_AGAIN)
    assert [(each.detail["targets"], each.detail["again"]) for each in asked] == [
        ({"one": 2}, True), ({"one": 1}, True),
    ]  # fmt: skip


def test_a_sending_that_failed_is_tried_again_under_its_number(
    context: Context, delivered: RunRecord, tmp_path: Path
) -> None:
    """Also without `again`: somebody asked for it, and it has not arrived."""
    (tmp_path / "one" / NAME).write_text("another file")
    assert isinstance(sent(context, delivered, "one", again=True)["one"], NeedsPerson)
    (again,) = [each for each in context.state.deliveries.list() if each.sending]
    assert (again.sending, again.state) == (1, DeliveryState.CONFLICT)
    (tmp_path / "one" / NAME).unlink()
    context.state.deliveries.reopen(again.key, by="ann")
    assert sent(context, delivered, "one", again=True)["one"] == ["created", "already there"]
    assert sent(context, delivered, "one", again=False)["one"] == ["created", "already there"]
    assert max(each.sending for each in context.state.deliveries.list()) == 1


def test_nothing_of_the_schedule_moves(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    definition = define(id="log", model="history", period="since_last_delivery")
    key, _ = whole(context, definition, occurrence=AT)
    whole(context, definition, occurrence=AT + timedelta(days=2))
    before = context.state.runs.list(), context.state.chain.list("log")
    old = context.state.runs.get(key)
    assert sent(context, old, again=True)["folder"] == ["already there"] * 2
    assert (context.state.runs.list(), context.state.chain.list("log")) == before
    assert pipeline.pin(context, definition, occurrence=AT + timedelta(days=3)).start == AT + timedelta(
        days=2
    )


def test_the_last_missing_target_makes_the_run_done(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path, inline: None
) -> None:
    (tmp_path / "two").write_text("a file where a folder should be")
    targets = [
        {"kind": "folder", "name": n, "options": {"folder": str(tmp_path / n)}} for n in ("one", "two")
    ]
    key = pipeline.pin(context, define(targets=targets), occurrence=AT).run_key
    pipeline.snapshot(context, key)
    pipeline.render(context, key)
    pipeline.deliver(context, key, 0)
    for settled in (False, True):
        if settled:
            with pytest.raises(Permanent):
                pipeline.settle(context, key)
        found = sent(context, context.state.runs.get(key))
        assert isinstance(found["two"], Permanent)
        assert context.state.runs.get(key).status is (RunStatus.FAILED if settled else RunStatus.RENDERED)
    (tmp_path / "two").unlink()
    assert sent(context, context.state.runs.get(key)) == {"one": ["created"] * 2, "two": ["created"] * 2}
    assert context.state.runs.get(key).status is RunStatus.DONE


def test_a_run_is_found_by_latest_or_by_its_key(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    with pytest.raises(BadInput, match="has no run with files yet"):
        resend.find_run(context, "balances")
    later, _ = whole(context, define(), occurrence=AT + timedelta(days=1))
    earlier, _ = whole(context, define(), occurrence=AT)  # a backfill
    dry = pipeline.pin(context, define(), occurrence=AT + timedelta(days=2), dry_run=True).run_key
    pipeline.snapshot(context, dry)
    pipeline.render(context, dry)
    assert resend.find_run(context, "balances").run_key == later
    assert resend.find_run(context, "balances", earlier[:9]).run_key == earlier
    assert resend.find_run(context, "balances", as_test=True).run_key == dry
    for wanted, why in (("", "must be `latest`"), ("zz", "must be `latest`"), (dry, "this is a dry run")):
        with pytest.raises(BadInput, match=why):
            resend.find_run(context, "balances", wanted)
    with pytest.raises(BadInput, match="has no run with files yet"):
        resend.find_run(context, "other", "latest")


def test_unknown_targets_are_named_all_at_once(context: Context, delivered: RunRecord) -> None:
    with pytest.raises(BadInput) as refused:
        resend.plan(context, delivered, ["one", "three", "four"])
    assert [problem.value for problem in refused.value.problems] == ["three", "four"]
    assert "one, two" in str(refused.value)
    assert context.state.audit.newest(action=Action.SENT_AGAIN) == []


def test_a_test_goes_to_a_folder_marked_and_is_no_delivery(
    context: Context, delivered: RunRecord, tmp_path: Path
) -> None:
    before = context.state.deliveries.list(), context.state.runs.list(), context.state.chain.list("balances")
    for _ in range(2):
        receipt = trial.send_test(context, delivered, str(tmp_path / "mine"))
        assert names(tmp_path / "mine") == [f"TEST_{NAME}", f"TEST_{NAME}.manifest.json"]
    assert [file["name"] for file in receipt["files"]] == names(tmp_path / "mine")
    assert (tmp_path / "mine" / f"TEST_{NAME}").read_bytes() == (tmp_path / "one" / NAME).read_bytes()
    after = context.state.deliveries.list(), context.state.runs.list(), context.state.chain.list("balances")
    assert after == before
    told = context.state.audit.newest(action=Action.TEST_SENT)
    assert {(each.subject, each.detail["to"]) for each in told} == {
        (delivered.run_key, str(tmp_path / "mine"))
    }


def test_a_test_mail_keeps_the_rules_for_personal_data(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    """The folder is inside, so nothing was said of its personal columns; a mail to oneself leaves the house."""
    key = pipeline.pin(
        context, define(fields=["customer_id", "email"], model="customers"), occurrence=AT
    ).run_key
    pipeline.snapshot(context, key)
    pipeline.render(context, key)
    with pytest.raises(BadInput, match="email"):
        trial.send_test(context, context.state.runs.get(key), "me@example.com")
    assert context.state.audit.newest(action=Action.TEST_SENT) == []


def test_a_test_mail_is_like_the_exports_own(
    define: Callable[..., ExportDefinition], context: Context
) -> None:
    own = {"connection": "our_mail", "to": ["all@example.com"], "cc": ["x@example.com"], "subject": "Points"}
    with_mail = define(targets=[{"kind": "folder"}, {"kind": "email", "options": own}])
    found = trial.target_for(with_mail, "me@example.com", context.settings)
    assert (found.kind, found.options) == (
        "email",
        {"connection": "our_mail", "to": ["me@example.com"], "subject": "Points", "on_doubt": "resend"},
    )
    settings = replace(context.settings, notify={"LOYALTY_MAIL_CONNECTION": "house_mail"})
    assert trial.target_for(define(), "me@example.com", settings).options["connection"] == "house_mail"


def test_a_mail_connection_that_is_missing_is_named(
    context: Context, define: Callable[..., ExportDefinition], inline: None
) -> None:
    def connections(name: str) -> Connection:
        from include.connections import missing

        raise missing(name)

    key, _ = whole(context, define(), occurrence=AT)
    without = Context(context.settings, connections)
    with pytest.raises(BadInput, match="loyalty_mail"):
        trial.send_test(without, context.state.runs.get(key), "me@example.com")


def test_what_waits_is_resolved_and_the_run_follows(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path, inline: None
) -> None:
    there = tmp_path / "delivered" / NAME
    there.parent.mkdir()
    there.write_text("somebody else's")
    key = pipeline.pin(context, define(), occurrence=AT).run_key
    pipeline.snapshot(context, key)
    pipeline.render(context, key)
    with pytest.raises(NeedsPerson):
        pipeline.deliver(context, key, 0)
    with pytest.raises(NeedsPerson):
        pipeline.settle(context, key)
    (waiting,) = context.state.deliveries.list(run_key=key)
    step = resolving.next_step(waiting) or ""
    assert "Something else has the name" in step
    assert f"loyalty deliveries retry {waiting.key[:12]}" in step
    assert f"loyalty deliveries resolve {waiting.key[:12]} --arrived" in step
    done = resolving.resolve(context, waiting, arrived=True, note="handed over by hand")
    assert context.state.runs.get(key).status is RunStatus.DONE
    word = (done.receipt or {})["word"]
    assert (word["arrived"], word["note"], (done.receipt or {})["files"]) == (True, "handed over by hand", [])
    assert abs(datetime.fromisoformat(word["at"]) - datetime.now(UTC)) < timedelta(minutes=1)
    assert resolving.next_step(done) is None
    assert there.read_text() == "somebody else's"
    assert pipeline.deliver(context, key, 0) == done.receipt


def test_what_did_not_arrive_is_sent_by_retry(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path, inline: None
) -> None:
    there = tmp_path / "delivered" / NAME
    there.parent.mkdir()
    there.write_text("somebody else's")
    key = pipeline.pin(context, define(), occurrence=AT).run_key
    pipeline.snapshot(context, key)
    pipeline.render(context, key)
    with pytest.raises(NeedsPerson):
        pipeline.deliver(context, key, 0)
    with pytest.raises(NeedsPerson):
        pipeline.settle(context, key)
    (waiting,) = context.state.deliveries.list(run_key=key)
    open_again = resolving.resolve(context, waiting, arrived=False)
    assert (open_again.state, open_again.may_have_sent) == (DeliveryState.FAILED, False)
    assert context.state.runs.get(key).status is RunStatus.FAILED
    with pytest.raises(NeedsPerson):
        resolving.retry(context, open_again)
    there.unlink()
    (waiting,) = context.state.deliveries.list(run_key=key)
    assert [file["outcome"] for file in resolving.retry(context, waiting)["files"]] == ["created"] * 2
    assert context.state.runs.get(key).status is RunStatus.DONE
    with pytest.raises(BadInput, match="it is confirmed"):
        resolving.retry(context, waiting)


def test_a_note_is_one_short_line(context: Context, delivered: RunRecord) -> None:
    (one, _) = context.state.deliveries.list()
    for note in ("a\nb", "x" * 501):
        with pytest.raises(BadInput, match="one line"):
            resolving.resolve(context, one, arrived=True, note=note)


def test_a_delivery_is_found_by_the_beginning_of_its_key(context: Context, delivered: RunRecord) -> None:
    (one, _two) = context.state.deliveries.list()
    assert resolving.find(context, one.key[:12]) == one
    for wrong in ("", "zz", "%"):
        with pytest.raises(BadInput, match="no delivery begins so"):
            resolving.find(context, wrong)


def test_what_was_asked_for_by_hand_is_no_period_of_the_row(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path, inline: None
) -> None:
    """An auditor's week, or one target that wanted it early, must not cut days out of what all targets get."""
    targets = [
        {"kind": "folder", "name": n, "options": {"folder": str(tmp_path / n)}} for n in ("one", "two")
    ]
    definition = define(id="log", model="history", period="since_last_delivery", targets=targets)
    whole(context, definition, occurrence=AT)
    day = timedelta(days=1)
    whole(context, definition, start=AT + day, end=AT + 2 * day)
    partial = pipeline.pin(context, definition, occurrence=AT + 3 * day)
    pipeline.snapshot(context, partial.run_key)
    pipeline.render(context, partial.run_key)
    pipeline.deliver(context, partial.run_key, 0)
    assert pipeline.settle(context, partial.run_key, [0])["status"] == "done"
    assert (partial.start, pipeline.pin(context, definition, occurrence=AT + 4 * day).start) == (AT, AT)
    resend.resend(context, partial, resend.plan(context, partial, ["two"]))
    assert pipeline.pin(context, definition, occurrence=AT + 5 * day).start == AT + 3 * day


def test_an_attempt_that_died_after_it_had_delivered_is_confirmed_without_sending(
    context: Context, define: Callable[..., ExportDefinition], tmp_path: Path, inline: None,
    monkeypatch: pytest.MonkeyPatch,
) -> None:  # fmt: skip
    """Killed between the last name and its record: the next attempt looks, and finds its own bytes."""
    key = pipeline.pin(context, define(), occurrence=AT).run_key
    pipeline.snapshot(context, key)
    pipeline.render(context, key)
    with monkeypatch.context() as patch:
        patch.setattr(
            type(context.state.deliveries), "confirmed", lambda *_: (_ for _ in ()).throw(SystemExit)
        )
        with pytest.raises(SystemExit):
            pipeline.deliver(context, key, 0)
    (died,) = context.state.deliveries.list(run_key=key)
    assert (died.state, died.may_have_sent) == (DeliveryState.SENDING, True)
    assert "is at work on it" in (resolving.next_step(died) or "")
    with context.state.database.write() as connection:
        connection.execute(sa.text("UPDATE loyalty_deliveries SET expires_at = 0"))
    (died,) = context.state.deliveries.list(run_key=key)
    assert "Its process ended without a word" in (resolving.next_step(died) or "")
    before = {path: path.stat().st_mtime_ns for path in (tmp_path / "delivered").iterdir()}
    receipt = pipeline.deliver(context, key, 0)
    assert [file["outcome"] for file in receipt["files"]] == ["already there"] * 2
    assert {path: path.stat().st_mtime_ns for path in (tmp_path / "delivered").iterdir()} == before


@pytest.mark.parametrize(
    ("arrived", "kept"),
    [(True, {"a@x": "accepted", "b@x": "sending", "c@x": "refused", "d@x": "unknown", "e@x": "later"}),
     (False, {"a@x": "accepted", "c@x": "refused", "e@x": "later"})],
)  # fmt: skip
def test_a_word_is_about_those_of_whom_nobody_could_tell(
    context: Context,
    define: Callable[..., ExportDefinition],
    inline: None,
    arrived: bool,
    kept: dict[str, str],
) -> None:
    """Of five recipients one has it and one refused it: they are not asked about, and not sent to again."""
    key = pipeline.pin(context, define(), occurrence=AT).run_key
    deliveries = context.state.deliveries
    mine = deliveries.claim("k" * 64, "host", timedelta(minutes=1), run_key=key, target="folder")
    answers = {"a@x": "accepted", "b@x": "sending", "c@x": "refused", "d@x": "unknown", "e@x": "later"}
    known = [{"address": address, "answer": answer} for address, answer in answers.items()]
    deliveries.sending(mine)
    deliveries.record(mine, {"target": "email", "key": mine.key, "files": [], "recipients": known})
    deliveries.uncertain(mine, "nobody knows")
    (seen,) = deliveries.list()
    receipt = resolving.resolve(context, seen, arrived=arrived).receipt or {}
    assert {each["address"]: each["answer"] for each in receipt["recipients"]} == kept
    assert receipt["word"]["arrived"] is arrived
