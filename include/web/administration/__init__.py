"""Who may do what, the audit log, retention, connections and keys."""

from __future__ import annotations

from fastapi import APIRouter, Depends, Request
from starlette.responses import RedirectResponse, Response

from include.web import pages
from include.web.administration import access, audit, connections, keys, retention
from include.web.administration.permitted import administering

router = APIRouter()


@router.get("/administration", dependencies=[Depends(administering)])
def first(request: Request) -> Response:
    """Lead to the first page."""
    return RedirectResponse(f"{pages.root(request)}/administration/access", 303)


for part in (access, audit, connections, keys, retention):
    router.include_router(part.router)
