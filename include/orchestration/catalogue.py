"""Which definitions have a DAG: those of YAML files, those made in the pages, and those that still have a run open.

Files come first and need no database to be read: whatever is wrong with the state database, their DAGs stay.
"""

from __future__ import annotations

import contextlib
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Literal

from include.definitions.collisions import Taken
from include.definitions.load import files, from_document, load, scan
from include.definitions.model import ExportDefinition
from include.errors import BadInput, Problem
from include.orchestration.shards import shard
from include.settings import Settings
from include.targets.known_kinds import known_kinds

if TYPE_CHECKING:
    from include.state.exports import Exports


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


def beside_files(settings: Settings) -> dict[str, bool] | None:
    """Return what needs a DAG beside the files, by id, and whether it is broken; None where that cannot be read."""
    try:
        return _catalogue(settings).broken_for_dags()
    except Exception:  # noqa: BLE001 - as in `entries`, which tells
        return None


def of_shard(settings: Settings, number: int) -> dict[str, Entry]:
    """Return what has a DAG and is of a shard, by its id; reads no other definition where nothing is new in files.

    What is new in them is compared with all others first (`entries`), which brings the catalogue up to date.
    """
    try:
        found = _as_catalogued(settings, number)
    except Exception:  # noqa: BLE001 - as in `entries`, which tells
        found = {
            each.id: Entry(each, "yaml") for each in scan(settings.exports, check=known_kinds)[0].values()
        }
    if found is None:
        found = entries(settings)[0]
    return {id_: each for id_, each in found.items() if shard(id_) == number}


def entry(settings: Settings, definition_id: str) -> Entry | None:
    """Return the definition of one DAG for a process that runs a task of it, also a deleted or disabled one.

    Reads the file of its name, or else its row in the catalogue, or else, where that fails, all files.
    """
    path = settings.exports / f"{definition_id}.yaml"
    if path.is_file() and (alone := _sound(path)) is not None and alone.id == definition_id:
        return Entry(alone, "yaml")
    trouble: Exception | None = None
    try:
        for row in _catalogue(settings).for_dags([definition_id]):
            definition = from_document(row.document, where=_named(definition_id), check=known_kinds)
            return Entry(definition, row.source, row.winds_down)
    except Exception as error:  # noqa: BLE001 - the files may have it
        trouble = error
    sound = scan(settings.exports, check=known_kinds)[0].values()
    found = next((Entry(each, "yaml") for each in sound if each.id == definition_id), None)
    if found is None and trouble is not None:
        raise trouble
    return found


def _as_catalogued(settings: Settings, number: int) -> dict[str, Entry] | None:
    """Return what has a DAG in a shard; None where a file of it is not as the catalogue says."""
    exports = _catalogue(settings)
    known = exports.of_files()
    found: dict[str, Entry] = {}
    for path in files(settings.exports):
        row = known.pop(path.name, None)
        if row is not None and shard(row.definition_id) != number:
            continue
        definition = _sound(path)
        if row is None:
            if definition is not None and shard(definition.id) == number:
                return None
        elif not row.is_as(definition):
            return None
        elif definition is not None and definition.enabled:
            found[definition.id] = Entry(definition, "yaml")
    if any(shard(row.definition_id) == number for row in known.values()):
        return None  # whose file is gone
    return _of_pages(exports, number) | found


def _of_pages(exports: Exports, number: int) -> dict[str, Entry]:
    ids = [id_ for id_ in exports.broken_for_dags() if shard(id_) == number]
    found = {}
    for row in exports.for_dags(ids):
        if row.broken and not row.winds_down:
            continue
        with contextlib.suppress(BadInput):
            definition = from_document(row.document, where=_named(row.definition_id), check=known_kinds)
            found[row.definition_id] = Entry(definition, row.source, row.winds_down)
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
