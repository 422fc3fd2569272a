"""What pydantic found wrong, as problems in words for the person who wrote the input."""

from __future__ import annotations

import json
from typing import Any, get_args

from pydantic import BaseModel, ValidationError
from pydantic_core import ErrorDetails

from include.errors import Problem

_WORDS = (
    ("Input should be", "must be"),
    ("a valid array", "a valid list"),
    ("String should", "must"),
    ("Value should", "must"),
)

_TYPES = {"int_type": "must be a whole number", "bool_type": "must be true or false"}


def problems_of(error: ValidationError, model: type[BaseModel], *, where: str) -> list[Problem]:
    """Return one problem for each error; `where` names the file, or a place in it (`daily.yaml: options`).

    model: the class that refused its input; it tells which keys are known.
    """
    return [_problem(item, model, where) for item in error.errors(include_url=False)]


def as_text(value: object) -> str:
    """Return a value as its author would recognise it."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False, default=str)


def right_of(item: ErrorDetails) -> str:
    """Return what would be right, in our words where pydantic's are about its types."""
    right = _TYPES.get(str(item["type"])) or item["msg"].removeprefix("Value error, ")
    for before, after in _WORDS:
        right = right.replace(before, after)
    return right


def _problem(item: ErrorDetails, model: type[BaseModel], where: str) -> Problem:
    path, holder = _locate(item["loc"], model)
    code, value, context = str(item["type"]), item["input"], item.get("ctx", {})
    right = right_of(item)
    if code == "extra_forbidden":
        code, value = "unknown_key", item["loc"][-1]
        right = f"is not a key here; known keys are {', '.join(sorted(holder.model_fields))}"
    elif code == "missing":
        code, value, right = "missing_key", "", "is required"
    elif code == "too_short":
        right = f"must have at least {context['min_length']}"
    elif code == "too_long":
        right = f"must have at most {context['max_length']}, not {context['actual_length']}"
    elif code == "union_tag_invalid":
        path, code, value = f"{path}.kind", "unknown_kind", context["tag"]
        right = f"must be one of {context['expected_tags']}"
    elif code == "union_tag_not_found":
        path, code, value, right = f"{path}.kind", "missing_key", "", "is required"
    elif code in ("model_type", "model_attributes_type", "dict_type"):
        code, right = "not_a_mapping", "must be a mapping of keys to values"
    elif at := context.get("at"):
        path = f"{path}.{at}".lstrip(".")
        value = value.get(at.partition(".")[0], "") if isinstance(value, dict) else value
    place = f"{where}{'.' if ': ' in where else ': '}{path}" if path else where
    return Problem(place, as_text(value), right, code)


def _locate(loc: tuple[int | str, ...], model: type[BaseModel]) -> tuple[str, type[BaseModel]]:
    """Return a location as `schedule.days[1]`, and the model that holds its last step.

    Pydantic's locations name the chosen member of a union as a step of its own; its author wrote no such key.
    """
    path = ""
    holder = model
    members: dict[str, type[BaseModel]] = {}
    for step in loc:
        if isinstance(step, int):
            path += f"[{step}]"
        elif step in members:
            holder, members = members[step], {}
        else:
            path += f".{step}" if path else step
            field = holder.model_fields.get(step)
            models = _models(field.annotation) if field else []
            if len(models) == 1 and step != loc[-1]:
                holder = models[0]
            members = {tag: member for member in models for tag in _tags(member)} if len(models) > 1 else {}
    return path, holder


def _tags(model: type[BaseModel]) -> tuple[str, ...]:
    return get_args(model.model_fields["kind"].annotation)


def _models(annotation: Any) -> list[type[BaseModel]]:
    if isinstance(annotation, type) and issubclass(annotation, BaseModel):
        return [annotation]
    return [model for part in get_args(annotation) for model in _models(part)]
