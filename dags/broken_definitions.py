"""Makes no DAG: shows, as an import error of Airflow, what is wrong with definitions that have no DAG.

It is a file of its own because Airflow retires every DAG of a file that has an import error.
"""

from __future__ import annotations

from airflow.sdk import get_parsing_context

from include.errors import BadInput
from include.orchestration.catalogue import entries
from include.settings import Settings

if not get_parsing_context().dag_id and (_found := entries(Settings.from_environment())[1]):
    raise BadInput(_found)
