"""The pages on which exports are made, changed and copied."""

from __future__ import annotations

from typing import Annotated

from anyio.to_thread import run_sync
from fastapi import APIRouter, HTTPException, Query, Request
from pydantic import ValidationError
from starlette.responses import Response

from include.definitions.load import from_document
from include.definitions.model import ExportDefinition
from include.definitions.writing import as_yaml
from include.errors import BadInput
from include.pipeline import exports
from include.reports import models
from include.state.exports import Export
from include.web import pages
from include.web.editor import choose, cloning, saving
from include.web.editor.desk import SAVED, Desk, Met, nonce
from include.web.editor.form import Values, posted, text_of, values_of
from include.web.editor.saving import Saved
from include.web.editor.starting import started
from include.web.forms import Posted, see_other
from include.web.reader import Asking, Reader, Right, context_of

router = APIRouter()
_A_DAY = 86_400
_PACK = "- id: balances\n  model: balance\n- id: history\n  model: history\n"


@router.get("/exports/new")
def choosing(request: Request, reader: Asking, q: Annotated[str, Query(max_length=200)] = "") -> Response:
    """Show the models, or those that have the words searched for."""
    reader.require(Right.EDIT)
    return pages.show(request, reader, "editor/choose.html", groups=choose.groups(q), search=q)


@router.get("/exports/new/{model}")
def new(request: Request, reader: Asking, model: str) -> Response:
    """Show the form of a new export."""
    return _new_desk(request, reader, model).form(_begun(request, reader, model))


@router.post("/exports/new/{model}")
async def make(request: Request, reader: Asking, model: str, form: Posted) -> Response:
    """Create the export, or show the form again."""
    values = posted(form)
    outcome = await run_sync(lambda: saving.answered(_new_desk(request, reader, model), values))
    return await _next(request, reader, values, outcome)


@router.get("/exports/{definition_id}/edit")
def edit(request: Request, reader: Asking, definition_id: str) -> Response:
    """Show the form of an export; of one from a file to be read only."""
    export = _export(request, reader, definition_id)
    desk = _desk_of(request, reader, export)
    values = _values(export)
    return desk.text(as_yaml(export.document), {}) if values is None else desk.form(values)


@router.post("/exports/{definition_id}/edit")
async def change(request: Request, reader: Asking, definition_id: str, form: Posted) -> Response:
    """Save the export, or show the form again."""
    values = posted(form)
    outcome = await run_sync(_changed, request, reader, definition_id, values)
    return await _next(request, reader, values, outcome)


@router.get("/exports/{definition_id}/clone")
def clone(request: Request, reader: Asking, definition_id: str) -> Response:
    """Show the form of a new export that is a copy of another."""
    reader.require(Right.SEE, definition_id)
    context = context_of(request)
    exports.refresh(context)
    export = context.state.exports.get(definition_id)
    if export is None:
        raise HTTPException(404, f"There is no export {definition_id}.")
    try:
        document = exports.clone(context, definition_id)
    except BadInput as error:
        raise HTTPException(409, f"{definition_id} {error.problems[0].right}.") from None
    desk = _new_desk(request, reader, str(document.get("model") or choose.PACK), of=export)
    try:
        if context.state.exports.problems(from_document(document, where=""), new=True):
            document = cloning.apart(document)
        values = values_of(from_document(document, where="").document())
    except BadInput:  # what was right once need not be today
        return desk.text(as_yaml(document), {})
    return desk.form(values)


def _changed(request: Request, reader: Reader, definition_id: str, values: Values) -> Response | Saved:
    export = _export(request, reader, definition_id, deleted=True)
    desk = _desk_of(request, reader, export)
    if desk.read_only:
        raise HTTPException(
            409, f"{definition_id} is defined in the file {export.file}. Clone it to change the copy."
        )
    number = text_of(values, "based_on")
    desk = desk.since(int(number) if number.isdecimal() and len(number) < 10 else 0)
    if export.deleted_at is not None and text_of(values, "do") in saving.SAVES - {"save-as-new"}:
        met = Met(
            who=export.edited_by or "Somebody", at=export.deleted_at, zone=export.timezone, deleted=True
        )
        return saving.shown(desk.met_by(met, desk.based_on), values, status=409)
    return saving.answered(desk, values)


