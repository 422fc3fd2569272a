"""Rule: in Airflow, connections are Airflow's own; one that is missing says how to make it."""

from __future__ import annotations

import pytest

from include.connections import Connection, from_environment
from include.errors import BadInput
from include.orchestration.connections import airflow_connection

URI = "sftp://me:p%20w@files.acme.com:2222/in?private_key=KEY"


def test_airflow_gives_what_the_environment_would_give(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_ACME", URI)
    found = airflow_connection("acme")
    assert found == from_environment("acme")
    assert found == Connection(
        "acme", "sftp", "files.acme.com", 2222, "me", "p w", "in", {"private_key": "KEY"}
    )


def test_a_missing_one_says_how_to_make_it():
    with pytest.raises(BadInput, match=r"Admin > Connections with the id nobody.*AIRFLOW_CONN_NOBODY"):
        airflow_connection("nobody")


def test_one_that_cannot_be_used_is_refused_without_being_shown(monkeypatch):
    monkeypatch.setenv("AIRFLOW_CONN_ACME", '{"conn_type": "http", "password": "canary", "extra": "[1]"}')
    with pytest.raises(BadInput) as refused:
        airflow_connection("acme")
    assert "canary" not in str(refused.value)
