"""The dashboards: tiles and charts of one program and time frame, and of which run they are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

from fastapi import APIRouter, Request
from starlette.responses import Response

from include.errors import BadInput
from include.pipeline import Context
from include.pipeline import exports as catalogue
from include.pipeline.dashboards import DASHBOARD, Asked, Figures, board, newest
from include.pipeline.dashboards.frames import CUSTOM, is_current
from include.state.last_run import WORKING
from include.state.runs import RunRecord
from include.web import pages
from include.web.dashboards.asked import Wish, Wished, asked, every_frame, usual
from include.web.dashboards.drawn import drawn
from include.web.reader import Asking, Reader, Right, context_of

router = APIRouter()
SILENT = timedelta(minutes=10)


@router.get("/dashboards")
def dashboards(request: Request, reader: Asking, wished: Wished) -> Response:
    """Show the board; what cannot be shown as asked is said above the usual one. 401, 403."""
    reader.require(Right.SEE, DASHBOARD)
    figures = newest(context_of(request))
    if figures is None or not figures.programs():
        known = _is_known(context_of(request))
        return pages.show(request, reader, "dashboards/none.html", is_known=known, **_run(request, reader))
    problems: list[str] = []
    try:
        found = asked(figures, reader, wished)
    except BadInput as error:
        problems = [str(problem) for problem in error.problems]
        found, wished = usual(figures, reader), Wish()
    made = board(found)
    return pages.show(
        request,
        reader,
        "dashboards/board.html",
        status=422 if problems else 200,
        problems=problems,
        tiles=made.tiles,
        charts=[drawn(chart) for chart in made.charts],
        missing=made.missing,
        frames=every_frame(figures, wished),
        **_run(request, reader),
        **about(figures, found, wished),
    )


def about(figures: Figures, found: Asked, wished: Wish) -> dict[str, Any]:
    """Return what templates say of the run, the program and the days."""
    return {
        "run": figures.run,
        "figures": figures,
        "asked": found,
        "programs": figures.programs(),
        "frame": found.frame,
        "is_custom": found.frame.kind == CUSTOM,
        "is_current": is_current(figures),
        "query": wished.query(program=found.program),
    }


def _run(request: Request, reader: Reader) -> dict[str, Any]:
    """Return what the button needs that makes new figures."""
    context = context_of(request)
    newest_first = context.state.runs.list(definition_id=DASHBOARD, limit=1)
    is_working = any(run.status.value in WORKING and _is_alive(run) for run in newest_first)
    return {"export": DASHBOARD, "may_run": reader.may(Right.RUN, DASHBOARD), "is_working": is_working}


def _is_alive(run: RunRecord) -> bool:
    """Say whether something happened to the run lately: one whose process died must not block the button."""
    return run.updated_at is not None and datetime.now(UTC) - run.updated_at < SILENT


def _is_known(context: Context) -> bool:
    catalogue.refresh(context)
    return context.state.exports.get(DASHBOARD) is not None
