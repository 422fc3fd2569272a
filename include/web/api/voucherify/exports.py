"""Exports: asked for, looked at, listed, deleted and downloaded, as the vendor's clients do it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from urllib.parse import quote

from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import BaseModel
from starlette.responses import Response

from include.definitions.model import ExportDefinition
from include.pipeline import Context
from include.pipeline.answers import asked_exports
from include.settings import WEB_PREFIX
from include.state.asked_exports import AskedExport, AskedStatus
from include.state.audit import Action
from include.state.keys import Scope
from include.web.api.caller import Caller, needs
from include.web.api.voucherify import tokens
from include.web.api.voucherify.asked import Body, CampaignBody, Parameters, definition_of
from include.web.api.voucherify.errors import not_found
from include.web.downloads import sending
from include.web.reader import context_of

PREFIX = "/voucherify"
LAST_PAGE = MOST_PER_PAGE = 100
TEXT = "text/plain"
WAIT_SECONDS = 30

router = APIRouter()
Reading = Annotated[Caller, needs(Scope.REPORTS_READ)]


class Result(BaseModel):
    """Where the file is. url: with a token, for some minutes; who downloads brings the key too."""

    url: str


class Export(BaseModel):
    """An export. parameters: as they were sent. result: null until it is done. message: why it could not be made."""

    id: str
    object: Literal["export"] = "export"
    created_at: str
    status: Literal["SCHEDULED", "IN_PROGRESS", "DONE", "ERROR"]
    channel: Literal["API"] = "API"
    exported_object: str
    parameters: dict[str, Any]
    result: Result | None
    user_id: str | None = None
    message: str | None = None


class Exports(BaseModel):
    """A page of the list of exports, and how many there are in all."""

    object: Literal["list"] = "list"
    data_ref: Literal["exports"] = "exports"
    exports: list[Export]
    total: int


@router.post("/v1/exports")
def create(request: Request, caller: Reading, body: Body) -> Export:
    """Ask for an export; it is made in the background."""
    return scheduled(request, caller, body.exported_object, body)


@router.get("/v1/exports")
def listed(
    request: Request,
    caller: Reading,
    page: Annotated[int, Query(ge=1, le=LAST_PAGE)] = 1,
    limit: Annotated[int, Query(ge=1, le=MOST_PER_PAGE)] = 10,
    order: Literal["created_at", "-created_at", "status", "-status"] = "-created_at",
) -> Exports:
    """List the exports that programs of this name asked for."""
    context = context_of(request)
    found = context.state.asked_exports.page(
        owner=owner_of(caller),
        personal=caller.may(Scope.PERSONAL),
        order=order,
        limit=limit,
        offset=(page - 1) * limit,
    )
    if any(each.is_open for each in found.exports):
        wake(request)
    shown = [_shown(request, caller, each) for each in found.exports]
    return Exports(exports=shown, total=found.total)


@router.get(
    "/v1/exports/{export_id}",
    response_model=Export,
    responses={
        200: {"content": {TEXT: {"schema": {"type": "string"}}}, "description": "The export, or its file."}
    },
)
def read(request: Request, caller: Reading, export_id: str, token: str | None = None) -> Any:
    """Return an export; with the token of its `result.url`, its file."""
    export = _theirs(request, caller, export_id)
    if export is None:
        return not_found("export", export_id)
    if token is None:
        if export.is_open:
            wake(request)
        return _shown(request, caller, export)
    if not tokens.is_right(request, caller, export_id, token):
        raise HTTPException(401, "The token is wrong or over; get the export again for another one.")
    return _file(request, caller, export)


@router.delete("/v1/exports/{export_id}", status_code=204, response_class=Response)
def delete(request: Request, caller: Reading, export_id: str) -> Response:
    """Delete an export and its file."""
    export = _theirs(request, caller, export_id)
    context = context_of(request)
    if export is None or not asked_exports.delete(context, export_id, owner=owner_of(caller), by=caller.name):
        return not_found("export", export_id)
    return Response(status_code=204)


def scheduled(
    request: Request,
    caller: Caller,
    kind: str,
    body: CampaignBody,
    *,
    campaign: str | None = None,
    **options: Any,
) -> Export:
    """Keep what a request asks for, and see to it that it is made.

    HTTPException 403 where personal data is in it that who asks may not see, 429 where too many of theirs wait.
    """
    context = context_of(request)
    asked = body.parameters or Parameters()
    definition = definition_of(kind, asked, campaign=campaign, **options)
    _refuse_personal(caller, definition)
    export = asked_exports.ask(
        context,
        definition,
        owner=owner_of(caller) or f"user {caller.name}",
        by=caller.name,
        kind=kind,
        asked=_told(asked, campaign),
    )
    if export is None:
        most = asked_exports.MOST_OPEN
        raise HTTPException(429, f"{most} exports wait already.", headers={"Retry-After": str(WAIT_SECONDS)})
    wake(request)
    # As it was sent: the vendor's Python client takes no id of more than one letter where the campaign would stand.
    return _shown(request, caller, export).model_copy(update={"parameters": _told(asked, None)})


def owner_of(caller: Caller) -> str | None:
    """Return whose exports they see: a key, those of all keys of its name; a user who sees all exports, everybody's."""
    return None if caller.key is None else f"key {caller.key.name}"


