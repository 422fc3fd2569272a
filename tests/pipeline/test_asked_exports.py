"""Exports that programs asked for are made as runs, once, and say why where they cannot be made."""

from __future__ import annotations

import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from include.errors import LedgerViolation, NotYet, Transient
from include.pipeline import Context
from include.pipeline.answers import asked_exports
from include.state.asked_exports import AskedExport, AskedStatus
from include.state.runs import RunStatus
from include.state.tables import ASKED_EXPORTS

pytestmark = pytest.mark.usefixtures("inline")


def ask(context: Context, export_id: str = "exp_1", **keys: Any) -> AskedExport:
    document = {
        "id": export_id,
        "name": "Orders",
        "model": "orders",
        "layout": "voucherify.order",
        "file": {"compression": "none"},
        "targets": [{"kind": "folder", "options": {"folder": "downloads"}}],
    }
    made = asked_exports.ask(
        context, asked_exports.sound(document | keys), owner="crm", by="key crm (1)", kind="order", asked={}
    )
    assert made is not None
    return made


def now_as_it_is(context: Context, export_id: str = "exp_1") -> AskedExport:
    found = context.state.asked_exports.get(export_id)
    assert found is not None
    return found


def failing(monkeypatch: pytest.MonkeyPatch, *errors: Exception) -> None:
    """Let the first attempts to render raise these."""
    left, right = list(errors), asked_exports.render

    def broken(*arguments: Any) -> Any:
        if left:
            raise left.pop(0)
        return right(*arguments)

    monkeypatch.setattr("include.pipeline.answers.asked_exports.render", broken)


def due_now(context: Context) -> None:
    with context.state.database.write() as connection:
        connection.execute(sa.update(ASKED_EXPORTS).values(not_before=datetime(2020, 1, 1, tzinfo=UTC)))


def test_it_is_made_by_a_run_that_delivers_nothing(context):
    made = ask(context)
    assert asked_exports.work(context) == 1
    found = now_as_it_is(context)
    run = context.state.runs.get(found.run_key)
    assert (found.status, found.message) == (AskedStatus.DONE, None)
    assert (run.status, run.dry_run, run.definition_id) == (RunStatus.DONE, True, "exp_1")
    assert (run.as_of, run.known_at, run.requested_by) == (made.as_of, made.as_of, "key crm (1)")
    assert context.state.deliveries.list(run_key=run.run_key) == []
    assert context.store.exists(run.files[0]["key"])
    assert {each.actor for each in context.state.audit.newest(subject=run.run_key)} == {"key crm (1)"}
    assert asked_exports.work(context) == 0


def test_exports_of_the_same_minutes_read_one_snapshot(context):
    for number in range(3):
        ask(context, f"exp_{number}")
        asked_exports.work(context)
    runs = context.state.runs.list()
    assert len({run.snapshot_id for run in runs}) == 1
    assert len({run.as_of for run in runs[:2]}) == 1  # that of the snapshot, once there is one


def test_a_snapshot_that_is_too_old_is_not_asked_again(context):
    ask(context, "exp_0")
    asked_exports.work(context)
    hurried = Context(replace(context.settings, answer_age=timedelta(0)))
    assert ask(hurried, "exp_1").as_of > now_as_it_is(context, "exp_0").as_of
    asked_exports.work(hurried)
    assert len({run.snapshot_id for run in context.state.runs.list()}) == 2


def test_what_lies_within_the_settle_delay_is_left_out(settings_for, ledger_url):
    context = Context(settings_for(ledger_url, settle_delay=timedelta(minutes=5)))
    before = datetime.now(UTC)
    assert before - timedelta(minutes=6) < ask(context).as_of <= datetime.now(UTC) - timedelta(minutes=5)
    asked_exports.work(context)
    assert now_as_it_is(context).status is AskedStatus.DONE


def test_a_passing_trouble_is_tried_again_and_not_for_ever(context, monkeypatch):
    failing(monkeypatch, *[Transient("the store is away")] * 2)
    ask(context)
    for attempts in (1, 2):
        asked_exports.work(context)
        assert (now_as_it_is(context).status, now_as_it_is(context).attempts) == (
            AskedStatus.IN_PROGRESS,
            attempts,
        )
        assert asked_exports.work(context) == 0  # it waits
        due_now(context)
    asked_exports.work(context)
    assert now_as_it_is(context).status is AskedStatus.DONE

    failing(monkeypatch, *[Transient("the store is away")] * 10)
    ask(context, "exp_2")
    for _ in range(asked_exports.MOST_ATTEMPTS):
        asked_exports.work(context)
        due_now(context)
    found = now_as_it_is(context, "exp_2")
    assert (found.status, found.message) == (AskedStatus.ERROR, "the store is away")


