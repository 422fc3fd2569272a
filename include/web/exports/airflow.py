"""What Airflow knows of an export's runs: also of those that wait, and of those that failed before they began."""

from __future__ import annotations

from typing import Any, NamedTuple

from anyio.to_thread import run_sync
from fastapi import APIRouter, Request
from starlette.responses import Response

from include.web import pages
from include.web.exports.permitted import ToSee
from include.web.exports.shown import SHOWN_CHARACTERS, Badge
from include.web.reader import Asking, Reader
from include.web.scheduler import DagRun, Refused, Scheduler

RUNS = 10
POLL_SECONDS = 4
# Under this key a step that failed has left why, in words (`orchestration.occasion`).
FAILURE = "failure"
CHANGED = "loyalty-runs"
"""The event by which the page looks at its runs anew."""
_STATES = {
    "queued": Badge("waiting", "quiet"),
    "running": Badge("running", "busy"),
    "success": Badge("success", "good"),
    "failed": Badge("failed", "bad"),
}
_KINDS = {"scheduled": "by the schedule", "backfill": "by a backfill", "manual": "by hand"}

router = APIRouter(prefix="/exports/{definition_id}/airflow")


class Seen(NamedTuple):
    """A run as Airflow knows it, in words. path: of its page in Airflow, below Airflow's address."""

    run: DagRun
    badge: Badge
    how: str
    asked: str
    failure: str


@router.get("")
async def airflow(request: Request, reader: Asking, found: ToSee) -> Response:
    """Show it as a part of the export's page, or as a page to who has no script."""
    scheduler = Scheduler.of(request, reader)
    values: dict[str, Any] = {
        "found": found,
        "zone": found.export.timezone,
        "refused": "",
        "paused": False,
        "seen": [],
    }
    try:
        values["paused"] = await scheduler.paused(found.id)
        runs = await scheduler.runs(found.id, limit=RUNS)
        values["seen"] = [await _seen(scheduler, found.id, run) for run in runs]
    except Refused as refused:
        values["refused"] = refused.detail
    values["poll"] = (
        POLL_SECONDS if any(each.badge.kind in ("quiet", "busy") for each in values["seen"]) else 0
    )
    return await run_sync(_shown, request, reader, values)


def _shown(request: Request, reader: Reader, values: dict[str, Any]) -> Response:
    if "hx-request" not in request.headers:
        return pages.show(request, reader, "exports/airflow_page.html", **values)
    answer = pages.fragment(request, reader, "exports/airflow.html", **values)
    if request.headers.get("hx-trigger") == "airflow" and "again" in request.query_params:
        answer.headers["HX-Trigger"] = CHANGED
    return answer


async def _seen(scheduler: Scheduler, definition_id: str, run: DagRun) -> Seen:
    failure = ""
    if run.state == "failed":
        failure = str(await scheduler.left(definition_id, run.dag_run_id, FAILURE) or "")
    by = f" by {run.triggering_user_name}" if run.triggering_user_name else ""
    how = f"{_KINDS.get(run.run_type, run.run_type)}{by}".replace("by hand by", "by")
    return Seen(
        run, _STATES.get(run.state, Badge(run.state, "quiet")), how, in_words(run.conf or {}), failure
    )


def in_words(conf: dict[str, Any]) -> str:
    """Return what was asked of a run by its parameters, empty where nothing special was."""
    key = {name: str(conf.get(name) or "")[:SHOWN_CHARACTERS] for name in ("resend", "restate")}
    resent = "again, also where they arrived" if conf.get("again") else "once more"
    special = {
        "test_to": f"test send to {conf.get('test_to')}",
        "test_targets": "targets tried",
        "resend": f"files of run {key['resend']} sent {resent}",
        "restate": f"run {key['restate']} looked at again",
        "dry_run": "dry run",
        "as_of": f"as of {conf.get('as_of')}",
        "start": f"from {conf.get('start')}",
        "end": f"to {conf.get('end')}",
        "targets": f"to {', '.join(map(str, conf.get('targets') or ()))} only",
    }
    return ", ".join(words for name, words in special.items() if conf.get(name))
