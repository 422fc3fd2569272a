"""What only the whole can say about a definition: do its kinds exist, and are their options right?

The definition model lies below reports, formats and targets, and cannot know them.
"""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from types import ModuleType
from typing import Any

from pydantic import BaseModel, ValidationError

from include import kinds, reports, targets
from include.definitions.content import Part
from include.definitions.load import load, load_all
from include.definitions.model import ExportDefinition
from include.definitions.problems import problems_of
from include.errors import BadInput, Problem
from include.formats.options import file_problems


def check(definition: ExportDefinition, where: str) -> list[Problem]:
    """Return every problem of kinds, options, period and columns."""
    problems: list[Problem] = []
    for index, part in enumerate(definition.parts):
        place = f"{where}: exports[{index}]." if definition.exports else f"{where}: "
        problems += _part_problems(definition, part, place)
    for index, target in enumerate(definition.targets):
        place = f"{where}: targets[{index}]"
        target_module = _kind(targets, target.kind, f"{place}.kind", problems)
        if target_module is not None:
            _options(target_module, target.options, f"{place}.options", problems)
    return problems


def load_definition(path: Path) -> ExportDefinition:
    """Return a fully checked definition; BadInput with all its problems."""
    return load(path, check=check)


def load_definitions(folder: Path) -> dict[str, ExportDefinition]:
    """Return all fully checked definitions of a folder by id; BadInput with all problems of all."""
    return load_all(folder, check=check)


def model_of(part: Part) -> tuple[ModuleType, BaseModel]:
    """Return the module of the model and its options; BadInput when either is wrong."""
    module = kinds.load(reports, part.model, where=f"{part.id}: model")
    return module, options_of(module, part.options, f"{part.id}: options")


def options_of(module: ModuleType, document: Mapping[str, Any], where: str) -> BaseModel:
    """Return the options of a kind; BadInput with all problems."""
    problems: list[Problem] = []
    options = _options(module, document, where, problems)
    if options is None:
        raise BadInput(problems)
    return options


def _part_problems(definition: ExportDefinition, part: Part, place: str) -> list[Problem]:
    problems: list[Problem] = []
    module = _kind(reports, part.model, f"{place}model", problems)
    if module is not None:
        options = _options(module, part.options, f"{place}options", problems)
        problems += _period_problems(definition, part, module, place)
        if options is not None:
            problems += _field_problems(part, [column.name for column in module.columns(options)], place)
    return problems + file_problems(part.file.model_dump(exclude={"name"}), f"{place}file")


def _field_problems(part: Part, known: list[str], place: str) -> list[Problem]:
    right = f"{part.model} has no such column; it has {', '.join(known)}"
    return [
        Problem(f"{place}fields[{index}].field", choice.field, right, "unknown_field")
        for index, choice in enumerate(part.fields or [])
        if choice.field not in known
    ]


def _kind(package: ModuleType, name: str, where: str, problems: list[Problem]) -> ModuleType | None:
    try:
        return kinds.load(package, name, where=where)
    except BadInput as error:
        problems += error.problems
        return None


def _options(
    module: ModuleType, document: Mapping[str, Any], where: str, problems: list[Problem]
) -> BaseModel | None:
    model: type[BaseModel] = module.Options
    try:
        return model.model_validate(dict(document))
    except ValidationError as error:
        problems += problems_of(error, model, where=where)
        return None


def _period_problems(
    definition: ExportDefinition, part: Part, module: ModuleType, place: str
) -> list[Problem]:
    """In a pack, what is about one instant is about the period's end."""
    if module.PERIOD == "required" and definition.period is None:
        right = f"{part.model} needs a period, such as previous_month"
        return [Problem(f"{place}period", "", right, "period_missing")]
    if module.PERIOD == "none" and definition.period is not None and not definition.exports:
        right = f"{definition.model} is about one instant: use as_of, such as end_of_previous_month"
        return [Problem(f"{place}period", definition.period.kind, right, "period_not_possible")]
    return []
