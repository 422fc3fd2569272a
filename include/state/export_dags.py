"""Which exports must have a DAG although no YAML file says so: those made in the pages, and those that wind down."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Literal

from sqlalchemy import ColumnElement, Connection, and_, exists, not_, or_, select

from include.settings import LONGEST_RUN
from include.state.export_rows import WITH_NEWEST_EDIT
from include.state.last_run import WORKING
from include.state.tables import EXPORT_EDITS, EXPORTS, MICROSECOND, RUNS, Now

# A run whose files are made is delivered at once, or never was to be.
UNTIL_DELIVERED = timedelta(hours=1)


@dataclass(frozen=True)
class ForDag:
    """An export that needs a DAG. winds_down: it was deleted or disabled while a run was open; no run may begin."""

    definition_id: str
    source: Literal["yaml", "ui"]
    document: dict[str, Any]
    winds_down: bool


def for_dags(
    connection: Connection, only: str | None = None, within: timedelta | None = None
) -> list[ForDag]:
    """Return what must have a DAG beside the YAML files, by id.

    only: that export, whatever became of it. within: only what was saved in the pages in that time.
    """
    on = and_(EXPORTS.c.deleted_at.is_(None), EXPORTS.c.enabled)
    # No run of Airflow lasts longer, so nothing can be open of what was deleted before.
    lately = or_(EXPORTS.c.deleted_at.is_(None), EXPORTS.c.deleted_at > Now() - LONGEST_RUN // MICROSECOND)
    about = EXPORTS.c.definition_id, EXPORTS.c.source, EXPORT_EDITS.c.document
    wanted = select(*about, not_(on).label("winds_down"))
    wanted = wanted.select_from(WITH_NEWEST_EDIT)
    has_open_run = exists().where(RUNS.c.definition_id == EXPORTS.c.definition_id, is_open())
    if only is not None:
        which = EXPORTS.c.definition_id == only
    elif within is not None:
        saved = EXPORTS.c.edited_at > Now() - within // MICROSECOND
        which = and_(on, EXPORTS.c.source == "ui", saved)
    else:
        which = or_(and_(on, EXPORTS.c.source == "ui"), and_(not_(on), lately, has_open_run))
    found = connection.execute(wanted.where(which).order_by(EXPORTS.c.definition_id))
    return [ForDag(row.definition_id, row.source, row.document, bool(row.winds_down)) for row in found]


def is_open() -> ColumnElement[bool]:
    """Return the condition that a run may still move by itself."""
    made_lately = RUNS.c.updated_at > Now() - UNTIL_DELIVERED // MICROSECOND
    return or_(RUNS.c.status.in_(WORKING), and_(RUNS.c.status == "rendered", made_lately))
