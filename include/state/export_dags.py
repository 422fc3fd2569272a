"""Which exports must have a DAG although no YAML file says so: those made in the pages, and those that wind down."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, exists, not_, or_, select

from include.definitions.model import ExportDefinition
from include.settings import LONGEST_RUN
from include.state.export_rows import WITH_NEWEST_EDIT, sha256
from include.state.last_run import WORKING
from include.state.tables import EXPORT_EDITS, EXPORTS, MICROSECOND, RUNS, Now

# A run whose files are made is delivered at once, or never was to be.
UNTIL_DELIVERED = timedelta(hours=1)


@dataclass(frozen=True)
class ForDag:
    """An export that needs a DAG. winds_down: it was deleted or disabled while a run was open; no run may begin.

    broken: when all were last looked at, something was wrong with it or in its way (`Exports.mark_broken`).
    """

    definition_id: str
    source: Literal["yaml", "ui"]
    document: dict[str, Any]
    winds_down: bool
    broken: bool


@dataclass(frozen=True)
class OfFile:
    """What the catalogue knows of a YAML file. broken: something was wrong with it when all were last looked at."""

    definition_id: str
    document_sha256: str
    broken: bool

    def is_as(self, definition: ExportDefinition | None) -> bool:
        """Whether the file holds what it held then, given the definition that is in it; None where none is sound."""
        if definition is None or self.broken:
            return definition is None and self.broken
        return (self.definition_id, self.document_sha256) == (definition.id, sha256(definition.document()))


def for_dags(connection: Connection, only: Collection[str] | None = None) -> list[ForDag]:
    """Return what must have a DAG beside the YAML files, by id. only: these exports, whatever became of them."""
    about = EXPORTS.c.definition_id, EXPORTS.c.source, EXPORTS.c.broken, EXPORT_EDITS.c.document
    wanted = select(*about, not_(_on()).label("winds_down")).select_from(WITH_NEWEST_EDIT)
    which = _needs_dag() if only is None else EXPORTS.c.definition_id.in_(only)
    found = connection.execute(wanted.where(which).order_by(EXPORTS.c.definition_id))
    return [
        ForDag(row.definition_id, row.source, row.document, bool(row.winds_down), row.broken) for row in found
    ]


def broken_for_dags(connection: Connection) -> dict[str, bool]:
    """Return whether each export that must have a DAG beside the YAML files is broken (`ForDag`), by id."""
    found = connection.execute(select(EXPORTS.c.definition_id, EXPORTS.c.broken).where(_needs_dag()))
    return {row.definition_id: row.broken for row in found}


def of_files(connection: Connection) -> dict[str, OfFile]:
    """Return what the catalogue knows of the YAML files, by the file's name."""
    about = EXPORTS.c.file, EXPORTS.c.definition_id, EXPORTS.c.document_sha256, EXPORTS.c.broken
    which = EXPORTS.c.source == "yaml", EXPORTS.c.deleted_at.is_(None)
    return {row.file: OfFile(*row[1:]) for row in connection.execute(select(*about).where(*which))}


def _on() -> ColumnElement[bool]:
    return and_(EXPORTS.c.deleted_at.is_(None), EXPORTS.c.enabled)


def _needs_dag() -> ColumnElement[bool]:
    # No run of Airflow lasts longer, so nothing can be open of what was deleted before.
    lately = or_(EXPORTS.c.deleted_at.is_(None), EXPORTS.c.deleted_at > Now() - LONGEST_RUN // MICROSECOND)
    has_open_run = exists().where(RUNS.c.definition_id == EXPORTS.c.definition_id, is_open())
    return or_(and_(_on(), EXPORTS.c.source == "ui"), and_(not_(_on()), lately, has_open_run))


def is_open() -> ColumnElement[bool]:
    """Return the condition that a run may still move by itself."""
    made_lately = RUNS.c.updated_at > Now() - UNTIL_DELIVERED // MICROSECOND
    return or_(RUNS.c.status.in_(WORKING), and_(RUNS.c.status == "rendered", made_lately))
