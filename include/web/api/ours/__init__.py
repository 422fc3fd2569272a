"""Our own API: definitions, runs, deliveries, reports, imports and the audit log, at `/loyalty/api/v1`."""

from __future__ import annotations

from fastapi import APIRouter

from include.web.api.application import Api
from include.web.api.caller import bearer_key
from include.web.api.ours import audit, customers, definitions, deliveries, imports, reports, runs

router = APIRouter()
for part in (definitions, runs, deliveries, reports, customers, imports, audit):
    router.include_router(part.router)
api = Api(
    prefix="/api/v1",
    title="Loyalty Ledger Exports",
    description=(
        "Definitions, runs, deliveries, reports, imports and the audit log. A key goes into `Authorization: Bearer "
        "KEY`. All times are UTC (RFC 3339), points have at most two decimals, and errors are RFC 9457."
    ),
    router=router,
    key_of=bearer_key,
    large=imports.LARGE,
    schemes={"key": {"type": "http", "scheme": "bearer", "description": "An API key of Administration."}},
)
