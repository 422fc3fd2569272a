"""The catalogue of exports: one row for each, from YAML files and from the pages alike, and every edit of each.

A row says what the list of exports shows; `definition_id` never changes. An export that was deleted keeps its row
(`deleted_at`) and its edits, so that its runs keep their meaning; its id may be taken again, and its edits count on.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from typing import Any

from sqlalchemy import Connection, Row, insert, select, update

from include.definitions.collisions import id_twice
from include.definitions.model import ExportDefinition, version
from include.errors import BadInput, Problem
from include.state import export_dags, export_names, export_rows, export_search, export_sync, last_run
from include.state.audit import Action, append
from include.state.database import Database
from include.state.export_dags import ForDag, OfFile
from include.state.export_records import (
    Choices,
    Edit,
    Edited,
    Export,
    Found,
    LastDelivery,
    LastRun,
    Query,
    Sort,
    Source,
    Status,
)
from include.state.tables import EXPORT_EDITS, EXPORTS, Now

__all__ = [
    "Choices",
    "Edit",
    "Edited",
    "Export",
    "Exports",
    "ForDag",
    "Found",
    "LastDelivery",
    "LastRun",
    "OfFile",
    "Query",
    "Sort",
    "Source",
    "Status",
]

_BROKEN_HERE = EXPORTS.c.source == "ui", EXPORTS.c.broken, EXPORTS.c.deleted_at.is_(None)


class Exports:
    """The exports of one state database. Problems name fields of the definition, such as `file.name`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def create(self, definition: ExportDefinition, author: str) -> Export:
        """Add an export made in the pages; BadInput where its id is taken, or its files' names in a target.

        The same once more, by the same author, changes nothing (a double click).
        """
        with self._database.write() as connection:
            export_names.alone(connection)
            row = _row(connection, definition.id)
            if row is not None and row.deleted_at is None:
                if _is_again(connection, row, definition, author):
                    return _one(connection, definition.id)
                raise BadInput([id_twice(definition, "", export_names.known_as(row))])
            export_names.take(connection, definition)
            number = 1 if row is None else row.number + 1
            values = {
                **export_rows.described(definition),
                "source": "ui",
                "file": None,
                "broken": False,
                "number": number,
                "deleted_at": None,
                "created_by": author,
                "created_at": Now(),
                "edited_by": author,
                "edited_at": Now(),
                **last_run.NOTHING,
            }
            if row is None:
                connection.execute(insert(EXPORTS).values(definition_id=definition.id, **values))
            else:
                connection.execute(_of(definition.id).values(values))
            _keep(connection, definition.id, number, definition.document(), author)
            detail = {"number": number, "version": version(definition)}
            append(connection, author, Action.EXPORT_CREATED, definition.id, detail)
            return _one(connection, definition.id)

    def save(self, definition: ExportDefinition, author: str, *, based_on: int) -> Export:
        """Keep a new edit of an export made in the pages, if `based_on` is still its newest; else raise Edited.

        BadInput where the id is unknown or of a YAML file, or its files' names in a target are taken. Nothing is
        kept where nothing changed.
        """
        with self._database.write() as connection:
            export_names.alone(connection)
            row = _editable(connection, definition.id)
            if row.deleted_at is None and _is_again(connection, row, definition, author):
                return _one(connection, definition.id)
            before = _newest(connection, row, based_on)
            document = definition.document()
            if document == before.document:
                return _one(connection, definition.id)
            export_names.take(connection, definition)
            values = {"number": row.number + 1, "edited_by": author, "edited_at": Now(), "broken": False}
            connection.execute(_of(definition.id).values({**export_rows.described(definition), **values}))
            _keep(connection, definition.id, row.number + 1, document, author)
            changed = changed_keys(before.document, document)
            detail = {"number": row.number + 1, "version": version(definition), "changed": changed}
            append(connection, author, Action.EXPORT_EDITED, definition.id, detail)
            return _one(connection, definition.id)

    def delete(self, definition_id: str, author: str, *, based_on: int | None = None) -> Export:
        """Delete an export made in the pages; its edits and runs stay. BadInput and Edited as `save`.

        based_on: the edit that whoever deletes it has seen, None for whichever is the newest.
        """
        with self._database.write() as connection:
            export_names.alone(connection)
            row = _editable(connection, definition_id)
            if row.deleted_at is not None and based_on is None:
                return _one(connection, definition_id)
            before = _newest(connection, row, based_on)
            values = {"number": row.number + 1, "edited_by": author, "edited_at": Now(), "next_at": None}
            connection.execute(_of(definition_id).values(**values, deleted_at=Now()))
            export_names.give_back(connection, definition_id)
            _keep(connection, definition_id, row.number + 1, before.document, author, deleted=True)
            append(connection, author, Action.EXPORT_DELETED, definition_id, {"number": row.number + 1})
            return _one(connection, definition_id)

    def sync(self, definitions: Mapping[str, ExportDefinition], broken: Collection[str] = ()) -> bool:
        """Bring the rows of YAML files up to date; return whether anything changed. Cheap where nothing did.

        definitions: all sound ones, by file name. broken: names of the files that have problems: their rows stay as
        they were. What is in neither is gone from the list. A file takes over an id that was made in the pages.
        """
        return export_sync.sync(self._database, definitions, frozenset(broken))

    def broken(self) -> frozenset[str]:
        """Return the ids of those made in the pages that had no DAG when DAGs were last parsed: `mark_broken`."""
        with self._database.read() as connection:
            return frozenset(connection.scalars(select(EXPORTS.c.definition_id).where(*_BROKEN_HERE)))

    def mark_broken(self, ids: Collection[str]) -> None:
        """Keep which exports made in the pages have no DAG, because of what is wrong with them. Cheap without news."""
        known = self.broken()
        if known == frozenset(ids):
            return
        with self._database.write() as connection:
            for wrong, changed in ((True, frozenset(ids) - known), (False, known - frozenset(ids))):
                which = EXPORTS.c.source == "ui", EXPORTS.c.definition_id.in_(changed)
                connection.execute(update(EXPORTS).where(*which).values(broken=wrong))

    def problems(self, definition: ExportDefinition, *, new: bool) -> list[Problem]:
        """Return what collides with other exports: the id (of a new one), and the names of its files in targets."""
        with self._database.read() as connection:
            row = _row(connection, definition.id) if new else None
            if row is not None and row.deleted_at is None:
                return [id_twice(definition, "", export_names.known_as(row))]
            return export_names.problems(connection, definition)

    def get(self, definition_id: str, *, deleted: bool = False) -> Export | None:
        """Return the export, or None; deleted: also one that was deleted."""
        with self._database.read() as connection:
            found = export_rows.read(connection, [definition_id])
        return found[0] if found and (deleted or found[0].deleted_at is None) else None

    def edits(self, definition_id: str) -> list[Edit]:
        """Return every edit, the newest first."""
        wanted = select(EXPORT_EDITS).where(EXPORT_EDITS.c.definition_id == definition_id)
        with self._database.read() as connection:
            found = connection.execute(wanted.order_by(EXPORT_EDITS.c.number.desc()))
            return [export_rows.edit(row) for row in found]

    def edit(self, definition_id: str, number: int) -> Edit | None:
        """Return one edit, or None."""
        with self._database.read() as connection:
            return _edit(connection, definition_id, number)

    def ids(self) -> frozenset[str]:
        """Return the ids of all exports that are not deleted."""
        with self._database.read() as connection:
            live = select(EXPORTS.c.definition_id).where(EXPORTS.c.deleted_at.is_(None))
            return frozenset(connection.scalars(live))

    def made(self) -> dict[str, dict[str, Any]]:
        """Return the documents of the exports made in the pages, by id."""
        both = export_rows.WITH_NEWEST_EDIT
        wanted = select(EXPORTS.c.definition_id, EXPORT_EDITS.c.document).select_from(both)
        live = EXPORTS.c.deleted_at.is_(None), EXPORTS.c.source == "ui"
        with self._database.read() as connection:
            found = connection.execute(wanted.where(*live).order_by(EXPORTS.c.definition_id))
            return {row.definition_id: row.document for row in found}

    def choices(self, visible: Collection[str] | None = None) -> Choices:
        """Return what the list can be filtered by. visible: only what these ids have; None for all."""
        with self._database.read() as connection:
            return export_search.choices(connection, visible)

    def search(self, query: Query) -> Found:
        """Return a page of the exports that are not deleted."""
        return export_search.search(self._database, query)

    def for_dags(self, only: Collection[str] | None = None) -> list[ForDag]:
        """Return what must have a DAG beside the YAML files, by id. only: these exports, whatever became of them."""
        with self._database.read() as connection:
            return export_dags.for_dags(connection, only)

    def broken_for_dags(self) -> dict[str, bool]:
        """Return whether each export that must have a DAG beside the YAML files is broken (`ForDag`), by id."""
        with self._database.read() as connection:
            return export_dags.broken_for_dags(connection)

    def of_files(self) -> dict[str, OfFile]:
        """Return what is known of the YAML files, by the file's name."""
        with self._database.read() as connection:
            return export_dags.of_files(connection)


