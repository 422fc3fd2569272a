"""The catalogue's rows of YAML files: brought up to date with what the files say."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from sqlalchemy import Connection, Row, and_, insert, or_, select, update

from include.acting import actor
from include.definitions.model import ExportDefinition, version
from include.state import export_names, last_run
from include.state.audit import Action, append
from include.state.database import Database
from include.state.export_rows import described, sha256
from include.state.tables import EXPORT_EDITS, EXPORTS, Now

_LOOKED_AT = ("definition_id", "source", "file", "broken", "number", "document_sha256", "deleted_at")


class _Work(NamedTuple):
    """What is to be done: files that changed with the rows of their ids, rows that broke, rows whose file is gone."""

    changed: list[tuple[str, ExportDefinition, Row[Any] | None]]
    broke: list[Row[Any]]
    gone: list[Row[Any]]


def sync(database: Database, definitions: Mapping[str, ExportDefinition], broken: frozenset[str]) -> bool:
    """Bring the rows of files up to date; return whether anything changed. See `Exports.sync`."""
    with database.read() as connection:
        if not any(_work(connection, definitions, broken)):
            return False
    with database.write() as connection:
        export_names.alone(connection)
        work = _work(connection, definitions, broken)
        for row in work.gone:
            _write(connection, row.definition_id, deleted_at=Now(), next_at=None)
            export_names.give_back(connection, row.definition_id)
        for row in work.broke:
            _write(connection, row.definition_id, broken=True)
        taken = [_bring(connection, file, definition, row) for file, definition, row in work.changed]
        for definition in filter(None, taken):
            detail = {"version": version(definition), "file": True}
            append(connection, actor(), Action.EXPORT_TAKEN_OVER, definition.id, detail)
    return any(work)


def _work(
    connection: Connection, definitions: Mapping[str, ExportDefinition], broken: frozenset[str]
) -> _Work:
    ids = [definition.id for definition in definitions.values()]
    of_files = and_(EXPORTS.c.source == "yaml", EXPORTS.c.deleted_at.is_(None))
    wanted = select(*(EXPORTS.c[name] for name in _LOOKED_AT))
    rows = {
        row.definition_id: row
        for row in connection.execute(wanted.where(or_(of_files, EXPORTS.c.definition_id.in_(ids))))
    }
    changed = [
        (file, definition, rows.get(definition.id))
        for file, definition in definitions.items()
        if not _is_as(rows.get(definition.id), file, definition)
    ]
    others = [row for id_, row in rows.items() if id_ not in ids and row.source == "yaml"]
    broke = [row for row in others if row.file in broken and not row.broken]
    return _Work(changed, broke, [row for row in others if row.file not in broken])


def _is_as(row: Row[Any] | None, file: str, definition: ExportDefinition) -> bool:
    return row is not None and (
        (row.source, row.file, row.broken, row.deleted_at) == ("yaml", file, False, None)
        and row.document_sha256 == sha256(definition.document())
    )


def _bring(
    connection: Connection, file: str, definition: ExportDefinition, row: Row[Any] | None
) -> ExportDefinition | None:
    """Write the row of a file that is new or has changed; return the definition if the id was of the pages."""
    edited = row is None or row.document_sha256 != sha256(definition.document()) or row.source != "yaml"
    number = 1 if row is None else row.number + edited
    values = {
        **described(definition),
        "source": "yaml",
        "file": file,
        "broken": False,
        "deleted_at": None,
        "number": number,
        **({"edited_by": "", "edited_at": Now()} if edited else {}),
    }
    export_names.take_over(connection, definition)
    was_live = row is not None and row.deleted_at is None
    if row is None:
        values |= {"created_by": "", "created_at": Now(), **last_run.of(connection, definition.id)}
        connection.execute(insert(EXPORTS).values(definition_id=definition.id, **values))
    else:
        _write(connection, definition.id, **values, **({} if row.source == "yaml" else {"created_by": ""}))
    if edited:
        about = {"source": "yaml", "author": "", "at": Now(), "deleted": False}
        document = {"document": definition.document(), "number": number}
        connection.execute(insert(EXPORT_EDITS).values(definition_id=definition.id, **document, **about))
    return definition if row is not None and was_live and row.source == "ui" else None


def _write(connection: Connection, definition_id: str, **values: Any) -> None:
    connection.execute(update(EXPORTS).where(EXPORTS.c.definition_id == definition_id).values(values))
