"""Files for people: with a login, and by a one-time code without one."""

from __future__ import annotations

from fastapi import APIRouter

from include.web.downloads import by_code, files

router = APIRouter()
router.include_router(files.router)
router.include_router(by_code.router)
