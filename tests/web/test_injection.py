"""Whatever somebody writes into a definition, a run, the ledger or a form, no page makes markup of it."""

from __future__ import annotations

import io
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from lxml import html

from include import sample
from include.imports.options import Mode, Options
from include.pipeline import attention, imports
from include.sample.plan import Plan
from include.state.audit import Action
from include.state.identity import delivery_key
from include.state.notices import Address
from include.state.runs import RunStatus
from include.state.tables import NOTICES, RUNS
from tests.web.exports.made import export
from tests.web.posting import OWN
from tests.web.routes import ROUTES, Route, address
from tests.web.runs import CONTENT, stored
from tests.web.test_safety import known_visit

pytestmark = pytest.mark.slow  # a ledger, and every page

EVIL = "\"'></script><img src=x onerror=alert(1)>"
BROKEN = "<img src=x"
FILE = "<img src=x onerror=alert(1)>.csv"
TEXTS = {
    "customers": ("name", "email", "description", "phone", "address_city", "tier"),
    "transactions": ("reason", "rule_name", "admin_user"),
    "programs": ("name",),
    "rewards": ("name", "type"),
    "tiers": ("name",),
    "cards": ("block_reason",),
}
FIELDS = (
    "name id description owner role right export scopes days per_minute exports note to address as_of start end from "
    "until text actor action subject customer since filters do number fence targets timezone model kind code"
)


@pytest.fixture
def ledger(tmp_path: Path) -> str:
    """A ledger whose texts are all evil."""
    url = f"sqlite:///{tmp_path / 'ledger.sqlite'}"
    sample.load(url, Plan(customers=20, transactions=200))
    engine = sa.create_engine(url)
    with engine.begin() as connection:
        for table, columns in TEXTS.items():
            found = sa.Table(table, sa.MetaData(), autoload_with=connection)
            values = {name: EVIL for name in columns if name in found.c}
            assert values, f"{table} has none of {columns}"
            connection.execute(sa.update(found).values(values))
    engine.dispose()
    return url


