"""What needs somebody: each with the sentence that says what to do, and the button that does it."""

from __future__ import annotations

from itertools import groupby
from typing import Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.datastructures import FormData
from starlette.responses import Response

from include.acting import acting
from include.errors import BadInput
from include.pipeline import notify, resolving
from include.pipeline.attention import HEADINGS, Deed, Item, Visible, collect, concerned, counted
from include.pipeline.audit import anchors as audit
from include.state.deliveries import Delivery
from include.state.runs import RunRecord
from include.web import pages
from include.web.forms import Posted, posted, see_other
from include.web.reader import Asking, Reader, Right, context_of
from include.web.scheduler import Scheduler

LONGEST_FIELD = 1000
HERE = "/attention"
GONE = "That is not there any more: somebody may have seen to it. The list below is fresh."
OWN_FORM = Depends(posted)

router = APIRouter(prefix=HERE)


@router.get("")
def listing(request: Request, reader: Asking) -> Response:
    """Show everything that needs somebody, of the exports that the reader may see."""
    found = collect(context_of(request), _visible(request, reader, waiting=True))
    may_run = {each: reader.may(Right.RUN, each) for each in {item.definition_id for item in found} if each}
    edited = {item.definition_id for item in found if Deed.EDIT in item.deeds}
    may_edit = {each for each in edited if reader.may(Right.EDIT, each)}
    groups = [(HEADINGS[group], list(items)) for group, items in groupby(found, lambda item: item.group)]
    return pages.show(
        request,
        reader,
        "attention/listing.html",
        groups=groups,
        total=len(found),
        may_run=may_run,
        may_edit=may_edit,
        administers=reader.may(Right.ADMINISTER),
        zones=_zones(request, found),
    )


@router.get("/count")
def count(request: Request, reader: Asking) -> Response:
    """Return how many there are, for the navigation; nothing where there are none."""
    number = counted(context_of(request), _visible(request, reader, waiting=False))
    return pages.fragment(request, reader, "attention/count.html", number=number)


@router.post("/deliveries/{key}")
async def delivery(request: Request, reader: Asking, key: str, form: Posted) -> Response:
    """Try a delivery again, or write down whether it arrived, by the word of who is logged in."""
    seen, run = await run_sync(_delivery_of, request, reader, key)
    deed = _deed(form, {Deed.RETRY, Deed.ARRIVED, Deed.NOT_ARRIVED})
    await run_sync(_decided, request, reader, seen, deed, form)
    if deed is Deed.RETRY:
        await Scheduler.of(request, reader).trigger(
            run.definition_id, resend=run.run_key, targets=[seen.target]
        )
        told = f"{seen.target} is tried again; that begins in a few seconds."
    else:
        has = "has it" if deed is Deed.ARRIVED else "does not have it; now it can be tried again"
        told = f"Written down, with your name: {seen.target} {has}."
    return see_other(request, HERE, told)


@router.post("/runs/{run_key}", dependencies=[OWN_FORM])
async def run(request: Request, reader: Asking, run_key: str) -> Response:
    """Ask Airflow for a run about the same period again."""
    found = await run_sync(_run_of, request, reader, run_key)
    period = {"start": found.start, "end": found.end} if found.end else {"as_of": found.as_of}
    asked = {name: moment.isoformat() for name, moment in period.items() if moment}
    await Scheduler.of(request, reader).trigger(found.definition_id, **asked)
    return see_other(
        request, HERE, f"A run of {found.definition_id} is asked for; it begins in a few seconds."
    )


@router.post("/notices/{key}", dependencies=[OWN_FORM])
def notice(request: Request, reader: Asking, key: str) -> Response:
    """Send a message again that did not reach anybody."""
    context = context_of(request)
    found = context.state.notices.get(key) if _is_key(key) else None
    if found is None:
        raise HTTPException(404, GONE)
    if found.definition_id is None:
        reader.require(Right.ADMINISTER)
    else:
        reader.require(Right.RUN, found.definition_id)
    context.state.notices.retry(key)
    with acting(reader.name):
        sent = notify.send(context, [key])
    said = [f"{each['recipient']}: {each['state']}. {each['message'] or ''}" for each in sent]
    return see_other(
        request, HERE, "; ".join(said) or "It is sent with the next look, within a quarter of an hour."
    )


@router.post("/anchor", dependencies=[OWN_FORM])
def anchor(request: Request, reader: Asking) -> Response:
    """Write the head of the audit chain to its anchors' places now."""
    reader.require(Right.ADMINISTER)
    with acting(reader.name):
        written = audit.anchor(context_of(request))
    return see_other(
        request, HERE, f"Written: {', '.join(written)}" if written else "There is nothing to anchor yet."
    )


def _visible(request: Request, reader: Reader, *, waiting: bool) -> Visible:
    """Return what the reader may see of what needs somebody."""
    theirs = reader.readable(concerned(context_of(request), waiting=waiting))
    return Visible(theirs, installation=reader.may(Right.ADMINISTER), imports=reader.may(Right.IMPORT))


def _zones(request: Request, found: list[Item]) -> dict[str, str]:
    """Return the zone of each export of the list."""
    exports = context_of(request).state.exports
    return {
        each: export.timezone
        for each in {item.definition_id for item in found if item.definition_id}
        if (export := exports.get(each, deleted=True)) is not None
    }


def _deed(form: FormData, allowed: set[Deed]) -> Deed:
    given = form.get("do")
    if given not in {deed.value for deed in allowed}:
        raise HTTPException(422, "The form does not say what is to be done.")
    return Deed(str(given))


def _is_key(text: str) -> bool:
    return len(text) == 64 and set(text) <= set("0123456789abcdef")


def _delivery_of(request: Request, reader: Reader, key: str) -> tuple[Delivery, RunRecord]:
    found = context_of(request).state.deliveries.get(key) if _is_key(key) else None
    if found is None:
        raise HTTPException(404, GONE)
    return found, _run_of(request, reader, found.run_key)


def _run_of(request: Request, reader: Reader, run_key: str) -> RunRecord:
    """Return a run that is the reader's to run again; HTTPException 404, 403."""
    try:
        found = context_of(request).state.runs.get(run_key if _is_key(run_key) else "")
    except BadInput:
        raise HTTPException(404, GONE) from None
    reader.require(Right.RUN, found.definition_id)
    return found


def _decided(request: Request, reader: Reader, seen: Delivery, deed: Deed, form: FormData) -> None:
    """Write down what was decided about a delivery as the page showed it."""
    context = context_of(request)
    fence = _text(form, "fence")
    shown = seen.model_copy(update={"fence": int(fence)}) if fence.isascii() and fence.isdigit() else seen
    with acting(reader.name):
        if deed is Deed.RETRY:
            context.state.deliveries.reopen(seen.key, by=reader.name)
        else:
            resolving.resolve(context, shown, arrived=deed is Deed.ARRIVED, note=_text(form, "note"))


def _text(form: FormData, name: str) -> str:
    given: Any = form.get(name)
    return given.strip()[:LONGEST_FIELD] if isinstance(given, str) else ""
