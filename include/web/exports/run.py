"""The page of one run: what was asked and pinned, what was made, who has it, and what is to be done."""

from __future__ import annotations

from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, HTTPException, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from include.acting import acting
from include.definitions.periods import Interval, label
from include.definitions.zones import zone
from include.errors import BadInput
from include.pipeline import Context, resolving
from include.pipeline.personal import personal_files
from include.state.deliveries import Delivery
from include.state.runs import RunRecord, RunStatus
from include.web import pages
from include.web.exports import asked
from include.web.exports.page import POLL_SECONDS, about
from include.web.exports.permitted import Permitted, ToRun, ToSee, run_of
from include.web.exports.shown import ShownDelivery, ShownRun
from include.web.forms import Posted, see_other
from include.web.reader import Asking, Reader, Right, context_of
from include.web.scheduler import Scheduler

LOOKED_AT = 10  # files of which the store is asked; of a run with more the links say so
HISTORY_ENTRIES = 100
DELIVERIES_SHOWN = 500

router = APIRouter(prefix="/exports/{definition_id}")


@router.get("/runs/{run_key}")
def run(request: Request, reader: Asking, found: ToSee, run_key: str) -> Response:
    """Show a run; only its progress to a script that has the rest already."""
    context, record = context_of(request), run_of(request, found, run_key)
    shown = ShownRun(record)
    values = {"shown": shown, "poll": POLL_SECONDS if shown.at_work else 0, **about(context, reader, found)}
    if "hx-request" in request.headers:
        answer = pages.fragment(request, reader, "exports/progress.html", **values)
        if not shown.at_work:
            answer.headers["HX-Refresh"] = "true"
        return answer
    may_personal = reader.may(Right.PERSONAL, found.id)
    values["personal"] = frozenset() if may_personal else personal_files(record)
    return pages.show(request, reader, "exports/run.html", **values, **_everything(context, record))


@router.post("/runs/{run_key}/deliveries/{key}")
async def decide(
    request: Request, reader: Asking, found: ToRun, run_key: str, key: str, form: Posted
) -> Response:
    """Try a delivery again, or write down that it arrived, or that it did not."""
    do = asked.text(form, "do")
    delivery = await run_sync(_decided, request, reader, found, run_key, key, do, form)
    if do == "retry":
        await Scheduler.of(request, reader).trigger(found.id, resend=run_key, targets=[delivery.target])
    told = {
        "retry": f"{delivery.target} is tried again. It takes a few seconds to begin.",
        "arrived": f"Written down, with your name: {delivery.target} has it.",
        "absent": f"Written down, with your name: {delivery.target} does not have it. Now it can be tried again.",
    }
    return see_other(request, found.place(f"/runs/{run_key}"), told[do])


def _decided(
    request: Request, reader: Reader, found: Permitted, run_key: str, key: str, do: str, form: FormData
) -> Delivery:
    """Write down what a person decided about a delivery as they saw it; return it as it was."""
    context = context_of(request)
    run_of(request, found, run_key)
    delivery = context.state.deliveries.get(key) if key.isascii() and key.isalnum() else None
    if delivery is None or delivery.run_key != run_key:
        raise HTTPException(404, "There is no such delivery of this run.")
    seen = delivery.model_copy(update={"fence": _fence(form, delivery)})
    with acting(reader.name):
        if do == "retry":
            context.state.deliveries.reopen(key, by=reader.name)
        elif do in ("arrived", "absent"):
            resolving.resolve(context, seen, arrived=do == "arrived", note=asked.text(form, "note"))
        else:
            raise HTTPException(422, "The form does not say what is to be done.")
    return delivery


def _fence(form: FormData, delivery: Delivery) -> int:
    given = asked.text(form, "fence")
    return int(given) if given.isascii() and given.isdigit() and len(given) < 18 else delivery.fence


def _everything(context: Context, run: RunRecord) -> dict[str, Any]:
    state = context.state
    deliveries = state.deliveries.list(run_key=run.run_key, limit=DELIVERIES_SHOWN)
    history = state.audit.newest
    shown = [
        ShownDelivery(each, history(subject=each.key, limit=HISTORY_ENTRIES)[::-1]) for each in deliveries
    ]
    revisions = (
        [] if run.dry_run else [each for each in state.runs.of_period(run) if each.run_key != run.run_key]
    )
    delivered = run.status is RunStatus.DONE and bool(run.files) and not run.dry_run
    return {
        "run": run,
        "period": _period(run),
        "deliveries": shown,
        "untried": _untried(run, deliveries),
        "revisions": [ShownRun(each) for each in revisions],
        "before": _before(context, run),
        "notices": state.notices.list(run_key=run.run_key, limit=100),
        "missing": _missing(context, run),
        "may_restate": delivered and run.files_gone_at is None,
        "may_resend": bool(run.files) and not run.dry_run and run.files_gone_at is None,
    }


def _period(run: RunRecord) -> str:
    where = zone(str(run.definition.get("timezone", "UTC")))
    return label(Interval(run.start, run.end), where) if run.end else ""


def _untried(run: RunRecord, deliveries: list[Delivery]) -> list[str]:
    """Return the targets to which nothing was sent, where something was to be."""
    if run.dry_run or run.skipped:
        return []
    tried = {each.target for each in deliveries}
    return [each for each in ShownRun(run).labels if each not in tried]


def _before(context: Context, run: RunRecord) -> RunRecord | None:
    """Return the newest run of the export that was delivered before this one, to compare it with."""
    figures = context.state.history.figures(run.definition_id)
    earlier = [each for each in figures if each.as_of < run.as_of]
    try:
        return context.state.runs.get(earlier[-1].run_key) if earlier and run.files else None
    except BadInput:
        return None


def _missing(context: Context, run: RunRecord) -> frozenset[str]:
    """Return the names of files that the store has lost; of the first ones, so that a page asks it not too often."""
    if run.files_gone_at is not None:
        return frozenset()
    return frozenset(each["name"] for each in run.files[:LOOKED_AT] if not context.store.exists(each["key"]))
