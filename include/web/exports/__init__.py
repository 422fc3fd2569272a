"""The exports of an installation: their list, one of them, its runs, and what can be done with them."""

from __future__ import annotations

from fastapi import APIRouter

from include.web.exports import actions, airflow, backfill, comparing, listing, page, run, versions

router = APIRouter()
for part in (listing, page, actions, run, airflow, backfill, versions, comparing):
    router.include_router(part.router)
