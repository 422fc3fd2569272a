"""Rule: LOYALTY_LEDGER_URL, else Airflow's connection `loyalty_ledger`, else the embedded ledger."""

from __future__ import annotations

import pytest
from airflow.sdk import Connection
from sqlalchemy.engine import make_url

from include.errors import BadInput
from include.orchestration import ledger
from include.orchestration.ledger import address, ledger_environment


def connection(**more) -> Connection:
    return Connection(conn_id="loyalty_ledger", **more)


def test_a_postgres_connection_with_awkward_characters_survives():
    given = connection(
        conn_type="postgres",
        host="db",
        port=5433,
        login="me@x",
        password="p/w:@ä",
        schema="loyalty",
        extra='{"sslmode": "require"}',
    )
    url = make_url(address(given))
    assert (url.drivername, url.host, url.port, url.database) == ("postgresql", "db", 5433, "loyalty")
    assert (url.username, url.password) == ("me@x", "p/w:@ä")
    assert url.query == {"sslmode": "require"}


def test_mysql_gets_the_driver_that_we_ship():
    assert make_url(address(connection(conn_type="mysql", host="db"))).drivername == "mysql+pymysql"


def test_sqlite_is_a_path():
    assert (
        address(connection(conn_type="sqlite", host="/data/ledger.sqlite")) == "sqlite:////data/ledger.sqlite"
    )


def test_another_type_is_refused_by_name():
    with pytest.raises(BadInput, match=r"'http'.*postgres"):
        address(connection(conn_type="http", host="x"))


def test_the_environment_wins_and_the_connection_is_not_even_asked(monkeypatch):
    monkeypatch.setattr(ledger, "_connection", lambda: pytest.fail("asked"))
    assert ledger_environment({"LOYALTY_LEDGER_URL": "sqlite:///a"}) == {"LOYALTY_LEDGER_URL": "sqlite:///a"}


def test_the_connection_brings_its_mapping(monkeypatch):
    given = connection(conn_type="postgres", host="db", extra='{"mapping": "/etc/mapping.yaml"}')
    monkeypatch.setattr(ledger, "_connection", lambda: given)
    found = ledger_environment({})
    assert found["LOYALTY_LEDGER_MAPPING"] == "/etc/mapping.yaml"
    assert found["LOYALTY_LEDGER_URL"] == "postgresql://db"


def test_without_either_the_embedded_ledger_stays(monkeypatch):
    monkeypatch.setattr(ledger, "_connection", lambda: None)
    assert ledger_environment({"HOME": "x"}) == {"HOME": "x"}
