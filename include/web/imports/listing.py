"""The history of imports, newest first, and the form for a new one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from include.errors import Problem
from include.imports.modes import modes
from include.imports.options import Mode
from include.pipeline import imports
from include.state.imports import ImportState
from include.web import pages
from include.web.imports.permitted import Importer
from include.web.imports.shown import BADGES, ShownImport
from include.web.reader import Reader, context_of

PER_PAGE = 50
MOST_PAGES = 2000
LONGEST_TEXT = 200
FRESH = {"mode": Mode.ADD.value, "program": "", "subledger": "", "card": ""}

_ORDER = list(Mode)

router = APIRouter(prefix="/imports")


@router.get("")
def listing(request: Request, reader: Importer, q: str = "", state: str = "", page: int = 1) -> Response:
    """Show the form, and who imported what and when."""
    return shown(request, reader, q=q, state=state, page=page)


def shown(
    request: Request,
    reader: Reader,
    *,
    typed: dict[str, str] | None = None,
    problems: Sequence[Problem] = (),
    q: str = "",
    state: str = "",
    page: int = 1,
    status: int = 200,
) -> Response:
    """Show the page. typed and problems: what a form brought that was refused, and why."""
    context = context_of(request)
    text = q.strip().replace("\0", "")[:LONGEST_TEXT]
    wanted = [ImportState(state)] if state in set(ImportState) else []
    number = min(max(page, 1), MOST_PAGES)
    found = context.state.imports.list(wanted, text=text, limit=PER_PAGE + 1, offset=(number - 1) * PER_PAGE)
    why_not = imports.why_not_writable(context)
    return pages.show(
        request,
        reader,
        "imports/listing.html",
        status=status,
        found=[ShownImport(each) for each in found[:PER_PAGE]],
        page=number,
        more=len(found) > PER_PAGE,
        asked={"q": text, "state": state if wanted else ""},
        states={each.value: words for each, (words, _) in BADGES.items()},
        modes=_offered(),
        programs=imports.programs(context) if why_not is None else {},
        why_not=why_not,
        typed={**FRESH, **(typed or {})},
        wrong=list(problems),
        zone=zone_of(request),
    )


def zone_of(request: Request) -> str:
    """Return the zone in which instants of imports are shown."""
    return context_of(request).settings.notify.get("LOYALTY_TIMEZONE") or "UTC"


def _offered() -> list[dict[str, Any]]:
    """Return the modes that a file can be uploaded in."""
    return [
        {"name": name, "title": each.title, "description": each.description}
        for name, each in sorted(modes().items(), key=lambda mode: _ORDER.index(Mode(mode[0])))
        if name != Mode.UNDO
    ]