async def _next(request: Request, reader: Reader, values: Values, outcome: Response | Saved) -> Response:
    """Return the page, or lead to the export that was saved, with its first run on its way where that was asked for."""
    if isinstance(outcome, Response):
        return outcome
    told = outcome.told
    if outcome.runs:
        told = f"{told} {await started(request, reader, outcome.definition_id)}"
    answer = see_other(request, f"/exports/{outcome.definition_id}", told)
    if nonce(values):
        secure = request.url.scheme == "https"
        answer.set_cookie(SAVED, nonce(values), path="/", max_age=_A_DAY, secure=secure, samesite="lax")
    return answer


def _new_desk(request: Request, reader: Reader, model: str, *, of: Export | None = None) -> Desk:
    reader.require(Right.EDIT)
    if model != choose.PACK and model not in models.names():
        raise HTTPException(404, f"There is no model {model}.")
    pack = model == choose.PACK
    chosen = None if pack else choose.choice(model)
    title = "pack" if chosen is None else chosen.title
    return Desk(
        request,
        reader,
        path=f"/exports/new/{model}",
        heading=f"Copy of {of.name}" if of else f"New export: {title}",
        back=f"/exports/{of.definition_id}" if of else "/exports",
        about="Several exports of one moment, delivered together." if chosen is None else chosen.meaning,
    )


def _desk_of(request: Request, reader: Reader, export: Export) -> Desk:
    read_only = export.source == "yaml" and export.deleted_at is None
    return Desk(
        request,
        reader,
        path=f"/exports/{export.definition_id}/edit",
        heading=export.name,
        back=f"/exports/{export.definition_id}",
        definition_id=export.definition_id,
        based_on=export.number,
        read_only=read_only,
        about=f"Defined in the file {export.file}; it is changed there." if read_only else "",
    )


def _export(request: Request, reader: Reader, definition_id: str, *, deleted: bool = False) -> Export:
    """Return the export for who may change it (a file's: see it); 403, 404, or 410 for one that was deleted."""
    context = context_of(request)
    exports.refresh(context)
    export = context.state.exports.get(definition_id, deleted=True)
    to_read = export is not None and export.source == "yaml" and export.deleted_at is None
    reader.require(Right.SEE if to_read else Right.EDIT, definition_id)
    if export is None:
        raise HTTPException(404, f"There is no export {definition_id}.")
    if export.deleted_at is not None and not deleted:
        who = export.edited_by or "Somebody"
        raise HTTPException(410, f"{who} deleted this export. Its runs and versions are kept.")
    return export


def _values(export: Export) -> Values | None:
    """Return the form of an export; None for a document that this version of the model does not take."""
    try:
        return values_of(ExportDefinition.model_validate(export.document).document())
    except ValidationError:
        return None


def _begun(request: Request, reader: Reader, model: str) -> Values:
    """Return what a new form begins with."""
    zone = context_of(request).settings.notify.get("LOYALTY_TIMEZONE", "")
    values: Values = {
        "owner": [reader.name],
        "timezone": [zone or "UTC"],
        "columns": ["all"],
        "targets.0.kind": [""],
    }
    if model == choose.PACK:
        return values | {"exports": [_PACK], "period.kind": ["previous_month"], "bundle": ["zip"]}
    time = models.load(model, where="model").PERIOD
    about = {"as_of": ["end_of_previous_day"]} if time == "none" else {}
    if time == "required":
        about = {"period.kind": ["previous_month"]}
    return values | about | {"model": [model]}
