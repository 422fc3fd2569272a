"""Definitions out of files, with every problem at once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from include.definitions.base import is_text, strictly
from include.definitions.collisions import Taken
from include.definitions.document import read_yaml
from include.definitions.model import ExportDefinition
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
    if halves := list(_halves(document, "")):
        raise BadInput([replace(each, where=f"{where}: {each.where}") for each in halves])
    try:
        definition = strictly(ExportDefinition, document)
    except ValidationError as error:
        raise BadInput(problems_of(error, ExportDefinition, where=where)) from None
    problems = check(definition, where) if check else ()
    if problems:
        raise BadInput(problems)
    return definition


def _halves(value: Any, place: str) -> Iterator[Problem]:
    """Yield a problem for each text with half a character, which JSON can hold and no file can."""
    if isinstance(value, dict):
        for key, each in value.items():
            yield from _halves(str(key), place)
            yield from _halves(each, f"{place}.{key}".lstrip("."))
    elif isinstance(value, list | tuple):
        for index, each in enumerate(value):
            yield from _halves(each, f"{place}[{index}]")
    elif isinstance(value, str) and not is_text(value):
        shown = value.encode("utf-8", "backslashreplace").decode()
        yield Problem(
            place, shown, "has half a character (a lone surrogate); write the whole one", "half_a_character"
        )


def load_all(folder: Path, *, check: Check | None = None) -> dict[str, ExportDefinition]:
    """Return all definitions of a folder by id, in the order of file names; BadInput with all problems."""
    found, problems = scan(folder, check=check)
    if problems:
        raise BadInput(problems)
    return {definition.id: definition for definition in found.values()}


def files(folder: Path) -> list[Path]:
    """Return the files of definitions in a folder, by name; none where there is no folder."""
    return sorted(folder.glob("[!.]*.y*ml")) if folder.is_dir() else []


def scan(folder: Path, *, check: Check | None = None) -> tuple[dict[str, ExportDefinition], list[Problem]]:
    """Return the sound definitions of a folder by file name, and the problems of the others.

    Of two definitions that collide, the first by file name is sound.
    """
    found: dict[str, ExportDefinition] = {}
    problems: list[Problem] = []
    taken = Taken()
    for path in files(folder):
        try:
            definition = load(path, check=check)
        except BadInput as error:
            problems += error.problems
            continue
        clashes = taken.add(definition, path.name)
        problems += clashes
        if not clashes:
            found[path.name] = definition
    return found, problems
