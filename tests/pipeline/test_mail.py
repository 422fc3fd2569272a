"""Rules: a run's files reach people by mail once; what is personal and can be read goes as a link; a lost answer waits
for a person, whose word decides."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from include import pipeline
from include.connections import Connection
from include.definitions.model import ExportDefinition
from include.errors import Uncertain
from include.pipeline import Context
from include.pipeline.checks import check, personal_parts
from include.pipeline.resolving import find, resolve, retry
from include.state.deliveries import DeliveryState
from tests.servers.smtp import NAME, PASSWORD, MailServer, mail_server

AT = datetime(2026, 3, 2, 5, tzinfo=UTC)
ANN, BOB = "ann@shop.example", "bob@partner.example"
PUBLIC = "https://loyalty.shop.example"
pytestmark = [pytest.mark.servers, pytest.mark.slow]


@pytest.fixture
def server(tmp_path: Path) -> Iterator[MailServer]:
    with mail_server(tmp_path) as running:
        yield running


@pytest.fixture
def mailing(context: Context, server: MailServer) -> Context:
    """The context with the mail server's connection, and an address for links."""

    def known(name: str) -> Connection:
        assert name == NAME
        return server.connection()

    return replace(context, connections=known, settings=replace(context.settings, public_url=PUBLIC))


def by_mail(**options: Any) -> list[dict[str, Any]]:
    return [{"kind": "email", "options": {"connection": NAME, "to": [ANN], "cc": [BOB], **options}}]


def rendered(context: Context, definition: ExportDefinition) -> str:
    key = pipeline.pin(context, definition, occurrence=AT).run_key
    pipeline.snapshot(context, key)
    pipeline.render(context, key)
    return key


def test_a_run_reaches_everyone_once(
    mailing: Context, server: MailServer, define: Callable[..., ExportDefinition], inline: None
) -> None:
    key = rendered(mailing, define(targets=by_mail()))
    receipt = pipeline.deliver(mailing, key, 0)
    assert pipeline.deliver(mailing, key, 0) == receipt
    assert [mail.recipient for mail in server.mails] == [ANN, BOB]
    data, manifest = mailing.state.runs.get(key).files
    attached = server.mails[0].attached
    assert attached[data["name"]] == mailing.store.read(data["key"])
    assert json.loads(attached[manifest["name"]])["files"][0]["rows"] == data["rows"]
    assert f"{data['rows']:,} rows" in server.mails[0].body("plain")
    for column, total in data["totals"].items():
        assert f"{column}: {float(total):,.2f}" in server.mails[0].body("plain")
    assert [each["answer"] for each in receipt["recipients"]] == ["accepted", "accepted"]
    record = mailing.state.deliveries.list(run_key=key)[0]
    assert record.state is DeliveryState.CONFIRMED
    assert PASSWORD not in record.model_dump_json()


PERSONAL: dict[str, Any] = {"fields": ["customer_id", "email", "points_balance"], "owner": "Finance"}


def test_personal_data_in_clear_goes_as_a_link_even_with_its_owners_word(
    mailing: Context, server: MailServer, define: Callable[..., ExportDefinition], inline: None
) -> None:
    definition = define(targets=by_mail(), privacy={"allow_plain_pii": "Finance"}, **PERSONAL)
    assert personal_parts(definition) == {"balances"}
    receipt = pipeline.deliver(mailing, rendered(mailing, definition), 0)
    bodies = [mail.body("plain") for mail in server.mails]
    assert all(f"{PUBLIC}/loyalty/d/" in each for each in bodies)
    assert bodies[0] != bodies[1]
    assert [list(mail.attached) for mail in server.mails] == [[receipt["files"][1]["name"]]] * 2
    assert all(b"@" not in content for mail in server.mails for content in mail.attached.values())
    assert "/d/" not in json.dumps(receipt)


def test_without_the_owners_word_it_is_refused_before_anything_runs(
    define: Callable[..., ExportDefinition],
) -> None:
    problems = check(define(targets=by_mail(), **PERSONAL), "test.yaml")
    assert [problem.code for problem in problems] == ["plain_pii_outside"]


@pytest.mark.parametrize(
    ("keys", "personal"),
    [
        ({}, set()),  # without fields, personal ones are left out
        (PERSONAL, {"balances"}),
        (PERSONAL | {"privacy": {"fields": {"email": "mask"}}}, set()),
        (
            PERSONAL | {"privacy": {"fields": {"email": "mask"}}, "fields": ["customer_name", "email"]},
            {"balances"},
        ),
        (PERSONAL | {"file": {"encryption": {"kind": "age", "options": {"recipients": []}}}}, set()),
        ({"model": "customers", "layout": "joy.customers"}, {"balances"}),
    ],
)
def test_which_files_hold_personal_data_that_can_be_read(
    define: Callable[..., ExportDefinition], keys: dict[str, Any], personal: set[str]
) -> None:
    assert personal_parts(define(**keys)) == personal


def test_a_lost_answer_waits_and_a_persons_word_decides(
    mailing: Context, server: MailServer, define: Callable[..., ExportDefinition], inline: None
) -> None:
    key = rendered(mailing, define(targets=by_mail()))
    server.losing.add(BOB)
    for _ in range(2):
        with pytest.raises(Uncertain, match=BOB):
            pipeline.deliver(mailing, key, 0)
    server.losing.clear()
    [record] = mailing.state.deliveries.list(run_key=key)
    assert record.state is DeliveryState.UNCERTAIN
    resolve(mailing, find(mailing, record.key), arrived=False, note="Bob has no mail")
    retry(mailing, find(mailing, record.key))
    assert [mail.recipient for mail in server.mails] == [ANN, BOB, BOB]
    assert len({mail.message["message-id"] for mail in server.mails}) == 1
    assert find(mailing, record.key).state is DeliveryState.CONFIRMED
