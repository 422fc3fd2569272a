"""Exports of a whole program as CSV: the files of our layouts, drawn from a snapshot that is young enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from include.pipeline.answers.report import Question, answered, definition_of
from include.state.keys import Scope
from include.web.api.caller import Caller, needs
from include.web.api.streaming import sent
from include.web.api.talon_one.parameters import PROGRAM, DateFormat, EndDate, Moment, listed, written
from include.web.api.talon_one.programs import Of
from include.web.reader import context_of

router = APIRouter(tags=["exports"])
Asks = Annotated[Caller, needs(Scope.REPORTS_READ)]
MEDIA_TYPE = "application/csv"  # as the vendor calls it
CSV: dict[int | str, dict[str, Any]] = {200: {"description": "The file.", "content": {MEDIA_TYPE: {}}}}
DEPRECATED_SINCE = "@1795305600"
"""RFC 9745: an old name was deprecated here from the day on which it was first served, 2026-11-22."""
INSTANTS = {"excel": "excel", "ISO8601": "iso8601"}


@router.get(PROGRAM + "/export_customer_balances", summary="Balances of all profiles", responses=CSV)
def customer_balances(request: Request, asks: Asks, program: Of, end: EndDate = None) -> Response:
    """The layout `talon_one.customer_balances`: own points, by subledger; of a future date a projection."""
    asked = {"model": "balance", "options": {"programs": [program.program_id], "holders": "customers"}}
    return _csv(request, asks, "customer_balances", asked, end)


@router.get(
    PROGRAM + "/export_customer_balance", summary="Balances of all profiles, by its old name", responses=CSV,
    deprecated=True,
)  # fmt: skip
def customer_balance(request: Request, asks: Asks, program: Of, end: EndDate = None) -> Response:
    """What `export_customer_balances` gives; clients made before that still call this."""
    answer = customer_balances(request, asks, program, end)
    answer.headers["Deprecation"] = DEPRECATED_SINCE
    answer.headers["Link"] = '<export_customer_balances>; rel="successor-version"'
    return answer


@router.get(PROGRAM + "/export_card_balances", summary="Balances of all cards", responses=CSV)
def card_balances(request: Request, asks: Asks, program: Of, end: EndDate = None) -> Response:
    """The layout `talon_one.card_balances`, by subledger; of a future date a projection."""
    asked = {"model": "balance", "options": {"programs": [program.program_id], "holders": "cards"}}
    return _csv(request, asks, "card_balances", asked, end)


@router.get(PROGRAM + "/export_customers_tiers", summary="Tiers of all profiles", responses=CSV)
def customers_tiers(
    request: Request,
    asks: Asks,
    program: Of,
    subledgers: Annotated[
        list[str] | None, Query(alias="subledgerIds", description="Only these; repeated, or commas between.")
    ] = None,
    tiers: Annotated[
        list[str] | None, Query(alias="tierNames", description="Only these; repeated, or commas between.")
    ] = None,
) -> Response:
    """The layout `talon_one.customer_tiers`, as of now."""
    filters = [*_among("subledger_id", listed(subledgers or [])), *_among("tier", listed(tiers or []))]
    asked = {"model": "customer_tiers", "options": {"programs": [program.program_id]}, **_all(filters)}
    return _csv(request, asks, "customer_tiers", asked)


@router.get(PROGRAM + "/export_join_dates", summary="Join dates of all profiles", responses=CSV)
def join_dates(request: Request, asks: Asks, program: Of) -> Response:
    """The layout `talon_one.join_dates`."""
    asked = {"model": "join_dates", "options": {"programs": [program.program_id]}}
    return _csv(request, asks, "join_dates", asked)


@router.get(PROGRAM + "/cards/export", summary="All cards", responses=CSV)
def cards(
    request: Request,
    asks: Asks,
    program: Of,
    batch: Annotated[str | None, Query(alias="batchId", description="Only cards of this batch.")] = None,
    before: Annotated[
        Moment | None, Query(alias="createdBefore", description="Only cards made before.")
    ] = None,
    after: Annotated[Moment | None, Query(alias="createdAfter", description="Only cards made after.")] = None,
    dates: DateFormat = "ISO8601",
) -> Response:
    """The layout `talon_one.cards`: cards of the program, and those that name none."""
    of_program: list[dict[str, Any]] = [
        {"field": "program_id", "is": program.program_id},
        {"field": "program_id", "is_unknown": True},
    ]
    filters: list[dict[str, Any]] = [{"any": of_program}]
    filters += _among("batch_id", () if batch is None else (batch,))
    filters += [] if before is None else [{"field": "created_at", "before": written(before)}]
    filters += [] if after is None else [{"field": "created_at", "after": written(after)}]
    return _csv(request, asks, "cards", {"model": "cards", **_all(filters)}, instants=INSTANTS[dates])


def _csv(
    request: Request,
    asks: Caller,
    layout: str,
    asked: Mapping[str, Any],
    as_of: datetime | None = None,
    *,
    instants: str = "iso8601",
) -> Response:
    document = {**asked, "layout": f"talon_one.{layout}", "file": csv_file(instants)}
    question = Question(definition_of(document), as_of=as_of)
    personal = asks.may(Scope.PERSONAL)
    drawn = answered(context_of(request), question, personal=personal, by=asks.name)
    return sent(request, drawn, name=f"{layout}.csv", media_type=MEDIA_TYPE)


def csv_file(instants: str) -> dict[str, Any]:
    """Return the file of a definition as programs read it: values as they are, whatever a spreadsheet makes of them."""
    return {"format": "csv", "compression": "none", "options": csv_options(instants)}


def csv_options(instants: str) -> dict[str, Any]:
    """Return its options."""
    return {"profile": "machine", "instants": instants}


def _among(field: str, values: Sequence[str]) -> list[dict[str, Any]]:
    return [{"field": field, "in": list(values)}] if values else []


def _all(filters: list[dict[str, Any]]) -> dict[str, Any]:
    return {"filters": filters} if filters else {}
