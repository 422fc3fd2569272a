"""What a run asks of the models of its exports, and what several exports ask alike."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from include.definitions.content import Part
from include.definitions.model import ExportDefinition
from include.pipeline.checks import model_of
from include.reports.model import Asked, ReportModule
from include.state.runs import RunRecord
from include.state.tables import microseconds

Key = tuple[Any, ...]


def asked_of(definition: ExportDefinition, part: Part, run: RunRecord) -> tuple[ReportModule, Asked]:
    """Return a part's model, and what the run asks of it."""
    model, options = model_of(part)
    # In a pack, what is about one instant is about the end of the pack's period.
    start, end = (run.start, run.end) if model.PERIOD != "none" else (None, None)
    asked = Asked(
        start=_micros(start),
        end=_micros(end),
        as_of=microseconds(run.as_of),
        known_at=microseconds(run.known_at),
        options=options,
        timezone=definition.timezone,
    )
    return model, asked


def key_of(part: Part, asked: Asked) -> Key:
    """Return what is equal for exports that one report serves: all but which columns and rows somebody reads of it."""
    is_spared = part.if_missing == "leave_out"
    options = asked.options.model_dump_json()
    return part.model, options, asked.start, asked.end, asked.as_of, asked.known_at, asked.timezone, is_spared


def reports_of(run: RunRecord, definition: ExportDefinition) -> dict[Key, frozenset[str]]:
    """Return what is reported for a run, and which relations each report reads."""
    found = {}
    for part in definition.parts:
        model, asked = asked_of(definition, part, run)
        found[key_of(part, asked)] = frozenset(model.needs(asked.options))
    return found


def _micros(moment: datetime | None) -> int | None:
    return None if moment is None else microseconds(moment)
