"""WupSales (WordPress): the three addresses of its API, with the columns, formats and filters of its exports.

Its document says that a key is needed and not where it goes: `Authorization: Bearer KEY` and `X-API-Key: KEY` are
taken. Answers are whole exports, as its own are, and no pages of them.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Annotated, Any

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from include.definitions.operators import MANY
from include.errors import BadInput, Problem
from include.layouts import wupsales as layouts
from include.pipeline import Context
from include.pipeline.answers.report import Question, answered, answered_rows, definition_of
from include.state.keys import Scope
from include.web.api.application import Api
from include.web.api.caller import Caller, bearer_key, needs
from include.web.api.streaming import sent
from include.web.api.wupsales_filters import Document, Filters, between, check, days, of_customers, one_of
from include.web.reader import context_of

router = APIRouter()
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


def _key_of(request: Request) -> str | None:
    return request.headers.get("x-api-key") or bearer_key(request)


@router.get("/wp-json/aiwu/v1/customers/points", responses=_ROWS, response_class=Response)
def points(request: Request, asked: Asked, caller: Asks) -> Response:
    """Return what each customer holds, earned, redeemed and lost, with the tier and the last activity."""
    now = _begin(asked)
    context = context_of(request)
    filters = _about_customers(context, asked, now, caller)
    if asked.range != "all_time":
        filters.append(between("last_activity_at", days(asked, now)))
    document = _document("balance", asked, filters)
    document["options"] = {"grain": "customer", "holders": "customers", "programs": asked.program}
    return _sent(request, Question(definition_of(document)), asked, caller, "customers-points")


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
    context = context_of(request)
    filters = _about_customers(context, asked, now, caller)
    if filters:
        options = {"grain": "customer", "holders": "customers", "programs": asked.program}
        kept = _ids(context, {"model": "balance", "options": options, "filters": filters}, caller)
        filters = [one_of("customer_id", kept)]
    if asked.program:
        filters.append(one_of("program_id", asked.program))
    document = _document(layout, asked, filters)
    within = days(asked, now)
    question = Question(definition_of(document), start=within.start, end=within.end)
    return _sent(request, question, asked, caller, name)


def _begin(asked: Filters) -> datetime:
    check(asked)
    return datetime.now(UTC)


def _about_customers(context: Context, asked: Filters, now: datetime, caller: Caller) -> list[Document]:
    """Return the filters about customers over fields of `balance`, which knows no orders: these are asked for apart."""
    found = of_customers(asked, now)
    if asked.min_orders is not None:
        found.append(one_of("customer_id", _ordering(context, asked.min_orders, caller)))
    return found


def _ordering(context: Context, least: int, caller: Caller) -> list[str]:
    """Return who has so many orders, in whatever currencies; BadInput where the ledger has no orders."""
    document = {
        "model": "orders",
        "filters": [{"field": "status", "is_not": "CANCELED"}],
        "aggregation": [
            {"field": "customer_id", "function": "group"},
            {"field": "order_id", "function": "count", "header": "orders"},
        ],
    }
    with answered_rows(context, Question(definition_of(document)), personal=False, by=caller.name) as answer:
        return _few(
            customer
            for batch in answer.batches()
            for customer, orders in zip(
                *(batch.column(x).to_pylist() for x in ("customer_id", "orders")), strict=True
            )
            if customer and orders >= least
        )


def _ids(context: Context, document: Document, caller: Caller) -> list[str]:
    """Return the customers that a report keeps; BadInput for more than a filter can name."""
    definition = definition_of({**document, "fields": ["customer_id"], "timezone": "UTC"})
    with answered_rows(context, Question(definition), personal=False, by=caller.name) as answer:
        return _few(each for batch in answer.batches() for each in batch.column(0).to_pylist() if each)


def _few(customers: Iterable[str]) -> list[str]:
    """Return them once each; BadInput where they are more than a filter can name."""
    found = set(customers)
    if len(found) > MANY:
        right = f"more than {MANY:,} customers fulfil the filters about customers: narrow them"
        raise BadInput([Problem("filters", f"{len(found):,}", right, "too_many_customers")])
    return sorted(found)


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
