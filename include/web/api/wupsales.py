"""WupSales (WordPress): the three addresses of its API, with the columns, formats and filters of its exports.

Its document says that a key is needed and not where it goes: `Authorization: Bearer KEY` and `X-API-Key: KEY` are
taken. Answers are whole exports, as its own are, and no pages of them.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from typing import Annotated, Any

import pyarrow.compute as pc
from fastapi import APIRouter, Depends, Query, Request
from starlette.responses import Response

from include.errors import BadInput, Problem
from include.layouts import wupsales as layouts
from include.pipeline import Context
from include.pipeline.answers.report import Question, answered, answered_rows, definition_of
from include.pipeline.answers.stage import Among
from include.reports.engine.files import Spool
from include.scratch import working_folder
from include.state.keys import Scope
from include.web.api.application import Api
from include.web.api.caller import Caller, Calling, bearer_key, needs
from include.web.api.streaming import sent
from include.web.api.wupsales_filters import (
    SEVERAL,
    Document,
    Filters,
    between,
    check,
    days,
    of_customers,
    one_of,
)
from include.web.reader import context_of

_CUSTOMER = "customer_id"
_FILTERS = {"report balance: programs": "program"}
Asks = Annotated[Caller, needs(Scope.REPORTS_READ)]
Asked = Annotated[Filters, Query()]
_ROWS: dict[int | str, dict[str, Any]] = {
    200: {
        "description": "The rows, as `format` says.",
        "content": {
            "application/json": {"schema": {"type": "array", "items": {"type": "object"}}},
            "text/csv": {"schema": {"type": "string"}},
            "application/xml": {"schema": {"type": "string"}},
        },
    }
}


def _once(request: Request, caller: Calling) -> None:  # noqa: ARG001 - who asks comes first
    """Raise BadInput for each filter that stands several times and takes one value."""
    given = {name: request.query_params.getlist(name) for name in request.query_params}
    twice = {name: values for name, values in given.items() if len(values) > 1 and name not in SEVERAL}
    if twice:
        right = "stands several times; say it once"
        raise BadInput([Problem(name, ", ".join(each), right, "said_twice") for name, each in twice.items()])


router = APIRouter(dependencies=[Depends(_once)])


def _key_of(request: Request) -> str | None:
    return request.headers.get("x-api-key") or bearer_key(request)


@router.get("/wp-json/aiwu/v1/customers/points", responses=_ROWS, response_class=Response)
def points(request: Request, asked: Asked, caller: Asks) -> Response:
    """Return what each customer holds, earned, redeemed and lost, with the tier and the last activity."""
    now = _begin(asked)
    filters = of_customers(asked, now)
    if asked.range != "all_time":
        filters.append(between("last_activity_at", days(asked, now)))
    document = _document("balance", asked, filters)
    document["options"] = {"grain": "customer", "holders": "customers", "programs": asked.program}
    with _named(), _ordering(context_of(request), asked.min_orders, caller) as among:
        question = Question(definition_of(document), among=among)
        return _sent(request, question, asked, caller, "customers-points")


@router.get("/wp-json/aiwu/v1/transactions", responses=_ROWS, response_class=Response)
def transactions(request: Request, asked: Asked, caller: Asks) -> Response:
    """Return every change of points, derived expiries too, with the balance before and after it."""
    return _of_rows(request, asked, caller, "history", "transactions")


@router.get("/wp-json/aiwu/v1/rewards/redemptions", responses=_ROWS, response_class=Response)
def redemptions(request: Request, asked: Asked, caller: Asks) -> Response:
    """Return what points were redeemed for, with the coupon and whether it was used."""
    return _of_rows(request, asked, caller, "redemptions", "redemptions")


def _of_rows(request: Request, asked: Filters, caller: Caller, layout: str, name: str) -> Response:
    """Return the rows of the range, those of some customers only where filters about customers are given."""
    now = _begin(asked)
    filters = [one_of("program_id", asked.program)] if asked.program else []
    definition = definition_of(_document(layout, asked, filters))
    within = days(asked, now)
    with _named(), _customers(context_of(request), asked, now, caller) as among:
        question = Question(definition, start=within.start, end=within.end, among=among)
        return _sent(request, question, asked, caller, name)


def _begin(asked: Filters) -> datetime:
    now = datetime.now(UTC)
    check(asked, now)
    return now


@contextmanager
def _named() -> Iterator[None]:
    """Let problems name the filter of a request that they are about, not what it has become in a report."""
    try:
        yield
    except BadInput as error:
        found = ((each, _FILTERS.get(each.where, each.where)) for each in error.problems)
        raise BadInput([replace(each, where=where) for each, where in found]) from None


@contextmanager
def _customers(context: Context, asked: Filters, now: datetime, caller: Caller) -> Iterator[Among | None]:
    """Give the customers that filters about customers keep; None where there are none of these."""
    filters = of_customers(asked, now)
    if not filters and asked.min_orders is None:
        yield None
        return
    document = {
        "model": "balance",
        "options": {"grain": "customer", "holders": "customers", "programs": asked.program},
        "fields": [_CUSTOMER],
        "timezone": "UTC",
        **({"filters": filters} if filters else {}),
    }
    with _ordering(context, asked.min_orders, caller) as ordering:
        question = Question(definition_of(document), among=ordering)
        with answered_rows(context, question, personal=False, by=caller.name) as answer:
            yield Among(_CUSTOMER, answer.path, answer.sha256)


@contextmanager
def _ordering(context: Context, least: int | None, caller: Caller) -> Iterator[Among | None]:
    """Give who has so many orders, in whatever currencies; None: whoever. BadInput where the ledger has no orders."""
    if least is None:
        yield None
        return
    document = {
        "model": "orders",
        "filters": [{"field": "status", "is_not": "CANCELED"}],
        "aggregation": [
            {"field": _CUSTOMER, "function": "group"},
            {"field": "order_id", "function": "count", "header": "orders"},
        ],
    }
    with (
        answered_rows(context, Question(definition_of(document)), personal=False, by=caller.name) as answer,
        working_folder(context.settings.scratch, "orders") as folder,
    ):
        spool = Spool(folder / "customers.arrow")
        spool.path.touch()
        for batch in answer.batches():
            many = batch.filter(pc.greater_equal(batch.column("orders"), least))
            spool.write(many.select([_CUSTOMER]))
        spool.close()
        yield Among(_CUSTOMER, spool.path, f"{answer.sha256} {least}")


def _document(layout: str, asked: Filters, filters: list[Document]) -> Document:
    """Return the definition of an answer with all columns of a layout, in its order."""
    made = layouts.LAYOUTS[layout]
    document: Document = {
        "model": made.model,
        "layout": f"wupsales.{layout}",
        "options": dict(made.options),
        "fields": [column.header for column in made.made],
        "timezone": "UTC",
        "file": {"format": asked.format, "compression": "none"},
    }
    return document | ({"filters": filters} if filters else {})


def _sent(request: Request, question: Question, asked: Filters, caller: Caller, name: str) -> Response:
    personal = caller.may(Scope.PERSONAL)
    drawn = answered(context_of(request), question, personal=personal, by=caller.name)
    return sent(request, drawn, name=None if asked.format == "json" else f"{name}.{asked.format}")


api = Api(
    prefix="/wupsales",
    title="WupSales",
    description=(
        "The API of WupSales: customers' points, transactions and redemptions, with its columns and filters. A key "
        "goes into `Authorization: Bearer KEY` or `X-API-Key: KEY`. Without the scope `personal`, names, addresses "
        "and who made a row by hand are empty. All times are UTC."
    ),
    router=router,
    key_of=_key_of,
    schemes={"key": {"type": "apiKey", "in": "header", "name": "X-API-Key"}},
)
