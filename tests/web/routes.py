"""Every route of the application, and what it takes to use it: one line for each, and no route without one."""

from __future__ import annotations

from collections.abc import Iterator
from enum import Enum
from typing import Any, NamedTuple
from urllib.parse import quote

from starlette.routing import BaseRoute, Mount

from include.state.keys import Scope


class Takes(Enum):
    """What somebody must have. For one export: that which the address names, or what it names belongs to."""

    NOTHING = "nothing: a link that was mailed, style sheets, and the way to the first page"
    LOGIN = "a login"
    SEE = "to see the export"
    RUN = "to run the export"
    EDIT = "to change the export"
    MAKE = "to change all exports, and so to make one"
    PERSONAL = "to see personal data of all exports"
    IMPORT = "to import"
    IMPORTED_FILE = "to import, and to see personal data where somebody else brought the file"
    DASHBOARD = "to see the export that the dashboards are drawn from"
    ADMINISTER = "to administer"


class Route(NamedTuple):
    method: str
    path: str


ROUTES: dict[Route, Takes] = {
    Route(method, path): takes
    for takes, lines in {
        Takes.NOTHING: ["GET /", "GET /d/{token}", "POST /d/{token}", "GET /static"],
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
        Takes.IMPORT: [
            "GET /imports",
            "POST /imports",
            "GET /imports/templates/{template}",
            "GET /imports/{import_id}",
            "POST /imports/{import_id}/rehearse",
            "POST /imports/{import_id}/post",
            "POST /imports/{import_id}/approve",
            "POST /imports/{import_id}/refuse",
            "POST /imports/{import_id}/undo",
            "POST /imports/{import_id}/again",
        ],
        Takes.IMPORTED_FILE: ["GET /imports/{import_id}/files/{kind}"],
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
# Every route of the APIs, and the scope that a key must have for it; None: it is open to all.
API: dict[Route, Scope | None] = {
    Route(method, prefix + path): scope
    for prefix, scopes in {
        "/api/v1": {
            None: ["GET /openapi.json"],
            Scope.DEFINITIONS_READ: ["GET /definitions", "GET /definitions/{definition_id}"],
            Scope.DEFINITIONS_WRITE: [
                "POST /definitions",
                "PUT /definitions/{definition_id}",
                "DELETE /definitions/{definition_id}",
            ],
            Scope.RUNS_READ: ["GET /runs", "GET /runs/{run_key}"],
            Scope.RUNS_START: ["POST /definitions/{definition_id}/runs"],
            Scope.FILES_READ: ["GET /runs/{run_key}/files", "GET /runs/{run_key}/files/{name}"],
            Scope.DELIVERIES_READ: [
                "GET /runs/{run_key}/deliveries",
                "GET /deliveries",
                "GET /deliveries/{key}",
            ],
            Scope.DELIVERIES_SEND: ["POST /runs/{run_key}/send", "POST /deliveries/{key}/resolve"],
            Scope.REPORTS_READ: [
                "GET /reports",
                "GET /reports/{model}",
                "POST /reports",
                "GET /customers/{customer_id:path}/balance",
                "GET /customers/{customer_id:path}/transactions",
                "GET /cards/{card_id:path}/balance",
            ],
            Scope.IMPORTS_WRITE: [
                "GET /imports",
                "POST /imports",
                "GET /imports/{import_id}",
                "GET /imports/{import_id}/rows",
                "GET /imports/{import_id}/files/{kind}",
                "POST /imports/{import_id}/rehearse",
                "POST /imports/{import_id}/post",
                "POST /imports/{import_id}/undo",
                "POST /imports/{import_id}/refuse",
            ],
            Scope.IMPORTS_APPROVE: ["POST /imports/{import_id}/approve"],
            Scope.AUDIT_READ: ["GET /audit"],
        },
        "/talon-one": {
            None: ["GET /openapi.json"],
            Scope.REPORTS_READ: [
                f"GET /v1/{path}"
                for path in (
                    "loyalty_programs/{loyaltyProgramId}/profile/{integrationId:path}/balances",
                    "loyalty_programs/{loyaltyProgramId}/cards/{loyaltyCardId:path}/balances",
                    "loyalty_programs/{loyaltyProgramId}/profile/{integrationId:path}/transactions",
                    "loyalty_programs/{loyaltyProgramId}/cards/{loyaltyCardId:path}/logs",
                    "loyalty_programs/{loyaltyProgramId}/cards/{loyaltyCardId:path}/transactions",
                    "loyalty_programs/{loyaltyProgramId}/profile/{integrationId:path}/export_log",
                    "loyalty_programs/{loyaltyProgramId}/cards/{loyaltyCardId:path}/export_log",
                    "loyalty_programs/{loyaltyProgramId}/export_customer_balance",
                    "loyalty_programs/{loyaltyProgramId}/export_customer_balances",
                    "loyalty_programs/{loyaltyProgramId}/export_card_balances",
                    "loyalty_programs/{loyaltyProgramId}/export_customers_tiers",
                    "loyalty_programs/{loyaltyProgramId}/export_join_dates",
                    "loyalty_programs/{loyaltyProgramId}/cards/export",
                    "loyalty_programs/{loyaltyProgramId}/transactions",
                    "loyalty_programs/{loyaltyProgramId}/statistics",
                    "loyalty_programs/{loyaltyProgramId}/dashboard",
                    "customer_profiles/{integrationId:path}/inventory",
                )
            ],
            Scope.IMPORTS_WRITE: ["POST /v1/loyalty_programs/{loyaltyProgramId}/import_points"],
        },
        "/voucherify": {
            None: ["GET /openapi.json"],
            Scope.REPORTS_READ: [
                "POST /v1/exports",
                "GET /v1/exports",
                "GET /v1/exports/{export_id}",
                "DELETE /v1/exports/{export_id}",
                "POST /v1/loyalties/{campaign_id}/points-expiration/export",
                "POST /v1/loyalties/{campaign_id}/transactions/export",
            ],
        },
        "/wupsales": {
            None: ["GET /openapi.json"],
            Scope.REPORTS_READ: [
                "GET /wp-json/aiwu/v1/customers/points",
                "GET /wp-json/aiwu/v1/transactions",
                "GET /wp-json/aiwu/v1/rewards/redemptions",
            ],
        },
    }.items()
    for scope, lines in scopes.items()
    for method, path in (line.split(" ") for line in lines)
}
# Of these, another scope will do too.
ALSO: dict[Route, Scope] = {
    Route(method, f"/api/v1/imports{path}"): Scope.IMPORTS_APPROVE
    for method, path in (
        ("GET", ""),
        ("GET", "/{import_id}"),
        ("GET", "/{import_id}/rows"),
        ("GET", "/{import_id}/files/{kind}"),
        ("POST", "/{import_id}/refuse"),
    )
}
# What the parameters of an address are, where a test does not say it.
USUAL = {
    "definition_id": "weekly-history",
    "model": "balance",
    "name": "weekly.csv",
    "number": "0",
    "customer_id": "c000001",
    "key_id": "0" * 16,
    "template": "add.csv",
    "kind": "original",
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
