"""The ledger's address: LOYALTY_LEDGER_URL, else Airflow's connection `loyalty_ledger`, else embedded.

Imports write by LOYALTY_LEDGER_WRITE_URL, else by the connection `loyalty_ledger_write`, else into the embedded one.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from include.errors import BadInput, Problem

CONNECTION = "loyalty_ledger"
WRITE_CONNECTION = "loyalty_ledger_write"
# Airflow's connection types and the database drivers that we ship for them.
DRIVERS = {
    "postgres": "postgresql",
    "postgresql": "postgresql",
    "mysql": "mysql+pymysql",
    "mariadb": "mysql+pymysql",
    "sqlite": "sqlite",
}


def ledger_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `environment` with LOYALTY_LEDGER_URL from the connection where it is not set and there is one.

    The connection's extra may hold `mapping`, the path of a mapping file.
    """
    found = dict(environment)
    if found.get("LOYALTY_LEDGER_URL"):
        return found
    connection = _connection()
    if connection is not None:
        found["LOYALTY_LEDGER_URL"] = address(connection)
        mapping = (connection.extra_dejson or {}).get("mapping")
        if mapping:
            found.setdefault("LOYALTY_LEDGER_MAPPING", str(mapping))
    return found


def writing_environment(environment: Mapping[str, str]) -> dict[str, str]:
    """Return `ledger_environment` with LOYALTY_LEDGER_WRITE_URL from Airflow's connection `loyalty_ledger_write`.

    What LOYALTY_LEDGER_WRITE_URL says itself stays.
    """
    found = ledger_environment(environment)
    if not found.get("LOYALTY_LEDGER_WRITE_URL"):
        connection = _connection(WRITE_CONNECTION)
        if connection is not None:
            found["LOYALTY_LEDGER_WRITE_URL"] = address(connection)
    return found


def address(connection: Any) -> str:
    """Return a connection as a database URL with its password; BadInput for a type that we cannot read."""
    driver = DRIVERS.get(connection.conn_type or "")
    if driver is None:
        right = f"must have one of the types {', '.join(DRIVERS)}"
        raise BadInput(
            [Problem(f"connection {connection.conn_id}", connection.conn_type or "", right, "unknown_type")]
        )
    from sqlalchemy.engine import URL

    if driver == "sqlite":
        return f"sqlite:///{connection.schema or connection.host or ''}"
    query = {name: str(value) for name, value in (connection.extra_dejson or {}).items() if name != "mapping"}
    made = URL.create(
        driver,
        username=connection.login,
        password=connection.password,
        host=connection.host,
        port=connection.port,
        database=connection.schema,
        query=query,
    )
    return made.render_as_string(hide_password=False)


def _connection(name: str = CONNECTION) -> Any | None:
    from airflow.sdk import Connection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        return Connection.get(name)
    except AirflowNotFoundException:
        return None
