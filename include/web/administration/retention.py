"""What is kept how long, and what the next upkeep would take away."""

from __future__ import annotations

from fastapi import APIRouter, Request
from starlette.responses import Response

from include.pipeline import exports
from include.pipeline.outlook import outlook
from include.web import pages
from include.web.administration.permitted import Administrator
from include.web.reader import context_of

router = APIRouter(prefix="/administration/retention")


@router.get("")
def show(request: Request, reader: Administrator, look: str = "") -> Response:
    """Show what is kept how long; with `look` also what would go now, which takes a while in a large store."""
    context = context_of(request)
    own = {each.id: each.retention.files for each in exports.known(context).values() if each.retention.files}
    return pages.show(
        request,
        reader,
        "administration/retention.html",
        tab="retention",
        settings=context.settings,
        store=context.store.url,
        own=own,
        found=outlook(context) if look else None,
        unfinished=len(context.state.erasures.unfinished()),
    )
