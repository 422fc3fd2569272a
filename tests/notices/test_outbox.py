"""Rule: a notice is sent once; one that fails is tried again and costs the run nothing; doubt is said, never hidden."""

from __future__ import annotations

import signal
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa

from include import state
from include.errors import BadInput
from include.notices.notice import Notice
from include.pipeline import notify
from include.settings import ROOT
from include.state.leases import StaleFence
from include.state.notices import Address
from include.state.tables import NOTICES, microseconds
from tests.notices.conftest import Desk, definition
from tests.servers.receiver import Answer, Receiver
from tests.servers.smtp import LOGIN, PASSWORD, MailServer

pytestmark = pytest.mark.servers
OPS, ANN = "ops@shop.example", "ann@shop.example"


def put(desk: Desk, event: str = "failed", recipient: str = OPS, channel: str = "email", **way: Any) -> str:
    """A notice in the outbox."""
    way = way or {"connection": {"email": "loyalty_mail", "webhook": "acme_hook"}.get(channel)}
    notice = Notice(event=event, title=f"Weekly history: {event}", said=("Something happened.",))
    (key,) = notify.put(desk.context, notice, "subject", [Address(channel, recipient, way)], "weekly-history")
    return key


def later(desk: Desk, **values: Any) -> None:
    """Let time pass: every notice is due now."""
    with desk.context.state.database.write() as connection:
        connection.execute(sa.update(NOTICES).values(next_at=sa.literal(0, sa.BigInteger), **values))


def states(desk: Desk) -> list[str]:
    return [row[3] for row in desk.told()]


def test_settling_twice_sends_once(desk: Desk, mail: MailServer) -> None:
    run = desk.run(definition(notify={"rules": [{"kind": "email", "to": [OPS], "when": ["finished"]}]}))
    for label in ("desk", "books"):
        desk.delivered(run, label)
    for _ in range(2):
        desk.settle(run, requested_by=ANN)
    desk.settle(run, requested_by=ANN, name="")  # a person settled a delivery: nobody asked anew
    assert sorted(each.recipient for each in mail.mails) == [ANN, OPS]
    desk.settle(run, requested_by=ANN, name="manual__another")  # who asks again is told again
    assert sorted(each.recipient for each in mail.mails) == [ANN, ANN, OPS]


@pytest.mark.parametrize("answer", ["451 busy", "421 going down"])
def test_a_server_that_is_busy_gets_it_later(desk: Desk, mail: MailServer, answer: str) -> None:
    mail.say("RCPT", answer)
    key = put(desk)
    (told,) = notify.send(desk.context)
    assert (told["state"], answer in told["message"]) == ("waiting", True)
    assert notify.send(desk.context) == []  # not before its pause is over
    mail.answers.clear()
    later(desk)
    assert [each["state"] for each in notify.send(desk.context)] == ["sent"]
    assert len(mail.of(OPS)) == 1
    stored = desk.context.state.notices.get(key)
    assert stored is not None
    assert stored.attempts == 2


def test_a_recipient_that_is_refused_has_failed_and_the_others_have_theirs(
    desk: Desk, mail: MailServer
) -> None:
    mail.say("RCPT", "550 nobody of that name", to=OPS)
    put(desk), put(desk, recipient=ANN)
    notify.send(desk.context)
    assert desk.told() == [("failed", "email", ANN, "sent"), ("failed", "email", OPS, "failed")]


def test_a_run_ends_as_it_went_whatever_becomes_of_its_notices(
    desk: Desk, caplog: pytest.LogCaptureFixture
) -> None:
    desk.connections = {}
    desk.notify = {"LOYALTY_NOTIFY_EMAIL": OPS, "LOYALTY_NOTIFY_WHEN": "finished"}
    run = desk.run(definition())
    for label in ("desk", "books"):
        desk.delivered(run, label)
    summary = desk.settle(run)
    assert summary["status"] == "done"
    (told,) = summary["notices"]
    assert told["state"] == "waiting"
    assert "there is no such connection" in told["message"]
    assert "there is no such connection" in caplog.text
    desk.notify = {"LOYALTY_NOTIFY_EMAIL": "not an address"}
    assert desk.settle(run)["status"] == "done"


def test_what_cannot_be_sent_for_three_days_has_failed_and_a_person_can_send_it(
    desk: Desk, mail: MailServer
) -> None:
    mail.say("AUTH", "535 no")
    key = put(desk)
    notify.send(desk.context)
    for hours, expected in ((71, "waiting"), (73, "failed")):
        created = microseconds(datetime.now(UTC) - timedelta(hours=hours))
        later(desk, created_at=sa.literal(created, sa.BigInteger))
        notify.send(desk.context)
        assert states(desk) == [expected]
    mail.answers.clear()
    desk.context.state.notices.retry(key)
    notify.send(desk.context)
    assert (states(desk), len(mail.mails)) == (["sent"], 1)
    with pytest.raises(BadInput, match="failed, is unknown or waits"):
        desk.context.state.notices.retry(key)


@pytest.mark.parametrize(("event", "mails", "end"), [("failed", 2, "sent"), ("finished", 1, "unknown")])
def test_a_lost_answer(desk: Desk, mail: MailServer, event: str, mails: int, end: str) -> None:
    """An alarm is repeated and says so, under the same Message-ID; good news is not repeated."""
    mail.losing.add(OPS)
    put(desk, event)
    notify.send(desk.context)
    mail.losing.clear()
    later(desk)
    notify.send(desk.context)
    assert (len(mail.mails), states(desk)) == (mails, [end])
    if mails == 2:
        first, second = (each.message for each in mail.mails)
        assert first["Message-ID"] == second["Message-ID"]
        bodies = [each.body("plain") for each in mail.mails]
        assert ["You may have got this message before" in body for body in bodies] == [False, True]


