"""What can be done with an export: run it, send its files, pause it, delete it. Runs are Airflow's, as the reader."""

from __future__ import annotations

from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from include.definitions.load import from_document
from include.definitions.model import ExportDefinition
from include.errors import LoyaltyError, Transient
from include.pipeline import exports as catalogue
from include.pipeline import trial
from include.pipeline.checks import personal_parts
from include.state.exports import Edited
from include.web import pages
from include.web.exports import asked
from include.web.exports.page import about
from include.web.exports.permitted import Permitted, ToEdit, ToRun, run_of
from include.web.exports.shown import ShownRun
from include.web.forms import Posted, see_other
from include.web.reader import Asking, Reader, Right, context_of
from include.web.scheduler import Scheduler

READ_ONLY = (
    "This export is a YAML file, so it is changed there. Clone it to have one that can be changed here."
)
BEGINS = "It begins in a few seconds, and shows below."

router = APIRouter(prefix="/exports/{definition_id}")


@router.post("/run")
async def run(request: Request, reader: Asking, found: ToRun, form: Posted) -> Response:
    """Start a run by hand."""
    wish = asked.run_parameters(form, found)
    await Scheduler.of(request, reader).trigger(found.id, **wish)
    what = "A dry run is asked for." if wish["dry_run"] else "A run is asked for."
    return see_other(request, found.place(), f"{what} {BEGINS}")


@router.post("/send")
async def send(request: Request, reader: Asking, found: ToRun, form: Posted) -> Response:
    """Send the files of a run, or of a new one, to an address as a test."""
    to = asked.address(form)
    chosen = await run_sync(_chosen, request, reader, found, asked.text(form, "run"), to)
    await Scheduler.of(request, reader).trigger(found.id, test_to=to, resend=chosen)
    return see_other(
        request, found.place(), f"A test to {to} is asked for. What becomes of it shows under In Airflow."
    )


@router.post("/resend")
async def resend(request: Request, reader: Asking, found: ToRun, form: Posted) -> Response:
    """Send the files of a finished run once more; what has arrived only if the form says again."""
    run = await run_sync(run_of, request, found, asked.text(form, "run"))
    labels = ShownRun(run).labels
    targets = [str(each) for each in form.getlist("targets") if str(each) in labels]
    again = bool(form.get("again"))
    await Scheduler.of(request, reader).trigger(found.id, resend=run.run_key, targets=targets, again=again)
    told = "It is sent again, also where it has arrived." if again else "What has not arrived is sent again."
    return see_other(request, found.place(f"/runs/{run.run_key}"), f"{told} It takes a few seconds to begin.")


@router.post("/restate")
async def restate(request: Request, reader: Asking, found: ToRun, form: Posted) -> Response:
    """Look at the period of a delivered run again, with what is known now."""
    run = await run_sync(run_of, request, found, asked.text(form, "run"))
    await Scheduler.of(request, reader).trigger(found.id, restate=run.run_key)
    told = "The period is looked at again; what has changed is delivered as a restatement."
    return see_other(request, found.place(), f"{told} {BEGINS}")


@router.post("/hold")
async def hold(request: Request, reader: Asking, found: ToRun, form: Posted) -> Response:
    """Pause or resume the export's DAG in Airflow: then nothing of it runs, by hand neither."""
    paused = form.get("do") == "pause"
    await Scheduler.of(request, reader).pause(found.id, paused=paused)
    told = (
        "Airflow holds back every run of it, also those by hand."
        if paused
        else "Airflow lets its runs go again."
    )
    return see_other(request, found.place(), told)


@router.post("/pause")
def pause(request: Request, reader: Asking, found: ToEdit, form: Posted) -> Response:
    """Let the schedule of an export made here wait, or go on: a new version of its definition."""
    refuse_yaml(found)
    paused = form.get("do") == "pause"
    document = {**found.export.document, "paused": paused}
    try:
        # Nothing is checked but what the model checks: what is wrong elsewhere must not keep it from being paused.
        paused_one = from_document(document, where=found.id)
        context_of(request).state.exports.save(paused_one, reader.name, based_on=number_of(form))
    except Edited as edited:
        raise HTTPException(409, in_words(edited)) from None
    request.app.state.announce(found.id)
    told = "Paused: its schedule waits. It can still be run by hand." if paused else "Its schedule goes on."
    return see_other(request, found.place(), told)


@router.get("/delete")
def ask_to_delete(request: Request, reader: Asking, found: ToEdit) -> Response:
    """Ask whether the export is to be deleted, and say what stays."""
    refuse_yaml(found)
    context = context_of(request)
    runs = context.state.history.page(found.id, per_page=1).total
    busy = context.state.history.is_at_work(found.id)
    return pages.show(
        request, reader, "exports/delete.html", runs_total=runs, busy=busy, **about(context, reader, found)
    )


@router.post("/delete")
async def delete(request: Request, reader: Asking, found: ToEdit, form: Posted) -> Response:
    """Delete an export made here; its runs, files, versions and audit entries stay. What has not begun is ended."""
    refuse_yaml(found)
    number = number_of(form)
    await run_sync(_delete, request, reader, found, number)
    ended = await run_sync(_end_unpinned, request, reader, found.id)
    await run_sync(request.app.state.announce, found.id)
    told = f"{found.export.name} is deleted. Its runs and files are kept. {ended}".strip()
    return see_other(request, "/exports", told)


def _delete(request: Request, reader: Reader, found: Permitted, number: int) -> None:
    try:
        catalogue.delete(context_of(request), found.id, reader.name, based_on=number)
    except Edited as edited:
        raise HTTPException(409, in_words(edited)) from None


def _end_unpinned(request: Request, reader: Reader, definition_id: str) -> str:
    """End what has not begun; return what became of it, empty where there was nothing."""
    try:
        ended = request.app.state.end(definition_id, reader.name)
    except Transient:
        return "Airflow could not be asked: look there for runs that had not begun, and end them."
    return "Runs that had not begun are ended." if ended else ""


def refuse_yaml(found: Permitted) -> None:
    """Raise HTTPException 409 for an export that is a YAML file."""
    if found.export.source == "yaml":
        raise HTTPException(409, READ_ONLY)


def in_words(edited: Edited) -> str:
    """Return what somebody else has done meanwhile, and what to do."""
    return f"{edited}. Nothing was changed: reload the page, look at it, and try again."


def number_of(form: Any) -> int:
    """Return the number of the version that the reader has seen."""
    given = asked.text(form, "number")
    if not given.isascii() or not given.isdigit() or len(given) > 9:
        raise HTTPException(422, "The form does not say which version it is about. Reload the page.")
    return int(given)


def _chosen(request: Request, reader: Reader, found: Permitted, run_key: str, to: str) -> str:
    """Return the run whose files a test holds, empty for a new one.

    Who may not see personal data is refused it; that somebody may is written down for the run of the test.
    """
    definition = found.definition
    if run_key:
        run = run_of(request, found, run_key)
        definition = from_document(run.definition, where=found.id)
    if definition is None or _is_personal(definition):
        reader.require(Right.PERSONAL, found.id)
        trial.allow(context_of(request), found.id, to, reader.name)
    return run_key


def _is_personal(definition: ExportDefinition) -> bool:
    """Say whether its files hold personal data in clear; what cannot be told may."""
    try:
        return bool(personal_parts(definition))
    except LoyaltyError:
        return True