def changed_keys(before: Mapping[str, Any], after: Mapping[str, Any]) -> list[str]:
    """Return the keys whose values differ between two documents, such as `targets[0].options.folder`; no values."""
    one, other = dict(_leaves(before, "")), dict(_leaves(after, ""))
    return sorted(key for key in one.keys() | other.keys() if one.get(key) != other.get(key))


def _leaves(value: Any, where: str) -> list[tuple[str, Any]]:
    if isinstance(value, Mapping) and value:
        dot = "." if where else ""
        return [leaf for key, each in value.items() for leaf in _leaves(each, f"{where}{dot}{key}")]
    if isinstance(value, list) and value:
        return [leaf for index, each in enumerate(value) for leaf in _leaves(each, f"{where}[{index}]")]
    return [(where, value)]


def _row(connection: Connection, definition_id: str) -> Row[Any] | None:
    return connection.execute(select(EXPORTS).where(EXPORTS.c.definition_id == definition_id)).first()


def _editable(connection: Connection, definition_id: str) -> Row[Any]:
    """Return the row of an export that is made in the pages; BadInput for others."""
    row = _row(connection, definition_id)
    if row is None or (row.deleted_at is not None and row.source == "yaml"):
        raise BadInput([Problem("id", definition_id, "is the id of no export", "unknown_export")])
    if row.source == "yaml":
        right = f"is in the file {row.file}: change it there, or clone it to edit"
        raise BadInput([Problem("id", definition_id, right, "export_of_a_file")])
    return row


