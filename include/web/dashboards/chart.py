"""One chart: its page with the table open, and the same figures as CSV, PNG and SVG."""

from __future__ import annotations

import re
from typing import Annotated, Literal

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import Response

from include.charts import picture
from include.pipeline.dashboards import CHARTS, DASHBOARD, Asked, Chart, newest
from include.pipeline.dashboards.reading import Unreadable
from include.state.audit import Action
from include.web import pages
from include.web.dashboards.asked import Wished, asked
from include.web.dashboards.drawn import drawn, standing
from include.web.dashboards.page import about
from include.web.reader import Asking, Reader, Right, context_of

router = APIRouter()
NO_CHART = "There is no such chart."
NO_RUN = "No run has made the figures of the dashboards yet."
MEDIA_TYPES = {"csv": "text/csv; charset=utf-8", "png": "image/png", "svg": "image/svg+xml"}
_UNSAFE = re.compile(r"[^A-Za-z0-9._-]+")


@router.get("/dashboards/{name}")
def chart(
    name: str,
    request: Request,
    reader: Asking,
    wished: Wished,
    theme: Annotated[Literal["light", "dark"], Query()] = "light",
) -> Response:
    """Show a chart, or send it as `.csv`, `.png` or `.svg`; 401, 403, 404, and 422 for days that there are not."""
    reader.require(Right.SEE, DASHBOARD)
    kind, _, suffix = name.partition(".")
    if kind not in CHARTS or (suffix and suffix not in MEDIA_TYPES):
        raise HTTPException(404, NO_CHART)
    figures = newest(context_of(request))
    if figures is None:
        raise HTTPException(404, NO_RUN)
    found = asked(figures, reader, wished)
    try:
        made = CHARTS[kind](found)
    except Unreadable as error:
        raise HTTPException(404, f"This chart cannot be drawn: {error}.") from None
    if suffix:
        return _file(request, reader, made, found, suffix, theme)
    return pages.show(
        request,
        reader,
        "dashboards/chart.html",
        shown=drawn(made, alone=True),
        **about(figures, found, wished),
    )


def _file(request: Request, reader: Reader, made: Chart, found: Asked, suffix: str, theme: str) -> Response:
    if suffix == "csv":
        content = made.table.csv()
    elif made.drawing is None:
        raise HTTPException(404, f"There is nothing to draw: {made.says}")
    else:
        text = standing(made, found, theme)
        content = picture.png(text) if suffix == "png" else text.encode()
    if made.holds_names:
        detail = {"file": f"{made.name}.{suffix}", "of": made.source.name, "sha256": made.source.sha256}
        context_of(request).state.audit.write(reader.name, Action.DOWNLOADED, made.source.run_key, detail)
    place = "attachment" if suffix == "csv" else "inline"
    return Response(
        content,
        media_type=MEDIA_TYPES[suffix],
        headers={"Content-Disposition": f'{place}; filename="{_file_name(made, found, suffix)}"'},
    )


def _file_name(made: Chart, found: Asked, suffix: str) -> str:
    days = found.frame.days
    name = f"{made.name}_{found.program}_{days.first}_{days.last}"
    return f"{_UNSAFE.sub('-', name)[:120].strip('-')}.{suffix}"
