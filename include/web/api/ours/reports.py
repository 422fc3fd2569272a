"""Reports as answers: any model or layout, filtered and shaped as an export would be, streamed in any format."""

from __future__ import annotations

from functools import cache
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Body, Depends, Path, Query, Request
from pydantic import BaseModel, ConfigDict, Field
from starlette.responses import Response

from include.errors import BadInput
from include.layouts import layout as layouts
from include.pipeline.answers.report import Question, answered, definition_of
from include.pipeline.checks import options_of
from include.reports import models
from include.state.keys import Scope
from include.web.api.caller import Caller, needs
from include.web.api.instants import Instant
from include.web.api.parameters import known_parameters
from include.web.api.streaming import AS_OF, READ_AT, ROWS, sent
from include.web.reader import context_of

router = APIRouter(prefix="/reports", tags=["reports"], dependencies=[Depends(known_parameters)])
Reads = Annotated[Caller, needs(Scope.REPORTS_READ)]
Format = Literal["json", "jsonl", "csv", "tsv", "psv", "xml", "parquet", "xlsx"]
_STREAMED: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The rows, streamed.",
        "content": {
            "application/json": {
                "schema": {"type": "array", "items": {"type": "object"}},
                "example": [{"customer_id": "c000001", "active": 120.5, "pending": 0}],
            },
            "application/octet-stream": {"schema": {"type": "string", "format": "binary"}},
        },
        "headers": {
            AS_OF: {"description": "The instant that the figures are of.", "schema": {"type": "string"}},
            READ_AT: {"description": "When the ledger was read.", "schema": {"type": "string"}},
            ROWS: {"description": "How many rows there are.", "schema": {"type": "integer"}},
            "ETag": {"schema": {"type": "string"}},
        },
    },
    304: {"description": "As before."},
}


class ColumnShown(BaseModel):
    """A column."""

    name: str
    type: str
    personal: bool


class ReportShown(BaseModel):
    """A model: a report, or a relation of the ledger. period: `required` and `optional` ones take start and end."""

    model: str
    title: str
    period: str
    columns: list[ColumnShown]
    layouts: list[str]


class Reports(BaseModel):
    """All models."""

    items: list[ReportShown]


class Asked(BaseModel):
    """What is asked: a definition as exports have it, and its instants where they are not the definition's."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "document": {
                        "model": "balance",
                        "fields": ["customer_id", "active"],
                        "file": {"format": "json"},
                    },
                    "as_of": "2026-06-01T00:00:00Z",
                }
            ]
        },
    )

    document: dict[str, Any] = Field(
        description="Model, layout, fields, filters, order, options, file; id, name and targets may be left out."
    )
    as_of: Instant | None = None
    start: Instant | None = None
    end: Instant | None = None


@router.get("", response_model=Reports)
def listing(caller: Reads) -> Any:  # noqa: ARG001 - it must be there
    """List what can be asked for: every model with its columns, and the layouts that are made of it."""
    return {"items": [each.model_dump() for each in _reports()]}


@router.get("/{model}", response_class=Response, responses=_STREAMED)
def read(
    request: Request,
    caller: Reads,
    model: Annotated[str, Path(max_length=100, examples=["balance"])],
    format: Format = "json",  # noqa: A002 - what callers know it by
    layout: Annotated[str | None, Query(max_length=100)] = None,
    fields: Annotated[
        str | None, Query(max_length=5000, description="Names of columns, commas between them.")
    ] = None,
    timezone: Annotated[str, Query(max_length=100)] = "UTC",
    as_of: Instant | None = None,
    start: Instant | None = None,
    end: Instant | None = None,
) -> Response:
    """Read a report. Personal columns are empty for a key without that scope."""
    document: dict[str, Any] = {"model": model, "timezone": timezone, "file": {"format": format}}
    if layout is not None:
        document["layout"] = layout
    if fields is not None:
        document["fields"] = [name.strip() for name in fields.split(",")]
    if start is not None or end is not None:
        document["period"] = _PERIOD
    return _answer(request, caller, document, Asked(document=document, as_of=as_of, start=start, end=end))


@router.post("", response_class=Response, responses=_STREAMED)
def ask(request: Request, caller: Reads, asked: Annotated[Asked, Body()]) -> Response:
    """Read a report that is asked for as a definition: with filters, groups, privacy, options of the format."""
    document = dict(asked.document)
    document.setdefault("file", {"format": "json"})
    if asked.start is not None or asked.end is not None:
        document.setdefault("period", _PERIOD)
    return _answer(request, caller, document, asked)


# A definition of a report about a period must have one; the question says which.
_PERIOD = {"kind": "all_time"}


def _answer(request: Request, caller: Caller, document: dict[str, Any], asked: Asked) -> Response:
    question = Question(definition_of(document), asked.as_of, asked.start, asked.end)
    personal = caller.may(Scope.PERSONAL)
    return sent(request, answered(context_of(request), question, personal=personal, by=caller.name))


@cache
def _reports() -> tuple[ReportShown, ...]:
    of_model: dict[str, list[str]] = {}
    for name, layout in layouts.layouts().items():
        of_model.setdefault(layout.model, []).append(name)
    return tuple(_shown(name, of_model.get(name, [])) for name in models.names())


def _shown(name: str, its_layouts: list[str]) -> ReportShown:
    module = models.load(name, where="model")
    try:
        columns = module.columns(options_of(module, {}, "options"))
    except BadInput:  # it cannot be asked without options
        columns = ()
    return ReportShown(
        model=name,
        title=module.TITLE,
        period=module.PERIOD,
        columns=[ColumnShown(name=x.name, type=x.type.value, personal=x.pii) for x in columns],
        layouts=its_layouts,
    )
