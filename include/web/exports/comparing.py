"""Any two runs of an export beside each other."""

from __future__ import annotations

from typing import Annotated, Any
from urllib.parse import urlencode

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from include.pipeline import Context
from include.pipeline.two_runs import ROWS_AT_ONCE, Compared, compare
from include.state.audit import Action
from include.state.runs import RunRecord
from include.web import pages
from include.web.exports.page import about
from include.web.exports.permitted import Permitted, ToSee, run_of
from include.web.exports.shown import ShownRun
from include.web.reader import Asking, Right, context_of

CHOICES = 100

router = APIRouter(prefix="/exports/{definition_id}/compare")


@router.get("")
def compared(
    request: Request,
    reader: Asking,
    found: ToSee,
    run: Annotated[list[str], Query(max_length=50)] = [],  # noqa: B006 - FastAPI copies it
    a: Annotated[str, Query(max_length=64)] = "",
    b: Annotated[str, Query(max_length=64)] = "",
    export: Annotated[str, Query(max_length=100)] = "",
    page: Annotated[int, Query(ge=1, le=1_000_000)] = 1,
) -> Response:
    """Show what differs between runs a and b, or the two that were ticked, the older one first; else let choose."""
    keys = [a, b] if a and b else list(dict.fromkeys(run))
    runs = [run_of(request, found, key) for key in keys]
    context = context_of(request)
    values: dict[str, Any] = {
        "choices": _choices(context, found, runs),
        "before": None,
        "after": None,
        "parts": [],
    }
    if len(runs) == 2:
        before, after = (
            runs if a else sorted(runs, key=lambda each: (each.as_of, each.revision, each.known_at))
        )
        may = reader.may(Right.PERSONAL, found.id)
        parts = compare(context, before, after, show_personal=may, export=export or None, page=page)
        if any(each.is_personal and each.pairs for each in parts):
            detail = {"compared_with": before.run_key, "rows": True}
            context.state.audit.write(reader.name, Action.DOWNLOADED, after.run_key, detail)
        shown = [_shown(each, before, after, page if (each.export or "") == export else 1) for each in parts]
        values |= {"before": before, "after": after, "parts": shown}
    return pages.show(request, reader, "exports/compare.html", **about(context, reader, found), **values)


def _choices(context: Context, found: Permitted, runs: list[RunRecord]) -> list[ShownRun]:
    """Return the newest runs that have files, and those that are chosen already."""
    newest = context.state.history.page(found.id, per_page=CHOICES).runs
    known = {each.run_key: ShownRun(each) for each in (*newest, *runs)}
    return [each for each in known.values() if each.data]


def _shown(part: Compared, before: RunRecord, after: RunRecord, page: int) -> dict[str, Any]:
    query = urlencode({"a": before.run_key, "b": after.run_key, "export": part.export or ""})
    last = max(-(-part.differing // ROWS_AT_ONCE), 1)
    return {"part": part, "page": page, "pages": last, "query": query}
