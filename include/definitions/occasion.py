"""What one occurrence means for a definition: its interval, its instant T, and what its files are called by."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime

from include.definitions.model import ExportDefinition
from include.definitions.naming import slug
from include.definitions.periods import UNITS, Interval, first_of, first_of_next, label, period, point_label
from include.definitions.zones import start_of, zone


def interval_for(
    definition: ExportDefinition, occurrence: datetime, *, last_delivered_end: datetime | None = None
) -> Interval | None:
    """Return the period that the run at `occurrence` reports on, None for a definition without one.

    `last_delivered_end` matters to `since_last_delivery` only; leave it out in a backfill.
    """
    recurrence = definition.recurrence
    return period(
        definition.period,
        occurrence.astimezone(UTC),
        zone(definition.timezone),
        day=recurrence.day_of(occurrence) if recurrence else None,
        previous_occurrence=recurrence.previous_before(occurrence, bounded=False) if recurrence else None,
        last_delivered_end=last_delivered_end,
    )


def as_of_for(definition: ExportDefinition, occurrence: datetime) -> datetime:
    """Return T (UTC): the period's end if there is a period, else what `as_of` says, else the occurrence."""
    interval = interval_for(definition, occurrence)
    if interval is not None:
        return interval.end
    if isinstance(definition.as_of, datetime):
        return definition.as_of
    where = zone(definition.timezone)
    recurrence = definition.recurrence
    today = recurrence.day_of(occurrence) if recurrence else occurrence.astimezone(where).date()
    for unit in UNITS:
        if definition.as_of == f"end_of_previous_{unit}":
            return start_of(first_of(unit, today), where)
        if definition.as_of == f"end_of_this_{unit}":
            return start_of(first_of_next(unit, today), where)
    return occurrence.astimezone(UTC)


def name_values(
    definition: ExportDefinition,
    *,
    occurrence: datetime,
    interval: Interval | None,
    as_of: datetime,
    export: str | None = None,
    revision: int = 0,
) -> Mapping[str, str]:
    """Return a value for each placeholder of `naming.PLACEHOLDERS`, for one run."""
    where = zone(definition.timezone)
    clock = occurrence.astimezone(where)
    at = point_label(as_of, where)
    start = interval.start if interval else None
    return {
        "id": definition.id,
        "export": export or definition.id,
        "name": slug(definition.name),
        "period": label(interval, where) if interval else at,
        "start": point_label(start, where) if start else "beginning",
        "end": point_label(interval.end, where) if interval else at,
        "as_of": at,
        "date": f"{clock:%Y-%m-%d}",
        "time": f"{clock:%H%M}",
        "revision": str(revision),
    }
