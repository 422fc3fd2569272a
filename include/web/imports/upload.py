"""A file that is uploaded: the right is asked for before a byte of it is read, and it never lies in memory."""

from __future__ import annotations

from pathlib import Path
from tempfile import SpooledTemporaryFile
from typing import BinaryIO, cast

from fastapi import APIRouter, HTTPException, Request
from pydantic import ValidationError
from starlette.concurrency import run_in_threadpool
from starlette.datastructures import FormData, UploadFile
from starlette.formparsers import MultiPartException, MultiPartParser
from starlette.responses import Response

from include.errors import BadInput, Problem
from include.imports.options import Mode, Options
from include.pipeline import imports
from include.settings import IMPORTS_DAG
from include.state.imports import ImportRecord, ImportState
from include.web import pages
from include.web.forms import FOREIGN, checked, see_other
from include.web.guard import is_own_form
from include.web.imports.listing import shown
from include.web.imports.permitted import Importer
from include.web.reader import Reader, context_of
from include.web.scheduler import Scheduler

LONGEST_FIELD = 1000
_MOST_FIELDS = 20
PROBLEMS = "Loyalty-Problems"  # the header by which the form's script knows what to ask
KNOWN = "This file came before with the same choices: this is that import. Nothing was made twice."
BEGINS = "The file is here. Airflow rehearses it; what it would do shows below in some seconds."

router = APIRouter(prefix="/imports")


@router.post("")
async def upload(request: Request, reader: Importer) -> Response:
    """Take a file, and have it rehearsed; one that came before leads to the import that it made."""
    if not is_own_form(request, context_of(request).settings.public_url):
        raise HTTPException(403, FOREIGN)  # before anything large is read
    if why_not := imports.why_not_writable(context_of(request)):
        raise HTTPException(409, why_not)
    form = checked(request, reader, await _into_scratch(request))
    typed = {name: _text(form, name) for name in ("mode", "program", "subledger", "card", "renewed")}
    try:
        record = await run_in_threadpool(_received, request, reader, form, typed)
    except BadInput as error:
        if request.headers.get("hx-request"):
            told = pages.problem(422, "; ".join(map(str, error.problems)))
            told.headers[PROBLEMS] = " ".join(problem.code for problem in error.problems)
            return told
        return await run_in_threadpool(
            shown, request, reader, typed=typed, problems=error.problems, status=422
        )
    place = f"/imports/{record.import_id}"
    if record.state is not ImportState.RECEIVED:
        return see_other(request, place, KNOWN)
    await Scheduler.of(request, reader).trigger(IMPORTS_DAG, **{"import": record.import_id})
    return see_other(request, place, BEGINS)


async def _into_scratch(request: Request) -> FormData:
    """Read the form, with its file in our scratch; HTTPException 400 for what is none."""
    if not request.headers.get("content-type", "").startswith("multipart/form-data"):
        return await request.form(max_fields=_MOST_FIELDS)  # one without a file
    scratch = context_of(request).settings.scratch
    scratch.mkdir(parents=True, exist_ok=True)
    try:
        return await _Parser(scratch, request).parse()
    except MultiPartException as error:
        raise HTTPException(400, error.message) from None


class _Parser(MultiPartParser):
    """Starlette's, but for the folder of its files, which is the system's there."""

    def __init__(self, scratch: Path, request: Request) -> None:
        super().__init__(request.headers, request.stream(), max_files=1, max_fields=_MOST_FIELDS)
        self._scratch = scratch

    def on_headers_finished(self) -> None:
        super().on_headers_finished()
        part = self._current_part
        if part.file is not None:
            part.file.file.close()
            held = SpooledTemporaryFile(max_size=self.spool_max_size, dir=str(self._scratch))  # noqa: SIM115
            self._files_to_close_on_error.append(held)
            part.file.file = cast("BinaryIO", held)


def _received(request: Request, reader: Reader, form: FormData, typed: dict[str, str]) -> ImportRecord:
    file = form.get("file")
    problems = []
    if not isinstance(file, UploadFile) or not file.filename:
        right = "choose the file to import: CSV, XLSX, or one of these as zip or gzip"
        problems.append(Problem("file", "", right, "no_file"))
    options = _options(typed, problems)
    if problems or options is None or not isinstance(file, UploadFile):
        raise BadInput(problems)
    return imports.receive(
        context_of(request),
        file.file,
        name=file.filename or "",
        options=options,
        by=reader.name,
        renewed=bool(typed["renewed"]),
    )


def _options(typed: dict[str, str], problems: list[Problem]) -> Options | None:
    if typed["mode"] not in {each.value for each in Mode if each is not Mode.UNDO}:
        problems.append(Problem("mode", typed["mode"], "choose what the rows mean", "unknown_mode"))
        return None
    mode = Mode(typed["mode"])
    if mode is not Mode.BIRTHDAY and not typed["program"]:
        problems.append(Problem("program", "", "choose the program whose points move", "no_program"))
    try:
        return Options(
            mode=mode,
            program="" if mode is Mode.BIRTHDAY else typed["program"],
            subledger="" if mode is Mode.BIRTHDAY else typed["subledger"],
            card=bool(typed["card"]) and mode is not Mode.BIRTHDAY,
        )
    except ValidationError as error:
        raise HTTPException(422, str(error.errors()[0]["msg"])) from None


def _text(form: FormData, name: str) -> str:
    given = form.get(name)
    return given.strip()[:LONGEST_FIELD] if isinstance(given, str) else ""
