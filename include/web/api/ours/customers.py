"""One customer, or one card that nobody owns: balances and transactions, read from the ledger when asked for."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Annotated, Any

import numpy as np
import pyarrow as pa
from fastapi import APIRouter, Depends, HTTPException, Path, Query, Request
from starlette.responses import Response

from include.errors import BadInput, Problem
from include.formats import json as rows_as_json
from include.ledger.columns import Column
from include.ledger.people import Name
from include.pipeline.holders.reports import Found, Wanted, holder_rows
from include.snapshots.excerpt import Holder
from include.state.audit import Action
from include.state.keys import Scope
from include.state.looked import Person
from include.state.tables import microseconds
from include.web.api import etags
from include.web.api.caller import Caller, needs
from include.web.api.instants import Instant
from include.web.api.paging import Page, paged, place
from include.web.api.parameters import known_parameters
from include.web.api.streaming import AS_OF, READ_AT, utc
from include.web.reader import context_of

router = APIRouter(tags=["customers"], dependencies=[Depends(known_parameters)])
NOBODY = "The ledger knows nobody of this id."
Reads = Annotated[Caller, needs(Scope.REPORTS_READ)]
HolderId = Annotated[str, Path(max_length=500, examples=["c000001"])]
Until = Annotated[
    Instant | None, Query(description="Figures as of then; left out, now. Later: a projection.")
]
_PERSON = ("customer_name", "email")
_WRITTEN = rows_as_json.Options()
_ACCOUNT = {
    "program_id": "club",
    "subledger_id": "",
    "active": 120.5,
    "pending": 10,
    "expired": 0,
    "spent": 30,
    "negative_balance": 0,
    "points_balance": 120.5,
}
_ENTRY = {
    "created_at": "2026-03-01T08:00:00Z",
    "type": "earned",
    "transaction_id": "t000001",
    "points_change": 12,
}


def _documented(key: str, example: dict[str, Any]) -> dict[int | str, dict[str, Any]]:
    times = {
        "as_of": {"type": "string", "format": "date-time"},
        "read_at": {"type": "string", "format": "date-time"},
    }
    items = {"type": "array", "items": {"type": "object"}}
    schema = {"type": "object", "required": ["as_of", "read_at", key], "properties": {**times, key: items}}
    shown = {"as_of": "2026-06-01T00:00:00.000Z", "read_at": "2026-06-01T00:00:00.000Z", key: [example]}
    return {
        200: {
            "description": "What was found.",
            "content": {"application/json": {"schema": schema, "example": shown}},
        },
        304: {"description": "As before."},
        404: {"description": NOBODY},
    }


@router.get(
    "/customers/{customer_id:path}/balance",
    response_class=Response,
    responses=_documented("accounts", _ACCOUNT),
)
def customer_balance(request: Request, caller: Reads, customer_id: HolderId, as_of: Until = None) -> Response:
    """Read what a customer has, in each program and subledger, with the cards that the customer owns."""
    return _balance(request, caller, Holder(Name.CUSTOMER, customer_id), as_of)


@router.get(
    "/cards/{card_id:path}/balance", response_class=Response, responses=_documented("accounts", _ACCOUNT)
)
def card_balance(request: Request, caller: Reads, card_id: HolderId, as_of: Until = None) -> Response:
    """Read what a card has that nobody owns; one that somebody owns is its owner's."""
    return _balance(request, caller, Holder(Name.CARD, card_id), as_of)


@router.get(
    "/customers/{customer_id:path}/transactions",
    response_class=Response,
    responses=_documented("items", _ENTRY),
)
def customer_transactions(
    request: Request,
    caller: Reads,
    customer_id: HolderId,
    page: Annotated[Page, Depends(paged)],
    start: Instant | None = None,
    end: Instant | None = None,
) -> Response:
    """Read a customer's transactions of [start, end), the newest first, with the balance after each."""
    if start is not None and end is not None and start >= end:
        right = "must lie before end"
        raise BadInput([Problem("start", start.isoformat(), right, "start_after_end")])
    wanted = Wanted("history", {"profile": "all"}, start=_micros(start), end=_micros(end))
    found = _found(request, Holder(Name.CUSTOMER, customer_id), wanted)
    moment = found.tables[0].column("created_at").cast(pa.int64()).to_numpy()
    # Of one instant what the report has last is the newest.
    order = np.lexsort((-np.arange(len(moment)), -moment))
    shown = found.tables[0].take(pa.array(order[page.offset : page.offset + page.size]))
    columns = _open(caller, wanted)
    _note(request, caller, Holder(Name.CUSTOMER, customer_id), columns)
    head = place(request, len(shown), page, len(order))
    return _sent(request, found, end, "items", shown, columns, head)


def _balance(request: Request, caller: Caller, holder: Holder, as_of: Any) -> Response:
    wanted = Wanted("balance", as_of=_micros(as_of))
    found = _found(request, holder, wanted)
    columns = _open(caller, wanted)
    _note(request, caller, holder, columns)
    return _sent(request, found, as_of, "accounts", found.tables[0], columns, {})


def _found(request: Request, holder: Holder, wanted: Wanted) -> Found:
    found = holder_rows(context_of(request), holder, [wanted])
    if found is None:
        raise HTTPException(404, NOBODY)
    return found


def _open(caller: Caller, wanted: Wanted) -> Sequence[Column]:
    """Return the columns that the caller may see: personal ones with that scope alone."""
    module, options = wanted.module()
    personal = caller.may(Scope.PERSONAL)
    return [column for column in module.columns(options) if personal or not column.pii]


def _note(request: Request, caller: Caller, holder: Holder, columns: Sequence[Column]) -> None:
    """Tell the audit chain who saw personal data of whom; points alone are told with the key's use."""
    if any(column.pii for column in columns):
        person = Person(holder.kind, holder.id)
        context_of(request).state.looked.note(caller.name, Action.CUSTOMER_SEEN, person)


def _sent(
    request: Request,
    found: Found,
    as_of: Any,
    key: str,
    table: pa.Table,
    columns: Sequence[Column],
    head: dict[str, Any],
) -> Response:
    times = {"as_of": utc(as_of or found.read_at), "read_at": utc(found.read_at)}
    batches = table.select([column.name for column in columns]).to_batches()
    rows = b"".join(rows_as_json.encode(columns, batches, _WRITTEN))
    # What was read later and is the same is the same: the times stay out of the tag.
    etag = etags.etag_of(request.url.path, head, rows.decode())
    headers = {
        "ETag": etag,
        "Cache-Control": "private, no-cache",
        AS_OF: times["as_of"],
        READ_AT: times["read_at"],
    }
    if etags.has(request, etag):
        return Response(status_code=304, headers=headers)
    begun = json.dumps(times | head)[:-1].encode()
    content = begun + f', "{key}": '.encode() + rows.rstrip() + b"}\n"
    return Response(content, headers=headers, media_type="application/json")


def _micros(moment: Any) -> int | None:
    return None if moment is None else microseconds(moment)
