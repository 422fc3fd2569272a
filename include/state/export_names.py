"""Which export has which file name in a target: a row for each, so that a new one is compared with 10,000 at once."""

from __future__ import annotations

from typing import Any

from sqlalchemy import Connection, Row, delete, insert, select, text

from include.definitions.collisions import file_names, name_twice
from include.definitions.model import ExportDefinition
from include.errors import BadInput, Problem
from include.state.tables import EXPORT_FILE_NAMES, EXPORTS

# Held by whoever changes the catalogue, until the end of the transaction, before anything else is locked.
CATALOGUE_LOCK = 0x6578706F727473  # any number that nobody else takes: "exports"


def alone(connection: Connection) -> None:
    """Let one transaction at a time change the catalogue; SQLite does so by itself."""
    if connection.dialect.name == "postgresql":
        connection.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": CATALOGUE_LOCK})


def problems(connection: Connection, definition: ExportDefinition) -> list[Problem]:
    """Return a problem for each other export that has one of a definition's file names in the same target."""
    names = file_names(definition)
    held = EXPORT_FILE_NAMES.join(EXPORTS, EXPORTS.c.definition_id == EXPORT_FILE_NAMES.c.definition_id)
    others = EXPORT_FILE_NAMES.c.name_key.in_(names), EXPORTS.c.definition_id != definition.id
    wanted = select(EXPORT_FILE_NAMES.c.name_key, EXPORTS).select_from(held).where(*others)
    found: dict[str, tuple[str, Row[Any]]] = {}
    for row in connection.execute(wanted.order_by(EXPORTS.c.definition_id)):
        found.setdefault(row.definition_id, (names[row.name_key], row))
    return [name_twice(definition, "", target, known_as(row)) for target, row in found.values()]


def take(connection: Connection, definition: ExportDefinition) -> None:
    """Take a definition's file names instead of those it had; BadInput where others have them."""
    found = problems(connection, definition)
    if found:
        raise BadInput(found)
    _hold(connection, definition)


def take_over(connection: Connection, definition: ExportDefinition) -> None:
    """Take a definition's file names, also from those that have them: a file is right."""
    held = EXPORT_FILE_NAMES.c.name_key.in_(list(file_names(definition)))
    connection.execute(delete(EXPORT_FILE_NAMES).where(held))
    _hold(connection, definition)


def give_back(connection: Connection, definition_id: str) -> None:
    """Let others have the names of an export."""
    connection.execute(delete(EXPORT_FILE_NAMES).where(EXPORT_FILE_NAMES.c.definition_id == definition_id))


def known_as(row: Row[Any]) -> str:
    """Return what a person calls the export in a row."""
    return str(row.file) if row.source == "yaml" else f"the export {row.name} ({row.definition_id})"


def _hold(connection: Connection, definition: ExportDefinition) -> None:
    give_back(connection, definition.id)
    rows = [
        {"name_key": key, "definition_id": definition.id, "target": target}
        for key, target in file_names(definition).items()
    ]
    connection.execute(insert(EXPORT_FILE_NAMES), rows)
