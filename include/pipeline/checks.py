"""What only the whole can say about a definition: do its kinds exist, and are their options right?

The definition model lies below reports, formats and targets, and cannot know them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ValidationError

from include import kinds, targets
from include.definitions import privacy
from include.definitions.base import strictly
from include.definitions.content import Part
from include.definitions.fields import resolve
from include.definitions.filters import fields_of, segments
from include.definitions.load import load, load_all
from include.definitions.model import ExportDefinition
from include.definitions.order import keys
from include.definitions.problems import problems_of
from include.definitions.split import Split
from include.errors import BadInput, Problem
from include.formats.options import file_options, file_problems
from include.formats.splitting import split_problems
from include.layouts import layout as layouts
from include.layouts.layout import Layout
from include.ledger.catalog import RELATIONS
from include.ledger.columns import Column
from include.pipeline.comparing import alert_problems, compare_problems, written_columns
from include.pipeline.privacy import privacy_problems
from include.reports import models
from include.reports.model import ReportModule
from include.shaping.shape import Shape

T = TypeVar("T")
# What a shape is about does not matter to what is wrong with it.
_ANY = datetime(2000, 1, 1, tzinfo=UTC)


def check(definition: ExportDefinition, where: str) -> list[Problem]:
    """Return every problem of kinds, options, period and columns."""
    problems: list[Problem] = []
    for index, part in enumerate(definition.parts):
        place = f"{where}: exports[{index}]." if definition.exports else f"{where}: "
        problems += _part_problems(definition, part, place)
    if definition.conditions.alerts and not problems:
        columns = {part.id: _columns_of(definition, part) for part in definition.parts}
        problems += alert_problems(definition, columns, where)
    for index, target in enumerate(definition.targets):
        place = f"{where}: targets[{index}]"
        target_module = _found(partial(kinds.load, targets), target.kind, f"{place}.kind", problems)
        if target_module is not None:
            _options(target_module, target.options, f"{place}.options", problems)
    return problems


def load_definition(path: Path) -> ExportDefinition:
    """Return a fully checked definition; BadInput with all its problems."""
    return load(path, check=check)


def load_definitions(folder: Path) -> dict[str, ExportDefinition]:
    """Return all fully checked definitions of a folder by id; BadInput with all problems of all."""
    return load_all(folder, check=check)


def model_of(part: Part) -> tuple[ReportModule, BaseModel]:
    """Return the module of the model and its options; BadInput when either is wrong."""
    module = models.load(part.model, where=f"{part.id}: model")
    return module, options_of(module, _options_of(part), f"{part.id}: options")


def _options_of(part: Part) -> Mapping[str, Any]:
    """Return the part's options over those that its layout needs."""
    layout = layouts.layouts().get(part.layout or "")
    return {**(layout.options if layout else {}), **part.options}


def options_of(module: Any, document: Mapping[str, Any], where: str) -> BaseModel:
    """Return the options of a kind; BadInput with all problems."""
    problems: list[Problem] = []
    options = _options(module, document, where, problems)
    if options is None:
        raise BadInput(problems)
    return options


def _part_problems(definition: ExportDefinition, part: Part, place: str) -> list[Problem]:
    problems: list[Problem] = []
    module = _found(models.load, part.model, f"{place}model", problems)
    if module is not None:
        options = _options(module, _options_of(part), f"{place}options", problems)
        problems += _period_problems(definition, part, module, place)
        if options is not None:
            found = _shape_problems(definition, part, module.columns(options), place)
            problems += _with_profile(found, module, options)
    return problems + file_problems(part.file.model_dump(exclude={"name"}), f"{place}file")


def _with_profile(problems: list[Problem], module: ReportModule, options: BaseModel) -> list[Problem]:
    """Return the problems; of a field that the model has only with more of its columns, with how to get them."""
    if not problems or "profile" not in type(options).model_fields:
        return problems
    more = {column.name for column in module.columns(options.model_copy(update={"profile": "all"}))}
    way = "; the model has it with options: {profile: all}"
    return [
        replace(each, right=each.right + way) if each.code == "unknown_field" and each.value in more else each
        for each in problems
    ]


def _shape_problems(
    definition: ExportDefinition, part: Part, given: tuple[Column, ...], place: str
) -> list[Problem]:
    """Return what is wrong with what a part makes of its model's rows."""
    problems: list[Problem] = []
    layout = _found(layouts.load, part.layout, f"{place}layout", problems) if part.layout else None
    if layout is not None and layout.model != part.model:
        right = f"is made of {layout.model}, and this export is of {part.model}"
        problems.append(Problem(f"{place}layout", part.layout or "", right, "layout_of_other_model"))
    if problems:
        return problems
    shape = Shape(part, given, at=_ANY, zone=definition.timezone, scratch=Path(), layout=layout, where=place)
    problems += shape.problems
    if problems:
        return problems
    written = written_columns(part, shape)
    problems += compare_problems(part, written, place)
    split = split_of(part, layout, shape)
    file = part.file.model_dump(exclude={"name"})
    if split is not None and not file_problems(file):
        problems += split_problems(split, written, file_options(file), f"{place}file.split")
    columns, chosen = _personal_choice(part, shape, given, layout)
    return problems + privacy_problems(definition, part, columns, chosen, place)


