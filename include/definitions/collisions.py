"""What two definitions must not share: an id, and the name of a file in a target."""

from __future__ import annotations

import hashlib
import json
import unicodedata
from pathlib import Path
from posixpath import normpath
from typing import Any

from include.definitions.model import ExportDefinition, Target
from include.definitions.naming import slug
from include.errors import Problem
from include.settings import home_folder, local_folder

# Which options say where a kind of target puts its files; of kinds that are not here, all may.
PLACES = {
    "azure_blob": ("connection", "container", "prefix"),
    "folder": ("folder",),
    "gcs": ("connection", "bucket", "prefix"),
    "s3": ("connection", "bucket", "prefix"),
    "sftp": ("connection", "folder"),
}


class Taken:
    """The ids and the files' names that definitions have taken; the first one that is added has them."""

    def __init__(self) -> None:
        self._ids: dict[str, str] = {}
        self._names: dict[str, str] = {}

    def add(self, definition: ExportDefinition, where: str) -> list[Problem]:
        """Take what a definition needs, known as `where`; where something is taken, return why, and take nothing."""
        id_ = folded(definition.id)
        if id_ in self._ids:
            return [id_twice(definition, where, self._ids[id_])]
        names = file_names(definition)
        shared = {self._names[key]: target for key, target in names.items() if key in self._names}
        if shared:
            return [name_twice(definition, where, target, other) for other, target in shared.items()]
        self._ids[id_] = where
        self._names.update(dict.fromkeys(names, where))
        return []


def id_twice(definition: ExportDefinition, where: str, other: str) -> Problem:
    """Return the problem of an id that another definition has, which is known as `other`."""
    return Problem(field(where, "id"), definition.id, f"is the id of {other} too; choose another", "id_twice")


def name_twice(definition: ExportDefinition, where: str, target: str, other: str) -> Problem:
    """Return the problem of a file that another definition, known as `other`, may write over in a target."""
    right = f"makes the same file names in the same target {target} as {other}; add {{id}}"
    return Problem(field(where, "file.name"), definition.name_template, right, "file_name_twice")


def field(where: str, name: str) -> str:
    """Return how a problem calls a field of the document at `where`; its name alone where that is empty."""
    return f"{where}: {name}" if where else name


def folded(text: str) -> str:
    """Return what is the same for texts that some file system or person takes for the same."""
    return unicodedata.normalize("NFKC", text).casefold()


def file_names(definition: ExportDefinition) -> dict[str, str]:
    """Return what tells apart the names of a definition's files: for each name a key (hex) and the target."""
    shapes = _shapes(definition)
    places = [(target.label, _place(target)) for target in definition.targets]
    return {_key(*place, *shape): label for label, place in places for shape in shapes}


def _place(target: Target) -> tuple[Any, ...]:
    """Return what is the same for targets that put their files into the same place, however it is written."""
    if target.kind not in PLACES:
        return target.kind, target.options
    found = {name: str(target.options.get(name) or "") for name in PLACES[target.kind]}
    if "folder" in found:
        found["folder"] = _folder(found["folder"], is_local=target.kind == "folder")
    return target.kind, found


def _folder(text: str, *, is_local: bool) -> str:
    """Return a folder's shortest path; a local one below LOYALTY_HOME without that, a bucket's as its URL."""
    place = local_folder(text) if is_local else Path(text)
    if place is None:
        return text.rstrip("/")
    path, home = Path(normpath(place)), home_folder()
    return str(path.relative_to(home) if is_local and path.is_relative_to(home) else path)


def _key(*parts: object) -> str:
    return hashlib.sha256(json.dumps(parts, sort_keys=True).encode()).hexdigest()


def _shapes(definition: ExportDefinition) -> set[tuple[str, str]]:
    """Return the templates of the files' names, with what is known of them, and the kinds of file."""
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
        shapes.add((folded(template), kind))
    return shapes
