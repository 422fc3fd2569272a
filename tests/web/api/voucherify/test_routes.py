"""What the vendor's client does not do: logins, wrong bodies, and what is shown of an export that cannot be made."""

from __future__ import annotations

import shutil
from typing import Any
from urllib.parse import quote

import pytest
import sqlalchemy as sa
from starlette.testclient import TestClient

from include.pipeline.answers import asked_exports
from include.state.asked_exports import AskedStatus
from include.state.keys import Scope
from tests.web.api.asking import Asking

ROOT = "/voucherify/v1/exports"
ORDER = {"exported_object": "order"}


@pytest.fixture(autouse=True)
def nobody_works(monkeypatch: pytest.MonkeyPatch) -> None:
    """What is asked for waits: how it is made is another test's matter."""
    monkeypatch.setattr(asked_exports.Makers, "wake", lambda _: None)


def program(asking: Asking, *scopes: Scope, **how: Any) -> TestClient:
    key = asking.key(*(scopes or (Scope.REPORTS_READ, Scope.PERSONAL)), **how)
    client = asking.client()
    client.headers.update({"X-App-Id": key.record.shown, "X-App-Token": key.key})
    return client


def told(answer: Any, status: int, key: str) -> str:
    body = answer.json()
    assert (answer.status_code, body["code"], body["key"]) == (status, status, key)
    assert set(body) == {"code", "key", "message", "details", "request_id"}
    return str(body["details"])


def test_a_login_reads_what_all_programs_asked_for_and_changes_nothing(asking):
    made = program(asking).post(ROOT, json=ORDER).json()["id"]
    personal = program(asking).post(ROOT, json={"exported_object": "customer"}).json()["id"]
    user = asking.logged_in("edit")
    assert [each["id"] for each in user.get(ROOT).json()["exports"]] == [made]
    assert user.get(f"{ROOT}/{personal}").status_code == 404
    assert asking.logged_in("edit", "personal").get(f"{ROOT}/{personal}").json()["status"] == "SCHEDULED"
    told(user.post(ROOT, json=ORDER), 403, "forbidden")
    told(user.delete(f"{ROOT}/{made}"), 403, "forbidden")
    told(asking.logged_in("see").get(ROOT), 403, "forbidden")
    asking.reader = None
    told(asking.client().get(ROOT), 401, "unauthorized")


@pytest.mark.parametrize(
    ("body", "where"),
    [
        (b"", "Property .body"),
        (b"{", "Property ."),
        (b"[]", "Property .body"),
        (b"{}", "Property .exported_object"),
        (b'{"exported_object": null}', "Property .exported_object"),
        (b'{"exported_object": ["order"]}', "Property .exported_object"),
        (b'{"exported_object": "order", "parameters": []}', "Property .parameters"),
        (b'{"exported_object": "order", "filter": {}}', "Property .filter"),
        (b'{"exported_object": "order", "parameters": {"filter": {}}}', "Property .parameters.filter"),
        (b'{"exported_object": "order", "parameters": {"fields": "id"}}', "Property .parameters.fields"),
        (b'{"exported_object": "order", "parameters": {"fields": [1]}}', "Property .parameters.fields.0"),
        (b'{"exported_object": "order", "parameters": {"order": 1}}', "Property .parameters.order"),
        (b'{"exported_object": "order", "parameters": {"filters": []}}', "Property .parameters.filters"),
        (b'{"exported_object": "order", "parameters": {"fields": ["\\ud800"]}}', "Property .parameters"),
        (b'{"exported_object": "\\u0000"}', "Property .exported_object"),
    ],
)
def test_a_wrong_body_is_told_in_the_vendors_shape(asking, body, where):
    answer = program(asking).post(ROOT, content=body, headers={"content-type": "application/json"})
    assert told(answer, 400, "invalid_payload").startswith(where)


@pytest.mark.parametrize("query", ["page=0", "page=101", "limit=0", "limit=101", "limit=x", "order=id"])
def test_a_wrong_page_is_told_in_the_vendors_shape(asking, query):
    assert told(program(asking).get(f"{ROOT}?{query}"), 400, "invalid_query_params")


@pytest.mark.parametrize("export_id", ["exp_0", "x" * 300, "%00", "..%2f..", "%F0%9F%92%A9", "%ED%A0%80"])
def test_an_id_that_nobody_has(asking, export_id):
    for answer in (program(asking).get(f"{ROOT}/{export_id}"), program(asking).delete(f"{ROOT}/{export_id}")):
        assert answer.status_code == 404


def test_fifty_thousand_values_come_through_and_more_than_a_mebibyte_does_not(asking):
    client = program(asking)

    def ask(count: int) -> int:
        values = [f"o{number:010}" for number in range(count)]
        filters = {"id": {"conditions": {"$in": values}}}
        return client.post(ROOT, json={**ORDER, "parameters": {"filters": filters}}).status_code

    assert ask(50_000) == 200
    assert ask(100_000) == 413


