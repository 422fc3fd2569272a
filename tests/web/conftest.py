"""Airflow's own API server, in this process, with our pages as its plugin; a state and a store of each test's own."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import pytest

import tests.airflow_environment  # noqa: F401 - before any module of Airflow
from include import web
from include.pipeline import Context
from include.settings import Settings
from include.state.runs import RunRecord
from tests.servers.smtp import MailServer, mail_server
from tests.web.application import stand_on
from tests.web.browsing import address, chromium, opened  # noqa: F401 - fixtures for all tests of pages
from tests.web.runs import CONTENT, stored

URL = "http://127.0.0.1:8080"


@pytest.fixture(scope="session")
def api_server() -> Iterator[Any]:
    """Airflow's application with all its middlewares, and its database."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("AIRFLOW__CORE__AUTH_MANAGER", "tests.web.rights.PerExport")
        patch.setenv("AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_USERS", "admin:admin,finance:viewer,care:viewer")
        from airflow.api_fastapi.app import create_app, purge_cached_app
        from airflow.utils.db import initdb

        initdb()
        yield create_app(apps="core")
        purge_cached_app()


@dataclass(frozen=True)
class Installation:
    """A state, a store, and one run with one file in them."""

    context: Context
    run: RunRecord
    home: Path

    def entry(self, name: str) -> dict[str, Any]:
        return next(each for each in self.run.files if each["name"] == name)

    def link(self, name: str = "weekly.csv", recipient: str = "jane.doe@shop.example", **how: Any) -> str:
        """The token of a new link."""
        return self.context.state.links.make(run_key=self.run.run_key, file=name, recipient=recipient, **how)

    def rows(self) -> list[str]:
        """Everything that the state says of links."""
        from sqlalchemy import select

        from include.state.tables import AUDIT, LINKS

        with self.context.state.database.read() as connection:
            return [str(row) for table in (LINKS, AUDIT) for row in connection.execute(select(table))]


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("LOYALTY_HOME", str(tmp_path / "home"))
    monkeypatch.setenv("LOYALTY_PUBLIC_URL", URL)
    return Settings.from_environment()


@pytest.fixture
def installation(settings: Settings, tmp_path: Path) -> Installation:
    context = Context.from_settings(settings)
    run = stored(context, {"weekly.csv": CONTENT, "Événements d'été.csv": b"a,b\n1,2\n", "empty.csv": b""})
    return Installation(context, run, tmp_path / "home")


@pytest.fixture
def mail(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[MailServer]:
    """A mail server that Airflow's connection loyalty_mail names."""
    folder = tmp_path / "mail"
    folder.mkdir()
    with mail_server(folder) as server:
        monkeypatch.setenv("AIRFLOW_CONN_LOYALTY_MAIL", server.variable())
        yield server


@pytest.fixture
def standing(api_server: Any, installation: Installation) -> Callable[[], None]:
    """Let the pages stand on what the test has set by the time when it first asks for one."""
    from include.web.access import airflow_context, announce

    @cache
    def stand() -> None:
        stand_on(web._app(), context=airflow_context(), announce=announce)

    return stand


@pytest.fixture
def browser(api_server: Any, standing: Callable[[], None]) -> Callable[..., Any]:
    """Make a client: of nobody, or of a user who has logged in; what it sends looks like a browser's."""
    from starlette.testclient import TestClient

    def make(user: str | None = None, role: str | None = "VIEWER", **options: Any) -> TestClient:
        client = TestClient(api_server, base_url=URL, follow_redirects=False, **options)
        client.event_hooks = {"request": [lambda _request: standing()]}
        client.headers["accept"] = "text/html"
        if user is not None:
            client.cookies.set("_token", login_token(user, role))
        return client

    return make


def login_token(user: str, role: str | None) -> str:
    from airflow.api_fastapi.app import get_auth_manager
    from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser

    return get_auth_manager().generate_jwt(SimpleAuthManagerUser(username=user, role=role))
