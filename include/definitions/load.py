"""Definitions out of files, with every problem at once."""

from __future__ import annotations

import unicodedata
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from include.definitions.document import read_yaml
from include.definitions.model import ExportDefinition
from include.definitions.naming import slug
from include.definitions.problems import as_text, problems_of
from include.errors import BadInput, Problem

Check = Callable[[ExportDefinition, str], Sequence[Problem]]


def load(path: Path, *, check: Check | None = None) -> ExportDefinition:
    """Return the definition in a YAML file; BadInput with all its problems.

    check: finds further problems (unknown kinds, options, columns), given definition and file name.
    """
    return from_document(read_yaml(path), where=path.name, check=check)


def from_document(document: Any, *, where: str, check: Check | None = None) -> ExportDefinition:
    """Return the definition in a mapping of plain values; BadInput with all problems, named from `where`."""
    if not isinstance(document, dict):
        shown = "" if document is None else as_text(document)
        right = "must be a mapping of keys to values, such as id: daily-balances"
        raise BadInput([Problem(where, shown, right, "not_a_mapping")])
    try:
        definition = ExportDefinition.model_validate(document)
    except ValidationError as error:
        raise BadInput(problems_of(error, ExportDefinition, where=where)) from None
    problems = check(definition, where) if check else ()
    if problems:
        raise BadInput(problems)
    return definition


def load_all(folder: Path, *, check: Check | None = None) -> dict[str, ExportDefinition]:
    """Return all definitions of a folder by id, in the order of file names; BadInput with all problems."""
    found, problems = scan(folder, check=check)
    if problems:
        raise BadInput(problems)
    return {definition.id: definition for definition in found.values()}


def scan(folder: Path, *, check: Check | None = None) -> tuple[dict[str, ExportDefinition], list[Problem]]:
    """Return the sound definitions of a folder by file name, and the problems of the others.

    Of two definitions that collide, the first by file name is sound.
    """
    found: dict[str, ExportDefinition] = {}
    problems: list[Problem] = []
    for path in sorted(folder.glob("[!.]*.y*ml")):
        try:
            definition = load(path, check=check)
        except BadInput as error:
            problems += error.problems
            continue
        clashes = collisions(definition, path.name, found)
        problems += clashes
        if not clashes:
            found[path.name] = definition
    return found, problems


def collisions(
    definition: ExportDefinition, where: str, others: Mapping[str, ExportDefinition]
) -> list[Problem]:
    """Return what collides between a definition and others (by file name): an id, or a name in a target."""
    problems = []
    for other_where, other in others.items():
        if _folded(other.id) == _folded(definition.id):
            right = f"is the id of {other_where} too; choose another"
            problems.append(Problem(f"{where}: id", definition.id, right, "id_twice"))
        elif shared := _shared_target(definition, other):
            right = f"makes the same file names in the same target {shared} as {other_where}; add {{id}}"
            problems.append(
                Problem(f"{where}: file.name", definition.name_template, right, "file_name_twice")
            )
    return problems


def _folded(text: str) -> str:
    return unicodedata.normalize("NFKC", text).casefold()


def _shared_target(one: ExportDefinition, other: ExportDefinition) -> str | None:
    if not _name_shapes(one) & _name_shapes(other):
        return None
    same = (a.label for a in one.targets for b in other.targets if (a.kind, a.options) == (b.kind, b.options))
    return next(same, None)


def _name_shapes(definition: ExportDefinition) -> set[tuple[str, str]]:
    """Return what tells apart the names of the files that a definition makes."""
    known = {"{id}": definition.id, "{name}": slug(definition.name)}
    files = [
        (part.file.name or "", part.id, f"{part.file.format} {part.file.compression} {part.file.encryption}")
        for part in definition.parts
    ]
    if definition.bundle != "none":
        files = [(definition.name_template, definition.id, definition.bundle)]
    shapes = set()
    for template, export, kind in files:
        for placeholder, value in (*known.items(), ("{export}", export)):
            template = template.replace(placeholder, value)  # noqa: PLW2901
        shapes.add((_folded(template), kind))
    return shapes
