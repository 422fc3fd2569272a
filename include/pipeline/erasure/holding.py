"""Does a stored file hold somebody who was erased? Its rows are read and searched, as far as they can be."""

from __future__ import annotations

import zipfile
import zlib
from collections.abc import Sequence
from datetime import UTC, datetime
from enum import IntEnum
from pathlib import Path
from typing import Any, NamedTuple

from include.definitions.content import Part
from include.definitions.load import from_document
from include.definitions.model import ExportDefinition
from include.errors import BadInput
from include.formats.manifest import SUFFIX, Manifest, ManifestFile
from include.formats.reading import Unpacked, unpack_bundle
from include.layouts.layout import Layout
from include.ledger.fields import FieldType
from include.pipeline.artefacts import FOLDER
from include.pipeline.checks import layout_of, model_of
from include.pipeline.context import Context
from include.pipeline.removal import data_keys
from include.scratch import working_folder
from include.shaping.shape import Shape
from include.snapshots.erased import Erased
from include.snapshots.store import Missing

_NAMES = frozenset({"customer_id", "referrer_id", "card_id", "holder_id", "entity_id"})
_SEARCHED = frozenset({FieldType.ID, FieldType.TEXT, FieldType.JSON})
_UNREADABLE = (ValueError, EOFError, OSError, zlib.error, zipfile.BadZipFile, BadInput, Missing)
_ANY = datetime(2000, 1, 1, tzinfo=UTC)
_CELLS_KEPT = 1_000_000


class Held(IntEnum):
    """Whether something that is kept names one of the people; MAYBE: it cannot be looked into."""

    NOT = 0
    MAYBE = 1
    NAMED = 2


def holds(context: Context, erased: Erased, run_key: str, definition: dict[str, Any] | None) -> Held:
    """Say whether what the store holds of a run names one of the people, or may and cannot be looked into.

    definition: the run's, None where no run is known. What no manifest speaks of, and what cannot be read, may.
    """
    found = Held.NOT
    kept = set(data_keys(context, run_key))
    described: set[str] = set()
    parts = _parts(definition)
    with working_folder(context.settings.scratch, f"search-{run_key[:24]}") as scratch:
        for entry in context.store.list(f"{FOLDER}/{run_key}"):
            if not entry.key.endswith(SUFFIX):
                continue
            manifest = Manifest.model_validate_json(context.store.read(entry.key))
            keys = _keys(run_key, manifest)
            described.update(keys.values())
            if not set(keys.values()) <= kept:
                continue  # another attempt's, whose files are gone
            if parts is None or any(_closed(file, parts) for file in manifest.files):
                found = Held.MAYBE
            found = max(found, _search(context, erased, manifest, parts or (), keys, scratch))
            if found is Held.NAMED:
                return found
    return found if kept <= described else Held.MAYBE


def _keys(run_key: str, manifest: Manifest) -> dict[str, str]:
    """Return the store's keys of what a manifest speaks of, by name."""
    files = [manifest.bundle] if manifest.bundle else manifest.files
    return {file.name: f"{FOLDER}/{run_key}/{file.sha256}/{file.name}" for file in files}


def named_manifests(context: Context, erased: Erased, run_key: str) -> tuple[str, ...]:
    """Return the keys of a run's manifests that themselves name one of the people: in a file's name, say."""
    found = []
    for entry in context.store.list(f"{FOLDER}/{run_key}"):
        if entry.key.endswith(SUFFIX):
            text = context.store.read(entry.key).decode()
            if erased.text(text) != text:
                found.append(entry.key)
    return tuple(found)


def _search(
    context: Context,
    erased: Erased,
    manifest: Manifest,
    parts: Sequence[_Part],
    keys: dict[str, str],
    scratch: Path,
) -> Held:
    folder = scratch / manifest.sha256()[:16]
    folder.mkdir(exist_ok=True)
    try:
        if manifest.bundle is not None:
            archive = context.store.get_to(keys[manifest.bundle.name], folder / manifest.bundle.name)
            unpack_bundle(archive, folder)
        for file in (each for each in manifest.files if each.encryption is None):
            path = folder / file.name
            if manifest.bundle is None:
                path = context.store.path(keys[file.name]) or context.store.get_to(keys[file.name], path)
            naming = {name for part in parts if file.export in (None, part.export) for name in part.naming}
            if _named(path, file, naming, erased):
                return Held.NAMED
    except _UNREADABLE:
        return Held.MAYBE
    return Held.NOT


def _named(path: Path, file: ManifestFile, naming: set[str], erased: Erased) -> bool:
    """Read the rows of a file until one names somebody: as a whole cell of `naming`, or in any text."""
    columns = [
        (place, each.name in naming) for place, each in enumerate(file.columns) if each.type in _SEARCHED
    ]
    clean: set[tuple[bool, str]] = set()
    with Unpacked(path, file) as content:
        for row in content.rows():
            for place, names in columns:
                cell = row[place]
                if not cell or (names, cell) in clean:
                    continue
                text = cell.removeprefix("'")  # what a spreadsheet must not take for a formula
                if (names and erased.named(text)) or erased.text(text) != text:
                    return True
                if len(clean) < _CELLS_KEPT:
                    clean.add((names, cell))
    return False


class _Part(NamedTuple):
    """An export of a run: its id, whether its rows are of people, and the headers that name them in clear."""

    export: str
    personal: bool
    naming: frozenset[str]


def _closed(file: ManifestFile, parts: Sequence[_Part]) -> bool:
    """Say whether rows of a file are of people, and it is encrypted or no column names them in clear."""
    return any(
        part.personal and (file.encryption is not None or not part.naming)
        for part in parts
        if file.export in (None, part.export)
    )


def _parts(document: dict[str, Any] | None) -> list[_Part] | None:
    """Return the exports of a run's definition; None where it is unknown, or today's code reads it no more."""
    if document is None:
        return None
    try:
        definition: ExportDefinition = from_document(document, where=str(document.get("id")))
        return [_part(part) for part in definition.parts]
    except BadInput:
        return None


def _part(part: Part) -> _Part:
    module, options = model_of(part)
    layout = layout_of(part)
    shape = Shape(part, module.columns(options), at=_ANY, zone="UTC", scratch=Path(), layout=layout)
    protected = part.privacy.fields if part.privacy else {}
    personal, naming = False, set()
    for field, column in zip(shape.fields, shape.columns, strict=True):
        protection = protected.get(field)
        if protection is not None and protection.do == "drop":
            continue
        names = bool(_read_by(field, layout) & _NAMES)
        personal = personal or names or column.pii
        if names and protection is None:
            naming.add(column.name)
    return _Part(part.id, personal, frozenset(naming))


def _read_by(field: str, layout: Layout | None) -> set[str]:
    made = layout.made if layout else ()
    return {name for column in made if column.header == field for name in column.reads} or {field}