def test_a_method_that_there_is_not(asking):
    assert told(program(asking).put(ROOT, json=ORDER), 405, "method_not_allowed")


def test_too_many_that_wait(asking, monkeypatch):
    monkeypatch.setattr(asked_exports, "MOST_OPEN", 1)
    client = program(asking)
    assert client.post(ROOT, json=ORDER).status_code == 200
    answer = client.post(ROOT, json=ORDER)
    assert told(answer, 429, "too_many_requests")
    assert int(answer.headers["retry-after"]) > 0


def test_too_many_requests(asking):
    client = program(asking, per_minute=1)
    client.get(ROOT)
    answer = client.get(ROOT)
    assert told(answer, 429, "too_many_requests")
    assert int(answer.headers["retry-after"]) > 0


def test_an_export_that_cannot_be_made_says_why(asking):
    client = program(asking)
    made = client.post(ROOT, json=ORDER).json()
    assert made | {"message": None, "result": None, "status": "SCHEDULED"} == made
    asking.context.state.asked_exports.finish(made["id"], AskedStatus.ERROR, "the ledger has no orders")
    found = client.get(f"{ROOT}/{made['id']}").json()
    assert (found["status"], found["message"], found["result"]) == ("ERROR", "the ledger has no orders", None)
    assert client.get(f"{ROOT}/{made['id']}?token=x").status_code == 401


def test_the_address_is_the_public_one_where_there_is_one(asking, monkeypatch):
    """The file is there in the test of the client; here the record alone says that it is."""
    client = program(asking)
    made = client.post(ROOT, json=ORDER).json()["id"]
    asking.context.state.asked_exports.finish(made, AskedStatus.DONE)
    monkeypatch.setattr("include.web.api.voucherify.exports._entry", lambda *_: {"name": "x"})
    assert (
        client.get(f"{ROOT}/{made}")
        .json()["result"]["url"]
        .startswith(f"http://127.0.0.1:8080{ROOT}/{made}?token=")
    )
    object.__setattr__(asking.context.settings, "public_url", "https://shop.example/air")
    url = client.get(f"{ROOT}/{made}").json()["result"]["url"]
    assert url.startswith(f"https://shop.example/air/loyalty{ROOT}/{made}?token=")


CAMPAIGN_EXPORTS = ("points-expiration/export", "transactions/export")


@pytest.mark.parametrize("what", CAMPAIGN_EXPORTS)
def test_a_campaign_goes_by_its_id_or_its_name(asking, what):
    client = program(asking)
    [name] = names(asking, "SELECT name FROM campaigns WHERE campaign_id = 'm001'")
    for called in ("m001", quote(name)):
        told_of = client.post(f"/voucherify/v1/loyalties/{called}/{what}")
        assert told_of.status_code == 200, told_of.text
        found = asking.context.state.asked_exports.get(told_of.json()["id"])
        assert found.definition["filters"]["all"][-1] == {"field": "campaign_id", "is": "m001"}


@pytest.mark.parametrize("what", CAMPAIGN_EXPORTS)
@pytest.mark.parametrize("called", ["m999", "M001", "%F0%9F%92%A9", "m001%20"])
def test_a_campaign_that_is_not_there_is_told_as_the_vendor_does(asking, what, called):
    answer = program(asking).post(f"/voucherify/v1/loyalties/{called}/{what}")
    body = answer.json()
    assert (answer.status_code, body["code"], body["key"]) == (404, 404, "not_found")
    assert body["details"].startswith("Cannot find campaign with id ")
    assert body["resource_type"] == "campaign"
    assert asking.context.state.asked_exports.any_open() is False


def test_nobody_learns_of_campaigns_without_a_key(asking):
    assert asking.client().post("/voucherify/v1/loyalties/m999/transactions/export").status_code == 401


def test_a_ledger_without_campaigns_cannot_tell_which_there_are(asking, tmp_path):
    path = tmp_path / "poor.sqlite"
    shutil.copyfile(asking.context.settings.ledger_url.removeprefix("sqlite:///"), path)
    object.__setattr__(asking.context.settings, "ledger_url", f"sqlite:///{path}")
    names(asking, "DROP TABLE campaigns")
    answer = program(asking).post("/voucherify/v1/loyalties/m999/transactions/export")
    assert answer.status_code == 200, answer.text


def names(asking: Asking, statement: str) -> list[str]:
    engine = sa.create_engine(asking.context.settings.ledger_url)
    with engine.begin() as ledger:
        found = ledger.execute(sa.text(statement))
        rows = [row[0] for row in found] if found.returns_rows else []
    engine.dispose()
    return rows
