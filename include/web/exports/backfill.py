"""Runs for occurrences that lie behind: first how many and about which periods, then, if that is wanted, started."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta
from typing import Any, NamedTuple

from anyio.to_thread import run_sync
from fastapi import APIRouter, HTTPException, Request
from starlette.datastructures import FormData, QueryParams
from starlette.responses import Response

from include.definitions.model import ExportDefinition
from include.definitions.occasion import as_of_for, interval_for
from include.definitions.periods import label
from include.definitions.zones import start_of, zone
from include.errors import BadInput, Problem
from include.web import pages
from include.web.exports import asked
from include.web.exports.page import about
from include.web.exports.permitted import Permitted, ToRun
from include.web.forms import Posted, see_other
from include.web.reader import Asking, context_of
from include.web.scheduler import MOST_BACKFILL_RUNS, Scheduler, Span

AGAIN = {
    "none": "Only what never ran",
    "failed": "Also what failed",
    "completed": "All of it again, also what has succeeded",
}
SHOWN_RUNS = 400
NO_SCHEDULE = (
    "This export has no schedule now, so there is nothing to backfill. Run it with a period instead."
)

router = APIRouter(prefix="/exports/{definition_id}/backfill")


class Due(NamedTuple):
    """One run of a backfill: when it was due, and what it is about."""

    occurrence: datetime
    about: str


@router.get("")
async def plan(request: Request, reader: Asking, found: ToRun) -> Response:
    """Ask for a range; where the address has one, say how many runs that is, and show them with their periods."""
    definition = _scheduled(found)
    scheduler = Scheduler.of(request, reader)
    active = await scheduler.active_backfill(found.id)
    values: dict[str, Any] = {
        "active": active,
        "again": AGAIN,
        "due": None,
        "wrong": [],
        **_typed(request.query_params),
    }
    if values["first"] and not active:
        try:
            span = await run_sync(_span, request.query_params, found)
            dates = await scheduler.backfill_dates(found.id, span)
            values["due"] = await run_sync(lambda: [_due(definition, each) for each in dates])
        except BadInput as error:
            values["wrong"] = error.problems
    context = context_of(request)

    def show() -> Response:
        head = about(context, reader, found)
        more: dict[str, Any] = {"choices": AGAIN, "shown_runs": SHOWN_RUNS}
        return pages.show(request, reader, "exports/backfill.html", **head, **values, **more)

    return await run_sync(show)


@router.post("")
async def start(request: Request, reader: Asking, found: ToRun, form: Posted) -> Response:
    """Start the backfill that was shown, or end the one that is at work."""
    scheduler = Scheduler.of(request, reader)
    if form.get("do") == "cancel":
        await scheduler.cancel_backfill(found.id)
        return see_other(
            request,
            found.place("/backfill"),
            "The backfill is ended. Runs that had begun go on to their end.",
        )
    _scheduled(found)
    span = await run_sync(_span, form, found)
    count = len(await scheduler.backfill_dates(found.id, span))
    shown = asked.text(form, "count")
    if str(count) != shown:
        right = f"there are {count:,} runs now: look at them once more, then start it"
        raise BadInput([Problem("runs", shown, right, "other_runs")])
    await scheduler.backfill(found.id, span)
    return see_other(
        request, found.place(), f"The backfill has begun: {pages.plural(count, 'run')}, one after another."
    )


def _scheduled(found: Permitted) -> ExportDefinition:
    definition = found.definition
    if definition is None or definition.schedule is None or definition.paused or not definition.enabled:
        raise HTTPException(409, NO_SCHEDULE)
    return definition


def _typed(given: QueryParams) -> dict[str, str]:
    again = given.get("again", "none")
    return {
        "first": given.get("first", "")[:40],
        "last": given.get("last", "")[:40],
        "chosen": again if again in AGAIN else "none",
    }


def _span(given: FormData | QueryParams, found: Permitted) -> Span:
    """Return the occurrences on the local days from `first` to `last`, both included, that lie behind."""
    problems: list[Problem] = []
    first, last = (_day(given, name, problems) for name in ("first", "last"))
    again = str(given.get("again") or "none")
    if again not in AGAIN:
        problems.append(Problem("again", again, f"must be one of {', '.join(AGAIN)}", "unknown_choice"))
    if first and last and first > last:
        problems.append(Problem("first", str(first), "must not lie after the last day", "start_after_end"))
    if problems or first is None or last is None:
        raise BadInput(problems)
    where = zone(found.export.timezone)
    begin = start_of(first, where)
    end = min(start_of(last + timedelta(days=1), where) - timedelta(microseconds=1), datetime.now(UTC))
    if begin > end:
        raise BadInput([Problem("first", str(first), "must not lie in the future", "in_future")])
    _refuse_too_many(found, begin, end)
    return Span(begin, end, again)


def _day(given: FormData | QueryParams, name: str, problems: list[Problem]) -> date | None:
    value = given.get(name)
    return asked.day(value.strip() if isinstance(value, str) else "", name, problems)


def _refuse_too_many(found: Permitted, begin: datetime, end: datetime) -> None:
    """Count before Airflow is asked: it makes a row for each."""
    assert found.definition is not None
    recurrence = found.definition.recurrence
    assert recurrence is not None
    for number, _ in enumerate(recurrence.occurrences(begin, end), 1):
        if number > MOST_BACKFILL_RUNS:
            right = f"these are more than {MOST_BACKFILL_RUNS:,} runs: choose fewer days"
            raise BadInput([Problem("last", f"{end:%Y-%m-%d}", right, "too_many_runs")])


def _due(definition: ExportDefinition, occurrence: datetime) -> Due:
    where = zone(definition.timezone)
    interval = interval_for(definition, occurrence)
    if interval is not None:
        return Due(occurrence, label(interval, where))
    at = as_of_for(definition, occurrence)
    return Due(occurrence, f"as of {pages.shown_moment(at, definition.timezone)}")
