"""What the files of the export that is typed will be called, shown on the next run."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any

from include.definitions.model import ExportDefinition
from include.definitions.naming import file_name, part_template, whole_template
from include.definitions.occasion import as_of_for, interval_for, name_values
from include.errors import BadInput
from include.formats import bundle, xlsx
from include.formats.options import file_options
from include.web.editor.guess import guessed

_KEYS = ("file", "exports", "bundle")


def names(document: Mapping[str, Any], now: datetime | None = None) -> tuple[str, ...]:
    """Return the names of the files of the next run, of the next that would be without a schedule; none while wrong."""
    definition = guessed(document, _KEYS)
    if definition is None:
        return ()
    now = now or datetime.now(UTC)
    recurrence = definition.recurrence
    occurrence = (recurrence.next_after(now) if recurrence else None) or now.replace(second=0, microsecond=0)
    try:
        return tuple(dict.fromkeys(_names(definition, occurrence)))
    except BadInput:
        return ()


def _names(definition: ExportDefinition, occurrence: datetime) -> list[str]:
    as_of, interval = as_of_for(definition, occurrence), interval_for(definition, occurrence)

    def values(export: str) -> dict[str, str]:
        found = name_values(definition, occurrence=occurrence, interval=interval, as_of=as_of, export=export)
        return {**found, "part": "0001"}

    if definition.bundle != "none":
        extension = bundle.EXTENSION if definition.bundle == "zip" else xlsx.EXTENSION
        return [file_name(whole_template(definition.name_template), values(definition.id), extension)]
    found = []
    for part in definition.parts:
        extension = file_options(part.file.model_dump(exclude={"name"})).extension
        template = part.file.name or ""
        if part.file.split is not None:
            template = part_template(template, extension)
        found.append(file_name(template, values(part.id), extension))
    return found
