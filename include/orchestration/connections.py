"""Airflow's connections, for the pipeline: in tasks and in the plugin, from wherever Airflow keeps them."""

from __future__ import annotations

from include.connections import Connection, missing, of
from include.errors import BadInput, Problem


def airflow_connection(name: str) -> Connection:
    """Return Airflow's connection of that name; BadInput when there is none or it cannot be read."""
    from airflow.sdk import Connection as AirflowConnection
    from airflow.sdk.exceptions import AirflowNotFoundException

    try:
        found = AirflowConnection.get(name)
    except AirflowNotFoundException:
        raise missing(name) from None
    try:
        return of(
            name,
            conn_type=found.conn_type,
            host=found.host,
            port=found.port,
            login=found.login,
            password=found.password,
            schema=found.schema,
            extra=found.extra,
        )
    except ValueError as error:
        right = f"correct it in Airflow under Admin > Connections: {error}"
        raise BadInput([Problem("connection", name, right, "bad_connection")]) from None
