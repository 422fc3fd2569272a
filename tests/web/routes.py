"""Every route of the application, and what it takes to use it: one line for each, and no route without one."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.routing import BaseRoute, Mount


class Takes(Enum):
    """What somebody must have. For one export: that which the address names, or what it names belongs to."""

    NOTHING = "nothing: a link that was mailed, and style sheets"
    LOGIN = "a login"
    SEE = "to see the export"
    RUN = "to run the export"
    EDIT = "to change the export"
    MAKE = "to change all exports, and so to make one"
    PERSONAL = "to see personal data of all exports"
    DASHBOARD = "to see the export that the dashboards are drawn from"
    ADMINISTER = "to administer"


class Route(NamedTuple):
    method: str
    path: str


ROUTES: dict[Route, Takes] = {
    Route(method, path): takes
    for takes, lines in {
        Takes.NOTHING: ["GET /d/{token}", "POST /d/{token}", "GET /static"],
        Takes.LOGIN: [
            "GET /exports",
            "GET /processing",
            "GET /attention",
            "GET /attention/count",
            "GET /customers",  # whole ids alone are found by who may not see personal data, and shown masked
        ],
        Takes.SEE: [
            "GET /files/{run_key}",
            "GET /files/{run_key}/{name}",
            "GET /dags/{definition_id}",
            "GET /exports/{definition_id}",
            "GET /exports/{definition_id}/runs",
            "GET /exports/{definition_id}/runs/{run_key}",
            "GET /exports/{definition_id}/yaml",
            "GET /exports/{definition_id}/airflow",
            "GET /exports/{definition_id}/versions",
            "GET /exports/{definition_id}/compare",
        ],
        Takes.RUN: [
            "POST /exports/{definition_id}/run",
            "POST /exports/{definition_id}/send",
            "POST /exports/{definition_id}/resend",
            "POST /exports/{definition_id}/restate",
            "POST /exports/{definition_id}/hold",
            "POST /exports/{definition_id}/runs/{run_key}/deliveries/{key}",
            "GET /exports/{definition_id}/backfill",
            "POST /exports/{definition_id}/backfill",
            "POST /attention/deliveries/{key}",
            "POST /attention/runs/{run_key}",
            "POST /attention/notices/{key}",
        ],
        Takes.EDIT: [
            "GET /exports/{definition_id}/edit",
            "POST /exports/{definition_id}/edit",
            "GET /exports/{definition_id}/delete",
            "POST /exports/{definition_id}/delete",
            "POST /exports/{definition_id}/pause",
            "POST /exports/{definition_id}/versions",
        ],
        Takes.MAKE: [
            "GET /exports/new",
            "GET /exports/new/{model}",
            "POST /exports/new/{model}",
            "GET /exports/{definition_id}/clone",
            "POST /editor/schedule",
            "POST /editor/name",
            "POST /editor/filters",
            "POST /editor/preview",
            "POST /editor/snapshot",
            "POST /editor/target/{number}",
        ],
        Takes.PERSONAL: ["GET /customers/{customer_id}", "POST /customers/log"],
        Takes.DASHBOARD: ["GET /dashboards", "GET /dashboards/{name}"],
        Takes.ADMINISTER: [
            "GET /administration",
            "GET /administration/access",
            "POST /administration/access",
            "POST /administration/access/revoke",
            "GET /administration/audit",
            "POST /administration/audit/export",
            "POST /administration/audit/verify",
            "GET /administration/connections",
            "POST /administration/connections/{name}/test",
            "POST /administration/ledger/test",
            "GET /administration/keys",
            "POST /administration/keys",
            "POST /administration/keys/{key_id}/revoke",
            "GET /administration/retention",
            "POST /attention/anchor",
        ],
    }.items()
    for method, path in (line.split(" ") for line in lines)
}
# What the parameters of an address are, where a test does not say it.
USUAL = {
    "definition_id": "weekly-history",
    "model": "balance",
    "name": "weekly.csv",
    "number": "0",
    "customer_id": "c000001",
    "key_id": "0" * 16,
}


def of_application(app: Any) -> set[Route]:
    """Every route that the application answers; HEAD goes with GET."""
    return set(_walk(app.routes, ""))


def _walk(routes: list[BaseRoute], prefix: str) -> Iterator[Route]:
    for route in routes:
        if isinstance(route, Mount):
            inner = route.routes or []
            yield from _walk(inner, prefix + route.path) if inner else [Route("GET", prefix + route.path)]
            continue
        for method in route.methods - {"HEAD"}:  # type: ignore[attr-defined]
            yield Route(method, prefix + route.path)  # type: ignore[attr-defined]


def address(route: Route, **named: str) -> str:
    """An address of the route, below Airflow's root."""
    path = f"/static/{'app.css'}" if route.path == "/static" else route.path
    for name, value in (USUAL | named).items():
        path = path.replace(f"{{{name}}}", quote(value, safe=""))
    assert "{" not in path, f"say what {path} is about"
    return f"/loyalty{path}"
