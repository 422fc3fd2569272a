"""What a request asks for, in the vendor's words, as the definition of an export; all that is wrong with it at once."""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from pydantic import BaseModel, ConfigDict, Field, field_validator

from include.definitions import voucherify_filters
from include.definitions.base import is_text
from include.definitions.model import ExportDefinition
from include.definitions.operators import OPERATORS
from include.definitions.values import WrongValue, exact
from include.errors import BadInput, Problem
from include.ledger.fields import FieldType
from include.pipeline.answers.asked_exports import KEPT, sound
from include.state.asked_exports import new_id
from include.web.api.voucherify.errors import Key
from include.web.api.voucherify.objects import ORDERS, SYSTEM, UNKNOWN, Exported, Source, exported

ID_PREFIX = "exp_"
_DEEPEST = 8
_PLACE = re.compile(r"export: filters\.all\[0\]\.(?:all|any)\[(\d+)\]\.?(.*)", re.DOTALL)
# What a program reads: plain numbers, texts as they are, and instants as the vendor writes them.
_STYLE = {"points": "plain", "profile": "machine", "instants": "%Y-%m-%dT%H:%M:%S.%LZ"}
_FILE = {"format": "csv", "compression": "none", "options": _STYLE}


class Parameters(BaseModel):
    """What to export: which fields, which rows, in which order."""

    model_config = ConfigDict(extra="forbid", strict=True)

    order: str | None = Field(None, description="A field to order by; a leading - is descending.")
    fields: list[str] | None = Field(
        None, description="The columns of the file; the object's usual ones by default."
    )
    filters: dict[str, Any] | None = Field(
        None, description="`{junction: and|or, FIELD: {conditions: {OPERATOR: [values]}}}`"
    )
    campaign_id: str | None = Field(None, description="Only what belongs to this campaign.")

    @field_validator("filters")
    @classmethod
    def _without_nulls(cls, value: dict[str, Any] | None) -> dict[str, Any] | None:
        """Leave out what is null: the vendor's clients send every filter and every operator that they know."""
        return (
            None
            if value is None
            else {name: _given(each) for name, each in value.items() if each is not None}
        )


def _given(filter_: Any) -> Any:
    conditions = filter_.get("conditions") if isinstance(filter_, dict) else None
    if not isinstance(conditions, dict):
        return filter_
    return {**filter_, "conditions": {key: each for key, each in conditions.items() if each is not None}}


class CampaignBody(BaseModel):
    """The body of the exports of one campaign."""

    model_config = ConfigDict(extra="forbid", strict=True)

    parameters: Parameters | None = None


class Body(CampaignBody):
    """The body of a new export."""

    exported_object: str = Field(json_schema_extra={"enum": list(ORDERS)})


def definition_of(
    name: str, asked: Parameters, *, campaign: str | None = None, **options: Any
) -> ExportDefinition:
    """Return the definition of what is asked for; BadInput with all that is wrong with it.

    campaign: only what its loyalty cards hold, beside what the filters say. options: of the model.
    """
    if name not in ORDERS:
        right = UNKNOWN.get(name, f"should be equal to one of the allowed values [ {', '.join(ORDERS)} ]")
        raise BadInput([Problem("exported_object", name, right, Key.PAYLOAD)])
    kind = exported(name)
    if unwritable := [*_unwritable(asked)]:
        raise BadInput(unwritable)
    problems = [*_order_problems(kind, asked), *_field_problems(kind, asked)]
    filters, named = _filters(kind, asked, problems)
    if campaign is not None:  # a customer's own account may name the campaign too: it gave the points
        filters.append({"field": "voucher_id", "has_value": True})
    for each in (campaign, asked.campaign_id):
        if each is not None:
            filters.append(_only(kind, each, problems))
    if problems:
        raise BadInput(problems)
    export_id = new_id(ID_PREFIX)
    document = {
        "id": export_id,
        "name": f"Voucherify {name}",
        "model": kind.layout.model,
        "layout": f"{SYSTEM}.{name}",
        "options": options,
        "fields": asked.fields or list(kind.layout.default or kind.fields),
        "retention": {"files": f"{KEPT.days}d"},
        "file": _FILE,
        # Nothing is delivered: who asked comes for it.
        "targets": [{"kind": "folder", "options": {"folder": "downloads"}}],
    }
    if filters:
        document["filters"] = {"all": filters}
    if asked.order:
        document["order"] = _order(kind, asked.order)
    try:
        return sound(document)
    except BadInput as error:
        raise BadInput([_renamed(each, named) for each in error.problems]) from None


def _order_problems(kind: Exported, asked: Parameters) -> Iterator[Problem]:
    allowed = [f"{sign}{name}" for name in kind.orders for sign in ("-", "")]
    if asked.order and asked.order not in allowed:
        right = f"should be equal to one of the allowed values [ {', '.join(allowed)} ]"
        yield Problem("parameters.order", asked.order, right, Key.PAYLOAD)


def _order(kind: Exported, order: str) -> str:
    source = kind.source(order.removeprefix("-"))
    assert source is not None, "every order is a name"
    return f"-{source.column.name}" if order.startswith("-") else source.column.name


