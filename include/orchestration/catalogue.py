"""Which definitions have a DAG: those of YAML files, those made in the pages, and those that still have a run open.

Files come first and need no database to be read: whatever is wrong with the state database, their DAGs stay.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from include.definitions.collisions import Taken
from include.definitions.load import files, from_document, load, scan
from include.definitions.model import ExportDefinition
from include.errors import BadInput, Problem
from include.settings import Settings
from include.targets.known_kinds import known_kinds

if TYPE_CHECKING:
    from include.state.exports import Exports

# Longer than any installation waits between two readings of all definitions.
LATELY = timedelta(minutes=2)


@dataclass(frozen=True)
class Entry:
    """A definition that has a DAG. winds_down: it was deleted or disabled while a run was open; no run may begin."""

    definition: ExportDefinition
    source: Literal["yaml", "ui"]
    winds_down: bool = False


def entries(settings: Settings) -> tuple[dict[str, Entry], list[Problem]]:
    """Return what has a DAG by its id, and what is wrong with what has none because of it.

    Brings the catalogue of exports up to date with the files on the way.
    """
    sound, problems = scan(settings.exports, check=known_kinds)
    found = {each.id: Entry(each, "yaml") for each in sound.values() if each.enabled}
    try:
        others, more = _beside(settings, sound)
    except Exception as error:  # noqa: BLE001 - whatever it is, the files' DAGs must stay
        right = f"exports made in the pages have no DAG until this is right: {type(error).__name__}: {error}"
        return found, [*problems, Problem("LOYALTY_STATE_URL", "", right, "state_unreachable")]
    return {**others, **found}, problems + more


def saved_lately(settings: Settings) -> list[Entry]:
    """Return what was saved in the pages a moment ago; nothing where that cannot be read, which `entries` tells."""
    try:
        rows = _catalogue(settings).for_dags(within=LATELY)
    except Exception:  # noqa: BLE001 - as in `entries`
        return []
    found = []
    for row in rows:
        with contextlib.suppress(BadInput):
            definition = from_document(row.document, where=_named(row.definition_id), check=known_kinds)
            found.append(Entry(definition, row.source))
    return found


def entry(settings: Settings, definition_id: str) -> Entry | None:
    """Return the definition of one DAG for a process that runs a task of it, also a deleted or disabled one.

    Reads the file of its name, or else its row in the catalogue, or else, where that fails, all files.
    """
    path = settings.exports / f"{definition_id}.yaml"
    if path.is_file() and (alone := _sound(path)) is not None and alone.id == definition_id:
        return Entry(alone, "yaml")
    trouble: Exception | None = None
    try:
        for row in _catalogue(settings).for_dags(definition_id):
            definition = from_document(row.document, where=_named(definition_id), check=known_kinds)
            return Entry(definition, row.source, row.winds_down)
    except Exception as error:  # noqa: BLE001 - the files may have it
        trouble = error
    sound = scan(settings.exports, check=known_kinds)[0].values()
    found = next((Entry(each, "yaml") for each in sound if each.id == definition_id), None)
    if found is None and trouble is not None:
        raise trouble
    return found


def _beside(
    settings: Settings, sound: Mapping[str, ExportDefinition]
) -> tuple[dict[str, Entry], list[Problem]]:
    """Return what has a DAG beside the sound definitions of files, and what is wrong with others, which is kept."""
    exports, taken = _catalogue(settings), Taken()
    exports.sync(sound, {path.name for path in files(settings.exports)} - set(sound))
    for file, definition in sound.items():
        taken.add(definition, file)
    found: dict[str, Entry] = {}
    problems: list[Problem] = []
    broken: set[str] = set()
    for row in exports.for_dags():
        try:
            definition = from_document(row.document, where=_named(row.definition_id), check=known_kinds)
        except BadInput as error:
            problems += error.problems
            broken |= set() if row.winds_down else {row.definition_id}
            continue
        clashes = [] if row.winds_down else taken.add(definition, _named(row.definition_id))
        problems += clashes
        if clashes:
            broken.add(row.definition_id)
        else:
            found[row.definition_id] = Entry(definition, row.source, row.winds_down)
    exports.mark_broken(broken)
    return found, problems


def _catalogue(settings: Settings) -> Exports:
    # Kept out of what every task of a file's DAG imports.
    from include.state.database import Database
    from include.state.exports import Exports

    database = Database(settings.state_url)
    database.upgrade()
    return Exports(database)


def _sound(path: Path) -> ExportDefinition | None:
    try:
        return load(path, check=known_kinds)
    except BadInput:
        return None


def _named(definition_id: str) -> str:
    return f"the export {definition_id}"
