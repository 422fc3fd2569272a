"""Talon.One's API of loyalty programs, for the clients and tools that already call it: one file for each group.

Paths, parameters, answers and errors are the vendor's; figures are those of the reports. Programs go by their numbers
(`programs.external_id`). docs/api/talon-one.md says what differs, and why.
"""

from __future__ import annotations

from fastapi import APIRouter

from include.web.api.application import Api
from include.web.api.talon_one import (
    balances,
    dashboard,
    exports,
    import_points,
    inventory,
    logs,
    program_transactions,
    statistics,
    transactions,
)
from include.web.api.talon_one.errors import RESPONSES, told
from include.web.api.talon_one.keys import SCHEMES, key_of

GROUPS = (
    balances,
    transactions,
    logs,
    exports,
    program_transactions,
    statistics,
    dashboard,
    inventory,
    import_points,
)


def _router() -> APIRouter:
    router = APIRouter(responses=RESPONSES)
    for group in GROUPS:
        router.include_router(group.router)
    return router


api = Api(
    prefix="/talon-one",
    title="Loyalty, as Talon.One has it",
    description="Routes of Talon.One's Integration and Management API: loyalty programs, and imports of points.",
    router=_router(),
    key_of=key_of,
    schemes=SCHEMES,
    shape=told,
    large=import_points.LARGE,
)
