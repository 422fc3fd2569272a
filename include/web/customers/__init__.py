"""One customer: balances, lots, transactions, and what is to come."""

from __future__ import annotations

from fastapi import APIRouter

from include.web.customers import export, page
from include.web.customers.ways import card_way, way

__all__ = ["card_way", "router", "way"]

router = APIRouter()
router.include_router(page.router)
router.include_router(export.router)
