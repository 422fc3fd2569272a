"""A NUL, which PostgreSQL takes in no text: told by every address and every form, on a state that is in PostgreSQL."""

from __future__ import annotations

from typing import Any

import pytest

from tests.web.posting import OWN
from tests.web.test_safety import known_visit

pytestmark = [pytest.mark.slow, pytest.mark.servers]


@pytest.fixture
def admin(postgres_ledger: str, monkeypatch: pytest.MonkeyPatch, request: pytest.FixtureRequest) -> Any:
    monkeypatch.setenv("LOYALTY_STATE_URL", postgres_ledger)
    return request.getfixturevalue("browser")("ada", "ADMIN", raise_server_exceptions=False)


@pytest.mark.parametrize(
    "path",
    [
        "/exports/%00",
        "/exports/a%00b/runs",
        "/dags/%00",
        "/exports?q=%00",
        "/processing?id=%00",
        "/administration/audit?actor=%00",
        "/administration/audit?subject=a%00",
        "/customers/%00",
    ],
)
def test_in_an_address(admin: Any, path: str) -> None:
    assert admin.get(f"/loyalty{path}").status_code in (200, 404)


@pytest.mark.parametrize(
    "path", ["/administration/access/revoke", "/administration/access", "/administration/audit/export"]
)
def test_in_a_form(admin: Any, path: str) -> None:
    fields = {"role": "a\0", "right": "edit", "export": "\0", "actor": "\0", "subject": "\0"}
    data = {"form_token": known_visit(admin, "ada"), **fields}
    assert admin.post(f"/loyalty{path}", data=data, headers=OWN).status_code in (200, 303, 422)
