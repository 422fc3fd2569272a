"""Airflow's users, rights and connections, for the pages. No other module of the web knows Airflow."""

from __future__ import annotations

import os

from airflow.api_fastapi.core_api.security import bearer_scheme, get_user, requires_access_dag
from fastapi import HTTPException, Request

from include.orchestration.connections import airflow_connection
from include.pipeline import Context
from include.settings import Settings
from include.web.reader import Reader


async def airflow_reader(request: Request) -> Reader:
    """Return who asks, by Airflow's cookie or bearer token; HTTPException 401 for nobody, 403 for a wrong token."""
    user = await get_user(request, bearer_credentials=await bearer_scheme(request))

    def may_read(definition_id: str) -> bool:
        try:
            requires_access_dag("GET", param_dag_id=definition_id)(request, user)
        except HTTPException:
            return False
        return True

    return Reader(user.get_name(), may_read)


def airflow_context() -> Context:
    """Return a context with the settings of the environment and Airflow's connections."""
    return Context.from_settings(Settings.from_environment(os.environ), airflow_connection)
