"""Reports and single customers: what is answered is what an export of the same ledger holds."""

from __future__ import annotations

import csv
import io
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
import sqlalchemy as sa

from include.pipeline.answers import report as answers
from include.state.audit import Action
from include.state.keys import Scope
from tests.web.api.asking import OURS, Asking

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("inline")]

READS = (Scope.REPORTS_READ,)


def test_a_report_is_streamed_as_json_and_as_csv(asking: Asking) -> None:
    client = asking.client(*READS)
    fields = "customer_id,active,points_balance"
    as_json = client.get(f"{OURS}/reports/balance?fields={fields}")
    assert as_json.headers["content-type"] == "application/json"
    rows = as_json.json(parse_float=Decimal)
    assert len(rows) == int(as_json.headers["loyalty-rows"]) > 10
    as_csv = client.get(f"{OURS}/reports/balance?fields={fields}&format=csv")
    read = list(csv.DictReader(io.StringIO(as_csv.text)))
    assert [(each["customer_id"], Decimal(each["active"])) for each in read] == [
        (each["customer_id"], Decimal(each["active"])) for each in rows
    ]
    # The snapshot is young enough for both.
    assert as_csv.headers["loyalty-read-at"] == as_json.headers["loyalty-read-at"]
    told = asking.context.state.audit.newest(action=Action.REPORT_READ)
    assert (told[0].detail["model"], told[0].detail["rows"], told[0].detail["personal"]) == (
        "balance",
        len(rows),
        False,
    )


def test_who_has_it_gets_nothing_again(asking: Asking) -> None:
    client = asking.client(*READS)
    wish = f"{OURS}/reports/balance?fields=customer_id&as_of=2026-01-01T00:00:00Z"
    first = client.get(wish)
    again = client.get(wish, headers={"if-none-match": first.headers["etag"]})
    assert (again.status_code, again.content) == (304, b"")
    assert list((asking.context.settings.scratch).glob("answer-*")) == []


def test_personal_columns_are_empty_without_that_scope(asking: Asking) -> None:
    wish = f"{OURS}/reports/balance?fields=customer_id,email"
    assert {each["email"] for each in asking.client(*READS).get(wish).json()} == {None}
    with_it = asking.client(*READS, Scope.PERSONAL)
    assert any("@" in (each["email"] or "") for each in with_it.get(wish).json())
    looking = {"document": {"model": "balance", "filters": [{"field": "email", "contains": "customer"}]}}
    answer = asking.client(*READS).post(f"{OURS}/reports", json=looking)
    assert [each["code"] for each in answer.json()["problems"]] == ["personal_filter"]


def test_a_report_is_asked_for_as_a_definition(asking: Asking) -> None:
    document = {
        "model": "history",
        "fields": ["customer_id", "type", "points_change"],
        "filters": [{"field": "type", "is": "earned"}],
        "file": {"format": "jsonl"},
    }
    span = {"start": "2025-01-01T00:00:00Z", "end": "2026-01-01T00:00:00Z"}
    answer = asking.client(*READS).post(f"{OURS}/reports", json={"document": document, **span})
    assert answer.status_code == 200, answer.text
    assert answer.headers["loyalty-as-of"] == "2026-01-01T00:00:00.000Z"
    assert answer.text.count("\n") == int(answer.headers["loyalty-rows"]) > 0
    assert set(answer.text.split('"type":"')[1:][0].split('"')[:1]) == {"earned"}


def test_what_cannot_be_asked_says_why(asking: Asking) -> None:
    client = asking.client(*READS, Scope.PERSONAL)
    for query, code in {
        "balnce": "unknown_model",
        "balance?fields=nothing": "unknown_field",
        "balance?layout=no.such": "unknown_layout",
        "balance?timezone=EST": "unknown_time_zone",
        "balance?start=2026-01-01T00:00:00Z": "period_not_possible",
        "history?start=2999-01-01T00:00:00Z": "start_after_end",
    }.items():
        answer = client.get(f"{OURS}/reports/{query}")
        assert answer.status_code == 422, query
        assert code in {each["code"] for each in answer.json()["problems"]}, answer.text
    pack = {"document": {"exports": [{"id": "a", "model": "balance"}, {"id": "b", "model": "history"}]}}
    assert client.post(f"{OURS}/reports", json=pack).status_code == 422


