"""The export that an address names, for who has the right: first the right, then whether there is such an export."""

from __future__ import annotations

from typing import Annotated, Any, NamedTuple
from urllib.parse import quote

from fastapi import Depends, HTTPException, Request

from include.definitions.load import from_document
from include.definitions.model import ExportDefinition
from include.errors import BadInput
from include.pipeline import exports as catalogue
from include.state.exports import Export
from include.state.runs import RunRecord
from include.web.reader import Asking, Reader, Right, context_of

UNKNOWN = "There is no export of this id. It may have another id, or have been deleted before it ever ran."
DELETED = "This export is deleted. Its runs and files are kept; nothing new can be started."
NO_RUN = "There is no such run of this export."


class Permitted(NamedTuple):
    """An export, and what it says where that can be read today."""

    export: Export
    definition: ExportDefinition | None

    @property
    def id(self) -> str:
        """Return the export's id."""
        return self.export.definition_id

    def place(self, more: str = "") -> str:
        """Return the way to a page of the export, below the application."""
        return f"/exports/{quote(self.id, safe='')}{more}"


def to_see(definition_id: str, request: Request, reader: Asking) -> Permitted:
    """Return an export that the reader may see, also one that was deleted; HTTPException 403 or 404."""
    return _permitted(definition_id, request, reader, Right.SEE)


def to_run(definition_id: str, request: Request, reader: Asking) -> Permitted:
    """Return an export that the reader may run; HTTPException 403, 404, or 410 for a deleted one."""
    return _alive(_permitted(definition_id, request, reader, Right.RUN))


def to_edit(definition_id: str, request: Request, reader: Asking) -> Permitted:
    """Return an export that the reader may change; HTTPException 403, 404, or 410 for a deleted one."""
    return _alive(_permitted(definition_id, request, reader, Right.EDIT))


ToSee = Annotated[Permitted, Depends(to_see)]
ToRun = Annotated[Permitted, Depends(to_run)]
ToEdit = Annotated[Permitted, Depends(to_edit)]


def run_of(request: Request, found: Permitted, run_key: str) -> RunRecord:
    """Return a run of the export by its key; HTTPException 404."""
    if not (
        len(run_key) == 64 and set(run_key) <= set("0123456789abcdef")
    ):  # PostgreSQL takes not every text
        raise HTTPException(404, NO_RUN)
    try:
        run = context_of(request).state.runs.get(run_key)
    except BadInput:
        raise HTTPException(404, NO_RUN) from None
    if run.definition_id != found.id:
        raise HTTPException(404, NO_RUN)
    return run


def readable(document: dict[str, Any], where: str) -> ExportDefinition | None:
    """Return what a document defines, None where today's code reads it no more."""
    try:
        return from_document(document, where=where)
    except BadInput:
        return None


def _permitted(definition_id: str, request: Request, reader: Reader, right: Right) -> Permitted:
    reader.require(Right.SEE, definition_id)
    context = context_of(request)
    catalogue.refresh(context)
    export = context.state.exports.get(definition_id, deleted=True)
    if export is None:
        raise HTTPException(404, UNKNOWN)
    reader.require(right, definition_id)
    return Permitted(export, readable(export.document, definition_id))


def _alive(found: Permitted) -> Permitted:
    if found.export.deleted_at is not None:
        raise HTTPException(410, DELETED)
    return found
