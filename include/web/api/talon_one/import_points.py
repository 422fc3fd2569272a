"""Points from a file into a program, by the one door of all imports (include/pipeline/imports/).

What the vendor does at once is done at once here too, but for a file of many rows, to which a second person must
agree: its answer is 202. The same bytes again are recognised, and give the import that is there.
"""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, HTTPException, Query, Request
from starlette.background import BackgroundTask
from starlette.responses import JSONResponse, Response
from typing_extensions import TypedDict

from include.errors import BadInput, Problem
from include.imports.effects import RowStatus
from include.imports.options import Mode, Options
from include.imports.reading import open_file
from include.pipeline import Context, imports
from include.pipeline.imports.telling import tell
from include.pipeline.numbered import Program
from include.scratch import working_folder
from include.state.imports import ImportRecord, ImportState
from include.state.keys import Scope
from include.web.api.caller import Caller, needs
from include.web.api.talon_one.entries import number_of
from include.web.api.talon_one.errors import Told
from include.web.api.talon_one.parameters import PROGRAM, written
from include.web.api.talon_one.programs import Of
from include.web.api.talon_one.uploads import write_part
from include.web.reader import context_of

router = APIRouter(tags=["imports"])
FILE = "upFile"
LARGEST_BYTES = (500 << 20) + (1 << 20)  # a file of 500 MB, and what multipart puts around it
LARGE = {r"/v1/loyalty_programs/[^/]+/import_points": LARGEST_BYTES}
ENTITY = "LoyaltyPoints"
_ROWS_TOLD = 100
_UPLOAD = {
    "requestBody": {
        "required": True,
        "content": {
            "multipart/form-data": {
                "schema": {
                    "type": "object",
                    "required": [FILE],
                    "properties": {FILE: {"type": "string", "format": "binary"}},
                }
            }
        },
    }
}


class Import(TypedDict):
    """An import; `amount`: how many rows it has. accountId and userId are 0: a ledger has neither."""

    id: int
    created: str
    accountId: int
    userId: int
    entity: str
    amount: int


@router.post(
    PROGRAM + "/import_points",
    summary="Import points",
    response_model=Import,
    responses={
        202: {"description": "It waits for a second person to agree.", "model": Import},
        409: {"description": "The same file was imported before, and refused or taken back.", "model": Told},
    },
    openapi_extra=_UPLOAD,
)
async def import_points(
    request: Request,
    caller: Annotated[Caller, needs(Scope.IMPORTS_WRITE)],
    program: Of,
    notifications: Annotated[  # noqa: ARG001 - clients send it
        bool,
        Query(alias="notificationsEnabled", description="Taken and not used: imports tell whom they tell."),
    ] = True,
    again: Annotated[
        bool, Query(description="Beside the vendor's: the same file is meant to be imported once more.")
    ] = False,
) -> Response:
    """Import the points of a CSV, XLSX or zip file, all of its rows or none.

    Columns: customerprofileid or identifier (of a card), amount, startdate, expirydate or validityDuration,
    subledgerid, reason.
    """
    context = context_of(request)
    with working_folder(context.settings.scratch, "upload") as folder:
        path = folder / "upload"
        name = await write_part(request, FILE, path)
        return await run_sync(_answered, context, path, name, program, caller, again)


def _answered(
    context: Context, path: Path, name: str, program: Program, caller: Caller, again: bool
) -> Response:
    with open_file(
        path, name=name or FILE, mode=Mode.POINTS, now=datetime.now(UTC), scratch=path.parent
    ) as file:
        card = "card_id" in file.columns
    options = Options(mode=Mode.POINTS, program=program.program_id, card=card)
    # Programs send other bytes under one name every day, and nobody is there to be asked: all of them are meant.
    record = imports.receive(
        context, path, name=name or f"{FILE}.csv", options=options, by=caller.name, again=again, renewed=True
    )
    record = imports.run(context, record.import_id, by=caller.name)
    if record.state is ImportState.WRONG:
        tell(context, record)
        raise BadInput(_problems(context, record))
    if record.state in {ImportState.REFUSED, ImportState.UNDONE}:
        told = f"This file was imported before as {record.import_id}, and {record.state}; again=true imports it anew."
        raise HTTPException(409, told)
    return _answer(context, record)


def _answer(context: Context, record: ImportRecord) -> Response:
    rows = record.receipt.rows if record.receipt else record.rehearsal.rows if record.rehearsal else 0
    content = Import(
        id=number_of(record.import_id),
        created=written(record.requested_at),
        accountId=0,
        userId=0,
        entity=ENTITY,
        amount=rows,
    )
    headers = {"Loyalty-Import": record.import_id, "Loyalty-Import-State": record.state.value}
    status = 200 if record.state is ImportState.POSTED else 202
    return JSONResponse(content, status, headers, background=BackgroundTask(tell, context, record))


def _problems(context: Context, record: ImportRecord) -> list[Problem]:
    """Return what is wrong with a file, or with its first rows that are."""
    wrong = imports.rows(context, record.import_id, only=RowStatus.WRONG, limit=_ROWS_TOLD)
    if wrong:
        return [Problem(f"{FILE}: row {each.row}", "", each.message, "wrong_row") for each in wrong]
    notes = record.rehearsal.notes if record.rehearsal else ()
    return [Problem(FILE, "", each, "wrong_file") for each in notes or ("it cannot be imported",)]
