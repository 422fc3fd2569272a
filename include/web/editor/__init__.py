"""Making and changing an export: the form, its parts, and what it shows before anything is saved."""

from __future__ import annotations

from fastapi import APIRouter

from include.web.editor import aids, editing

router = APIRouter()
router.include_router(editing.router)
router.include_router(aids.router)