@pytest.fixture
def evil(ledger: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    """An installation in which every text that people write is evil; return what addresses name."""
    monkeypatch.setenv("LOYALTY_LEDGER_URL", ledger)
    monkeypatch.setenv("LOYALTY_LEDGER_WRITE_URL", ledger)
    folder = tmp_path / "exports"
    folder.mkdir()
    monkeypatch.setenv("LOYALTY_EXPORTS", str(folder))
    (folder / f"{FILE.removesuffix('.csv')}.yaml").write_text(f"id: x\nname: {EVIL!r}\nmodel: {BROKEN!r}\n")
    attention.forget()
    installation = request.getfixturevalue("installation")
    context = installation.context
    texts = {"name": EVIL, "description": EVIL, "owner": EVIL}
    notify = {"rules": [{"kind": "email", "to": ["a@b.example"]}]}
    export(context, "weekly-history", EVIL, **texts, notify=notify)
    run = stored(context, {FILE: CONTENT}, "weekly-history", **texts)
    context.state.runs.progress(run.run_key, EVIL, 1, 2)
    key = delivery_key(run.run_key, "folder")
    claim = context.state.deliveries.claim(
        key, EVIL, timedelta(minutes=1), run_key=run.run_key, target="folder"
    )
    context.state.deliveries.record(claim, {"target": "folder", "key": key, "files": []})
    context.state.deliveries.uncertain(claim, EVIL)
    summary = {"deliveries": {"folder": {"state": EVIL, "message": EVIL}}, "failure": EVIL}
    context.state.runs.finish(run.run_key, RunStatus.FAILED, summary)
    with context.state.database.write() as connection:
        connection.execute(sa.update(RUNS).values(requested_by=EVIL, stage=EVIL))
    address_ = Address("email", EVIL, {"connection": "no_such"})
    context.state.notices.add(
        EVIL, run.run_key, address_, {"event": EVIL}, definition_id="weekly-history", run_key=run.run_key
    )
    with context.state.database.write() as connection:
        connection.execute(sa.update(NOTICES).values(state="failed", message=EVIL))
    context.state.grants.grant(EVIL, "edit", by=EVIL)
    context.state.keys.make(EVIL, ["runs:read"], by=EVIL)
    context.state.audit.write(EVIL, Action.TARGET_TESTED, EVIL, {EVIL: EVIL, "problems": [EVIL]})
    quoted = EVIL.replace('"', '""')
    file = io.BytesIO(f'customer_id,Birthday(MM/DD)\n"{quoted}",{BROKEN}\n'.encode())
    brought = imports.receive(
        context, file, name=EVIL, options=Options(mode=Mode.BIRTHDAY), by=EVIL
    ).import_id
    imports.rehearse(context, brought)
    imports.refuse(context, brought, by=EVIL, reason=EVIL)
    return {
        "run_key": run.run_key,
        "key": key,
        "token": installation.link(FILE),
        "name": FILE,
        "import_id": brought,
    }


def sound(text: str) -> str:
    """What of an evil text became markup in a page; empty where nothing did."""
    page = html.fromstring(text)
    found = [*page.xpath("//img[@src='x']"), *page.xpath("//*[@*[starts-with(name(), 'on')]]")]
    found += [
        each
        for each in page.xpath("//script")
        if not each.get("src") and each.get("type") != "application/json"
    ]
    return "; ".join(html.tostring(each, encoding="unicode")[:120] for each in found) or (
        "raw" if BROKEN in text else ""
    )


def test_no_page_makes_markup_of_a_text(evil: Any, browser: Any) -> None:
    client = browser("ada", "ADMIN")
    wrong, shown = {}, set()
    paths = {
        route: address(route, **evil)
        for route in ROUTES
        if route.method == "GET" and not route.path.startswith("/static")
    }
    mine = Route("GET", "/customers")
    asked = list(paths.items())
    asked += [(mine, f"{paths[mine]}?q={EVIL}"), (mine, f"{paths[mine]}?q=onerror")]
    asked += [
        (route, f"{path}?q={EVIL}&text={EVIL}&actor={EVIL}&a={EVIL}&b=1&page=1&look=yes")
        for route, path in paths.items()
    ]
    for route, path in asked:
        for headers in ({}, {"hx-request": "true"}):
            answer = client.get(path, headers=headers)
            assert answer.status_code < 500, (path, answer.text[:300])
            if not answer.headers.get("content-type", "").startswith("text/html") or not answer.text.strip():
                continue
            if problem := sound(answer.text):
                wrong[path] = problem
            if "img src=x" in answer.text:
                shown.add(route)
    assert wrong == {}
    assert len(shown) >= 15  # else the texts were not there to be escaped


def test_no_form_gives_back_markup(evil: Any, browser: Any) -> None:
    client = browser("ada", "ADMIN")
    brought = known_visit(client, "ada")
    fields = FIELDS.split()
    dotted = ("schedule.kind", "schedule.time", "targets.0.kind", "targets.0.options.folder", "fields.0.field",
              "fields.0.header", "file.format", "file.name", "notify.rules.0.to", "privacy.salt")  # fmt: skip
    data = {"form_token": brought, "page": "x"} | dict.fromkeys((*fields, *dotted), EVIL)
    wrong = {}
    for route in ROUTES:
        if route.method != "POST":
            continue
        path = address(route, **evil | {"name": EVIL, "key_id": "0" * 16})
        for headers in (OWN, OWN | {"hx-request": "true"}):
            answer = client.post(path, data=data, headers=headers)
            assert answer.status_code < 500, (path, answer.text[:300])
            page = answer.headers.get("content-type", "").startswith("text/html") and answer.text.strip()
            if page and (problem := sound(answer.text)):
                wrong[path] = problem
    assert wrong == {}


def test_the_check_sees_markup() -> None:
    """What the two tests above look for is found where it is."""
    for text in (
        f"<p>{EVIL}</p>",
        f'<input value="{EVIL}">',
        f"<script type='application/json'>{EVIL}</script>",
        "<b onclick=x>",
    ):
        assert sound(f"<html><body>{text}</body></html>")
    assert not sound("<html><body><p>&lt;img src=x onerror=alert(1)&gt;</p></body></html>")
