"""The exports of an installation: those of YAML files and those made in the pages, with one set of checks."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from itertools import count
from typing import Any

from include.definitions.load import Check, files, from_document, scan
from include.definitions.model import ExportDefinition
from include.errors import BadInput, Problem
from include.pipeline import places
from include.pipeline.checks import check
from include.pipeline.context import Context
from include.pipeline.notify import way_problems
from include.pipeline.privacy import secrets_of
from include.state.exports import Export
from include.targets.known_kinds import known_kinds

_LONGEST_ID = 64
_LONGEST_NAME = 200
# What was seen of the files of a folder when the catalogue of a state database was last brought up to date.
_seen: dict[tuple[str, str], tuple[tuple[str, int, int], ...]] = {}


def refresh(context: Context) -> None:
    """Bring the catalogue up to date with the YAML files; reads nothing where no file has changed."""
    folder = context.settings.exports
    found = [(path.name, path.stat()) for path in files(folder)]
    seen = tuple((name, stat.st_mtime_ns, stat.st_size) for name, stat in found)
    key = (context.settings.state_url, str(folder))
    if _seen.get(key) == seen:
        return
    sound, _ = scan(folder, check=known_kinds)
    context.state.exports.sync(sound, {name for name, _ in found} - set(sound))
    _seen[key] = seen


def known(context: Context, *, check: Check | None = None) -> dict[str, ExportDefinition]:
    """Return the sound definitions of files and pages by id, also disabled ones."""
    of_files = scan(context.settings.exports, check=check)[0].values()
    return made(context, check=check)[0] | {definition.id: definition for definition in of_files}


def made(
    context: Context, *, check: Check | None = None
) -> tuple[dict[str, ExportDefinition], list[Problem]]:
    """Return the sound definitions made in the pages by id, also disabled ones, and the problems of the others."""
    found: dict[str, ExportDefinition] = {}
    problems: list[Problem] = []
    for definition_id, document in context.state.exports.made().items():
        try:
            found[definition_id] = from_document(document, where=f"the export {definition_id}", check=check)
        except BadInput as error:
            problems += error.problems
    return found, problems


def validated(
    context: Context, document: Any, where: str = "", *, but: str | None = None
) -> ExportDefinition:
    """Return the definition in a document that passes every check of files; BadInput with all problems.

    where: what problems call the document; where it is empty, they name the fields alone (`targets[0].options`).
    but: the id of the export that this edits.
    """

    def whole(definition: ExportDefinition, here: str) -> list[Problem]:
        problems = check(definition, here)
        if but is not None and definition.id != but:
            right = f"never changes: it is {but}; clone the export for another id"
            problems.append(Problem(f"{here}: id", definition.id, right, "id_changed"))
        else:
            problems += context.state.exports.problems(definition, new=but is None)
        for number, target in enumerate(definition.targets):
            problems += places.problems(context.settings, target, f"{here}: targets[{number}]")
        return problems + lacking(context, definition, here)

    with _named(where):
        return from_document(document, where=_HERE, check=whole)


def lacking(context: Context, definition: ExportDefinition, where: str) -> list[Problem]:
    """Return what keeps a definition from being run here: connections and keys that it names and that are not there."""
    problems = way_problems(context, definition, where)
    try:
        secrets_of(context, definition, where=where)
    except BadInput as error:  # what is wrong with the file itself is told by `check`
        problems += [each for each in error.problems if each.where.startswith(where)]
    return problems


def unknown(context: Context, ids: Iterable[str], where: str) -> list[Problem]:
    """Return a problem, known as `where`, for each id that no export has."""
    refresh(context)
    there = context.state.exports.ids()
    right = "the id of an export; nothing for all"
    return [Problem(where, each, right, "unknown_export") for each in ids if each not in there]


def unsound(context: Context, export: Export) -> list[Problem]:
    """Return why an export made in the pages has no DAG any more; empty where it is sound.

    A version of this program may know a model, a kind of target or an option no more that an earlier one did, and a
    YAML file may have taken the names of its files.
    """
    try:
        definition = from_document(export.document, where=_HERE, check=check)
    except BadInput as error:
        return [_renamed(each, "") for each in error.problems]
    return context.state.exports.problems(definition, new=False)


def create(context: Context, document: Any, author: str) -> Export:
    """Add an export made in the pages; BadInput with all problems, named by fields."""
    refresh(context)
    return context.state.exports.create(validated(context, document), author)


def save(context: Context, definition_id: str, document: Any, author: str, *, based_on: int) -> Export:
    """Keep a new edit of an export made in the pages. based_on: the number of the edit that its author has seen.

    BadInput with all problems, named by fields; Edited where somebody else has saved or deleted it meanwhile.
    """
    refresh(context)
    definition = validated(context, document, but=definition_id)
    return context.state.exports.save(definition, author, based_on=based_on)


def delete(context: Context, definition_id: str, author: str, *, based_on: int | None = None) -> Export:
    """Delete an export made in the pages; what it delivered, its runs and edits stay. BadInput and Edited as `save`."""
    refresh(context)
    return context.state.exports.delete(definition_id, author, based_on=based_on)


def clone(context: Context, definition_id: str) -> dict[str, Any]:
    """Return the document of an export with an id that is free, and a name that says that it is a copy."""
    export = context.state.exports.get(definition_id)
    if export is None:
        raise BadInput([Problem("export", definition_id, "is the id of no export", "unknown_export")])
    taken = context.state.exports.ids()
    if not isinstance(export.document, dict):
        right = "cannot be read any more, so there is nothing to clone"
        raise BadInput([Problem("export", definition_id, right, "unreadable_export")])
    free = next(each for each in _copies(definition_id) if each not in taken)
    name = f"Copy of {export.name}"[:_LONGEST_NAME].rstrip()
    return {**export.document, "id": free, "name": name}


def _copies(definition_id: str) -> Iterator[str]:
    for number in count(1):
        end = "-copy" if number == 1 else f"-copy-{number}"
        yield f"{definition_id[: _LONGEST_ID - len(end)].rstrip('-_')}{end}"


_HERE = "definition"


@contextmanager
def _named(where: str) -> Iterator[None]:
    """Let problems of the definition within name it as `where`, or not at all."""
    try:
        yield
    except BadInput as error:
        raise BadInput([_renamed(each, where) for each in error.problems]) from None


def _renamed(problem: Problem, where: str) -> Problem:
    path = "" if problem.where == _HERE else problem.where.removeprefix(f"{_HERE}: ")
    place = f"{where}: {path}" if where and path else where or path
    return Problem(place, problem.value, problem.right, problem.code)