@pytest.mark.slow
@pytest.mark.parametrize(
    ("point", "event", "mails", "end"),
    [
        ("-claim", "finished", 1, "sent"),
        ("+claim", "finished", 1, "sent"),
        ("-sending", "finished", 1, "sent"),
        ("+sending", "finished", 0, "unknown"),
        ("-sent", "finished", 1, "unknown"),
        ("-sent", "failed", 2, "sent"),
        ("+sending", "failed", 1, "sent"),
        ("+sent", "finished", 1, "sent"),
    ],
)
def test_a_kill_on_the_way(
    desk: Desk, mail: MailServer, mail_folder: Path, point: str, event: str, mails: int, end: str
) -> None:
    """Killed there, then sent by the next upkeep: never two without a word, and none lost that can be known."""
    put(desk, event)
    command = [sys.executable, "-m", "tests.notices.killed_sending", str(desk.home), str(mail.port)]
    done = subprocess.run(
        [*command, str(mail_folder / "authority.pem"), point, LOGIN, PASSWORD], cwd=ROOT, check=False
    )
    assert done.returncode == -signal.SIGKILL
    notify.send(desk.context)  # at once: the claim of the dead one still holds
    assert len(mail.mails) <= 1
    later(desk)
    notify.send(desk.context)
    assert (len(mail.mails), states(desk)) == (mails, [end])


def test_a_webhook_gets_it_again_under_the_same_id(desk: Desk, hook: Receiver) -> None:
    desk.connections["acme_hook"] = hook.connection()
    hook.script = [Answer(how="cut"), Answer(503), Answer(200)]
    put(desk, "finished", "acme_hook", "webhook")
    for _ in range(4):
        notify.send(desk.context)
        later(desk)
    assert states(desk) == ["sent"]
    assert len({request.id for request in hook.requests}) == 1
    assert len(hook.requests) == 3


def test_secrets_of_a_connection_stand_nowhere(desk: Desk, hook: Receiver) -> None:
    desk.connections["acme_hook"] = hook.connection(token="canary-token-of-the-hook")
    hook.script = [Answer(500, body=b"you sent canary-token-of-the-hook")]
    key = put(desk, "finished", "acme_hook", "webhook")
    notify.send(desk.context)
    stored = desk.context.state.notices.get(key)
    assert stored is not None
    assert "canary" not in stored.model_dump_json()
    assert "***" in str(stored.message)


def test_what_airflow_should_send_waits_for_it(desk: Desk) -> None:
    put(desk, "failed", "ops_chat", "airflow", arguments={})
    assert notify.send(desk.context) == []
    calls: list[Any] = []

    def notifier(name: str, arguments: Any, told: Any, sending: Any) -> None:
        sending()
        calls.append((name, arguments, told["subject"]))

    desk.notifier = notifier
    notify.send(desk.context)
    assert calls == [("ops_chat", {}, "Weekly history: failed")]
    assert states(desk) == ["sent"]


def test_a_notifier_that_raises_is_in_doubt(desk: Desk) -> None:
    def notifier(*_: Any) -> None:
        _[3]()
        raise RuntimeError("the channel is archived")

    desk.notifier = notifier
    put(desk, "finished", "ops_chat", "airflow", arguments={})
    notify.send(desk.context)
    (told,) = desk.context.state.notices.list()
    assert (told.state.value, told.message) == ("unknown", "RuntimeError: the channel is archived")


def test_an_overtaken_attempt_writes_nothing(state_url: str) -> None:
    outbox = state.open(state_url).notices
    key = outbox.add("failed", "s", Address("email", OPS, {"connection": "loyalty_mail"}), {})
    first = outbox.claim(key, timedelta(microseconds=1))
    second = outbox.claim(key, timedelta(minutes=5))
    assert first is not None
    assert second is not None
    assert outbox.claim(key, timedelta(minutes=5)) is None
    with pytest.raises(StaleFence):
        outbox.sending(first, timedelta(minutes=5))
    outbox.sending(second, timedelta(minutes=5))
    outbox.sent(second, "250 OK")
    with pytest.raises(StaleFence):
        outbox.failed(second, "too late")
    entries = [entry for entry in state.open(state_url).audit.entries() if entry.action == "notice_sent"]
    assert [entry.detail["recipient"] for entry in entries] == [OPS]


def test_a_key_is_one_event_subject_way_and_recipient() -> None:
    mail = Address("email", OPS, {"connection": "a"})
    assert mail.key("failed", "run") == Address("email", OPS, {"connection": "b"}).key("failed", "run")
    others = [
        mail.key("late", "run"),
        mail.key("failed", "other run"),
        Address("email", ANN, {}).key("failed", "run"),
        Address("airflow", OPS, {"arguments": {}}).key("failed", "run"),
        Address("airflow", OPS, {"arguments": {"channel": "#a"}}).key("failed", "run"),
    ]
    assert len({mail.key("failed", "run"), *others}) == 6


def test_no_notice_leaves_for_a_domain_that_gets_no_mail(
    desk: Desk, mail: MailServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOYALTY_MAIL_DOMAINS", "shop.example")
    outside, inside = put(desk, recipient="ops@elsewhere.example"), put(desk)
    notify.send(desk.context)
    assert [each.recipient for each in mail.mails] == [OPS]
    found = desk.context.state.notices.get(outside)
    assert found is not None
    assert (found.state, found.message) == ("failed", "mail goes to shop.example only (LOYALTY_MAIL_DOMAINS)")
    assert outside != inside
