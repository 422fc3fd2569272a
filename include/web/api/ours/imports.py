"""Imports of points: a file is posted, rehearsed, looked at, and booked; large ones are Airflow's work, and polled."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from logging import getLogger
from typing import Annotated, Any, Literal

from anyio.to_thread import run_sync
from fastapi import APIRouter, Body, Depends, HTTPException, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response

from include.errors import BadInput, LoyaltyError, NeedsPerson
from include.imports.effects import RowOutcome, RowStatus
from include.imports.options import Mode, Options
from include.pipeline import Context, imports
from include.pipeline.imports import keeping
from include.pipeline.imports.asking import ask
from include.pipeline.imports.telling import tell
from include.scratch import working_folder
from include.settings import IMPORTS_DAG
from include.state.audit import Action
from include.state.imports import ImportRecord, ImportState
from include.state.keys import Scope
from include.state.leases import StaleFence
from include.web.api import etags
from include.web.api.bodies import write_body
from include.web.api.caller import Caller, needs
from include.web.api.ours import shapes
from include.web.api.paging import Page, listed, paged
from include.web.downloads import sending
from include.web.imports.shown import hidden, unnamed
from include.web.reader import context_of

LOG = getLogger(__name__)
router = APIRouter(prefix="/imports", tags=["imports"])
LARGE = {r"/imports": 512 * 1024 * 1024}
AT_ONCE_BYTES = 1024 * 1024
"""A file of more bytes is rehearsed and posted by Airflow, not in the request."""
NO_IMPORT = "There is no import of this id."
FASTER = "Somebody else was faster. Read the import to see how it stands now."
Importer = Annotated[Caller, needs(Scope.IMPORTS_WRITE)]
Approver = Annotated[Caller, needs(Scope.IMPORTS_APPROVE)]
Either = Annotated[Caller, needs(Scope.IMPORTS_WRITE, Scope.IMPORTS_APPROVE)]
ImportId = Annotated[str, Path(pattern="^imp-[0-9a-f]{16}$", examples=["imp-0123456789abcdef"])]
_ANSWERS: dict[int | str, dict[str, Any]] = {
    202: {"description": "Airflow does it; read the import to see how far it is."},
    404: {"description": NO_IMPORT},
    409: {"description": "It stands where that cannot be done."},
    410: {"description": "Its files were removed."},
}


class Why(BaseModel):
    """Why an import is refused, or what its second person has to say."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"note": "asked by Jane"}]})

    note: str = Field("", max_length=500)


@router.get("", response_model=shapes.Listed[ImportRecord])
def listing(
    request: Request,
    caller: Either,
    page: Annotated[Page, Depends(paged)],
    state: ImportState | None = None,
    mode: Mode | None = None,
) -> Any:
    """List imports, the newest first."""
    states, known = [state] if state else [], context_of(request).state.imports
    found = [
        _shown(caller, each) for each in known.list(states, mode=mode, limit=page.size, offset=page.offset)
    ]
    return listed(request, found, page, known.count(states, mode=mode))


@router.post(
    "",
    status_code=201,
    response_model=ImportRecord,
    responses={
        200: {"description": "The same file with the same choices is known, and rehearsed."},
        413: {"description": "Too large."},
    },
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {
                "application/octet-stream": {
                    "schema": {"type": "string", "format": "binary"},
                    "example": "customer_id,points\nc000001,100\n",
                }
            },
        }
    },
)
async def receive(
    request: Request,
    caller: Importer,
    name: Annotated[str, Query(min_length=1, max_length=200, examples=["points.csv"])],
    mode: Mode,
    program: Annotated[str, Query(max_length=200)] = "",
    subledger: Annotated[str, Query(max_length=200)] = "",
    card: Annotated[bool, Query(description="Points go to cards.")] = False,
    again: Annotated[bool, Query(description="The same file is meant once more.")] = False,
    renewed: Annotated[bool, Query(description="Other bytes under a known name are meant.")] = False,
) -> Response:
    """Post a file: CSV, XLSX, zip or gzip, as the body. The same file is recognised; nothing is booked yet."""
    options = Options(mode=mode, program=_clean(program), subledger=_clean(subledger), card=card)
    context = context_of(request)
    await run_sync(imports.check, context, options)  # before anything large is read
    with working_folder(context.settings.scratch, "upload") as folder:
        path = folder / "body"
        await write_body(request, path)

        take = partial(
            imports.receive, name=name, options=options, by=caller.name, again=again, renewed=renewed
        )
        record = await run_sync(take, context, path)
    status = 201 if record.state is ImportState.RECEIVED else 200
    return JSONResponse(_shown(caller, record).model_dump(mode="json"), status)


