"""Who is told of an import, by mail and webhook, in words that name no member."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from include.imports.effects import LiabilityEffect, Receipt, Rehearsal, TierEffect
from include.imports.options import Mode, Options
from include.notices import hook, words
from include.notices.notice import Notice
from include.pipeline import Context
from include.pipeline.imports.telling import figures, notice, question, tell, what
from include.settings import Settings
from include.state.imports import ImportRecord, ImportState
from tests.servers.smtp import mail_server

NOW = datetime(2026, 3, 1, tzinfo=UTC)
REHEARSAL = Rehearsal(
    at=NOW,
    rows=1200,
    done=1199,
    skipped=1,
    wrong=0,
    members=1100,
    accounts=1150,
    points_in=Decimal("1234.50"),
    points_out=Decimal(-20),
    balance_before=Decimal(1000),
    balance_after=Decimal("2214.5"),
    debts=2,
    tiers=(TierEffect(program_id="gold", tier="A|B", members=3, points=Decimal(7)),),
    liability=(
        LiabilityEffect(
            program_id="gold",
            currency="EUR",
            outstanding_before=Decimal(1000),
            outstanding_after=Decimal("2214.5"),
            money=Decimal("12.145"),
        ),
    ),
)


def record(state: ImportState, **more) -> ImportRecord:
    values = {
        "import_id": "imp-0123456789abcdef",
        "state": state,
        "options": Options(mode=Mode.ADD, program="gold", subledger="winter", card=True),
        "file_name": "points_*.csv",
        "sha256": "0" * 64,
        "bytes": 10,
        "requested_by": "olga",
        "requested_at": NOW,
        "rehearsal": REHEARSAL,
        "updated_at": NOW,
    }
    return ImportRecord.model_validate(values | more)


def context(tmp_path, **environment: str) -> Context:
    return Context.from_settings(Settings.from_environment({"LOYALTY_HOME": str(tmp_path), **environment}))


@pytest.fixture
def mail(tmp_path, monkeypatch):
    folder = tmp_path / "mail"
    folder.mkdir()
    with mail_server(folder) as server:
        monkeypatch.setenv("AIRFLOW_CONN_LOYALTY_MAIL", server.variable())
        yield server


def test_what_it_does_is_said():
    assert what(Options(mode=Mode.ADD, program="gold")) == "Adds points in the program gold"
    assert (
        what(record(ImportState.POSTED).options)
        == "Adds points in the program gold, subledger winter, to cards"
    )
    assert what(Options(mode=Mode.BIRTHDAY)) == "Sets birthdays"


def test_the_totals_are_said():
    """Balances 1000 + 1234.50 - 20 = 2214.5."""
    assert figures(REHEARSAL) == [
        ("Rows", "1,200"),
        ("Done", "1,199"),
        ("Skipped", "1"),
        ("Wrong", "0"),
        ("Members", "1,100"),
        ("Accounts", "1,150"),
        ("Points in", "1,234.5"),
        ("Points out", "-20"),
        ("Balances", "1,000 → 2,214.5"),
        ("Pending points", "0 → 0"),
        ("Accounts that end below zero", "2"),
        ("Liability of gold, EUR", "1,000 → 2,214.5 points, +12.14 EUR at cost"),
        ("Tier A|B of gold", "3 members, 7 points"),
        ("Tiers that change", "0"),
    ]


def test_birthdays_have_no_points_to_sum_up():
    none = {"accounts": 0, "debts": 0, "tiers": (), "liability": ()}
    names = [name for name, _ in figures(REHEARSAL.model_copy(update=none))]
    assert names == ["Rows", "Done", "Skipped", "Wrong", "Members"]


def test_a_question_is_markdown_that_shows_names_as_they_are():
    asked = question(record(ImportState.WAITING), "https://loyalty.example/x", ("paul",))
    assert "from the file points\\_\\*.csv, asked for" in asked
    assert "| Tier A\\|B of gold | 3 members, 7 points |" in asked
    assert "paul may answer here." in asked
    assert "[the page of the import](https://loyalty.example/x)" in asked


EVENTS = {
    ImportState.POSTED: ("finished", "posted"),
    ImportState.WRONG: ("failed", "wrong rows, nothing posted"),
    ImportState.REFUSED: ("skipped", "refused, nothing posted"),
    ImportState.WAITING: ("uncertain", "waits for a second person"),
}


@pytest.mark.servers
@pytest.mark.parametrize("state", EVENTS)
def test_who_asked_is_told_once(tmp_path, mail, state):
    ours = context(
        tmp_path, LOYALTY_USER_MAIL_DOMAIN="shop.example", LOYALTY_PUBLIC_URL="https://air.example"
    )
    for _ in range(2):
        tell(ours, record(state))
    (got,) = mail.of("olga@shop.example")
    assert got.message["Subject"] == f"Import points_*.csv: {EVENTS[state][1]}"
    said = got.body("plain").replace("\r\n", "\n")
    assert "- Points in; 1,234.5\n" in said
    assert "The import:\nhttps://air.example/loyalty/imports/imp-0123456789abcdef" in said
    assert [each.event for each in ours.state.notices.list()] == [EVENTS[state][0]]


@pytest.mark.servers
def test_of_what_a_key_asked_for_its_maker_is_told(tmp_path, mail):
    ours = context(tmp_path, LOYALTY_USER_MAIL_DOMAIN="shop.example")
    key = ours.state.keys.make("robot", ["imports:write"], by="ann")
    tell(ours, record(ImportState.POSTED, requested_by=key.record.actor))
    assert [each.recipient for each in mail.mails] == ["ann@shop.example"]


@pytest.mark.servers
def test_of_what_waits_those_who_may_answer_are_told_too(tmp_path, mail):
    ours = context(
        tmp_path,
        LOYALTY_USER_MAIL_DOMAIN="shop.example",
        LOYALTY_IMPORT_APPROVERS="paul, pia",
        LOYALTY_NOTIFY_EMAIL="ops@shop.example",
    )
    tell(ours, record(ImportState.WAITING))
    assert {each.recipient for each in mail.mails} == {
        f"{name}@shop.example" for name in ("olga", "paul", "pia", "ops")
    }
    mail.mails.clear()
    tell(ours, record(ImportState.POSTED))
    assert {each.recipient for each in mail.mails} == {"olga@shop.example"}


@pytest.mark.servers
def test_each_failed_attempt_is_told_with_its_reason(tmp_path, mail):
    ours = context(tmp_path, LOYALTY_USER_MAIL_DOMAIN="shop.example")
    for attempt in ("one", "one", "two"):
        tell(ours, record(ImportState.REHEARSED), failure="the ledger is away", attempt=attempt)
    assert len(mail.mails) == 2
    assert "the ledger is away" in mail.mails[0].body("plain")


def test_what_is_only_rehearsed_is_told_to_nobody(tmp_path):
    assert tell(context(tmp_path), record(ImportState.REHEARSED)) == []


def test_without_mail_nobody_is_told_and_nothing_fails(tmp_path):
    assert tell(context(tmp_path, LOYALTY_USER_MAIL_DOMAIN="shop.example"), record(ImportState.POSTED)) == []


def test_a_webhook_gets_an_event_of_imports(tmp_path):
    ours = context(tmp_path, LOYALTY_NOTIFY_WEBHOOK="their_hook", LOYALTY_NOTIFY_WHEN="finished")
    receipt = Receipt(
        at=NOW,
        rows=1199,
        points_in=Decimal("1234.50"),
        points_out=Decimal(-20),
        first_transaction="a",
        last_transaction="b",
        result_sha256="0" * 64,
        undo_sha256="0" * 64,
    )
    posted = record(ImportState.POSTED, posted_by="olga", posted_at=NOW, receipt=receipt)
    tell(ours, posted)
    (stored,) = ours.state.notices.list()
    told = hook.document(stored, Notice.model_validate(stored.notice))
    assert told["type"] == "loyalty.import.finished"
    assert told["data"]["points_in"] == "1234.50"
    assert told["data"]["import"] == posted.import_id


def test_words_of_a_mail_lead_to_the_import(tmp_path):
    ours = context(tmp_path, LOYALTY_PUBLIC_URL="https://air.example")
    said = words.html(notice(ours, record(ImportState.POSTED), "finished"))
    assert ">The import</a>" in said
    assert "The run in Airflow" not in said
