"""The running Airflow that the tests of orchestration share."""

from __future__ import annotations

from tests.orchestration.airflow_server import airflow_server

__all__ = ["airflow_server"]
