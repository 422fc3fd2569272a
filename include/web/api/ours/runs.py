"""Runs: which there are, how far they are, starting one, and the files that they made."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any

from anyio.to_thread import run_sync
from fastapi import APIRouter, Body, Depends, HTTPException, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import JSONResponse, Response

from include.pipeline.links import file_of
from include.pipeline.personal import personal_files
from include.state.audit import Action
from include.state.keys import Scope
from include.state.runs import RunStatus
from include.web.api import etags
from include.web.api.caller import Caller, Calling
from include.web.api.instants import Instant
from include.web.api.ours import shapes
from include.web.api.ours.permitted import DefinitionId, RunKey, export_of, run_of
from include.web.api.paging import Page, listed, paged
from include.web.downloads import sending
from include.web.reader import context_of
from include.web.scheduler import Scheduler

router = APIRouter(tags=["runs"])
FileName = Annotated[str, Path(max_length=300)]


class Start(BaseModel):
    """What is asked of a run; what is left out is the definition's. An instant needs its offset."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"as_of": "2026-06-01T00:00:00Z"}]}
    )

    as_of: Instant | None = Field(None, description="The ledger as it was then.")
    start: Instant | None = Field(None, description="The beginning of the period.")
    end: Instant | None = Field(None, description="The first instant after the period.")
    targets: list[Annotated[str, Field(max_length=100)]] = Field(
        default_factory=list, max_length=20, description="To these targets only; all when empty."
    )
    dry_run: bool = Field(False, description="Make the files, and deliver nothing.")


class Send(BaseModel):
    """What of a finished run is sent once more."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"targets": ["folder"]}]})

    targets: list[Annotated[str, Field(max_length=100)]] = Field(
        default_factory=list, max_length=20, description="To these targets only; all when empty."
    )
    again: bool = Field(False, description="Also where it has arrived.")


class Started(BaseModel):
    """What was asked for. Its run shows in the list of runs as soon as Airflow has begun it."""

    definition_id: str
    airflow_run_id: str


@router.get("/runs", response_model=shapes.Listed[shapes.RunShown])
def listing(
    request: Request,
    caller: Calling,
    page: Annotated[Page, Depends(paged)],
    definition: Annotated[str | None, Query(max_length=200, description="The id of an export.")] = None,
    status: RunStatus | None = None,
    since: Annotated[Instant | None, Query(description="Only runs that were pinned since.")] = None,
) -> Any:
    """List runs, the newest first."""
    ids = _visible(request, caller, definition)
    found = context_of(request).state.history.search(
        ids, status=status, since=since, page=page.number, per_page=page.size
    )
    return listed(request, [shapes.run(each) for each in found.runs], page, found.total)


@router.get("/runs/{run_key}", response_model=shapes.RunShown, responses={304: {"description": "As before."}})
def read(request: Request, caller: Calling, run_key: RunKey) -> Response:
    """Read a run: how far it is, and the files that it made."""
    shown = shapes.run(run_of(request, caller, Scope.RUNS_READ, run_key))
    return etags.tagged(request, shown, etags.etag_of(shown))


@router.post("/definitions/{definition_id}/runs", status_code=202, response_model=Started)
async def start(
    request: Request, caller: Calling, definition_id: DefinitionId, wish: Annotated[Start, Body()]
) -> Response:
    """Start a run. It is Airflow's: it waits where the DAG is paused, and shows in the list once it has begun."""
    await run_sync(lambda: export_of(request, caller, Scope.RUNS_START, definition_id))
    asked = {name: _plain(value) for name, value in wish if value not in (None, [], False)}
    return await _started(request, caller, definition_id, asked)


@router.post("/runs/{run_key}/send", status_code=202, response_model=Started)
async def send(request: Request, caller: Calling, run_key: RunKey, wish: Annotated[Send, Body()]) -> Response:
    """Send the stored files of a finished run once more; what has arrived only with `again`."""
    run = await run_sync(lambda: run_of(request, caller, Scope.DELIVERIES_SEND, run_key))
    asked = {"resend": run.run_key, **({"targets": wish.targets} if wish.targets else {})}
    return await _started(request, caller, run.definition_id, asked | ({"again": True} if wish.again else {}))


@router.get("/runs/{run_key}/files", response_model=list[shapes.FileShown])
def files(request: Request, caller: Calling, run_key: RunKey) -> Any:
    """List the files of a run."""
    return shapes.files(run_of(request, caller, Scope.FILES_READ, run_key))


@router.get(
    "/runs/{run_key}/files/{name}",
    response_class=Response,
    responses={
        200: {"content": {"application/octet-stream": {}}, "description": "The file."},
        206: {"description": "The part that was asked for."},
        304: {"description": "As before."},
        416: {"description": "There is no such part."},
    },
)
def file(request: Request, caller: Calling, run_key: RunKey, name: FileName) -> Response:
    """Download a file: whole or a range of it, with its hash as ETag. One with personal data takes that scope too."""
    run = run_of(request, caller, Scope.FILES_READ, run_key)
    context, entry = context_of(request), file_of(run, name)
    if entry is None:
        raise HTTPException(404, "The run has no such file.")
    if name in personal_files(run):
        caller.require(Scope.PERSONAL, run.definition_id)
    if not sending.is_there(context.store, entry):
        raise HTTPException(410, "The file is not kept any more.")
    answer = sending.answer(request, context.store, entry)
    if answer.status_code in {200, 206}:
        detail = {"file": name, "sha256": entry["sha256"], "part": answer.headers.get("content-range")}
        context.state.audit.write(caller.name, Action.DOWNLOADED, run_key, detail)
    return answer


async def _started(request: Request, caller: Caller, definition_id: str, asked: dict[str, Any]) -> Response:
    if caller.reader is not None:
        started = await Scheduler.of(request, caller.reader).trigger(definition_id, **asked)
    else:
        started = await run_sync(request.app.state.start, definition_id, asked, caller.name)
    shown = Started(definition_id=definition_id, airflow_run_id=started)
    return JSONResponse(shown.model_dump(), 202)


def _visible(request: Request, caller: Caller, definition: str | None) -> frozenset[str] | None:
    """Return of which exports runs are listed, None for all; HTTPException 403 where the caller may see none."""
    if definition is not None:
        caller.require(Scope.RUNS_READ, definition)
        return frozenset({definition.replace("\0", "")})
    if caller.may(Scope.RUNS_READ):
        return None
    if caller.key is not None and Scope.RUNS_READ not in caller.key.scopes:
        caller.require(Scope.RUNS_READ)
    return caller.visible(Scope.RUNS_READ, context_of(request).state.exports.ids())


def _plain(value: Any) -> Any:
    return value.isoformat() if isinstance(value, datetime) else value