def wake(request: Request) -> None:
    """See to it that somebody works at what waits, also at what a process left that is no more."""
    request.app.state.makers.wake()


def _theirs(request: Request, caller: Caller, export_id: str) -> AskedExport | None:
    """Return an export that they may see; None where there is none, or it is somebody else's, or too personal."""
    if "\0" in export_id or len(export_id) > 64:
        return None
    found = context_of(request).state.asked_exports.get(export_id, owner=owner_of(caller))
    return None if found is None or (found.personal and not caller.may(Scope.PERSONAL)) else found


def _refuse_personal(caller: Caller, definition: ExportDefinition) -> None:
    found = asked_exports.personal(definition)
    if found and not caller.may(Scope.PERSONAL):
        where = " and ".join(found)
        raise HTTPException(
            403, f"Personal data is in the {where} of this export: it takes the scope personal."
        )


def _told(asked: Parameters, campaign: str | None) -> dict[str, Any]:
    """Return what was asked for as it was sent; that of a campaign names it among the filters."""
    told = {
        name: value for name, value in asked.model_dump(exclude_unset=True).items() if value not in (None, "")
    }
    if campaign is not None:
        told["filters"] = {**told.get("filters", {}), "campaign_id": {"conditions": {"$in": [campaign]}}}
    return told


def _shown(request: Request, caller: Caller, export: AskedExport) -> Export:
    result = None
    if export.status is AskedStatus.DONE and _entry(context_of(request), export) is not None:
        result = Result(url=_address(request, caller, export.export_id))
    return Export(
        id=export.export_id,
        created_at=_stamp(export.created_at),
        status=export.status.name,
        exported_object=export.kind,
        parameters=export.asked,
        result=result,
        message=export.message,
    )


def _stamp(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _address(request: Request, caller: Caller, export_id: str) -> str:
    public = context_of(request).settings.public_url
    here = f"{request.url.scheme}://{request.url.netloc}{request.scope.get('root_path', '')}"
    root = f"{public}{WEB_PREFIX}{PREFIX}" if public else here
    return f"{root}/v1/exports/{quote(export_id, safe='')}?token={tokens.made(request, caller, export_id)}"


def _entry(context: Context, export: AskedExport) -> dict[str, Any] | None:
    """Return what the record of the run says of the file; None where it is kept no more."""
    if export.run_key is None:
        return None
    run = context.state.runs.get(export.run_key)
    return (
        None if run.files_gone_at is not None else next((each for each in run.files if "rows" in each), None)
    )


def _file(request: Request, caller: Caller, export: AskedExport) -> Response:
    context = context_of(request)
    entry = _entry(context, export)
    if entry is None or not sending.is_there(context.store, entry):
        return not_found("export", export.export_id)
    # The vendor's clients take a file for nothing else than plain text.
    named = {"name": f"{export.export_id}.csv", "media_type": TEXT}
    answer = sending.answer(request, context.store, {**entry, **named})
    if answer.status_code in {200, 206}:
        detail = {
            "file": entry["name"],
            "sha256": entry["sha256"],
            "part": answer.headers.get("content-range"),
        }
        context.state.audit.write(caller.name, Action.DOWNLOADED, str(export.run_key), detail)
    return answer
