"""The transaction log of a profile and of a card as CSV, of a period."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack
from dataclasses import replace
from typing import Annotated

from fastapi import APIRouter, Request
from starlette.responses import Response, StreamingResponse

from include.errors import BadInput, Problem
from include.formats.artefact import Artefact
from include.ledger.people import Name
from include.pipeline.customers.log import Log, log
from include.pipeline.holders.accounts import card_of
from include.pipeline.numbered import Program
from include.snapshots.excerpt import Holder
from include.state.keys import Scope
from include.state.tables import microseconds
from include.web.api.caller import Caller, needs
from include.web.api.streaming import ROWS
from include.web.api.talon_one.errors import nobody
from include.web.api.talon_one.exports import CSV, INSTANTS, MEDIA_TYPE, csv_options
from include.web.api.talon_one.parameters import (
    CARD,
    PROFILE,
    CardId,
    DateFormat,
    ProfileId,
    RangeEnd,
    RangeStart,
)
from include.web.api.talon_one.programs import Of
from include.web.downloads.sending import disposition
from include.web.reader import context_of

router = APIRouter(tags=["logs"])
Asks = Annotated[Caller, needs(Scope.REPORTS_READ)]
NAME = "transactions.csv"
_PIECE_BYTES = 1 << 20


@router.get(PROFILE + "/export_log", summary="Log of a profile as CSV", responses=CSV)
def of_profile(
    request: Request,
    asks: Asks,
    program: Of,
    profile: ProfileId,
    start: RangeStart,
    end: RangeEnd,
    dates: DateFormat = "ISO8601",
) -> Response:
    """The layout `talon_one.customer_ledger`: what moved a customer's own points, the oldest first."""
    return _sent(request, asks, Holder(Name.CUSTOMER, profile), _wanted(program, start, end, dates))


@router.get(CARD + "/export_log", summary="Log of a card as CSV", responses=CSV)
def of_card(
    request: Request,
    asks: Asks,
    program: Of,
    card: CardId,
    start: RangeStart,
    end: RangeEnd,
    dates: DateFormat = "ISO8601",
) -> Response:
    """The layout `talon_one.customer_ledger`: what moved a card's points, the oldest first."""
    wanted = _wanted(program, start, end, dates)
    if card_of(context_of(request), card, program) is None:
        raise nobody("loyalty card", card)
    return _sent(request, asks, Holder(Name.CARD, card), wanted)


def _wanted(program: Program, start: RangeStart, end: RangeEnd, dates: DateFormat) -> Log:
    if start >= end:
        right = "must lie after rangeStart"
        raise BadInput([Problem("rangeEnd", end.isoformat(), right, "start_after_end")])
    return Log(
        "talon_one.customer_ledger",
        since=microseconds(start),
        before=microseconds(end),
        program=program.program_id,
        options=csv_options(INSTANTS[dates]),
    )


def _sent(request: Request, asks: Caller, holder: Holder, wanted: Log) -> Response:
    """Return the file as it is written, which goes from scratch when it was sent."""
    own = replace(wanted, own=holder.kind is Name.CUSTOMER)
    with ExitStack() as stack:
        made = stack.enter_context(log(context_of(request), holder, own, by=asks.name))
        if made is None:
            raise nobody("profile" if holder.kind is Name.CUSTOMER else "loyalty card", holder.id)
        headers = {
            "Content-Length": str(made.bytes),
            # Airflow would compress it on the way, and its length would be another.
            "Content-Encoding": "identity",
            "Content-Disposition": disposition(NAME),
            "Cache-Control": "private, no-cache",
            ROWS: str(made.rows),
        }
        return StreamingResponse(_pieces(made, stack.pop_all()), headers=headers, media_type=MEDIA_TYPE)


def _pieces(made: Artefact, stack: ExitStack) -> Iterator[bytes]:
    with stack, made.path.open("rb") as file:
        while piece := file.read(_PIECE_BYTES):
            yield piece
