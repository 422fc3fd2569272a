"""Imports: files that are uploaded, what they would do, and posting, approving, refusing and undoing them."""

from __future__ import annotations

from fastapi import APIRouter

from include.web.imports import actions, files, listing, page, upload

LARGEST_FILE_BYTES = 2 * 1024**3
LARGE = {"/imports": LARGEST_FILE_BYTES}
"""Paths whose requests may hold a file, and how large they may be."""

router = APIRouter()
for part in (listing, upload, files, page, actions):
    router.include_router(part.router)
