"""The log of one customer as a download: only for who may, only from our own page, as was asked, and told."""

from __future__ import annotations

import csv
import hashlib
import io
import re
from typing import Any

import pytest

from include.state.audit import Action
from tests.pipeline.people import WHO

pytestmark = pytest.mark.slow
PATH = "/loyalty/customers/log"


def form(client: Any, **values: str) -> dict[str, str]:
    page = client.get(f"/loyalty/customers/{WHO}")
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert token is not None
    return {
        "form_token": token[1],
        "kind": "customer",
        "id": WHO,
        "layout": "history",
        "instants": "iso8601",
    } | values


def post(client: Any, values: dict[str, str], site: str = "same-origin") -> Any:
    return client.post(PATH, data=values, headers={"sec-fetch-site": site})


def test_the_file_the_name_and_the_audit_entry(admin: Any, household: Any) -> None:
    got = post(admin, form(admin, instants="excel", delimiter=";", timezone="Europe/Paris"))
    assert got.status_code == 200
    assert got.headers["content-disposition"].startswith(f'attachment; filename="history_{WHO}.csv"')
    assert got.headers["content-type"].startswith("text/csv")
    assert got.headers["content-length"] == str(len(got.content))
    header, *rows = csv.reader(io.StringIO(got.text), delimiter=";")
    assert [row[header.index("transaction_id")] for row in rows] == ["t0", "t1", "t2", "t3", "t7"]
    assert rows[0][header.index("created_at")] == "2026-01-05 01:00:00"
    assert [row[header.index("balance_after")] for row in rows] == [
        "100.00",
        "50.00",
        "20.00",
        "15.00",
        "70.00",
    ]
    [told] = household.state.audit.newest(action=Action.CUSTOMER_EXPORTED)
    assert told.actor == "admin"
    assert told.detail["sha256"] == hashlib.sha256(got.content).hexdigest()
    assert told.detail["rows"] == 5
    assert household.state.looked.name(told.subject).name == WHO
    assert not [path for path in household.settings.scratch.iterdir() if path.is_dir()]


def test_as_another_system_has_it_for_some_days(admin: Any) -> None:
    values = form(
        admin,
        layout="talon_one.customer_ledger",
        **{"from": "2026-01-06", "until": "2026-01-07", "zone": "UTC"},
    )
    got = post(admin, values)
    header, *rows = csv.reader(io.StringIO(got.text))
    assert header[:2] == ["customerprofileid", "customersessionid"]
    assert [row[header.index("id")] for row in rows] == ["t1", "t2"]
    assert 'filename="talon_one-customer_ledger_' in got.headers["content-disposition"]


def test_who_may_not_gets_nothing(viewer: Any, admin: Any, browser: Any, household: Any) -> None:
    values = form(admin)
    page = viewer.get("/loyalty/customers")
    token = re.search(r'name="form_token" value="([^"]+)"', page.text)
    assert post(viewer, values | ({"form_token": token[1]} if token else {})).status_code == 403
    assert post(browser(), values).status_code in {303, 401}
    assert household.state.audit.newest(action=Action.CUSTOMER_EXPORTED) == []


@pytest.mark.parametrize("site", ["cross-site", "same-site", "none"])
def test_another_sites_form_gets_nothing(admin: Any, household: Any, site: str) -> None:
    assert post(admin, form(admin), site).status_code == 403
    assert post(admin, form(admin) | {"form_token": "0" * 64}).status_code == 403
    assert admin.get(PATH).status_code == 404  # a customer of this id, whom nobody knows
    assert household.state.audit.newest(action=Action.CUSTOMER_EXPORTED) == []


@pytest.mark.parametrize(
    ("wrong", "sentence"),
    [
        ({"layout": "nonsense"}, "known are history"),
        ({"delimiter": "xx"}, "delimiter"),
        ({"encoding": "ebcdic"}, "encoding"),
        ({"instants": "%Q"}, "instants"),
        ({"timezone": "EST"}, "IANA"),
        ({"from": "2026-02-02", "until": "2026-01-01"}, "must not lie before"),
        ({"from": "yesterday"}, "Give a day between"),
    ],
)
def test_what_is_wrong_is_said_on_the_page(
    admin: Any, household: Any, wrong: dict[str, str], sentence: str
) -> None:
    answer = post(admin, form(admin, **wrong))
    assert answer.status_code == 422
    assert sentence in answer.text
    assert "Ada Martin" in answer.text
    assert household.state.audit.newest(action=Action.CUSTOMER_EXPORTED) == []


def test_a_log_of_nobody(admin: Any) -> None:
    assert post(admin, form(admin, id="nobody")).status_code == 404
    assert post(admin, form(admin, kind="card", id="card-free")).status_code == 200


def test_formulas_are_made_harmless_unless_a_machine_reads_them(admin: Any) -> None:
    values = form(admin, id="customer-0003")
    human, machine = (post(admin, values | {"profile": profile}).text for profile in ("human", "machine"))
    assert human == machine  # nothing of theirs begins like a formula; the option is taken