def test_waiting_for_somebody_else_is_no_attempt(context, monkeypatch):
    failing(monkeypatch, NotYet("somebody makes it", datetime.now(UTC) + timedelta(seconds=30)))
    ask(context)
    asked_exports.work(context)
    found = now_as_it_is(context)
    assert (found.is_open, found.attempts) == (True, 0)


@pytest.mark.parametrize(
    ("error", "message"),
    [(LedgerViolation("a transaction_id is there twice"), "twice"), (ValueError("secret"), "ValueError")],
)
def test_what_cannot_be_made_says_why_and_its_run_has_failed(context, monkeypatch, error, message):
    failing(monkeypatch, error)
    ask(context)
    asked_exports.work(context)
    found = now_as_it_is(context)
    assert found.status is AskedStatus.ERROR
    assert message in found.message
    assert "secret" not in found.message
    assert context.state.runs.get(found.run_key).status is RunStatus.FAILED


def test_a_ledger_without_the_relation_is_named(small):
    with sa.create_engine(small.settings.ledger_url).begin() as ledger:
        ledger.execute(sa.text("DROP TABLE orders"))
    ask(small)
    asked_exports.work(small)
    found = now_as_it_is(small)
    assert found.status is AskedStatus.ERROR
    assert "orders" in found.message


def test_what_is_deleted_while_it_is_made_leaves_no_file(context, monkeypatch):
    settle = asked_exports.settle

    def deleting(*arguments: Any, **how: Any) -> Any:
        assert asked_exports.delete(context, "exp_1", owner="crm", by="key crm (1)")
        return settle(*arguments, **how)

    monkeypatch.setattr("include.pipeline.answers.asked_exports.settle", deleting)
    ask(context)
    asked_exports.work(context)
    assert context.state.asked_exports.get("exp_1") is None
    [run] = context.state.runs.list()
    assert run.files_gone_why == "deleted"
    assert not context.store.exists(run.files[0]["key"])


def test_only_its_owner_deletes_it(context):
    ask(context)
    assert not asked_exports.delete(context, "exp_1", owner="shop", by="x")
    assert asked_exports.delete(context, "exp_1", owner="crm", by="x")
    assert not asked_exports.delete(context, "exp_1", owner="crm", by="x")
    assert asked_exports.work(context) == 0


def test_a_maker_that_died_is_followed_by_another_and_one_at_work_is_not(context):
    ask(context)
    leases = context.state.leases
    held = leases.acquire("asked-export:exp_1", "another process", timedelta(minutes=1))
    assert asked_exports.work(context) == 0
    leases.release(held)
    assert asked_exports.work(context) == 1


def test_personal_is_what_stands_in_it_or_decides_what_does():
    def of(**keys: Any) -> tuple[str, ...]:
        document = {"id": "exp_1", "name": "x", "model": "customers", "layout": "voucherify.customer"}
        document |= {"targets": [{"kind": "folder", "options": {"folder": "x"}}], "fields": ["id"]}
        return asked_exports.personal(asked_exports.sound(document | keys))

    assert of() == ()
    assert of(fields=["id", "email"]) == ("fields",)
    assert of(filters={"field": "email", "has_value": True}, order="name") == ("filters", "order")


def test_threads_make_what_waits_and_end(context):
    for number in range(3):
        ask(context, f"exp_{number}")
    makers = asked_exports.Makers(context)
    for _ in range(5):
        makers.wake()
    for thread in [each for each in threading.enumerate() if each.name == "asked-exports"]:
        thread.join(120)
    assert {now_as_it_is(context, f"exp_{number}").status for number in range(3)} == {AskedStatus.DONE}
    assert {run.status for run in context.state.runs.list()} == {RunStatus.DONE}
    assert len(context.state.runs.list()) == 3
    makers.stop()
    ask(context, "exp_9")
    makers.wake()
    assert now_as_it_is(context, "exp_9").status is AskedStatus.SCHEDULED
