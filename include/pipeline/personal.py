"""Which files of a run hold personal data that whoever has them can read."""

from __future__ import annotations

import json
from collections.abc import Mapping
from functools import lru_cache
from typing import Any

from pydantic import ValidationError

from include.definitions.model import ExportDefinition
from include.errors import BadInput
from include.pipeline.checks import personal_parts
from include.state.runs import RunRecord


def personal_files(run: RunRecord) -> frozenset[str]:
    """Return the names of the run's files with personal data in clear; all of them where nobody can tell any more."""
    parts = _parts(json.dumps(run.definition, sort_keys=True))
    return frozenset(
        each["name"]
        for each in run.files
        if (is_personal(each, parts) if parts is not None else "rows" in each)
    )


def is_personal(artefact: Mapping[str, Any], parts: frozenset[str]) -> bool:
    """Say whether a file holds personal data that can be read; what holds several exports, when one of them does.

    parts: those of the definition with personal data (`checks.personal_parts`). A manifest holds none.
    """
    export = artefact.get("export")
    return "rows" in artefact and (bool(parts) if export is None else export in parts)


@lru_cache(maxsize=256)
def _parts(definition: str) -> frozenset[str] | None:
    """Return the parts of a definition (as JSON) with personal data, None for one that this version cannot read."""
    try:
        return personal_parts(ExportDefinition.model_validate(json.loads(definition)))
    except (BadInput, ValidationError):
        return None
