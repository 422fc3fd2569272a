"""Definitions out of files, with every problem at once."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from include.connections import MISSING
from include.definitions.base import is_text, strictly
from include.definitions.collisions import Taken
from include.definitions.document import read_yaml
from include.definitions.model import ExportDefinition
from include.definitions.problems import as_text, problems_of
from include.errors import BadInput, Problem

Check = Callable[[ExportDefinition, str], Sequence[Problem]]
# What stands for a key that has problems, so that the others can be looked at all the same.
_A_PART = {"model": "balance"}
_A_TARGET = {"kind": "folder", "options": {"folder": "somewhere"}}
_NAMED_BY = {"exports": "id", "targets": "name"}
_INSTEAD: Mapping[str, Any] = {"id": "an-export", "name": "An export", "targets": [_A_TARGET]}
# Keys of which so much hangs that nothing can be said of the others while they are wrong.
_ROOTS = frozenset({"", "model", "options", "layout", "exports"})
# Keys whose problems mean little while another one is wrong.
_HANGS_ON: Mapping[str, frozenset[str]] = {
    "aggregation": frozenset({"order", "fields", "privacy", "file", "compare", "conditions"}),
    "exports": frozenset({"bundle", "conditions", "file"}),
    "fields": frozenset({"privacy", "file", "compare", "conditions"}),
    "file": frozenset({"privacy", "compare"}),
    "period": frozenset({"as_of", "schedule"}),
    "schedule": frozenset({"period"}),
    "privacy": frozenset({"fields"}),
}
# Problems that are there whatever else is wrong.
_BY_THEMSELVES = frozenset({MISSING, "bad_connection", "short_secret"})
_KEY = re.compile(r"(?:exports|targets)\[\d+\]|[^.\[]*")


def load(path: Path, *, check: Check | None = None) -> ExportDefinition:
    """Return the definition in a YAML file; BadInput with all its problems.

    check: finds further problems (unknown kinds, options, columns), given definition and file name.
    """
    return from_document(read_yaml(path), where=path.name, check=check)


def from_document(document: Any, *, where: str, check: Check | None = None) -> ExportDefinition:
    """Return the definition in a mapping of plain values; BadInput with all problems, named from `where`.

    A look stops at what keeps it from going on; the keys that are wrong are then set aside and the others looked at.
    """
    told: dict[Problem, None] = {}
    wrong: set[str] = set()
    while True:
        try:
            definition = _looked_at(_without(document, wrong), where, check)
            break
        except BadInput as error:
            aside = wrong.union(*(_HANGS_ON.get(_list_of(key), frozenset()) for key in wrong))
            found = {each: _key_of(each.where) for each in error.problems}
            told |= {
                each: None
                for each, key in found.items()
                if not {key, _list_of(key)} & aside or (each.code in _BY_THEMSELVES and key not in wrong)
            }
            keys = set(found.values())
            if keys <= wrong or keys & _ROOTS or not isinstance(document, dict):
                break
            wrong |= keys
    if told:
        raise BadInput(list(told))
    return definition


def _looked_at(document: Any, where: str, check: Check | None) -> ExportDefinition:
    """Return the definition in a mapping; BadInput with what one look finds."""
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


def _key_of(where: str) -> str:
    """Return the key of a definition that the place of a problem is in: `schedule`, or of a list `targets[1]`."""
    found = _KEY.match(where.rpartition(": ")[2].strip(": "))
    return found[0] if found else ""


def _list_of(key: str) -> str:
    return key.partition("[")[0]


def _without(document: Any, wrong: Collection[str]) -> Any:
    """Return the document without these keys, or with what stands for them."""
    if not wrong:
        return document
    rest = {key: value for key, value in document.items() if key not in wrong}
    rest |= {key: value for key, value in _INSTEAD.items() if key in wrong}
    for name, of_a_list in (("exports", _A_PART), ("targets", _A_TARGET)):
        if isinstance(rest.get(name), list):
            rest[name] = [
                of_a_list | {_NAMED_BY[name]: f"stand-in-{index}"} if f"{name}[{index}]" in wrong else each
                for index, each in enumerate(rest[name])
            ]
    return rest


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
