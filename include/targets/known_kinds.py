"""Do the kinds that a definition names exist? Only by their names: the kinds themselves are too heavy for parsing."""

from __future__ import annotations

from include import formats, kinds, targets
from include.definitions.model import ExportDefinition
from include.errors import Problem
from include.reports import models


def known_kinds(definition: ExportDefinition, where: str) -> list[Problem]:
    """Return a problem for each model, format or target that does not exist. The first task checks their options."""
    asked: list[tuple[str, str, str, tuple[str, ...]]] = []
    known_models, known_formats, known_targets = models.names(), kinds.names(formats), kinds.names(targets)
    for index, part in enumerate(definition.parts):
        place = f"exports[{index}]." if definition.exports else ""
        asked.append(("model", f"{place}model", part.model, known_models))
        asked.append(("format", f"{place}file.format", part.file.format, known_formats))
    for index, target in enumerate(definition.targets):
        asked.append(("target", f"targets[{index}].kind", target.kind, known_targets))
    return [
        Problem(f"{where}: {field}", name, f"known {word}s are {', '.join(known)}", f"unknown_{word}")
        for word, field, name, known in asked
        if name not in known
    ]
