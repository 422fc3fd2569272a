"""From what was typed to an export that is saved, or to the page that says why not."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any

from starlette.responses import Response

from include.definitions.differences import differences
from include.definitions.document import parse_yaml
from include.definitions.model import ExportDefinition
from include.definitions.writing import as_yaml
from include.errors import BadInput, Problem
from include.pipeline import exports
from include.state.exports import Edited, Export
from include.web import forms
from include.web.editor import choose, cloning, rows
from include.web.editor.desk import KEPT, Desk, Met, nonce
from include.web.editor.form import Values, document_of, text_of, values_of
from include.web.editor.problems import judged, placed, plain_path, sentence
from include.web.personal import not_permitted
from include.web.reader import Right


@dataclass(frozen=True)
class Saved:
    """The export that was saved, and what to tell. runs: whether a run is to be started now."""

    definition_id: str
    told: str
    runs: bool


SAVES = frozenset({"save", "save-and-run", "save-as-new"})


def answered(desk: Desk, values: Values) -> Response | Saved:
    """Do what the pressed button says; return what was saved, or the next page, on which everything typed still is."""
    do = text_of(values, "do")
    if do == "take":
        return forms.see_other(desk.request, desk.path, "This is the version that was saved meanwhile.")
    if "as_yaml" in values:
        return _text(desk, values, do)
    if do == "as-yaml":
        document, problems = document_of(rows.compact(values))
        if problems:
            return desk.form(values, placed(problems, values), status=422)
        return desk.text(as_yaml(document), values)
    if do in SAVES:
        return _saved(desk, rows.compact(values), do)
    return desk.form(rows.changed(values, do))


def shown(desk: Desk, values: Values, *, status: int) -> Response:
    """Return the page again with all that was typed, as a form or as text."""
    if "as_yaml" in values:
        return desk.text(text_of(values, "as_yaml"), values, status=status)
    return desk.form(values, status=status)


def _saved(desk: Desk, typed: Values, do: str) -> Response | Saved:
    values = _with_id(desk, typed, do)
    if do == "save-as-new":
        desk.reader.require(Right.EDIT)  # who may change one export makes no other of it
        desk = replace(desk, definition_id=None)
    definition, document, found = judged(values, lambda given: _validated(desk, given))
    if definition is not None:
        found = placed(not_permitted(desk.reader, definition, desk.definition_id), values)
    if definition is None or found:
        return desk.form(typed, found, status=422)
    try:
        export = _kept(desk, document)
    except Edited as error:
        return _met(desk, error, document).form(typed, status=409)
    except BadInput as error:
        return desk.form(typed, placed(error.problems, values), status=422)
    return _done(desk, export, do)


def _text(desk: Desk, values: Values, do: str) -> Response | Saved:
    text = text_of(values, "as_yaml")
    try:
        document = parse_yaml(text, where="")
        definition = _validated(desk, document)
        _refuse(not_permitted(desk.reader, definition, desk.definition_id))
        if do == "as-form":
            return desk.form({**values_of(definition.document()), KEPT: [nonce(values)]})
        return _done(desk, _kept(desk, definition.document()), do)
    except Edited as error:
        return _met(desk, error, document).text(text, values, status=409)
    except BadInput as error:
        if do == "as-form" and (form := _typed(text)) is not None:
            return desk.form(form, placed(error.problems, form), status=422)
        told = [(plain_path(problem.where), sentence(problem)) for problem in error.problems]
        return desk.text(text, values, told, status=422)


def _typed(text: str) -> Values | None:
    """Return the form of a text that is a definition by itself, whatever else is wrong with it; None for another."""
    try:
        document = parse_yaml(text, where="")
        return values_of(ExportDefinition.model_validate(document).document())
    except (BadInput, ValueError):
        return None


def _validated(desk: Desk, document: Any) -> ExportDefinition:
    return exports.validated(desk.context, document, but=desk.definition_id)


def _kept(desk: Desk, document: dict[str, Any]) -> Export:
    author = desk.reader.name
    if desk.definition_id is None:
        return exports.create(desk.context, document, author)
    return exports.save(desk.context, desk.definition_id, document, author, based_on=desk.based_on or 0)


def _done(desk: Desk, export: Export, do: str) -> Saved:
    desk.request.app.state.announce(export.definition_id)
    told = f"{export.name} is {'saved' if desk.definition_id else 'created'}."
    runs = do == "save-and-run" and desk.reader.may(Right.RUN, desk.definition_id)
    return Saved(export.definition_id, told, runs)


def _with_id(desk: Desk, values: Values, do: str) -> Values:
    """Return the texts with an id: where none was typed, of the name or else the model; another one for a copy."""
    if desk.definition_id is not None and do != "save-as-new":
        return values | {"id": [desk.definition_id]}
    typed, taken = text_of(values, "id"), desk.context.state.exports.ids()
    if do == "save-as-new":
        return values | {"id": [cloning.free_id(typed or "export", {*taken, typed})]}
    if typed:
        return values
    made = cloning.id_of(text_of(values, "name"), otherwise=text_of(values, "model") or choose.PACK)
    return values | {"id": [cloning.free_id(made, taken)]}


def _met(desk: Desk, error: Edited, document: dict[str, Any]) -> Desk:
    """Return the desk of who is told that somebody else saved, or deleted, the export meanwhile."""
    theirs, edit = error.theirs, error.edit
    began = desk.context.state.exports.edit(theirs.definition_id, desk.based_on or 0)
    met = Met(
        who=edit.author or f"The file {theirs.file}",
        at=edit.at,
        zone=theirs.timezone,
        deleted=edit.deleted,
        theirs=differences(began.document, theirs.document) if began and not edit.deleted else (),
        mine=() if edit.deleted else differences(theirs.document, document),
    )
    return desk.met_by(met, theirs.number)


def _refuse(problems: Iterator[Problem]) -> None:
    found = list(problems)
    if found:
        raise BadInput(found)
