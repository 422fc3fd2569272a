"""Definitions of exports: those of files can be read, those made in the pages and here also changed."""

from __future__ import annotations

from logging import getLogger
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, HTTPException, Query, Request
from starlette.responses import Response

from include.definitions.model import ExportDefinition
from include.errors import BadInput, Transient
from include.pipeline import exports as catalogue
from include.state.exports import Export, Status
from include.state.exports import Query as Wanted
from include.state.keys import Scope
from include.web.api import etags
from include.web.api.caller import Caller, Calling
from include.web.api.ours import shapes
from include.web.api.ours.permitted import DefinitionId, export_of
from include.web.api.paging import Page, listed, paged
from include.web.personal import personal_problems
from include.web.reader import context_of

LOG = getLogger(__name__)
router = APIRouter(prefix="/definitions", tags=["definitions"])
OF_A_FILE = "This export is a YAML file, so it is changed there."
Document = Annotated[
    dict[str, Any],
    Body(
        description="The definition, as in YAML; GET /schema publishes its JSON schema.",
        examples=[shapes.DEFINITION],
    ),
]
Text = Annotated[str, Query(max_length=200)]


@router.get("", response_model=shapes.Listed[shapes.DefinitionShown])
def listing(
    request: Request,
    caller: Calling,
    page: Annotated[Page, Depends(paged)],
    text: Text = "",
    status: Status | None = None,
    model: Text = "",
    target: Text = "",
    owner: Text = "",
    source: Literal["yaml", "ui"] | None = None,
) -> Any:
    """List the exports that the caller may see, by name; `text` is part of a name, an id or a description."""
    context = context_of(request)
    catalogue.refresh(context)
    texts = {
        name: _clean(value)
        for name, value in {"text": text, "model": model, "target": target, "owner": owner}.items()
    }
    wanted = Wanted(
        **texts,
        status=status,
        source=source,
        sort="name",
        descending=False,
        page=page.number,
        per_page=page.size,
        visible=_visible(request, caller),
    )
    found = context.state.exports.search(wanted)
    return listed(request, [shapes.definition(each) for each in found.rows], page, found.total)


@router.post("", status_code=201, response_model=shapes.DefinitionShown)
def create(request: Request, caller: Calling, document: Document) -> Response:
    """Make an export. The same document by the same caller once more changes nothing."""
    caller.require(Scope.DEFINITIONS_WRITE)
    context = context_of(request)
    catalogue.refresh(context)
    _refuse_personal(caller, catalogue.validated(context, document), None)
    made = catalogue.create(context, document, caller.name)
    request.app.state.announce(made.definition_id)
    where = f"{request.url.path}/{made.definition_id}"
    return etags.tagged(request, shapes.definition(made), _etag(made), status=201, Location=where)


@router.get(
    "/{definition_id}", response_model=shapes.DefinitionShown, responses={304: {"description": "As before."}}
)
def read(request: Request, caller: Calling, definition_id: DefinitionId) -> Response:
    """Read an export. Its ETag is what a change of it is based on."""
    found = export_of(request, caller, Scope.DEFINITIONS_READ, definition_id)
    return etags.tagged(request, shapes.definition(found), _etag(found))


@router.put(
    "/{definition_id}",
    response_model=shapes.DefinitionShown,
    responses={
        412: {"description": "It was changed meanwhile."},
        428: {"description": "If-Match is missing."},
    },
)
def change(request: Request, caller: Calling, definition_id: DefinitionId, document: Document) -> Response:
    """Change an export: the whole definition, with the ETag of what it is based on in If-Match."""
    found = _editable(request, caller, definition_id)
    context = context_of(request)
    _refuse_personal(caller, catalogue.validated(context, document, but=definition_id), definition_id)
    saved = catalogue.save(context, definition_id, document, caller.name, based_on=found.number)
    request.app.state.announce(definition_id)
    return etags.tagged(request, shapes.definition(saved), _etag(saved))


@router.delete("/{definition_id}", status_code=204)
def delete(request: Request, caller: Calling, definition_id: DefinitionId) -> Response:
    """Delete an export, with the ETag of what was read in If-Match. Its runs and files are kept.

    Runs that had not begun are ended.
    """
    found = _editable(request, caller, definition_id)
    catalogue.delete(context_of(request), definition_id, caller.name, based_on=found.number)
    try:
        request.app.state.end(definition_id, caller.name)
    except Transient:  # it is deleted all the same
        LOG.exception("%s is deleted; its runs that had not begun wait in Airflow", definition_id)
    request.app.state.announce(definition_id)
    return Response(status_code=204)


def _editable(request: Request, caller: Caller, definition_id: str) -> Export:
    found = export_of(request, caller, Scope.DEFINITIONS_WRITE, definition_id)
    if found.source == "yaml":
        raise HTTPException(409, OF_A_FILE)
    etags.require_match(request, _etag(found))
    return found


def _refuse_personal(caller: Caller, definition: ExportDefinition, definition_id: str | None) -> None:
    if not caller.may(Scope.PERSONAL, definition_id) and (problems := list(personal_problems(definition))):
        raise BadInput(problems)


def _visible(request: Request, caller: Caller) -> frozenset[str] | None:
    """Return the ids that the caller may see, None for all; HTTPException 403 where the key lacks the scope."""
    if caller.key is not None and not caller.key.exports:
        caller.require(Scope.DEFINITIONS_READ)
        return None
    if caller.key is not None and Scope.DEFINITIONS_READ not in caller.key.scopes:
        caller.require(Scope.DEFINITIONS_READ)
    return caller.visible(Scope.DEFINITIONS_READ, context_of(request).state.exports.ids())


def _etag(export: Export) -> str:
    return etags.etag_of(export.definition_id, export.number, export.created_at)


def _clean(text: str) -> str:
    return text.replace("\0", "")
