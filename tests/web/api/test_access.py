"""Who may ask an API what: every route with no key, with wrong ones, with one that lacks the scope, and with one of another export."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import Any

import pytest
from sqlalchemy import update

from include.state import keys
from include.state.keys import Scope
from include.state.tables import API_KEYS, instant
from include.web import api
from tests.web.api.asking import OURS, Asking
from tests.web.api.headers import headers
from tests.web.exports.made import export, finished
from tests.web.routes import ALSO, API, Route, of_application

THEIRS, OTHER = "weekly-history", "month-end"
NAMED = {
    "definition_id": THEIRS,
    "run_key": "0" * 64,
    "key": "0" * 64,
    "name": "a.csv",
    "model": "balance",
    "customer_id": "c0000001",
    "card_id": "card1",
    "import_id": "imp-" + "0" * 16,
    "kind": "result",
    "loyaltyProgramId": "1",
    "integrationId": "c0000001",
    "loyaltyCardId": "card1",
    "export_id": "exp_0",
    "campaign_id": "club",
}
PARTS = {part.api.prefix: part for part in api.PARTS}
ROUTES = sorted(API, key=str)
CLOSED = [route for route in ROUTES if API[route] is not None]


def path_of(route: Route) -> str:
    return re.sub(r"\{(\w+)(:path)?\}", lambda found: NAMED[found[1]], route.path)


def part_of(route: Route) -> Any:
    return next(part for prefix, part in PARTS.items() if route.path.startswith(f"{prefix}/"))


def ask(asking: Asking, route: Route, key: str | None, **how: Any) -> Any:
    client = asking.client()
    if key is not None:
        client.headers.update(headers(part_of(route), key))
    return client.request(route.method, path_of(route), **how)


def refused(answer: Any, status: int) -> bool:
    return answer.status_code == status and answer.headers["content-type"].startswith("application/")


def test_every_route_of_the_apis_stands_in_the_table(asking: Asking) -> None:
    prefixes = tuple(PARTS)
    assert {route for route in of_application(asking.app) if route.path.startswith(prefixes)} == set(API)


def test_nobody_gets_anywhere_without_a_key(asking: Asking) -> None:
    found = {route: ask(asking, route, None) for route in ROUTES}
    wrong = {
        route: answer.text[:200]
        for route, answer in found.items()
        if not refused(answer, 200 if API[route] is None else 401)
    }
    assert wrong == {}
    assert "WWW-Authenticate" in found[Route("GET", f"{OURS}/definitions")].headers


@pytest.mark.parametrize("fault", ["wrong", "unknown", "expired", "revoked", "cut", "empty"])
def test_a_key_that_is_not_good_opens_nothing(fault: str, asking: Asking) -> None:
    made = asking.key(*Scope)
    key = made.key
    match fault:
        case "wrong":
            key = key[:-1] + ("A" if key[-1] != "A" else "B")
        case "unknown":
            key = f"loy_{'0' * 16}_{key[-43:]}"
        case "cut":
            key = key[:-1]
        case "empty":
            key = "loy_"
        case "revoked":
            asking.context.state.keys.revoke(made.record.id, by="ann")
        case "expired":
            with asking.context.state.database.write() as connection:
                connection.execute(update(API_KEYS).values(expires_at=instant(1)))
    wrong = {
        route: answer.text[:200] for route in CLOSED if not refused(answer := ask(asking, route, key), 401)
    }
    assert wrong == {}


def test_a_key_without_the_scope_is_refused_whatever_else_it_has(asking: Asking) -> None:
    lacking = {route: frozenset(x for x in (API[route], ALSO.get(route)) if x) for route in CLOSED}
    keys = {scopes: asking.key(*(set(Scope) - scopes)).key for scopes in set(lacking.values())}
    wrong = {}
    for route, scopes in lacking.items():
        assert scopes
        answer = ask(asking, route, keys[scopes], **sound(route))
        if not refused(answer, 403):
            wrong[route] = (answer.status_code, answer.text[:200])
    assert wrong == {}


def sound(route: Route) -> dict[str, Any]:
    """What a route takes beside its address, so that nothing else is wrong with the request."""
    if route.path.endswith("/resolve"):
        return {"json": {"word": "arrived"}}
    if route == Route("POST", f"{OURS}/reports"):
        return {"json": {"document": {"model": "balance"}}}
    if route == Route("POST", f"{OURS}/imports"):
        return {"params": {"name": "a.csv", "mode": "add"}, "content": b"a"}
    if route.path.startswith(OURS) and route.method in {"POST", "PUT"}:
        return {"json": {}}
    return {}


def test_a_key_of_one_export_sees_nothing_of_another(asking: Asking, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether the other export, its runs and deliveries are there cannot be told either."""
    monkeypatch.setattr(keys, "OF_ALL", frozenset())  # keys of before may have such scopes
    context = asking.context
    for each in (THEIRS, OTHER):
        export(context, each)
    mine, other = finished(context, THEIRS), finished(context, OTHER)
    client = asking.client(*Scope, exports=[THEIRS])
    for there, missing in ((OTHER, "no-such"), (other.run_key, "f" * 64)):
        for path in (
            "definitions/{}",
            "runs/{}",
            "runs/{}/files",
            "runs/{}/deliveries",
            "runs?definition={}",
        ):
            answers = [client.get(f"{OURS}/{path.format(each)}") for each in (there, missing)]
            assert {answer.status_code for answer in answers} <= {403, 404, 422}, path
            assert answers[0].text.replace(there, missing) == answers[1].text, path
    assert client.post(f"{OURS}/definitions/{OTHER}/runs", json={}).status_code == 403
    assert client.delete(f"{OURS}/definitions/{OTHER}", headers={"if-match": "*"}).status_code == 403
    assert client.post(f"{OURS}/runs/{other.run_key}/send", json={}).status_code == 404
    assert [each["run_key"] for each in client.get(f"{OURS}/runs").json()["items"]] == [mine.run_key]
    assert [each["id"] for each in client.get(f"{OURS}/definitions").json()["items"]] == [THEIRS]
    assert client.get(f"{OURS}/definitions/{THEIRS}").status_code == 200
    # What is about all exports is not for a key of some.
    for path in ("reports", "audit", "imports", "customers/c0000001/balance"):
        assert client.get(f"{OURS}/{path}").status_code == 403, path
    assert asking.started == []


