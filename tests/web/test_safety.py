"""Every route asks for the right that it takes, refuses foreign forms, and changes nothing where it only shows."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from datetime import timedelta
from typing import Any, NamedTuple

import pytest
from lxml import html
from sqlalchemy import select

from include import sample, web
from include.imports.options import Mode, Options
from include.pipeline.imports.stage import received_key
from include.sample.plan import Plan
from include.state import grants
from include.state.audit import Action
from include.state.grants import EVERY
from include.state.identity import delivery_key
from include.state.notices import Address
from include.state.runs import RunRecord, RunStatus
from include.state.tables import METADATA
from include.web.forms import FOREIGN
from include.web.guard import COOKIE, form_token
from tests.web.exports.made import export
from tests.web.posting import OWN
from tests.web.routes import API, ROUTES, Route, Takes, address, of_application
from tests.web.runs import CONTENT, stored

pytestmark = pytest.mark.slow  # hundreds of requests

THEIRS, OTHER = "weekly-history", "month-end"
# What a GET writes down on purpose: who saw what of whom.
TOLD_BY_GET = {Action.DOWNLOADED, Action.CUSTOMER_SEEN, Action.CUSTOMERS_SEARCHED}
TABLES_OF_LOOKS = {"loyalty_audit", "loyalty_looked"}


class Who(NamedTuple):
    """Somebody: how they log in, what is granted to their role, and what they have."""

    name: str
    role: str
    granted: tuple[tuple[str, str], ...]
    has: frozenset[Takes]


_SEES = {Takes.NOTHING, Takes.LOGIN, Takes.SEE, Takes.DASHBOARD}
_RUNS = _SEES | {Takes.RUN}
PEOPLE = {
    "viewer": Who("vera", "VIEWER", (), frozenset(_SEES)),
    "user": Who("uma", "USER", (), frozenset(_RUNS)),
    "op": Who("otto", "OP", (), frozenset(_RUNS)),
    "admin": Who("ada", "ADMIN", (), frozenset(Takes)),
    "viewer with personal data": Who(
        "vera", "VIEWER", (("personal", EVERY),), frozenset(_SEES | {Takes.PERSONAL})
    ),
    "viewer who administers": Who(
        "vera", "VIEWER", (("administer", EVERY),), frozenset(_SEES | {Takes.ADMINISTER})
    ),
    # Airflow lets nobody change a DAG who is a viewer, whatever is granted here.
    "viewer who may edit": Who("vera", "VIEWER", (("edit", EVERY),), frozenset(_SEES)),
    "user who may edit this export": Who("uma", "USER", (("edit", THEIRS),), frozenset(_RUNS | {Takes.EDIT})),
    "user who may edit another": Who("uma", "USER", (("edit", OTHER),), frozenset(_RUNS)),
    "user who may edit all": Who(
        "uma", "USER", (("edit", EVERY),), frozenset(_RUNS | {Takes.EDIT, Takes.MAKE})
    ),
    "viewer who may import": Who("vera", "VIEWER", (("import", EVERY),), frozenset(_SEES)),
    "user who may import": Who("uma", "USER", (("import", EVERY),), frozenset(_RUNS | {Takes.IMPORT})),
    "user who may import and see people": Who(
        "uma",
        "USER",
        (("import", EVERY), ("personal", EVERY)),
        frozenset(_RUNS | {Takes.IMPORT, Takes.IMPORTED_FILE, Takes.PERSONAL}),
    ),
    "user of this export alone": Who(
        "care", "USER", (), frozenset({Takes.NOTHING, Takes.LOGIN, Takes.SEE, Takes.RUN})
    ),
    "user of another export alone": Who("finance", "USER", (), frozenset({Takes.NOTHING, Takes.LOGIN})),
    "user of another export with every grant": Who(
        "finance",
        "USER",
        (("edit", EVERY), ("personal", EVERY), ("administer", EVERY), ("import", EVERY)),
        frozenset({Takes.NOTHING, Takes.LOGIN, Takes.ADMINISTER}),
    ),
}


@pytest.fixture(scope="session")
def ledger(tmp_path_factory: pytest.TempPathFactory) -> str:
    url = f"sqlite:///{tmp_path_factory.mktemp('ledger') / 'ledger.sqlite'}"
    sample.load(url, Plan(customers=20, transactions=200))
    return url


@pytest.fixture
def run(
    ledger: str, monkeypatch: pytest.MonkeyPatch, tmp_path: Any, request: pytest.FixtureRequest
) -> RunRecord:
    """A run of THEIRS with a file, a failed delivery and a notice that could not be sent; OTHER has the same."""
    monkeypatch.setenv("LOYALTY_LEDGER_URL", ledger)
    monkeypatch.setenv("LOYALTY_LEDGER_WRITE_URL", ledger)
    (tmp_path / "exports").mkdir()
    monkeypatch.setenv("LOYALTY_EXPORTS", str(tmp_path / "exports"))
    context = request.getfixturevalue("installation").context
    for definition_id in (OTHER, THEIRS):
        export(context, definition_id)
        made = stored(context, {"weekly.csv": CONTENT}, definition_id)
        claim = context.state.deliveries.claim(
            delivery_key(made.run_key, "folder"),
            "w",
            timedelta(minutes=1),
            run_key=made.run_key,
            target="folder",
        )
        context.state.deliveries.failed(claim, "the disk is full")
        context.state.runs.finish(made.run_key, RunStatus.FAILED, {"deliveries": {}, "failure": None})
    return made


@pytest.fixture
def place(run: RunRecord, installation: Any) -> Callable[[Route], str]:
    """The address of a route about THEIRS."""
    context = installation.context
    link = installation.link()
    way = {"connection": "no_such_mail"}
    notice = context.state.notices.add(
        "failed", run.run_key, Address("email", "a@b.example", way), {}, definition_id=THEIRS
    )
    key = delivery_key(run.run_key, "folder")
    file = {"name": "points.csv", "sha256": "0" * 64, "size": 9}
    brought = context.state.imports.receive(**file, options=Options(mode=Mode.BIRTHDAY), by="ann").import_id
    context.store.put_new(received_key(brought), b"a,b\n1,2\n")

    def of(route: Route) -> str:
        named = {"run_key": run.run_key, "key": key, "token": link, "import_id": brought}
        if "notices" in route.path:
            named["key"] = notice
        if "dashboards" in route.path:
            named["name"] = "liability.csv"
        return address(route, **named)

    return of


def send(client: Any, route: Route, path: str, **data: str) -> Any:
    """Use a route as a browser does: forms bring their token and nothing else."""
    if route.method == "GET":
        return client.get(path)
    return client.post(path, data=data, headers=OWN)


def known_visit(client: Any, name: str) -> str:
    """Give the client a cookie of ours; return the token that its forms bring."""
    kept = secrets.token_urlsafe(16)
    client.cookies.set(COOKIE, kept)
    return form_token(kept, name)


def state_of(context: Any) -> dict[str, list[Any]]:
    """All rows of the state."""
    with context.state.database.read() as connection:
        return {
            table.name: sorted(map(repr, connection.execute(select(table)).all()))
            for table in METADATA.sorted_tables
        }


def differences(before: dict[str, list[Any]], after: dict[str, list[Any]]) -> set[str]:
    return {name for name in before if before[name] != after[name]}


def test_every_route_stands_in_the_table(browser: Any) -> None:
    browser()
    assert of_application(web._app()) == {*ROUTES, *API}


def test_nobody_gets_anywhere_without_a_login(browser: Any, place: Any) -> None:
    client = browser()
    found = {}
    for route, takes in ROUTES.items():
        answer = send(client, route, place(route))
        leads = answer.status_code == 303 and "/auth/login" in answer.headers["location"]
        found[route] = "let in" if not leads else "led to the login"
        program = send(browser(), route, place(route)) if takes is Takes.NOTHING else None
        if program is None:
            client.headers["accept"] = "application/json"
            assert send(client, route, place(route)).status_code == 401, route
            client.headers["accept"] = "text/html"
    expected = {
        route: "let in" if takes is Takes.NOTHING else "led to the login" for route, takes in ROUTES.items()
    }
    assert found == expected


@pytest.mark.parametrize("who", PEOPLE)
def test_everybody_gets_what_they_have_a_right_to_and_nothing_else(
    who: str, browser: Any, place: Any, installation: Any
) -> None:
    name, role, given, has = PEOPLE[who]
    for right, which in given:
        installation.context.state.grants.grant(role, right, which, by="ann")
    client = browser(name, role)
    token = known_visit(client, name)
    found, broken = {}, {}
    for route, takes in ROUTES.items():
        if takes is Takes.NOTHING:
            continue
        answer = send(client, route, place(route), form_token=token)
        found[route] = "refused" if answer.status_code == 403 else "let in"
        if answer.status_code >= 500 or FOREIGN[:40] in answer.text or answer.status_code == 401:
            broken[route] = (answer.status_code, answer.text[:300])
    expected = {
        route: "let in" if takes in has else "refused"
        for route, takes in ROUTES.items()
        if takes is not Takes.NOTHING
    }
    assert {route: each for route, each in found.items() if each != expected[route]} == {}
    assert broken == {}


def test_a_file_with_personal_data_takes_that_right(
    browser: Any, installation: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(grants, "CACHED_SECONDS", 0)
    targets = [{"kind": "folder", "options": {"folder": "x"}}]
    asked = {"model": "customers", "fields": ["customer_id", "email"]}
    made = stored(installation.context, {"people.csv": b"a\n"}, "people", targets, **asked)
    path = f"/loyalty/files/{made.run_key}/people.csv"
    vera = browser("vera")
    assert vera.get(path).status_code == 403
    assert not html.fromstring(vera.get(path.rpartition("/")[0]).text).xpath("//a[contains(., 'people.csv')]")
    installation.context.state.grants.grant("viewer", "personal", "people", by="ann")
    assert vera.get(path).status_code == 200
    assert html.fromstring(vera.get(path.rpartition("/")[0]).text).xpath("//a[contains(., 'people.csv')]")


FOREIGN_FORMS: dict[str, Callable[[str], tuple[dict[str, str], dict[str, str]]]] = {
    "no token": lambda token: ({}, OWN),
    "a wrong token": lambda token: ({"form_token": token[:-1] + ("0" if token[-1] != "0" else "1")}, OWN),
    "another site": lambda token: ({"form_token": token}, {"sec-fetch-site": "cross-site"}),
    "a neighbour": lambda token: ({"form_token": token}, {"sec-fetch-site": "same-site"}),
    "typed in the address bar": lambda token: ({"form_token": token}, {"sec-fetch-site": "none"}),
    "another origin, old browser": lambda token: ({"form_token": token}, {"origin": "https://evil.example"}),
    "an origin that hides": lambda token: ({"form_token": token}, {"origin": "null"}),
    "nothing said": lambda token: ({"form_token": token}, {}),
}


@pytest.mark.parametrize("form", FOREIGN_FORMS)
def test_a_foreign_form_changes_nothing_on_any_route(
    form: str, browser: Any, place: Any, installation: Any
) -> None:
    client = browser("ada", "ADMIN")
    fields, headers = FOREIGN_FORMS[form](known_visit(client, "ada"))
    posts = [route for route in ROUTES if route.method == "POST"]
    addresses = [place(route) for route in posts]
    before = state_of(installation.context)
    answers = {
        route: client.post(path, data=fields, headers=headers).status_code
        for route, path in zip(posts, addresses, strict=True)
    }
    assert answers == dict.fromkeys(posts, 403)
    assert differences(before, state_of(installation.context)) == set()


def test_a_token_is_of_one_user_and_one_browser(browser: Any, place: Any) -> None:
    ada, bob = browser("ada", "ADMIN"), browser("bob", "ADMIN")
    token = known_visit(ada, "ada")
    known_visit(bob, "bob")
    path = place(Route("POST", "/administration/access"))
    assert bob.post(path, data={"form_token": token}, headers=OWN).status_code == 403
    bob.cookies.set(COOKIE, ada.cookies[COOKIE])
    assert bob.post(path, data={"form_token": token}, headers=OWN).status_code == 403


QUERIES = ("", "?page=2&q=c000001&id=weekly-history&look=yes&before=5&text=x&range=last_30_days")


@pytest.mark.parametrize("query", QUERIES)
@pytest.mark.parametrize("method", ["GET", "HEAD"])
def test_looking_changes_nothing(
    method: str, query: str, browser: Any, place: Any, installation: Any
) -> None:
    client = browser("ada", "ADMIN")
    client.get("/loyalty/exports")  # brings the catalogue up to date with the files
    gets = {route: place(route) for route in ROUTES if route.method == "GET"}
    last = installation.context.state.audit.head().sequence
    changed = {}
    for route, path in gets.items():
        before = state_of(installation.context)
        client.request(method, path + query)
        after = state_of(installation.context)
        if more := differences(before, after) - TABLES_OF_LOOKS:
            changed[route] = more
    assert changed == {}
    told = list(installation.context.state.audit.entries(after=last))
    assert {each.action for each in told} <= TOLD_BY_GET
    assert {each.actor for each in told} == ({"ada"} if method == "GET" else set())


STRICT = {
    "x-content-type-options": "nosniff",
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "x-robots-tag": "noindex, nofollow",
}


@pytest.mark.parametrize("who", ["nobody", "viewer", "admin"])
def test_every_answer_has_the_headers(who: str, browser: Any, place: Any) -> None:
    client = browser() if who == "nobody" else browser(*PEOPLE[who][:2])
    token = known_visit(client, PEOPLE[who].name) if who != "nobody" else ""
    tried = [(route, place(route)) for route in ROUTES]
    tried += [
        (Route("GET", path), f"/loyalty{path}")
        for path in ("/", "/no-such", "/static/../app.py", "/exports/%00")
    ]
    tried += [(Route("POST", "/exports"), "/loyalty/exports")]
    for route, path in tried:
        answer = send(client, route, path, form_token=token)
        headers = answer.headers
        assert {name: headers.get(name) for name in STRICT} == STRICT, route
        policy = headers["content-security-policy"]
        assert "default-src 'none'" in policy, route
        assert "unsafe" not in policy, route
        assert "*" not in policy, route
        assert headers["referrer-policy"] in {"same-origin", "no-referrer"}, route
        assert headers["x-frame-options"] in {"SAMEORIGIN", "DENY"}, route
        if "/static" not in route.path:
            assert headers["cache-control"] == "no-store", route


def test_a_form_that_is_too_large_is_refused_before_it_is_read(browser: Any) -> None:
    client = browser("ada", "ADMIN")
    token = known_visit(client, "ada")
    large = {"form_token": token, "name": "x" * (2 * 1024 * 1024)}
    answer = client.post("/loyalty/administration/keys", data=large, headers=OWN | {"accept": "text/html"})
    assert answer.status_code == 413
    assert "more than 1048576 bytes" in answer.text
    assert "<h1>" in answer.text
    assert answer.headers["content-security-policy"]
