"""What can be done with an import. Airflow runs it, as the reader; who decided is written down here first."""

from __future__ import annotations

import tempfile
from typing import Any

from fastapi import APIRouter, Depends, HTTPException, Request
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData
from starlette.responses import Response

from include.pipeline import imports
from include.pipeline.imports import keeping
from include.pipeline.imports.asking import ask
from include.settings import IMPORTS_DAG
from include.state.imports import ImportRecord, ImportState
from include.state.leases import StaleFence
from include.web.forms import Posted, posted, see_other
from include.web.imports.permitted import Found, Importer, Permitted
from include.web.reader import Reader, context_of
from include.web.scheduler import Scheduler

LONGEST_NOTE = 500
FASTER = "Somebody else was faster. Reload the page to see how the import stands now."
SECONDS = "It takes some seconds, and shows below."
OWN_FORM = Depends(posted)

router = APIRouter(prefix="/imports/{import_id}")


@router.post("/rehearse", dependencies=[OWN_FORM])
async def rehearse(request: Request, reader: Importer, found: Found) -> Response:
    """Have it rehearsed again."""
    _require(found, ImportState.RECEIVED, ImportState.WRONG)
    await run_in_threadpool(_require_files, request, found)
    await _run(request, reader, found.record)
    return see_other(request, f"{found.place}?asked=rehearse", f"It is rehearsed again. {SECONDS}")


@router.post("/post", dependencies=[OWN_FORM])
async def post(request: Request, reader: Importer, found: Found) -> Response:
    """Have it posted as its rehearsal shows it."""
    _require(found, ImportState.REHEARSED)
    await run_in_threadpool(ask, context_of(request), found.record.import_id, reader.name)
    await _run(request, reader, found.record)
    return see_other(request, found.place, f"It is posted. {SECONDS}")


@router.post("/approve")
async def approve(request: Request, reader: Importer, found: Found, form: Posted) -> Response:
    """Agree, as the second person, and have it posted."""
    await run_in_threadpool(_decide, request, reader, found, imports.approve, note=_note(form))
    if not await Scheduler.of(request, reader).answer(IMPORTS_DAG, found.record.import_id, "Approve"):
        await _run(request, reader, found.record)
    return see_other(request, found.place, f"Approved, with your name. It is posted now. {SECONDS}")


@router.post("/refuse")
async def refuse(request: Request, reader: Importer, found: Found, form: Posted) -> Response:
    """Say that it is not to be posted; whoever may import may say so, who asked too."""
    await run_in_threadpool(_decide, request, reader, found, imports.refuse, reason=_note(form))
    await Scheduler.of(request, reader).answer(IMPORTS_DAG, found.record.import_id, "Refuse")
    return see_other(request, found.place, "Refused, with your name. Nothing of it is posted.")


@router.post("/undo", dependencies=[OWN_FORM])
async def undo(request: Request, reader: Importer, found: Found) -> Response:
    """Have the import made and rehearsed that takes this one back; it is posted as any other."""
    _require(found, ImportState.POSTED)
    await run_in_threadpool(_require_files, request, found)
    await _run(request, reader, found.record, undo=True)
    told = f"The import that takes it back is made and rehearsed; post it then. {SECONDS}"
    return see_other(request, f"{found.place}?asked=undo", told)


@router.post("/again", dependencies=[OWN_FORM])
async def again(request: Request, reader: Importer, found: Found) -> Response:
    """Import the same file once more, on purpose."""
    _require(found, ImportState.POSTED, ImportState.REFUSED, ImportState.UNDONE)
    await run_in_threadpool(_require_files, request, found)
    record = await run_in_threadpool(_repeated, request, reader, found.record)
    await _run(request, reader, record)
    return see_other(request, f"/imports/{record.import_id}", f"The same file once more. {SECONDS}")


async def _run(request: Request, reader: Reader, record: ImportRecord, **more: Any) -> None:
    await Scheduler.of(request, reader).trigger(IMPORTS_DAG, **{"import": record.import_id, **more})


def _repeated(request: Request, reader: Reader, record: ImportRecord) -> ImportRecord:
    context = context_of(request)
    context.settings.scratch.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryFile(dir=context.settings.scratch) as copy:
        for piece in imports.original(context, record.import_id):
            copy.write(piece)
        copy.seek(0)
        return imports.receive(
            context,
            copy,
            name=record.file_name,
            options=record.options,
            by=reader.name,
            again=True,
            renewed=True,
        )


def _require(found: Permitted, *states: ImportState) -> None:
    if found.record.state not in states:
        raise HTTPException(409, FASTER)


def _require_files(request: Request, found: Permitted) -> None:
    if keeping.gone(context_of(request), found.record.import_id):
        raise HTTPException(410, keeping.GONE)


def _decide(request: Request, reader: Reader, found: Permitted, how: Any, **said: str) -> None:
    try:
        how(context_of(request), found.record.import_id, by=reader.name, **said)
    except StaleFence:
        raise HTTPException(409, FASTER) from None


def _note(form: FormData) -> str:
    given = form.get("note")
    return given.strip()[:LONGEST_NOTE] if isinstance(given, str) else ""
