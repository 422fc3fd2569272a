"""Rule: the command line tells as Airflow does: who asked, who watches, and what could not be sent."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.cli.test_cli import DEFINITION, Loyalty, home, ledger_file, loyalty
from tests.servers.smtp import MailServer, mail_server

__all__ = ["home", "ledger_file", "loyalty"]
pytestmark = [pytest.mark.servers, pytest.mark.slow]
ANN = "ann@shop.example"


@pytest.fixture
def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    (tmp_path / "mail").mkdir()
    with mail_server(tmp_path / "mail") as server:
        monkeypatch.setenv("AIRFLOW_CONN_LOYALTY_MAIL", server.variable())
        yield server


def test_who_asks_for_a_delivery_is_told_once(loyalty: Loyalty, mail: MailServer) -> None:
    words = [
        "export",
        "run",
        "balances",
        "--occurrence",
        "2026-06-20T04:00:00Z",
        "--deliver",
        "--requested-by",
        ANN,
    ]
    for _ in range(2):
        assert loyalty(*words).code == 0
    (letter,) = mail.mails
    assert (letter.recipient, letter.message["Subject"]) == (ANN, "Balances 2026-06-20: delivered")
    done = loyalty("notices", "list", "--json")
    (told,) = json.loads(done.out)
    assert (told["event"], told["state"], told["definition_id"]) == ("finished", "sent", "balances")
    (run,) = json.loads(loyalty("runs", "--json").out)
    assert run["requested_by"] == ANN
    assert run["summary"]["notices"][0]["recipient"] == ANN


def test_a_failure_without_airflow_is_told_too(loyalty: Loyalty, mail: MailServer, home: Path) -> None:
    (home / "delivered").write_text("a file where a folder should be")
    words = [
        "export",
        "run",
        "balances",
        "--occurrence",
        "2026-06-20T04:00:00Z",
        "--deliver",
        "--requested-by",
        ANN,
    ]
    assert loyalty(*words).code == 1
    (letter,) = mail.mails
    assert letter.message["Subject"] == "Balances 2026-06-20: failed"


def test_what_failed_is_sent_again_by_hand(loyalty: Loyalty, mail: MailServer, home: Path) -> None:
    mail.say("RCPT", "550 no such mailbox")
    words = [
        "export",
        "run",
        "balances",
        "--occurrence",
        "2026-06-20T04:00:00Z",
        "--deliver",
        "--requested-by",
        ANN,
    ]
    assert loyalty(*words).code == 0  # the run is done whatever became of the mail
    mail.answers.clear()
    (told,) = json.loads(loyalty("notices", "list", "--json", "--state", "failed").out)
    assert "sent" in loyalty("notices", "retry", told["key"][:10]).out
    assert len(mail.mails) == 1
    done = loyalty("notices", "retry", told["key"][:10])
    assert (done.code, "that failed, is unknown or waits" in done.error) == (2, True)
    assert loyalty("notices", "retry", "zz").code == 2
    assert loyalty("notices", "list", "--state", "lost").code == 2


def test_the_watch_and_the_digest(
    loyalty: Loyalty, mail: MailServer, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    rules = "notify: {late_after: 1s, rules: [{kind: email, to: [ops@shop.example]}]}\n"
    (home / "exports" / "balances.yaml").write_text(DEFINITION + rules)
    done = json.loads(loyalty("watch", "--json").out)
    assert done == {
        "late": [],
        "notices": [],
        "made_exports": 0,
    }  # what was due before it was first seen is not late
    monkeypatch.setenv("LOYALTY_DIGEST_EMAIL", "boss@shop.example")
    assert "Balances" in loyalty("digest").out
    assert "boss@shop.example" in loyalty("digest", "--send").out
    assert [each.recipient for each in mail.mails] == ["boss@shop.example"]
    assert loyalty("digest", "--since", "2999-01-01").code == 2