def test_a_login_reads_and_changes_nothing(asking: Asking) -> None:
    export(asking.context, THEIRS)
    client = asking.logged_in("see", "run", "edit", "administer")
    found = client.get(f"{OURS}/definitions/{THEIRS}")
    assert found.status_code == 200
    for method, path in (
        ("POST", "definitions"),
        ("POST", f"definitions/{THEIRS}/runs"),
        ("DELETE", f"definitions/{THEIRS}"),
    ):
        answer = client.request(
            method, f"{OURS}/{path}", json={}, headers={"if-match": found.headers["etag"]}
        )
        assert answer.status_code == 403, path
    assert client.get(f"{OURS}/audit").status_code == 200
    assert asking.logged_in("see").get(f"{OURS}/audit").status_code == 403
    assert asking.logged_in().get(f"{OURS}/definitions/{THEIRS}").status_code == 403


def test_a_key_that_asks_too_often_is_told_when_to_come_back(asking: Asking) -> None:
    client = asking.client(Scope.RUNS_READ, per_minute=1)
    # Minutes may end in between; not as many as there are requests.
    answers = [client.get(f"{OURS}/runs") for _ in range(20)]
    assert answers[0].status_code == 200
    last = next(answer for answer in answers if answer.status_code == 429)
    assert 1 <= int(last.headers["retry-after"]) <= 60
    assert last.json()["status"] == 429


def test_a_key_lasts_as_long_as_it_was_made_for(asking: Asking) -> None:
    client = asking.client(Scope.RUNS_READ, expires=timedelta(days=1))
    assert client.get(f"{OURS}/runs").status_code == 200
