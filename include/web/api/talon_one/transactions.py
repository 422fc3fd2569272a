"""The transactions of a profile and of a card, the newest first, fifty unless asked."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Depends, Query, Request, Response

from include.ledger.people import Name
from include.pipeline.holders.transactions import How, Which, transactions
from include.pipeline.numbered import Program
from include.snapshots.excerpt import Holder
from include.state.keys import Scope
from include.web.api.caller import Caller, needs
from include.web.api.streaming import READ_AT, utc
from include.web.api.talon_one.entries import Entries, entry
from include.web.api.talon_one.errors import nobody
from include.web.api.talon_one.parameters import CARD, PROFILE, CardId, Moment, Paged, ProfileId, listed
from include.web.api.talon_one.programs import Of
from include.web.reader import context_of

router = APIRouter(tags=["transactions"])
Asks = Annotated[Caller, needs(Scope.REPORTS_READ)]
_NOUNS = {Name.CUSTOMER: "profile", Name.CARD: "loyalty card"}


class Filters:
    """Which transactions are asked for; left out: all."""

    def __init__(
        self,
        page: Paged,
        subledgers: Annotated[
            list[str] | None, Query(alias="subledgerId", description="May be repeated.")
        ] = None,
        how: Annotated[
            How | None,
            Query(
                alias="loyaltyTransactionType",
                description="manual: made by a person. import: by an import. session: every other.",
            ),
        ] = None,
        since: Annotated[
            Moment | None, Query(alias="startDate", description="Made at or after this instant.")
        ] = None,
        before: Annotated[
            Moment | None, Query(alias="endDate", description="Made before this instant.")
        ] = None,
        sessions: Annotated[
            list[str] | None,
            Query(alias="customerSessionIDs", description="Of these sessions; may be repeated."),
        ] = None,
        uuids: Annotated[
            list[str] | None, Query(alias="transactionUUIDs", description="These alone; may be repeated.")
        ] = None,
        awaiting: Annotated[
            bool,
            Query(
                alias="awaitsActivation",
                description="true: what waits for an action; a ledger has none.",
            ),
        ] = False,
    ) -> None:
        self.awaiting, self.uuids = awaiting, tuple(each.lower() for each in listed(uuids or []))
        self.page, self.how, self.since, self.before = page, how, since, before
        self.subledgers, self.sessions = listed(subledgers or []), listed(sessions or [])

    def which(self, program: Program) -> Which:
        """Return what they say of a program's transactions."""
        return Which(
            program.program_id, self.subledgers, self.how, self.since, self.before, self.sessions, self.uuids,
            skip=self.page.skip, count=self.page.size,
        )  # fmt: skip


Filtered = Annotated[Filters, Depends()]


@router.get(
    PROFILE + "/transactions",
    summary="Transactions of a profile",
)
def of_profile(
    request: Request, response: Response, asks: Asks, program: Of, profile: ProfileId, filters: Filtered
) -> Entries:
    """A page of what moved a customer's own points in the program, without what was booked on cards."""
    return _entries(request, response, asks, program, Holder(Name.CUSTOMER, profile), filters)


@router.get(
    CARD + "/transactions",
    summary="Transactions of a card",
)
@router.get(CARD + "/logs", summary="Log of a card")
def of_card(
    request: Request, response: Response, asks: Asks, program: Of, card: CardId, filters: Filtered
) -> Entries:
    """A page of what moved a card's points in the program."""
    return _entries(request, response, asks, program, Holder(Name.CARD, card), filters)


def _entries(
    request: Request, response: Response, asks: Caller, program: Program, holder: Holder, filters: Filters
) -> Entries:
    found = transactions(context_of(request), holder, filters.which(program), by=asks.name)
    if found is None:
        raise nobody(_NOUNS[holder.kind], holder.id)
    response.headers[READ_AT] = utc(found.read_at)
    response.headers["Cache-Control"] = "private, no-cache"
    if filters.awaiting:
        return Entries(hasMore=False, data=[])
    return Entries(hasMore=found.more, data=[entry(row, program.number) for row in found.rows])
