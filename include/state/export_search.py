"""Finding exports in the catalogue: filters, order and pages, over what their rows hold."""

from __future__ import annotations

import json
from collections.abc import Collection
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import JSON, ColumnElement, Connection, Text, cast, func, literal, select, update

from include.definitions.collisions import folded
from include.state import export_names
from include.state.database import Database
from include.state.export_records import Choices, Found, Query, Sort, Status
from include.state.export_rows import next_by, read
from include.state.last_run import word
from include.state.tables import EXPORTS

MOST_PER_PAGE = 500
_REPEATED = {Status.ACTIVE, Status.INACTIVE}
_ORDER: dict[Sort, Any] = {
    "name": EXPORTS.c.name_folded,
    "created_at": EXPORTS.c.created_at,
    "created_by": EXPORTS.c.created_by,
    "model": EXPORTS.c.models,
    "filesize": EXPORTS.c.run_bytes,
    "next_at": EXPORTS.c.next_at,
}


def search(database: Database, query: Query) -> Found:
    """Return a page of the exports that are not deleted, and how many match."""
    _look_ahead(database)
    with database.read() as connection:
        wanted = _conditions(query, connection.dialect.name)
        total = connection.scalar(select(func.count()).select_from(EXPORTS).where(*wanted)) or 0
        size = min(max(query.per_page, 1), MOST_PER_PAGE)
        page = select(EXPORTS.c.definition_id).where(*wanted).order_by(*_order(query)).limit(size)
        ids = list(connection.scalars(page.offset((max(query.page, 1) - 1) * size)))
        return Found(tuple(read(connection, ids)), total)


def choices(connection: Connection, visible: Collection[str] | None = None) -> Choices:
    """Return what the exports that are not deleted can be filtered by. visible: only what these ids have."""
    live: ColumnElement[bool] = EXPORTS.c.deleted_at.is_(None)
    if visible is not None:
        live &= _among(visible, connection.dialect.name)

    def words(column: Any) -> tuple[str, ...]:
        found = connection.scalars(select(column).where(live).distinct())
        return tuple(sorted({word for text in found for word in text.strip("|").split("|")}))

    owners = connection.scalars(select(EXPORTS.c.owner).where(live).distinct())
    return Choices(words(EXPORTS.c.models), words(EXPORTS.c.target_words), tuple(sorted(owners)))


def _conditions(query: Query, dialect: str) -> list[ColumnElement[bool]]:
    found: list[ColumnElement[bool]] = [EXPORTS.c.deleted_at.is_(None)]
    if query.text.strip():
        found += [EXPORTS.c.words.contains(part, autoescape=True) for part in folded(query.text).split()]
    if query.status is not None:
        found.append(_stands(query.status))
    if query.model:
        found.append(EXPORTS.c.models.contains(f"|{query.model}|", autoescape=True))
    if query.target:
        found.append(EXPORTS.c.target_words.contains(f"|{query.target}|", autoescape=True))
    if query.owner:
        found.append(EXPORTS.c.owner == query.owner)
    if query.source is not None:
        found.append(EXPORTS.c.source == query.source)
    if query.visible is not None:
        found.append(_among(query.visible, dialect))
    return found


def _stands(status: Status) -> ColumnElement[bool]:
    if status not in _REPEATED:
        return word() == status.value
    on = EXPORTS.c.enabled & ~EXPORTS.c.paused
    return EXPORTS.c.recurring & (on if status is Status.ACTIVE else ~on)


def _among(ids: Collection[str], dialect: str) -> ColumnElement[bool]:
    """Return the condition for ids of any number, as one bound value."""
    text = literal(json.dumps(list(ids)), Text)
    if dialect == "postgresql":  # an array would be searched anew for each row
        return EXPORTS.c.definition_id.in_(select(func.json_array_elements_text(cast(text, JSON))))
    listed = func.json_each(text).table_valued("value")
    return EXPORTS.c.definition_id.in_(select(listed.c.value))


def _order(query: Query) -> list[ColumnElement[Any]]:
    """Return the order asked for, nothing known last, then the newest first."""
    column = word() if query.sort == "status" else _ORDER[query.sort]
    chosen = column.desc() if query.descending else column.asc()
    first = [column.is_(None)] if query.sort in {"filesize", "next_at"} else []
    then = [] if query.sort == "created_at" else [EXPORTS.c.created_at.desc()]
    return [*first, chosen, *then, EXPORTS.c.definition_id]


def _look_ahead(database: Database) -> None:
    """Write down anew when those run next whose last known time has passed: once for each schedule."""
    now = datetime.now(UTC)
    passed = EXPORTS.c.next_at <= now
    with database.read() as connection:
        keys = select(EXPORTS.c.schedule_key).where(passed).distinct()
        due = list(connection.scalars(keys))
        one = select(EXPORTS.c.schedule).where(passed)
        schedules = {
            key: connection.execute(one.where(EXPORTS.c.schedule_key == key).limit(1)).scalar_one()
            for key in due
        }
    if not schedules:
        return
    with database.write() as connection:
        export_names.alone(connection)
        for key, schedule in sorted(schedules.items()):
            following = next_by(schedule, now)
            changed = update(EXPORTS).where(passed, EXPORTS.c.schedule_key == key)
            connection.execute(changed.values(next_at=following))
