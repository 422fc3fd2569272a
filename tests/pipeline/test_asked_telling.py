"""What becomes of exports that programs asked for when nobody asks: they are made, told of, and forgotten in time."""

from __future__ import annotations

import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest
import sqlalchemy as sa

from include.connections import Connection, missing
from include.errors import LedgerViolation
from include.pipeline import Context
from include.pipeline.answers import asked_exports
from include.pipeline.upkeep import upkeep
from include.pipeline.watch import watch
from include.state.asked_exports import AskedStatus
from include.state.tables import ASKED_EXPORTS, MICROSECOND
from tests.pipeline.test_asked_exports import ask, failing, now_as_it_is
from tests.servers.receiver import receiver

pytestmark = pytest.mark.usefixtures("inline")
HOUR = timedelta(hours=1)


def heard(context: Context, connection: Connection, when: str = "finished,failed") -> Context:
    """The installation with a webhook that hears of these events."""
    told = {"LOYALTY_NOTIFY_WEBHOOK": "chat", "LOYALTY_NOTIFY_WHEN": when}

    def connections(name: str) -> Connection:
        return connection if name == "chat" else missing(name)

    return Context(replace(context.settings, notify=told), connections)


def passed(context: Context, how_long: timedelta) -> None:
    """Let so long have gone by since anything happened to exports."""
    ago = sa.text("UPDATE loyalty_asked_exports SET updated_at = updated_at - :long")
    with context.state.database.write() as connection:
        connection.execute(ago, {"long": how_long // MICROSECOND})


def left_by_the_dead(context: Context) -> str:
    """An export that nobody works at."""
    made = ask(context).export_id
    passed(context, HOUR)
    return made


@pytest.mark.servers
def test_a_webhook_hears_once_what_is_there_and_what_could_not_be_made(context, monkeypatch):
    with receiver() as hook:
        installed = heard(context, hook.connection())
        ask(installed)
        asked_exports.work(installed)
        failing(monkeypatch, LedgerViolation("a transaction_id is there twice"))
        ask(installed, "exp_2")
        asked_exports.work(installed)
        asked_exports.work(installed)
        requests = list(hook.requests)
    assert all(each.headers["webhook-signature"].startswith("v1,") for each in requests)
    done, failed = (json.loads(each.body) for each in requests)
    assert [each.id for each in requests] == [done["id"], failed["id"]]
    assert (done["type"], failed["type"]) == ("loyalty.export.finished", "loyalty.export.failed")
    run = installed.state.runs.get(now_as_it_is(installed).run_key)
    [entry] = [each for each in run.files if "rows" in each]
    assert done["data"].items() >= {
        "export": "exp_1", "object": "order", "status": "DONE", "requested_by": "key crm (1)",
        "run": run.run_key, "rows": entry["rows"], "sha256": entry["sha256"], "failure": None,
    }.items()  # fmt: skip
    assert failed["data"].items() >= {
        "export": "exp_2", "status": "ERROR", "failure": "a transaction_id is there twice", "rows": None,
    }.items()  # fmt: skip


def test_a_webhook_that_wants_other_events_hears_nothing(context):
    installed = heard(context, missing, when="failed")  # type: ignore[arg-type]
    ask(installed)
    asked_exports.work(installed)
    assert installed.state.notices.list() == []


def test_what_was_asked_for_about_a_person_is_not_in_a_notice(context, monkeypatch):
    installed = heard(context, missing)  # type: ignore[arg-type]
    failing(monkeypatch, LedgerViolation("'ada@example.com' is nobody"))
    ask(installed, layout="voucherify.customer", model="customers", fields=["email"])
    asked_exports.work(installed)
    assert "ada@" in now_as_it_is(installed).message
    [told] = installed.state.notices.list()
    assert "ada@" not in json.dumps(told.notice)
    assert told.event == "failed"


def test_a_webhook_that_is_away_changes_nothing_and_hears_later(context):
    installed = Context(heard(context, missing).settings)  # type: ignore[arg-type]
    ask(installed)
    asked_exports.work(installed)
    assert now_as_it_is(installed).status is AskedStatus.DONE
    [told] = installed.state.notices.list()
    assert told.state == "waiting"


def test_a_crash_before_it_is_written_down_loses_no_notice(context, monkeypatch):
    """It is made again: the same run, the same notice."""
    installed = heard(context, missing)  # type: ignore[arg-type]
    ask(installed)
    asked = type(installed.state.asked_exports)

    def dies(*_: Any, **__: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(asked, "finish", dies)
        with pytest.raises(KeyboardInterrupt):
            asked_exports.work(installed)
    assert now_as_it_is(installed).is_open
    asked_exports.work(installed)
    assert now_as_it_is(installed).status is AskedStatus.DONE
    assert [each.event for each in installed.state.notices.list()] == ["finished"]
    assert len(installed.state.runs.list()) == 1


def test_the_watch_and_upkeep_make_what_a_dead_process_left(context):
    for keep in (watch, upkeep):
        made = left_by_the_dead(context)
        assert keep(context)["made_exports"] == 1
        assert now_as_it_is(context, made).status is AskedStatus.DONE
        assert keep(context)["made_exports"] == 0
        context.state.asked_exports.delete(made)
        passed(context, asked_exports.KEPT + HOUR)
        upkeep(context)  # its id is free again


def test_what_somebody_may_be_about_to_make_is_left_to_them(context):
    ask(context)
    assert asked_exports.resume(context) == 0
    assert now_as_it_is(context).status is AskedStatus.SCHEDULED


def test_what_is_over_for_long_is_forgotten_with_its_file(context):
    for name in ("exp_done", "exp_open", "exp_new"):
        ask(context, name)
    ask(context, "exp_deleted")
    asked_exports.delete(context, "exp_deleted", owner="crm", by="crm")
    context.state.asked_exports.put_off("exp_open", HOUR // MICROSECOND, failed=False)
    assert asked_exports.work(context) == 2
    key = now_as_it_is(context, "exp_done").run_key
    [file] = [each["key"] for each in context.state.runs.get(key).files if "rows" in each]
    passed(context, asked_exports.KEPT - HOUR)
    assert asked_exports.retire(context) == []
    passed(context, 2 * HOUR)
    with context.state.database.write() as connection:
        new = sa.update(ASKED_EXPORTS).where(ASKED_EXPORTS.c.export_id == "exp_new")
        connection.execute(new.values(updated_at=datetime.now(UTC)))
    assert sorted(asked_exports.retire(context)) == ["exp_deleted", "exp_done"]
    assert context.state.asked_exports.get("exp_done") is None
    assert not context.store.exists(file)
    assert context.state.runs.get(key).files_gone_why == "retention"
    assert now_as_it_is(context, "exp_open").is_open
    assert now_as_it_is(context, "exp_new").status is AskedStatus.DONE
    assert asked_exports.retire(context) == []
