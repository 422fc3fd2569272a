"""The helps of the form as requests: who may ask, what they answer, and what they never do."""

from __future__ import annotations

import time
from typing import Any

import pytest
from lxml import html

from include.web.guard import COOKIE, form_token
from tests.web.posting import OWN, token

PAGE = "/loyalty/exports/new/customers"
FORM = {
    "model": "customers", "id": "people", "name": "People", "timezone": "Europe/Paris", "columns": "chosen",
    "fields.0.field": "customer_id", "fields.1.field": "email", "targets.0.kind": "folder",
    "targets.0.options.folder": "reports", "schedule.kind": "daily", "schedule.time": "06:00",
}  # fmt: skip
ROUTES = ("schedule", "name", "filters", "preview", "snapshot", "target/0")


@pytest.fixture
def ask(browser):
    """Send the form to a help, as a script of ours does."""
    clients: dict[str, Any] = {}

    def sent(
        route: str, user: str = "admin", role: str = "ADMIN", script: bool = True, **changes: str
    ) -> Any:
        if user not in clients:
            client = browser(user, role)
            client.get("/loyalty/exports")  # a page of ours leaves the cookie that its forms answer to
            clients[user] = (client, form_token(client.cookies[COOKIE], user))
        client, brought = clients[user]
        headers = OWN | (
            {"hx-request": "true", "hx-current-url": f"http://127.0.0.1:8080{PAGE}"} if script else {}
        )
        return client.post(
            f"/loyalty/editor/{route}", data={"form_token": brought} | FORM | changes, headers=headers
        )

    return sent


def text(answer: Any) -> str:
    assert answer.status_code == 200, answer.text
    return " ".join(" ".join(html.fromstring(answer.text).itertext()).split())


@pytest.mark.parametrize("route", ROUTES)
def test_who_may_not_make_exports_is_told_so(ask, route, installation):
    for user, role in (("viewer", "VIEWER"), ("user", "USER"), ("op", "OP")):
        assert ask(route, user, role).status_code == 403
    assert not [
        entry for entry in installation.context.state.audit.entries() if entry.action == "target_tested"
    ]


@pytest.mark.parametrize("route", ROUTES)
def test_nobody_and_foreign_forms_get_nothing(browser, route):
    nobody = browser()
    assert nobody.post(f"/loyalty/editor/{route}", data=FORM, headers=OWN).status_code in (303, 401)
    admin = browser("admin", "ADMIN")
    brought = token(admin, PAGE)
    url = f"/loyalty/editor/{route}"
    assert admin.post(url, data=FORM, headers=OWN).status_code == 403
    foreign = {"sec-fetch-site": "cross-site"}
    assert admin.post(url, data=FORM | {"form_token": brought}, headers=foreign).status_code == 403
    assert admin.get(url).status_code in (404, 405)


def test_the_next_runs(ask):
    answer = ask("schedule")
    shown = html.fromstring(answer.text)
    assert len(shown.xpath("//ol[@class='runs']/li")) == 5
    assert {each.get("data-zone") for each in shown.xpath("//time")} == {"Europe/Paris"}
    assert "06:00" in text(answer)
    assert "once schedule, time zone and period are right" in text(
        ask("schedule", **{"schedule.time": "26:00"})
    )


def test_the_name_of_the_file(ask):
    assert "people_" in text(ask("name"))
    assert ask("name", **{"file.name": "{nothing}"}).text.strip() == ""


def test_problems_of_a_filter_are_told_by_row(ask):
    answer = ask("filters", filters='{"any": [{"field": "nope", "is": 1}]}')
    assert [each["path"] for each in answer.json()] == ["any[0].field"]
    assert ask("filters", filters="").json() == []


@pytest.mark.slow
def test_the_first_rows(ask, ledger):
    answer = ask("preview")
    shown = html.fromstring(answer.text)
    assert len(shown.xpath("//table//tbody/tr")) == 10
    assert "50 rows" in text(answer)
    assert "@example.com" in text(answer)
    assert "personal" in text(answer)


@pytest.mark.slow
def test_personal_data_is_hidden_from_who_may_edit_and_not_see_it(ask, ledger, installation):
    grants = installation.context.state.grants
    grants.grant("op", "edit", by="admin")
    answer = ask("preview", "op", "OP")
    assert "hidden" in text(answer)
    assert "@example.com" not in answer.text
    grants.grant("op", "personal", by="admin")
    time.sleep(2.1)  # rights are read every two seconds
    assert "@example.com" in ask("preview", "op", "OP").text


def test_what_is_wrong_leads_to_its_field(ask):
    answer = ask("preview", **{"fields.1.field": "nope", "limit": "x"})
    links = html.fromstring(answer.text).xpath("//a/@href")
    assert "#at-limit" in links or "#at-fields.1.field" in links
    assert "must be right first" in text(answer)


def test_a_name_and_targets_may_still_be_missing(ask):
    changes = {"id": "", "name": "", "targets.0.kind": "", "targets.0.options.folder": ""}
    shown = text(ask("preview", **changes))
    assert "no snapshot of the ledger yet" in shown
    assert "Make a snapshot now" in shown


def test_ways_in_a_part_lead_from_the_page_that_it_is_put_into(ask):
    answer = ask("preview")
    assert html.fromstring(answer.text).xpath("//button/@formaction") == ["../../editor/snapshot"]


def test_without_scripts_there_is_a_page(ask):
    answer = ask("schedule", script=False)
    page = html.fromstring(answer.text)
    assert page.xpath("//main//ol[@class='runs']")
    assert page.xpath("//nav")


def test_a_target_is_tried_and_the_audit_chain_says_who_did(ask, installation):
    shown = text(ask("target/0"))
    assert "Files can be delivered to folder" in shown
    (installation.home / "file").write_text("in the way")
    refused = text(ask("target/0", **{"targets.0.options.folder": "file/below", "targets.0.name": "finance"}))
    assert "cannot be delivered" in refused
    told = [entry for entry in installation.context.state.audit.entries() if entry.action == "target_tested"]
    assert [(entry.actor, entry.subject) for entry in told] == [("admin", "folder"), ("admin", "finance")]


@pytest.mark.parametrize(
    "changes",
    [
        {"targets.0.kind": "nothing"},
        {"targets.0.kind": ""},
        {"targets.0.options.folder": "", "targets.0.kind": "sftp"},
        {"targets.0.kind": "sftp", "targets.0.options.connection": "no_such"},
    ],
)
def test_a_target_that_is_not_right_says_why(ask, changes):
    assert "cannot be delivered" in text(ask("target/0", **changes))
    assert "cannot be delivered" in text(ask("target/7"))


WORST = [
    "\x00",
    "'; DROP TABLE x;--",
    "<script>alert(1)</script>",
    "=1+1",
    "é" * 5000,
    "\u202e",
    "1e999",
    "[" * 2000,
    "🦄",
]


@pytest.mark.slow
@pytest.mark.parametrize(
    "name", ["filters", "timezone", "schedule.time", "file.name", "fields.0.field", "id", "targets.0.name"]
)
def test_the_worst_values_break_nothing(ask, name):
    for value in WORST:
        for route in ("schedule", "name", "filters", "preview", "target/0"):
            answer = ask(route, **{name: value})
            assert answer.status_code == 200, (route, value, answer.text)
            assert "<script>alert" not in answer.text
