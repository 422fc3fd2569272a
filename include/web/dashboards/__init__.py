"""Charts, each with its table and its files, drawn from what the export `dashboard` has made."""

from __future__ import annotations

from fastapi import APIRouter

from include.web.dashboards import chart, page

router = APIRouter()
router.include_router(page.router)
router.include_router(chart.router)
