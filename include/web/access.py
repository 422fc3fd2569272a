"""Airflow's users, rights and connections, for the pages. No other module of the web knows Airflow."""

from __future__ import annotations

import os
from collections import defaultdict
from collections.abc import Collection
from typing import Any

from airflow.api_fastapi.app import get_auth_manager
from airflow.api_fastapi.auth.managers.base_auth_manager import COOKIE_NAME_JWT_TOKEN
from airflow.api_fastapi.auth.managers.models.resource_details import DagAccessEntity, DagDetails
from airflow.api_fastapi.auth.managers.simple.simple_auth_manager import (
    SimpleAuthManager,
    SimpleAuthManagerRole,
)
from airflow.api_fastapi.auth.managers.simple.user import SimpleAuthManagerUser
from airflow.api_fastapi.core_api.security import bearer_scheme, get_user
from airflow.configuration import conf
from airflow.models.dag import DagModel
from fastapi import Request

from include.orchestration.announcing import announce
from include.orchestration.answering import answer
from include.orchestration.connections import airflow_connection
from include.orchestration.ending import end_unpinned
from include.orchestration.ledger import writing_environment
from include.orchestration.starting import start
from include.pipeline import Context
from include.settings import IMPORTS_DAG, Settings
from include.web.reader import Reader, Right

__all__ = ["airflow_context", "airflow_reader", "announce", "answer", "end_unpinned", "start"]

ADMIN = "admin"
"""The role (its case is free) that has every right, in each of Airflow's auth managers."""
# What Airflow must allow for each right on a DAG; None: Airflow has no word for it.
AIRFLOW: dict[Right, tuple[Any, DagAccessEntity | None] | None] = {
    Right.SEE: ("GET", None),
    Right.RUN: ("POST", DagAccessEntity.RUN),
    Right.EDIT: ("PUT", None),
    Right.PERSONAL: ("GET", None),
    Right.IMPORT: ("POST", DagAccessEntity.RUN),
    Right.ADMINISTER: None,
}
GRANTED = frozenset(Right) - {Right.SEE, Right.RUN}


async def airflow_reader(request: Request) -> Reader:
    """Return who asks, by Airflow's cookie or bearer token; HTTPException 401 for nobody, 403 for a wrong token."""
    bearer = await bearer_scheme(request)
    user = await get_user(request, bearer_credentials=bearer)
    login = bearer.credentials if bearer else request.cookies.get(COOKIE_NAME_JWT_TOKEN, "")
    context: Context = request.app.state.context
    roles = roles_of(user)
    admin = ADMIN in {role.casefold() for role in roles}

    def allowed(right: Right, definition_id: str | None) -> bool:
        asked = AIRFLOW[right]
        dag_id = IMPORTS_DAG if right is Right.IMPORT else definition_id
        if asked is not None and not _airflow_allows(user, asked, dag_id):
            return False
        return admin or right not in GRANTED or context.state.grants.allowed(roles, right, definition_id)

    def readable(definition_ids: Collection[str]) -> frozenset[str]:
        return _readable(user, definition_ids)

    return Reader(user.get_name(), roles, allowed, readable, login)


def _airflow_allows(user: Any, asked: tuple[Any, DagAccessEntity | None], definition_id: str | None) -> bool:
    method, entity = asked
    team = _teams([definition_id]).get(definition_id) if definition_id is not None else None
    details = DagDetails(id=definition_id, team_name=team)
    return bool(
        get_auth_manager().is_authorized_dag(method=method, access_entity=entity, details=details, user=user)
    )


def _readable(user: Any, definition_ids: Collection[str]) -> frozenset[str]:
    """Return those whose DAGs the user may see: one question for all of a team's, as auth managers like it."""
    teams = _teams(definition_ids)
    of_team: dict[str | None, set[str]] = defaultdict(set)
    for each in definition_ids:
        of_team[teams.get(each)].add(each)
    ask = get_auth_manager().filter_authorized_dag_ids
    return frozenset().union(
        *(ask(dag_ids=theirs, user=user, team_name=team) for team, theirs in of_team.items())
    )


def _teams(definition_ids: Collection[str]) -> dict[str, str | None]:
    """Return the team of each DAG that belongs to one."""
    if not conf.getboolean("core", "multi_team", fallback=False):
        return {}
    teams: dict[str, str | None] = DagModel.get_dag_id_to_team_name_mapping(list(definition_ids))
    return teams


def roles_of(user: Any) -> frozenset[str]:
    """Return the names of a user's roles: one in the simple auth manager, any number in FAB's."""
    role = getattr(user, "role", None)
    several = getattr(user, "roles", None) or ()
    return frozenset([role] if role else [str(getattr(each, "name", each)) for each in several])


def airflow_roles() -> dict[str, frozenset[str]]:
    """Return by role which rights on all DAGs Airflow gives: those of the simple auth manager; others ask their own."""
    manager = get_auth_manager()
    if not isinstance(manager, SimpleAuthManager):
        return {}
    found = {}
    for role in SimpleAuthManagerRole:
        user = SimpleAuthManagerUser(username="", role=role.name)
        asked = {
            right: how
            for right, how in AIRFLOW.items()
            if how is not None and right not in GRANTED - {Right.EDIT}
        }
        found[role.name.lower()] = frozenset(
            right.value for right, how in asked.items() if _airflow_allows(user, how, None)
        )
    return found


def airflow_context() -> Context:
    """Return a context with the settings of the environment and Airflow's connections."""
    return Context.from_settings(
        Settings.from_environment(writing_environment(os.environ)), airflow_connection
    )