def _newest(connection: Connection, row: Row[Any], based_on: int | None) -> Edit:
    """Return the newest edit; raise Edited when it is another than the one that was seen, or a deletion."""
    found = _edit(connection, row.definition_id, row.number)
    assert found is not None
    if row.deleted_at is not None or (based_on is not None and based_on != row.number):
        raise Edited(_one(connection, row.definition_id), found)
    return found


def _is_again(connection: Connection, row: Row[Any], definition: ExportDefinition, author: str) -> bool:
    """Say whether the newest edit is this one, by the same author."""
    found = _edit(connection, row.definition_id, row.number)
    return (
        found is not None
        and (found.source, found.author) == ("ui", author)
        and found.document == definition.document()
    )


def _edit(connection: Connection, definition_id: str, number: int) -> Edit | None:
    which = EXPORT_EDITS.c.definition_id == definition_id, EXPORT_EDITS.c.number == number
    row = connection.execute(select(EXPORT_EDITS).where(*which)).first()
    return None if row is None else export_rows.edit(row)


def _keep(
    connection: Connection,
    definition_id: str,
    number: int,
    document: dict[str, Any],
    author: str,
    *,
    deleted: bool = False,
) -> None:
    values = {"document": document, "author": author, "at": Now(), "deleted": deleted, "source": "ui"}
    connection.execute(insert(EXPORT_EDITS).values(definition_id=definition_id, number=number, **values))


def _of(definition_id: str) -> Any:
    return update(EXPORTS).where(EXPORTS.c.definition_id == definition_id)


def _one(connection: Connection, definition_id: str) -> Export:
    return export_rows.read(connection, [definition_id])[0]