@router.get(
    "/{import_id}", response_model=ImportRecord, responses={304: {"description": "As before."}, **_ANSWERS}
)
def read(request: Request, caller: Either, import_id: ImportId) -> Response:
    """Read an import: where it stands, what its rehearsal says, what was booked."""
    record = _of(request, import_id)
    etag = etags.etag_of(import_id, record.state, record.updated_at, _sees(caller, record))
    return etags.tagged(request, _shown(caller, record).model_dump(mode="json"), etag)


@router.get("/{import_id}/rows", response_model=shapes.Listed[RowOutcome], responses=_ANSWERS)
def rows(
    request: Request,
    caller: Either,
    import_id: ImportId,
    page: Annotated[Page, Depends(paged)],
    status: RowStatus | None = None,
) -> Any:
    """Read what happens to each row, in the order of the file.

    What it says of members is for who posted it, and with scope personal.
    """
    record = _of(request, import_id)
    found = imports.rows(context_of(request), import_id, only=status, offset=page.offset, limit=page.size)
    if not _sees(caller, record):
        found = [hidden(each) for each in found]
    return listed(request, found, page, _rows_of(record, status))


@router.get(
    "/{import_id}/files/{kind}",
    response_class=Response,
    responses={200: {"content": {"application/octet-stream": {}}, "description": "The file."}, **_ANSWERS},
)
def file(
    request: Request,
    caller: Either,
    import_id: ImportId,
    kind: Literal["rehearsal", "result", "undo", "original"],
) -> Response:
    """Download the result per row, the file that takes it back, or what was posted."""
    record = _of(request, import_id)
    if not _sees(caller, record):
        caller.require(Scope.PERSONAL)
    entry = next((each for each in record.files or [] if each["kind"] == kind), None)
    context = context_of(request)
    if keeping.gone(context, import_id):
        raise HTTPException(410, keeping.GONE)
    if entry is None:
        raise HTTPException(404, "The import has no such file yet.")
    answer = sending.answer(request, context.store, entry)
    if answer.status_code in {200, 206}:
        detail = {"file": kind, "sha256": entry["sha256"], "part": answer.headers.get("content-range")}
        context.state.audit.write(caller.name, Action.DOWNLOADED, import_id, detail)
    return answer


@router.post("/{import_id}/rehearse", response_model=ImportRecord, responses=_ANSWERS)
def rehearse(request: Request, caller: Importer, import_id: ImportId) -> Response:
    """Find out what posting it would do, changing nothing. Where a second person must agree, Airflow asks them."""
    before = _of(request, import_id)
    return _work(request, caller, import_id, lambda context: imports.rehearse(context, import_id), before)


@router.post("/{import_id}/post", response_model=ImportRecord, responses=_ANSWERS)
def post(request: Request, caller: Importer, import_id: ImportId) -> Response:
    """Book what was rehearsed, in one database transaction. Done already, it is the record."""
    record = _of(request, import_id)
    if record.state is ImportState.WAITING:
        raise HTTPException(409, "A second person must look at the rehearsal and agree first.")
    if record.bytes > AT_ONCE_BYTES and record.state is ImportState.REHEARSED:
        ask(context_of(request), import_id, caller.name)
    done = lambda context: imports.post(context, import_id, by=caller.name)  # noqa: E731 - one of three alike
    return _work(request, caller, import_id, done, record)


@router.post("/{import_id}/undo", response_model=ImportRecord, responses=_ANSWERS)
def undo(request: Request, caller: Importer, import_id: ImportId) -> Response:
    """Make and rehearse the import that takes this one back; it is posted as any other."""
    done = lambda context: imports.undo(context, import_id, by=caller.name)  # noqa: E731 - one of three alike
    before = next(iter(context_of(request).state.imports.undoing(import_id)), None)
    return _work(request, caller, import_id, done, before, undo=True)