def test_a_snapshot_that_is_too_old_is_not_answered_from(
    asking: Asking, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LOYALTY_ANSWER_SECONDS", "0")
    client = Asking(asking.context.from_settings(asking.context.settings.from_environment())).client(*READS)
    wish = f"{OURS}/reports/programs?fields=program_id"
    read = [client.get(wish).headers["loyalty-read-at"] for _ in range(2)]
    assert read[0] < read[1]


def test_nobody_waits_for_ever_for_a_place(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(answers, "WAIT_SECONDS", 0.05)
    taken = [answers._free.acquire(blocking=False) for _ in range(answers.AT_ONCE)]
    try:
        answer = asking.client(*READS).get(f"{OURS}/reports/balance")
    finally:
        for _ in taken:
            answers._free.release()
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "5")


def people(url: str) -> list[str]:
    engine = sa.create_engine(url)
    with engine.connect() as connection:
        return [
            row[0]
            for row in connection.execute(sa.text("SELECT customer_id FROM customers ORDER BY customer_id"))
        ]


def test_one_customers_balance_is_that_of_the_report(asking: Asking, sampled: str) -> None:
    client = asking.client(*READS, Scope.PERSONAL)
    at = "2026-03-01T00:00:00Z"
    whole: dict[str, list[Any]] = {}
    for row in client.get(f"{OURS}/reports/balance?as_of={at}").json():
        whole.setdefault(row["customer_id"], []).append(row)
    seen = 0
    for who in people(sampled):
        answer = client.get(f"{OURS}/customers/{who}/balance?as_of={at}")
        assert answer.status_code == 200, who
        found = answer.json()["accounts"]
        key = lambda row: (row["program_id"], row["subledger_id"], row["holder_id"])  # noqa: E731
        mine, theirs = sorted(found, key=key), sorted(whole.get(who, []), key=key)
        # A report names people only where somebody asks for these columns.
        named = {"customer_name", "email"}
        assert [{name: row[name] for name in row.keys() - named} for row in mine] == theirs
        assert answer.headers["loyalty-as-of"] == "2026-03-01T00:00:00.000Z"
        seen += len(found)
    assert seen == sum(map(len, (rows for owner, rows in whole.items() if owner)))


def test_a_balance_in_time_to_come_is_a_projection(asking: Asking, sampled: str) -> None:
    client = asking.client(*READS)
    later = (datetime.now(UTC) + timedelta(days=3650)).isoformat().replace("+00:00", "Z")
    rows = [
        row
        for who in people(sampled)
        for row in client.get(f"{OURS}/customers/{who}/balance", params={"as_of": later}).json()["accounts"]
    ]
    assert {row["pending"] for row in rows} == {0}
    assert rows[0].keys().isdisjoint({"customer_name", "email"})


def test_transactions_of_one_customer_come_the_newest_first_in_pages(asking: Asking, sampled: str) -> None:
    client = asking.client(*READS)
    whole = client.get(f"{OURS}/reports/history?end=2026-06-01T00:00:00Z").json()
    who = max(people(sampled), key=lambda each: sum(row["customer_id"] == each for row in whole))
    mine = [row["transaction_id"] for row in whole if row["customer_id"] == who]
    found, place = [], f"{OURS}/customers/{who}/transactions?end=2026-06-01T00:00:00Z&per_page=7"
    while place:
        page = client.get(place).json()
        found, place = found + page["items"], page["next"]
    assert sorted(each["transaction_id"] for each in found) == sorted(mine)
    moments = [each["created_at"] for each in found]
    assert moments == sorted(moments, reverse=True)


def test_nobody_is_nobody_also_when_their_id_is_odd(asking: Asking) -> None:
    client = asking.client(*READS)
    for who in ("nobody", "'; DROP TABLE customers", "a" * 500, "ö", "%2F", "%00"):
        assert client.get(f"{OURS}/customers/{who}/balance").status_code == 404, who
    assert client.get(f"{OURS}/customers/{'a' * 501}/balance").status_code == 422
    assert client.get(f"{OURS}/cards/nothing/balance").status_code == 404
    for who in ("shop%2F42", "shop/42"):  # an id may hold a slash
        answer = client.get(f"{OURS}/customers/{who}/transactions")
        assert (answer.status_code, answer.json()["detail"]) == (404, "The ledger knows nobody of this id.")
    late = client.get(f"{OURS}/customers/a/transactions?start=2026-02-01T00:00:00Z&end=2026-01-01T00:00:00Z")
    assert [each["where"] for each in late.json()["problems"]] == ["start"]


def test_who_saw_personal_data_of_whom_is_told(asking: Asking, sampled: str) -> None:
    who = people(sampled)[0]
    asking.client(*READS).get(f"{OURS}/customers/{who}/balance")
    assert asking.context.state.audit.newest(action=Action.CUSTOMER_SEEN) == []
    asking.client(*READS, Scope.PERSONAL).get(f"{OURS}/customers/{who}/balance")
    [told] = asking.context.state.audit.newest(action=Action.CUSTOMER_SEEN)
    assert who not in str(told)
