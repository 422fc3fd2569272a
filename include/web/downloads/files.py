"""Files for who has a login: Airflow says who asks, and whether they may read the export."""

from __future__ import annotations

import re

import anyio.to_thread
from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response

from include.errors import BadInput
from include.pipeline import Context
from include.pipeline.links import file_of
from include.pipeline.personal import personal_files
from include.state.audit import Action
from include.state.runs import RunRecord
from include.web import pages
from include.web.downloads import sending
from include.web.reader import Reader, Right

router = APIRouter()
NO_FILE = "There is no such file."
_KEY = re.compile(r"[0-9a-f]{64}")


@router.api_route("/files/{run_key}", methods=["GET", "HEAD"])
async def files(run_key: str, request: Request) -> Response:
    """Show the files of a run to who may read its export; 401, 403, or 404."""
    reader: Reader = await request.app.state.access(request)
    return await anyio.to_thread.run_sync(_listed, request, reader, run_key)


@router.api_route("/files/{run_key}/{name}", methods=["GET", "HEAD"])
async def file(run_key: str, name: str, request: Request) -> Response:
    """Send a file of a run to who may read its export, and personal data where it holds some.

    401, 403, 404, or 410 where it is kept no more.
    """
    reader: Reader = await request.app.state.access(request)
    return await anyio.to_thread.run_sync(_sent, request, reader, run_key, name)


def _listed(request: Request, reader: Reader, run_key: str) -> Response:
    context: Context = request.app.state.context
    run = _permitted(context, reader, run_key)
    timezone = str(run.definition.get("timezone", "UTC"))
    personal = frozenset() if reader.may(Right.PERSONAL, run.definition_id) else personal_files(run)
    shown = [
        {
            "name": each["name"],
            "size": pages.shown_bytes(each["bytes"]),
            "rows": each.get("rows"),
            "withheld": each["name"] in personal,
        }
        for each in run.files
    ]
    return pages.page(
        "downloads/files.html",
        pages.root(request),
        name=str(run.definition.get("name", run.definition_id)),
        as_of=pages.shown_instant(run.as_of, timezone),
        run_key=run_key,
        files=shown,
        kept=all(sending.is_there(context.store, each) for each in run.files),
    )


def _sent(request: Request, reader: Reader, run_key: str, name: str) -> Response:
    context: Context = request.app.state.context
    run = _permitted(context, reader, run_key)
    entry = file_of(run, name)
    if entry is None:
        raise HTTPException(404, NO_FILE)
    if name in personal_files(run):
        reader.require(Right.PERSONAL, run.definition_id)
    if not sending.is_there(context.store, entry):
        raise HTTPException(410, "The file is not kept any more.")
    answer = sending.answer(request, context.store, entry)
    if request.method == "GET" and answer.status_code in {200, 206}:
        detail = {"file": name, "sha256": entry["sha256"], "part": answer.headers.get("content-range")}
        context.state.audit.write(reader.name, Action.DOWNLOADED, run_key, detail)
    return answer


def _permitted(context: Context, reader: Reader, run_key: str) -> RunRecord:
    """Return the run if there is one and its export is the reader's to read."""
    if not _KEY.fullmatch(run_key):  # PostgreSQL takes not every text
        raise HTTPException(404, NO_FILE)
    try:
        run = context.state.runs.get(run_key)
    except BadInput:
        raise HTTPException(404, NO_FILE) from None
    reader.require(Right.SEE, run.definition_id)
    return run