def _field_problems(kind: Exported, asked: Parameters) -> Iterator[Problem]:
    given = asked.fields or []
    for index, name in enumerate(given):
        place = f"parameters.fields[{index}]"
        head, dot, rest = name.partition(".")
        if name not in kind.fields and not (head == "metadata" in kind.fields and dot and rest):
            right = f"Unsupported field used. Allowed fields: {', '.join(kind.fields)}"
            yield Problem(place, name, right, Key.FIELDS)
        elif name in given[:index]:
            yield Problem(place, name, "is here twice", Key.FIELDS)


def _filters(
    kind: Exported, asked: Parameters, problems: list[Problem]
) -> tuple[list[dict[str, Any]], list[str]]:
    """Return the filters as ours, one or none, and the vendor's names of the conditions in it."""
    given = dict(asked.filters or {})
    junction = given.pop("junction", "and")
    if junction not in ("and", "or", "AND", "OR"):
        right = "should be equal to one of the allowed values [ and, or ]"
        problems.append(Problem("parameters.filters.junction", str(junction), right, Key.PARAMETERS))
    conditions = []
    for name, inner in given.items():
        wrong = _condition_problem(kind, name, inner)
        if wrong is None:
            conditions.append(_condition(kind, name, inner["conditions"]))
        else:
            problems.append(Problem(f"parameters.filters.{name}", "", wrong, Key.PARAMETERS))
    word = "any" if str(junction).lower() == "or" else "all"
    return ([{word: conditions}] if conditions else []), list(given)


def _condition_problem(kind: Exported, name: str, inner: object) -> str | None:
    """Return what would be right instead of a filter; values are looked at by the definition's own checks."""
    if kind.source(name) is None:
        return f"Unsupported filter used. Allowed filters: {', '.join(kind.names)}"
    conditions = inner.get("conditions") if isinstance(inner, dict) and set(inner) == {"conditions"} else None
    if not isinstance(conditions, dict) or not conditions:
        return "should be an object with conditions, such as {conditions: {$is: [value]}}"
    known = [f"${word}" for word in OPERATORS]
    unknown = [each for each in conditions if each not in known]
    return (
        f"Unsupported operator {unknown[0]!r} used. Allowed operators: {', '.join(known)}"
        if unknown
        else None
    )


def _condition(kind: Exported, name: str, conditions: dict[str, Any]) -> dict[str, Any]:
    source = kind.source(name)
    assert source is not None, "problems come first"
    wanted = {key: _values(source, key, value) for key, value in conditions.items()}
    read: dict[str, Any] = voucherify_filters.read({source.column.name: {"conditions": wanted}})["all"][0]
    return read


def _only(kind: Exported, campaign: str, problems: list[Problem]) -> dict[str, Any]:
    source = kind.source("campaign_id")
    if source is None:
        right = f"is not for {kind.name}, which has no campaign"
        problems.append(Problem("parameters.campaign_id", campaign, right, Key.PARAMETERS))
        return {}
    return {"field": source.column.name, "is": campaign}


def _values(source: Source, operator: str, values: Any) -> Any:
    """Return the values of an operator as the ledger has them: amounts are a hundredth, and flags no texts."""
    several = isinstance(values, list)
    given = values if several else [values]
    if operator in ("$has_value", "$is_unknown"):
        return values
    if source.hundredfold:
        given = [_hundredth(each) for each in given]
    elif source.column.type is FieldType.BOOLEAN:
        given = [
            {"true": True, "false": False}.get(each, each) if isinstance(each, str) else each
            for each in given
        ]
    return given if several else given[0]


def _hundredth(value: Any) -> Any:
    """Return a hundredth of a number, exactly; what is none stays, to be refused."""
    try:
        number = exact(value) if isinstance(value, (str, int, float)) else None
    except WrongValue:
        return value
    return value if number is None else format(number * Decimal("0.01"), "f")


def _unwritable(asked: Parameters) -> Iterator[Problem]:
    """Refuse what neither a database nor a file can hold: NUL, half characters, numbers without end, and depth."""
    level: list[Any] = [asked.model_dump(exclude_none=True)]
    for _ in range(_DEEPEST):
        inner: list[Any] = []
        for each in level:
            parts = (
                [*each, *each.values()] if isinstance(each, dict) else each if isinstance(each, list) else []
            )
            inner += parts
            if isinstance(each, str) and ("\0" in each or not is_text(each)):
                yield Problem("parameters", each, "has a character that no text may have", Key.PAYLOAD)
            if isinstance(each, float) and not abs(each) < float("inf"):
                yield Problem("parameters", str(each), "is no number", Key.PAYLOAD)
        level = inner
    if level:
        yield Problem("parameters", "", "is nested too deep", Key.PAYLOAD)


def _renamed(problem: Problem, named: list[str]) -> Problem:
    """Return a problem of the definition in the words of the request."""
    found = _PLACE.fullmatch(problem.where)
    if found is None:
        return Problem(problem.where.removeprefix("export: "), problem.value, problem.right, Key.PAYLOAD)
    operator = f".conditions.${found[2]}" if found[2] and found[2] != "field" else ""
    return Problem(
        f"parameters.filters.{named[int(found[1])]}{operator}", problem.value, problem.right, Key.PARAMETERS
    )
