"""Rows of the catalogue: what a definition puts into one, and the export that one is read back as."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

from sqlalchemy import Connection, Row, and_, select

from include.definitions.collisions import folded
from include.definitions.model import ExportDefinition
from include.definitions.schedule import Once, Recurrence
from include.state.export_records import Edit, Export, LastDelivery, LastRun, Status
from include.state.last_run import word
from include.state.tables import EXPORT_EDITS, EXPORTS, LAST_DELIVERIES, RUNS

WITH_NEWEST_EDIT = EXPORTS.join(
    EXPORT_EDITS,
    and_(EXPORT_EDITS.c.definition_id == EXPORTS.c.definition_id, EXPORT_EDITS.c.number == EXPORTS.c.number),
)
_OF_RUN = ("run_key", "status", "stage", "stage_at", "rows_done", "rows_total", "created_at", "updated_at")


def described(definition: ExportDefinition) -> dict[str, Any]:
    """Return the columns that follow from a definition alone, and from what time it is."""
    models = list(dict.fromkeys(part.model for part in definition.parts))
    recurrence = definition.recurrence
    return {
        "document_sha256": sha256(definition.document()),
        "name": definition.name,
        "description": definition.description,
        **searched(definition.id, definition.name, definition.description),
        "models": between_bars(models),
        "targets": [[target.label, target.kind] for target in definition.targets],
        "target_words": between_bars({x for each in definition.targets for x in (each.label, each.kind)}),
        "owner": definition.owner,
        "timezone": definition.timezone,
        "enabled": definition.enabled,
        "paused": definition.paused,
        "recurring": recurrence is not None and not isinstance(recurrence.schedule, Once),
        "schedule": recurrence and recurrence.document(),
        "schedule_key": recurrence and sha256(recurrence.document()),
        "next_at": next_of(definition, datetime.now(UTC)),
    }


def searched(definition_id: str, name: str, description: str) -> dict[str, str]:
    """Return the columns in which a search looks and by which names are sorted."""
    return {"name_folded": folded(name), "words": folded(f"{name}\n{definition_id}\n{description}")}


def next_of(definition: ExportDefinition, now: datetime) -> datetime | None:
    """Return when a definition runs next by itself."""
    if definition.recurrence is None or definition.paused or not definition.enabled:
        return None
    return definition.recurrence.next_after(now)


def next_by(schedule: dict[str, Any], now: datetime) -> datetime | None:
    """Return when the schedule in a row fires next."""
    return Recurrence.from_document(schedule).next_after(now)


def between_bars(words: Iterable[str]) -> str:
    """Return words as `|a|b|`, so that one of them is found as `|a|`. None of them can hold a bar."""
    return f"|{'|'.join(words)}|"


def read(connection: Connection, ids: Sequence[str]) -> list[Export]:
    """Return the exports of these ids in this order, with all that is shown of them; also deleted ones."""
    joined = WITH_NEWEST_EDIT.outerjoin(RUNS, RUNS.c.run_key == EXPORTS.c.run_key)
    of_run = [RUNS.c[name].label(f"last_{name}") for name in _OF_RUN]
    columns = select(EXPORTS, EXPORT_EDITS.c.document, word().label("word"), *of_run)
    rows = connection.execute(columns.select_from(joined).where(EXPORTS.c.definition_id.in_(ids)))
    delivered = _deliveries(connection, ids)
    found = {row.definition_id: _export(row, delivered.get(row.definition_id, {})) for row in rows}
    return [found[id_] for id_ in ids if id_ in found]


def edit(row: Row[Any]) -> Edit:
    """Return the edit in a row."""
    return Edit(**row._mapping)  # noqa: SLF001 - SQLAlchemy's public name


def _export(row: Row[Any], delivered: dict[str, LastDelivery]) -> Export:
    targets = tuple((label, kind) for label, kind in row.targets)
    labels = {label for label, _ in targets}
    last = {
        label: each
        for label, each in delivered.items()
        if label in labels and (row.source == "yaml" or each.at >= row.created_at)
    }
    return Export(
        definition_id=row.definition_id,
        name=row.name,
        description=row.description,
        models=tuple(row.models.strip("|").split("|")),
        owner=row.owner,
        targets=targets,
        timezone=row.timezone,
        enabled=row.enabled,
        paused=row.paused,
        recurring=row.recurring,
        next_at=row.next_at,
        source=row.source,
        file=row.file,
        broken=row.broken,
        created_by=row.created_by,
        created_at=row.created_at,
        edited_by=row.edited_by,
        edited_at=row.edited_at,
        number=row.number,
        deleted_at=row.deleted_at,
        document=row.document,
        status=Status(row.word),
        last_run=_last_run(row),
        last_deliveries=last,
    )


def _last_run(row: Row[Any]) -> LastRun | None:
    if row.last_run_key is None:
        return None
    return LastRun(bytes=row.run_bytes, **{name: getattr(row, f"last_{name}") for name in _OF_RUN})


def _deliveries(connection: Connection, ids: Sequence[str]) -> dict[str, dict[str, LastDelivery]]:
    """Return the last delivery to each target, by definition and label."""
    found: dict[str, dict[str, LastDelivery]] = {}
    for row in connection.execute(select(LAST_DELIVERIES).where(LAST_DELIVERIES.c.definition_id.in_(ids))):
        last = LastDelivery(row.state, row.at, row.run_key)
        found.setdefault(row.definition_id, {})[row.target] = last
    return found


def sha256(document: dict[str, Any]) -> str:
    """Return what tells documents apart (hex)."""
    return hashlib.sha256(json.dumps(document, sort_keys=True).encode()).hexdigest()
