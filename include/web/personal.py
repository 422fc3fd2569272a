"""Who may let personal data leave in clear, or choose and sort rows by it: one rule for every page that saves."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from include.definitions.model import ExportDefinition
from include.errors import Problem
from include.pipeline.checks import personal_uses, plain_fields
from include.web.reader import Reader, Right

_USES = {
    "filters": "is personal, and which rows such a filter keeps tells of it: filter by another field, or ask an "
    "administrator for the right to personal data",
    "order": "is personal, and the order of the rows tells of it: sort by another field, or ask an administrator for "
    "the right to personal data",
}


def not_permitted(
    reader: Reader, definition: ExportDefinition, definition_id: str | None
) -> Iterator[Problem]:
    """Yield what `personal_problems` does; none where the reader has the right to personal data.

    definition_id: the export that is changed, None for a new one.
    """
    if not reader.may(Right.PERSONAL, definition_id):
        yield from personal_problems(definition)


def personal_problems(definition: ExportDefinition) -> Iterator[Problem]:
    """Yield a problem for each personal field that leaves in clear, or by which rows are chosen or sorted.

    Files are split by their own columns alone, as these leave.
    """
    for number, part in enumerate(definition.parts):
        start = f"exports[{number}]." if definition.exports else ""
        for name in plain_fields(definition, part):
            right = (
                "is personal, and you have no right to export it in clear: leave it out, protect it under Privacy, or "
                "ask an administrator for the right"
            )
            yield Problem(f"{start}{_place_of(part, name)}", name, right, "personal_not_permitted")
        for key, names in personal_uses(part).items():
            for name in names:
                yield Problem(f"{start}{key}", name, _USES[key], "personal_not_permitted")


def _place_of(part: Any, name: str) -> str:
    for key in ("fields", "aggregation"):
        for row, chosen in enumerate(getattr(part, key) or ()):
            if chosen.field == name:
                return f"{key}[{row}].field"
    return "layout" if part.layout else "columns"
