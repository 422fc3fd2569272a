"""Files of an import, for who brought it and who may see personal data; and templates for everybody who may import."""

from __future__ import annotations

from collections.abc import Callable, Iterator

from fastapi import APIRouter, HTTPException, Request
from starlette.responses import Response, StreamingResponse

from include.imports import templates
from include.imports.options import Mode
from include.pipeline import Context, imports
from include.pipeline.imports import keeping
from include.state.audit import Action
from include.web.downloads.sending import disposition
from include.web.imports.permitted import Found, Importer
from include.web.reader import Right, context_of

KINDS = ("csv", "xlsx")
NO_FILE = "There is no such file of this import yet."
_SOURCES: dict[str, Callable[[Context, str], Iterator[bytes] | None]] = {
    "result": imports.result_file,
    "undo": imports.undo_file,
    "original": imports.original,
}
_HEADERS = {
    "Content-Encoding": "identity",
    "Content-Security-Policy": "sandbox; default-src 'none'; frame-ancestors 'none'",
}

router = APIRouter()
of_one = APIRouter(prefix="/imports/{import_id}")


@router.get("/imports/templates/{template}")
def example(reader: Importer, template: str) -> Response:  # noqa: ARG001 - the right is asked for
    """Send the template of a mode, such as `add.csv`."""
    mode, _, kind = template.partition(".")
    if mode not in {each.value for each in Mode if each is not Mode.UNDO} or kind not in KINDS:
        raise HTTPException(404, "There is no such template.")
    made = templates.template(mode, "xlsx" if kind == "xlsx" else "csv")
    headers = {**_HEADERS, "Content-Disposition": disposition(made.name)}
    return Response(made.content, media_type=made.media_type, headers=headers)


@of_one.get("/files/{kind}")
def file(request: Request, reader: Importer, found: Found, kind: str) -> Response:
    """Send a file of an import, streamed; who got it is in the audit chain."""
    if kind not in _SOURCES:
        raise HTTPException(404, NO_FILE)
    if not found.personal:
        reader.require(Right.PERSONAL)
    context, record = context_of(request), found.record
    if keeping.gone(context, record.import_id):
        raise HTTPException(410, keeping.GONE)
    content = _SOURCES[kind](context, record.import_id)
    if content is None:
        raise HTTPException(404, NO_FILE)
    context.state.audit.write(reader.name, Action.DOWNLOADED, record.import_id, {"file": kind})
    name = record.file_name if kind == "original" else f"{record.file_name}.{kind}.csv"
    media_type = "application/octet-stream" if kind == "original" else "text/csv; charset=utf-8"
    headers = {**_HEADERS, "Content-Disposition": disposition(name)}
    return StreamingResponse(content, media_type=media_type, headers=headers)


router.include_router(of_one)
