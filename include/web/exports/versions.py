"""The versions of an export: who changed what and when, what differs between any two, and taking one back.

An export made in the pages has a version for every edit. Of a YAML file those are known that ran, or were seen.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, HTTPException, Query, Request
from starlette.responses import Response

from include.definitions.differences import differences, yaml_lines
from include.definitions.sentence import sentence
from include.definitions.writing import as_yaml
from include.errors import BadInput
from include.pipeline import Context
from include.pipeline import exports as catalogue
from include.state.exports import Edited
from include.web import pages
from include.web.exports.actions import in_words, number_of, refuse_yaml
from include.web.exports.page import about
from include.web.exports.permitted import Permitted, ToEdit, ToSee, readable, run_of
from include.web.forms import Posted, see_other
from include.web.personal import not_permitted
from include.web.reader import Asking, context_of

SHOWN_VERSIONS = 200
SHOWN_DIFFERENCES = 4

router = APIRouter(prefix="/exports/{definition_id}/versions")


@dataclass(frozen=True)
class Version:
    """One version. key: how the address names it. what: the fields that differ from the version before, by name."""

    key: str
    number: int | None
    document: dict[str, Any]
    author: str
    at: datetime
    deleted: bool
    runs: int | None
    what: tuple[str, ...] = ()

    @property
    def name(self) -> str:
        """How people call it."""
        return f"version {self.number}" if self.number is not None else f"version {self.key[:12]}"


@router.get("")
def versions(
    request: Request,
    reader: Asking,
    found: ToSee,
    a: Annotated[str, Query(max_length=64)] = "",
    b: Annotated[str, Query(max_length=64)] = "",
    run: Annotated[str, Query(max_length=64)] = "",
) -> Response:
    """List the versions, show what differs between two (a and b), or the one that a run had."""
    context = context_of(request)
    known = _versions(context, found)
    values: dict[str, Any] = {"versions": known, "compared": None, "of_run": None}
    if run:
        record = run_of(request, found, run)
        of = readable(record.definition, found.id)
        said = sentence(of) if of else ""
        values["of_run"] = {"run": record, "text": as_yaml(record.definition), "sentence": said}
    if a and b:
        first, second = (_named(known, key) for key in (a, b))
        values["compared"] = {
            "a": first,
            "b": second,
            "fields": differences(first.document, second.document),
            "lines": yaml_lines(first.document, second.document),
        }
    return pages.show(request, reader, "exports/versions.html", **about(context, reader, found), **values)


@router.post("")
def take_back(request: Request, reader: Asking, found: ToEdit, form: Posted) -> Response:
    """Make an earlier version the newest one: a new edit, checked as any other."""
    refuse_yaml(found)
    context = context_of(request)
    version = _named(_versions(context, found), str(form.get("version") or ""))
    document = {**version.document, "id": found.id}
    earlier = readable(document, found.id)
    if problems := list(not_permitted(reader, earlier, found.id)) if earlier else []:
        raise BadInput(problems)
    try:
        catalogue.save(context, found.id, document, reader.name, based_on=number_of(form))
    except Edited as edited:
        raise HTTPException(409, in_words(edited)) from None
    request.app.state.announce(found.id)
    return see_other(request, found.place(), f"{version.name.capitalize()} is the newest one again.")


def _named(known: list[Version], key: str) -> Version:
    for each in known:
        if key in (each.key, str(each.number)):
            return each
    raise HTTPException(404, "There is no such version of this export.")


def _versions(context: Context, found: Permitted) -> list[Version]:
    """Return the versions, the newest first: every edit of one made here; of a file what ran, and how it is now."""
    listed = _edits(context, found) if found.export.source == "ui" else _that_ran(context, found)
    shown = []
    for each, before in zip(listed, [*listed[1:], None], strict=True):
        names = [one.field for one in differences(before.document, each.document)] if before else []
        more = [f"{len(names) - SHOWN_DIFFERENCES} more"] if len(names) > SHOWN_DIFFERENCES else []
        shown.append(Version(**{**vars(each), "what": tuple(names[:SHOWN_DIFFERENCES] + more)}))
    return shown


def _edits(context: Context, found: Permitted) -> list[Version]:
    return [
        Version(
            str(edit.number),
            edit.number,
            edit.document,
            edit.author or edit.source,
            edit.at,
            edit.deleted,
            None,
        )
        for edit in context.state.exports.edits(found.id)[:SHOWN_VERSIONS]
    ]


def _that_ran(context: Context, found: Permitted) -> list[Version]:
    listed = []
    for ran in context.state.history.versions(found.id)[:SHOWN_VERSIONS]:
        run = context.state.history.of_version(found.id, ran.version)
        if run is not None:
            listed.append(
                Version(ran.version, None, run.definition, "", ran.first_at, deleted=False, runs=ran.runs)
            )
    now = found.export
    if not listed or listed[0].document != now.document:
        listed.insert(0, Version("now", None, now.document, "", now.edited_at, deleted=False, runs=None))
    return listed