def _columns_of(definition: ExportDefinition, part: Part) -> tuple[Column, ...]:
    """Return the columns of a sound part's file."""
    module, options = model_of(part)
    layout = layout_of(part)
    shape = Shape(
        part, module.columns(options), at=_ANY, zone=definition.timezone, scratch=Path(), layout=layout
    )
    return written_columns(part, shape)


def personal_parts(definition: ExportDefinition) -> frozenset[str]:
    """Return the ids of a sound definition's parts whose files hold personal data that their readers can read."""
    return frozenset(
        part.id
        for part in definition.parts
        if part.file.encryption is None and plain_fields(definition, part)
    )


def plain_fields(definition: ExportDefinition, part: Part) -> tuple[str, ...]:
    """Return the personal fields that stand in a part's file in clear."""
    module, options = model_of(part)
    layout, given = layout_of(part), module.columns(options)
    shape = Shape(part, given, at=_ANY, zone=definition.timezone, scratch=Path(), layout=layout)
    return privacy.plain(part.privacy, *_personal_choice(part, shape, given, layout))


def personal_uses(part: Part) -> dict[str, list[str]]:
    """Return the personal fields by which a part's rows are kept (`filters`) and sorted (`order`).

    Both go by values as they are in the ledger, however the file protects them, so which rows there are, and where,
    tells of them.
    """
    module, options = model_of(part)
    columns = module.columns(options)
    filtered = fields_of(part.filters, columns) if part.filters is not None else frozenset()
    of_header = {each.title: each.field for each in part.aggregation or ()}
    sorted_by = frozenset(of_header.get(name, name) for name, _ in keys(part.order or ()))
    return {"filters": _personal(columns, filtered), "order": _personal(columns, sorted_by)}


def _personal(columns: Sequence[Column], names: frozenset[str]) -> list[str]:
    return sorted(name for name in names if (found := resolve(columns, name)) and found.pii)


def _personal_choice(
    part: Part, shape: Shape, given: tuple[Column, ...], layout: Layout | None
) -> tuple[tuple[Column, ...], list[str] | None]:
    """Return the columns by the names that `privacy` uses, and those of them whose values stand in the file."""
    if layout is None:
        return given, part.named_fields
    return layout.columns, list(shape.fields)


def layout_of(part: Part) -> Layout | None:
    """Return the layout that a part names; BadInput when there is none of that name."""
    return layouts.load(part.layout, where=f"{part.id}: layout") if part.layout else None


def split_of(part: Part, layout: Layout | None, shape: Shape) -> Split | None:
    """Return how a part's rows are split: as it says, else as large as its layout's system lets a file be.

    What must stay together goes by its header in the file; a file without that column is none of that system.
    """
    split = part.file.split or (layout.split if layout else None)
    if split is None or part.file.split is not None or split.together is None:
        return split
    headers = dict(zip(shape.fields, (column.name for column in shape.columns), strict=True))
    if split.together not in headers:
        return None
    return split.model_copy(update={"together": headers[split.together]})


def _found(load: Callable[..., T], name: str, where: str, problems: list[Problem]) -> T | None:
    try:
        return load(name, where=where)
    except BadInput as error:
        problems += error.problems
        return None


def _options(
    module: Any, document: Mapping[str, Any], where: str, problems: list[Problem]
) -> BaseModel | None:
    model: type[BaseModel] = module.Options
    try:
        return strictly(model, document)
    except ValidationError as error:
        problems += problems_of(error, model, where=where)
        return None


def _period_problems(
    definition: ExportDefinition, part: Part, module: ReportModule, place: str
) -> list[Problem]:
    """In a pack, what is about one instant is about the period's end."""
    if module.PERIOD == "required" and definition.period is None:
        right = f"{part.model} needs a period, such as previous_month"
        return [Problem(f"{place}period", "", right, "period_missing")]
    if module.PERIOD == "none" and definition.period is not None and not definition.exports:
        right = f"{definition.model} is about one instant: use as_of, such as end_of_previous_month"
        return [Problem(f"{place}period", definition.period.kind, right, "period_not_possible")]
    begins = definition.period is not None and definition.period.kind != "all_time"
    return list(_cut_segments(part, place)) if begins else []


def refuse_cut_segments(definition: ExportDefinition) -> None:
    """Refuse, for a run whose period has a beginning, segments that ask what the period decides: BadInput."""
    whole = not definition.exports
    found = [_cut_segments(part, "" if whole else f"exports.{part.id}.") for part in definition.parts]
    if problems := [problem for each in found for problem in each]:
        raise BadInput(problems)


def _cut_segments(part: Part, place: str) -> Iterator[Problem]:
    """Yield a problem for each segment about the period where the period cuts rows by the same field."""
    moment = RELATIONS[part.model].moment if part.model in RELATIONS else None
    for where, segment in segments(part.filters, f"{place}filters") if part.filters else ():
        if segment.of_the_period and moment in segment.kind.fields:
            right = (
                f"with a period {part.model} has only who joined in it, so all are new and nobody is returning: leave "
                "out the period, or take the model balance, which has everybody (grain: customer)"
            )
            yield Problem(where, segment.name, right, "segment_cut_by_period")
