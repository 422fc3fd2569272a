"""A definition of what is typed so far: keys that are missing or wrong are left out, or something stands for them.

Good for what helps while somebody types (the next runs, the name of the file), never for what is saved or run.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from pydantic import ValidationError

from include.definitions.model import ExportDefinition

_INSTEAD: Mapping[str, Any] = {
    "id": "this-export",
    "name": "This export",
    "model": "balance",
    "targets": [{"kind": "folder", "options": {"folder": "somewhere"}}],
}
# Each try takes at least one key away.
_TRIES = len(ExportDefinition.model_fields)


def instead(document: Mapping[str, Any]) -> dict[str, Any]:
    """Return what stands for the keys that no definition can do without; a pack has no model of its own."""
    return {key: value for key, value in _INSTEAD.items() if key != "model" or not document.get("exports")}


def guessed(document: Mapping[str, Any], keep: Iterable[str]) -> ExportDefinition | None:
    """Return the definition; None when one of the keys of `keep` is there and wrong, so that a guess would mislead."""
    needed = set(keep)
    stands = instead(document)
    rest = {**stands, **{key: value for key, value in document.items() if value is not None}}
    for _ in range(_TRIES):
        try:
            return ExportDefinition.model_validate(rest)
        except ValidationError as error:
            wrong = {str(item["loc"][0]) for item in error.errors() if item["loc"]} & set(rest)
        # What hangs together wrongly has no place: the schedule and the period decide, the rest goes.
        wrong = wrong or set(rest) - set(stands) - needed
        if wrong & needed or not wrong:
            return None
        for key in wrong:
            if rest.get(key) == stands.get(key, rest):
                return None
            rest.pop(key)
            if key in stands:
                rest[key] = stands[key]
    return None