@router.post("/{import_id}/refuse", response_model=ImportRecord, responses=_ANSWERS)
def refuse(request: Request, caller: Either, import_id: ImportId, why: Annotated[Why, Body()]) -> Any:
    """Say that it will not be posted; where Airflow asks about it, that is answered too."""
    _of(request, import_id)
    context = context_of(request)
    try:
        record = imports.refuse(context, import_id, by=caller.name, reason=why.note)
    except StaleFence:
        raise HTTPException(409, FASTER) from None
    _answer_airflow(request, caller, import_id, "Refuse")
    return _told(context, caller, record)


@router.post("/{import_id}/approve", response_model=ImportRecord, responses=_ANSWERS)
def approve(request: Request, caller: Approver, import_id: ImportId, why: Annotated[Why, Body()]) -> Any:
    """Agree as the second person: with Airflow's own token, or with a key that another person made than who asked.

    Where Airflow asks about it, that is answered too, and it is posted then; POST .../post does so at once.
    """
    _of(request, import_id)
    try:
        record = imports.approve(context_of(request), import_id, by=caller.name, note=why.note)
    except StaleFence:
        raise HTTPException(409, FASTER) from None
    _answer_airflow(request, caller, import_id, "Approve")
    return _shown(caller, record)


def _rows_of(record: ImportRecord, status: RowStatus | None) -> int:
    """Return how many rows a rehearsal has found, of one status where one is named."""
    if record.rehearsal is None:
        return 0
    return int(getattr(record.rehearsal, status.value if status else "rows"))


def _of(request: Request, import_id: str) -> ImportRecord:
    found = context_of(request).state.imports.get(import_id)
    if found is None:
        raise HTTPException(404, NO_IMPORT)
    return found


def _work(
    request: Request,
    caller: Caller,
    import_id: str,
    done: Callable[[Any], ImportRecord],
    before: ImportRecord | None,
    **more: Any,
) -> Response:
    """Do it now where the file is small, else have Airflow do it. before: what `done` returns, as it was."""
    record = _of(request, import_id)
    if record.bytes > AT_ONCE_BYTES:
        request.app.state.start(IMPORTS_DAG, {"import": import_id, **more}, caller.name)
        return JSONResponse(_shown(caller, record).model_dump(mode="json"), 202)
    try:
        record = done(context_of(request))
    except StaleFence:
        raise HTTPException(409, FASTER) from None
    except NeedsPerson as error:
        raise HTTPException(409, str(error)) from None
    except BadInput as error:
        if any(each.code == "rehearse_again" for each in error.problems):
            raise HTTPException(409, str(error)) from None
        raise
    waited = before is not None and before.state is ImportState.WAITING
    if record.state is ImportState.WAITING and not waited:
        _ask_a_person(request, caller, record)
    return _told(context_of(request), caller, record)


def _ask_a_person(request: Request, caller: Caller, record: ImportRecord) -> None:
    """Have Airflow ask a second person; they find the import on its page in any case."""
    try:
        request.app.state.start(IMPORTS_DAG, {"import": record.import_id}, caller.name)
    except LoyaltyError:
        LOG.exception("%s waits for a second person, whom Airflow could not be had to ask", record.import_id)


def _answer_airflow(request: Request, caller: Caller, import_id: str, option: str) -> None:
    """Answer what Airflow asks about an import, which is decided already: it would find that out by itself, later."""
    try:
        request.app.state.answer(IMPORTS_DAG, import_id, option, caller.name)
    except LoyaltyError:
        LOG.exception("%s is decided; Airflow's question could not be answered", import_id)


def _told(context: Context, caller: Caller, record: ImportRecord) -> Response:
    """Answer with an import; who should know how it stands is told after that."""
    shown = _shown(caller, record).model_dump(mode="json")
    return JSONResponse(shown, background=BackgroundTask(tell, context, record))


def _shown(caller: Caller, record: ImportRecord) -> ImportRecord:
    """Return an import as the caller may see it."""
    return record if _sees(caller, record) else unnamed(record)


def _sees(caller: Caller, record: ImportRecord) -> bool:
    return record.requested_by == caller.name or caller.may(Scope.PERSONAL)


def _clean(text: str) -> str:
    return text.replace("\0", "")
