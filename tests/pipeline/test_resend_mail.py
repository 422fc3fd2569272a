"""A mail that is sent again, and one that is a test, say so; who is in doubt is asked about, and sent to by hand."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from include import pipeline
from include.connections import Connection
from include.definitions.model import ExportDefinition
from include.errors import NeedsPerson
from include.pipeline import Context, resend, resolving, trial
from include.state.deliveries import DeliveryState
from include.state.runs import RunStatus
from tests.pipeline.test_steps import AT, whole
from tests.servers.smtp import NAME, MailServer, mail_server

pytestmark = [pytest.mark.slow, pytest.mark.servers]
ANN, BOB, ME = "ann@shop.example", "bob@shop.example", "me@shop.example"


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MailServer]:
    (tmp_path / "mail").mkdir()
    with mail_server(tmp_path / "mail") as running:
        yield running


@pytest.fixture
def mailing(context: Context, server: MailServer) -> Context:
    def connections(name: str) -> Connection:
        assert name == NAME
        return server.connection()

    return Context(context.settings, connections)


@pytest.fixture
def definition(define: Callable[..., ExportDefinition]) -> ExportDefinition:
    options = {"connection": NAME, "to": [ANN], "cc": [BOB], "subject": "Points", "attach": "always"}
    return define(targets=[{"kind": "email", "name": "mail", "options": options}])


def subjects(server: MailServer) -> list[tuple[str, str]]:
    return [(mail.recipient, str(mail.message["Subject"])) for mail in server.mails]


def test_again_is_a_message_of_its_own_with_the_same_files(
    mailing: Context, definition: ExportDefinition, server: MailServer, inline: None
) -> None:
    key, _ = whole(mailing, definition, occurrence=AT)
    run = mailing.state.runs.get(key)
    first = list(server.mails)
    resend.resend(mailing, run, resend.plan(mailing, run))
    assert server.mails == first  # everyone has it
    resend.resend(mailing, run, resend.plan(mailing, run, again=True))
    assert subjects(server) == [
        (ANN, "Points"), (BOB, "Points"), (ANN, "Points (sent again)"), (BOB, "Points (sent again)"),
    ]  # fmt: skip
    once, again = server.of(ANN)
    assert once.attached == again.attached != {}
    assert once.message["Message-ID"] != again.message["Message-ID"]


def test_a_test_goes_to_oneself_alone_and_says_so(
    mailing: Context, definition: ExportDefinition, server: MailServer, inline: None
) -> None:
    key = pipeline.pin(mailing, definition, occurrence=AT, dry_run=True).run_key
    pipeline.snapshot(mailing, key)
    pipeline.render(mailing, key)
    receipt = trial.send_test(mailing, mailing.state.runs.get(key), ME)
    assert subjects(server) == [(ME, "Test: Points")]
    [mail] = server.mails
    assert (mail.message["To"], mail.message["Cc"]) == (ME, None)
    assert {"balances_2026-03-02T0600.csv.gz"} < set(mail.attached)
    assert [each["answer"] for each in receipt["recipients"]] == ["accepted"]
    assert mailing.state.deliveries.list() == []


def test_a_doubt_is_resolved_by_a_word_and_only_who_was_in_doubt_is_sent_to(
    mailing: Context, definition: ExportDefinition, server: MailServer, inline: None
) -> None:
    """The reply for Bob's copy was lost: nobody knows whether he has it. He says that he has not."""
    key = pipeline.pin(mailing, definition, occurrence=AT).run_key
    pipeline.snapshot(mailing, key)
    pipeline.render(mailing, key)
    server.losing.add(BOB)
    for _ in range(2):  # it stays so until a person has asked
        with pytest.raises(NeedsPerson, match=BOB):
            pipeline.deliver(mailing, key, 0)
    with pytest.raises(NeedsPerson):
        pipeline.settle(mailing, key)
    assert (len(server.of(ANN)), len(server.of(BOB))) == (1, 1)
    (waiting,) = mailing.state.deliveries.list(states=[DeliveryState.UNCERTAIN])
    step = resolving.next_step(waiting) or ""
    assert "Ask the receiver" in step
    assert f"loyalty deliveries resolve {waiting.key[:12]} --not-arrived" in step
    server.losing.clear()
    opened = resolving.resolve(mailing, waiting, arrived=False, note="Bob: nothing in my mailbox")
    receipt = resolving.retry(mailing, opened)
    assert {each["address"]: each["answer"] for each in receipt["recipients"]} == {
        ANN: "accepted",
        BOB: "accepted",
    }
    assert (len(server.of(ANN)), len(server.of(BOB))) == (1, 2)
    assert mailing.state.runs.get(key).status is RunStatus.DONE
