"""The page of one export: what it is in one sentence, how it stands, its runs, its figures, who has its files."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, NamedTuple

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from include.definitions.sentence import sentence
from include.definitions.writing import as_yaml
from include.notices.installation import Installation
from include.pipeline import Context
from include.pipeline import exports as catalogue
from include.pipeline.figures import Series, series
from include.pipeline.personal import personal_files
from include.state.deliveries import Delivery
from include.web import pages
from include.web.downloads.sending import disposition
from include.web.exports.permitted import Permitted, ToSee
from include.web.exports.shown import ShownDelivery, ShownRun
from include.web.exports.sparkline import HEIGHT, WIDTH, Sparkline, sparkline
from include.web.reader import Asking, Reader, Right, context_of

RUNS_PER_PAGE = 20
RUNS_OF_FIGURES = 30
# While a run tells of itself it is asked often, after that now and then.
POLL_SECONDS, SLOW_POLL_SECONDS = 3, 20
SILENT = timedelta(minutes=2)

router = APIRouter(prefix="/exports/{definition_id}")
PageNumber = Annotated[int, Query(ge=1, le=1_000_000)]


class Figure(NamedTuple):
    """A figure over runs with its line."""

    series: Series
    line: Sparkline


class AtTarget(NamedTuple):
    """A target, and the newest delivery to it; None where there was none yet. here: whether the export still has it."""

    label: str
    kind: str
    delivery: ShownDelivery | None
    here: bool


@router.get("")
def page(request: Request, reader: Asking, found: ToSee, page: PageNumber = 1) -> Response:
    """Show an export."""
    context = context_of(request)
    return pages.show(
        request,
        reader,
        "exports/page.html",
        **about(context, reader, found),
        **_runs(context, reader, found, page),
        unsound=catalogue.unsound(context, found.export) if found.export.source == "ui" else [],
        figures=_figures(context, found),
        width=WIDTH,
        height=HEIGHT,
        targets=_targets(context, found),
    )


@router.get("/runs")
def runs(request: Request, reader: Asking, found: ToSee, page: PageNumber = 1) -> Response:
    """Show its runs anew, for a page that is open."""
    values = _runs(context_of(request), reader, found, page)
    return pages.fragment(
        request, reader, "exports/runs.html", found=found, zone=found.export.timezone, **values
    )


@router.get("/yaml")
def yaml(request: Request, reader: Asking, found: ToSee, *, download: bool = False) -> Response:
    """Show the definition as YAML, or send it as a file."""
    text = as_yaml(found.export.document)
    if download:
        named = {"Content-Disposition": disposition(f"{found.id}.yaml")}
        return Response(text, media_type="application/yaml", headers=named)
    return pages.show(request, reader, "exports/yaml.html", found=found, text=text)


def about(context: Context, reader: Reader, found: Permitted) -> dict[str, Any]:
    """Return what the head of every page of an export needs."""
    export, definition = found.export, found.definition
    return {
        "found": found,
        "export": export,
        "zone": export.timezone,
        "sentence": sentence(definition) if definition else "",
        "looks": definition is not None and definition.period is not None,
        "recurring": bool(definition and definition.schedule and not definition.paused),
        "labels": [label for label, _ in export.targets],
        "own_address": Installation.from_settings(context.settings).address_of(reader.name) or "",
        "now": datetime.now(UTC),
    }


def _runs(context: Context, reader: Reader, found: Permitted, page: int) -> dict[str, Any]:
    shown = context.state.history.page(found.id, page=page, per_page=RUNS_PER_PAGE)
    runs = [ShownRun(run) for run in shown.runs]
    busy = [run for run in runs if run.at_work]
    talks = any(run.silence < SILENT for run in busy)
    may_personal = reader.may(Right.PERSONAL, found.id)
    closed = {(run.run_key, name) for run in shown.runs for name in personal_files(run)}
    return {
        "runs": runs,
        "closed": frozenset() if may_personal else closed,
        "runs_total": shown.total,
        "runs_page": page,
        "runs_pages": max(-(-shown.total // RUNS_PER_PAGE), 1),
        "poll": (POLL_SECONDS if talks else SLOW_POLL_SECONDS) if busy else 0,
    }


def _figures(context: Context, found: Permitted) -> list[Figure]:
    runs = context.state.history.figures(found.id, limit=RUNS_OF_FIGURES)
    return [Figure(each, sparkline(each.values)) for each in series(runs)]


def _targets(context: Context, found: Permitted) -> list[AtTarget]:
    """Return the export's targets, then those that it has no more and something was delivered to."""
    last = found.export.last_deliveries
    by_place: dict[tuple[str, str], Delivery] = {}
    for run_key in {each.run_key for each in last.values()}:
        for delivery in context.state.deliveries.list(run_key=run_key):
            by_place[delivery.run_key, delivery.target] = delivery
    kinds = dict(found.export.targets)
    shown = []
    for label in dict.fromkeys([*kinds, *last]):
        newest = by_place.get((last[label].run_key, label)) if label in last else None
        known = ShownDelivery(newest) if newest is not None else None
        shown.append(AtTarget(label, kinds.get(label, ""), known, label in kinds))
    return shown
