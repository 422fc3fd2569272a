"""What helps while an export is being typed: the next runs, the file's name, a preview, a try of a target.

Each takes the whole form as it stands, changes nothing of the export, and answers with a part of the page.
"""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request
from starlette.datastructures import FormData
from starlette.responses import JSONResponse, Response

from include.acting import acting
from include.errors import BadInput
from include.pipeline import snapshot_ahead
from include.web import pages
from include.web.editor import filters, naming, preview, rows, schedule, testing
from include.web.editor.form import document_of, posted
from include.web.editor.problems import placed
from include.web.editor.view import Form
from include.web.forms import Posted
from include.web.reader import Asking, Reader, Right, context_of

router = APIRouter(prefix="/editor")


@router.post("/schedule")
def next_runs(request: Request, reader: Asking, form: Posted) -> Response:
    """Show the next five runs."""
    document = _document(reader, form)
    return _answer(request, reader, "editor/fragment_schedule.html", told=schedule.told(document))


@router.post("/name")
def file_names(request: Request, reader: Asking, form: Posted) -> Response:
    """Show what the files will be called."""
    names = naming.names(_document(reader, form))
    return _answer(request, reader, "editor/fragment_name.html", names=names)


@router.post("/filters")
def filter_problems(reader: Asking, form: Posted) -> Response:
    """Tell the builder what is wrong with its tree."""
    return JSONResponse(filters.wrong(_document(reader, form)))


@router.post("/preview")
def first_rows(request: Request, reader: Asking, form: Posted) -> Response:
    """Show the first rows, and how many rows and bytes the file will have."""
    document = _document(reader, form)
    personal = reader.may(Right.PERSONAL, _id_of(form))
    with acting(reader.name):
        looked = preview.looked(context_of(request), document, personal=personal)
    return _preview(request, reader, form, looked)


@router.post("/snapshot")
def make_snapshot(request: Request, reader: Asking, form: Posted) -> Response:
    """Begin to make a snapshot to preview on."""
    document, context = _document(reader, form), context_of(request)
    try:
        definition = preview.definition_of(document)
    except BadInput as error:
        looked = preview.Looked(problems=error.problems)
    else:
        with acting(reader.name):
            making = snapshot_ahead.make(context, definition)
        looked = preview.Looked(definition.timezone, no_snapshot="there is none yet", making=making)
    return _preview(request, reader, form, looked)


@router.post("/target/{number}")
def try_target(request: Request, reader: Asking, form: Posted, number: int) -> Response:
    """Try one target: log in, try its rights by a probe, send nothing."""
    values = posted(form)
    own = {name: value for name, value in values.items() if name.startswith(f"targets.{number}.")}
    _document(reader, form)
    document, _ = document_of(rows.compact(own))
    asked = document.get("targets") or [{}]
    with acting(reader.name):
        tried = testing.tried(context_of(request), asked[0])
    return _answer(request, reader, "editor/fragment_target.html", tried=tried)


def _answer(request: Request, reader: Reader, part: str, **values: Any) -> Response:
    """Return the part of the page that a script asked for; to a browser without scripts, a page with it."""
    if request.headers.get("hx-request"):
        return pages.fragment(request, reader, part, **values)
    return pages.show(request, reader, "editor/aid.html", part=part, **values)


def _preview(request: Request, reader: Reader, form: FormData, looked: preview.Looked) -> Response:
    values = rows.compact(posted(form))
    wrong = Form(values, placed(looked.problems, values)).summary
    return _answer(request, reader, "editor/fragment_preview.html", looked=looked, wrong=wrong)


def _document(reader: Reader, form: FormData) -> dict[str, Any]:
    """Return what is typed; HTTPException 403 for who may not make this export, or change it."""
    reader.require(Right.EDIT, _id_of(form))
    return document_of(rows.compact(posted(form)))[0]


def _id_of(form: FormData) -> str | None:
    """Return the id of the export that is changed, None for one that is new."""
    changed, name = form.get("based_on"), form.get("id")
    return name if changed and isinstance(name, str) and name else None
