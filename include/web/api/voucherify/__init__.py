"""The exports of Voucherify's API, for the tools that call it already (docs/api/voucherify.md)."""

from __future__ import annotations

from fastapi import APIRouter

from include.web.api.application import Api
from include.web.api.voucherify import errors, exports, keys, loyalties

_ROUTER = APIRouter(responses=errors.RESPONSES)
for _group in (exports, loyalties):
    _ROUTER.include_router(_group.router)

api = Api(
    prefix=exports.PREFIX,
    title="Loyalty: exports as Voucherify has them",
    description="`POST /v1/exports`, then `GET` until it is `DONE`, then `result.url`. Times are UTC.",
    router=_ROUTER,
    key_of=keys.key_of,
    schemes=keys.SCHEMES,
    shape=errors.told,
)
