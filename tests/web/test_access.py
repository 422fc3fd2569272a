"""Airflow decides who sees an export; for many at once it says the same as for each."""

from __future__ import annotations

import asyncio
from types import SimpleNamespace

import pytest
from starlette.requests import Request

from include.pipeline import Context
from include.settings import Settings
from include.web.access import airflow_reader
from include.web.reader import Reader, Right
from tests.web.conftest import login_token

IDS = frozenset({"month-end", "weekly-history", "daily-balances"})


@pytest.fixture
def reader(api_server, tmp_path):
    """Make a reader as a request of that user makes one."""
    settings = Settings.from_environment({"LOYALTY_HOME": str(tmp_path)})
    app = SimpleNamespace(state=SimpleNamespace(context=Context.from_settings(settings)))

    def make(user: str, role: str | None, query: str = "") -> Reader:
        cookie = f"_token={login_token(user, role)}".encode()
        scope = {"type": "http", "method": "GET", "path": "/exports", "query_string": query.encode()}
        request = Request(scope | {"headers": [(b"cookie", cookie)], "app": app, "path_params": {}})
        return asyncio.run(airflow_reader(request))

    return make


@pytest.mark.parametrize(
    ("user", "role", "seen"),
    [
        ("admin", "ADMIN", IDS),
        ("olga", "OP", IDS),
        ("vera", "VIEWER", IDS),
        ("finance", "VIEWER", {"month-end"}),
        ("care", "VIEWER", {"weekly-history"}),
        ("nobody", None, set()),
    ],
)
def test_many_at_once_are_those_that_each_is(reader, user, role, seen):
    found = reader(user, role)
    assert found.readable(IDS) == seen == {each for each in IDS if found.may(Right.SEE, each)}
    assert found.readable(frozenset()) == frozenset()


def test_an_address_cannot_say_which_dag_is_asked_about(reader):
    assert reader("finance", "VIEWER").may(Right.SEE, "month-end")
    assert not reader("finance", "VIEWER", query="dag_id=month-end").may(Right.SEE)


def test_a_team_sees_its_own_dags(reader, monkeypatch):
    from airflow.models.dag import DagModel
    from airflow.models.dagbundle import DagBundleModel
    from airflow.models.team import Team
    from airflow.utils.session import create_session

    monkeypatch.setenv("AIRFLOW__CORE__MULTI_TEAM", "true")
    with create_session() as session:
        for name in ("shop", "bank"):
            bundle = DagBundleModel(name=f"{name}-bundle")
            bundle.teams.append(Team(name=name))
            session.add(bundle)
            session.flush()
            session.add(DagModel(dag_id=f"{name}-export", bundle_name=bundle.name))
    ids = frozenset({"shop-export", "bank-export", "of-no-team"})
    found = reader("vera", "VIEWER")
    assert found.readable(ids) == {"of-no-team"} == {each for each in ids if found.may(Right.SEE, each)}
    assert reader("admin", "ADMIN").readable(ids) == ids
