"""The transactions of a program: everybody's, the newest first, from the newest snapshot that is young enough.

What the vendor calls a transaction adds points or takes them: a posted expiry is none. Nor is one that nobody posted.
"""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from typing import Annotated, Any, NotRequired

from fastapi import APIRouter, Query, Request, Response
from typing_extensions import TypedDict

from include.errors import BadInput, Problem
from include.pipeline.answers.report import Answer, Question, answered_rows, definition_of
from include.pipeline.holders.transactions import How
from include.state.keys import Scope
from include.web.api.caller import Caller, needs
from include.web.api.streaming import READ_AT, utc
from include.web.api.talon_one.entries import Entry, entry, number_of
from include.web.api.talon_one.parameters import PROGRAM, Moment, Paged, listed
from include.web.api.talon_one.programs import Of
from include.web.reader import context_of

router = APIRouter(tags=["transactions"])
LAST_ROW = 1_000_000
_READ = (
    "transaction_id", "customer_id", "card_id", "subledger_id", "type", "points", "created_at", "activates_at",
    "expires_at", "reason", "campaign_id", "source", "import_id", "rule_name", "details",
)  # fmt: skip
_BY_PERSON = "admin_user"
_IMPORTED: dict[str, Any] = {
    "any": [{"field": "import_id", "has_value": True}, {"field": "source", "is": "import"}]
}
_NOT_IMPORTED: list[dict[str, Any]] = [
    {"field": "import_id", "is_unknown": True},
    {"field": "source", "is_not": "import"},
]
_BY_HAND: dict[str, Any] = {
    "any": [{"field": _BY_PERSON, "has_value": True}, {"field": "source", "is": "web-ui"}]
}
# As the report earned_redeemed tells people from rules: who names a rule is a rule's work.
_KINDS: dict[str, list[dict[str, Any]]] = {
    "import": [_IMPORTED],
    "manual": [*_NOT_IMPORTED, _BY_HAND, {"field": "rule_name", "is_unknown": True}],
    "session": [
        *_NOT_IMPORTED,
        {
            "any": [
                {"field": "rule_name", "has_value": True},
                {
                    "all": [
                        {"field": _BY_PERSON, "is_unknown": True},
                        {"field": "source", "is_not": "web-ui"},
                    ]
                },
            ]
        },
    ],
}


class ProgramEntry(Entry):
    """A transaction with whose it is and where it comes from; `userEmail` for who may see personal data."""

    customerProfileId: NotRequired[str]  # noqa: N815
    campaignId: NotRequired[int]  # noqa: N815
    importId: NotRequired[int]  # noqa: N815
    userEmail: NotRequired[str]  # noqa: N815


class ProgramEntries(TypedDict):
    """A page of a program's transactions."""

    hasMore: bool
    data: list[ProgramEntry]


@router.get(PROGRAM + "/transactions", summary="Transactions of a program")
def program_transactions(
    request: Request,
    response: Response,
    caller: Annotated[Caller, needs(Scope.REPORTS_READ)],
    program: Of,
    page: Paged,
    kind: Annotated[
        How | None,
        Query(
            alias="loyaltyTransactionType", description="By people, by rules of a session, or from a file."
        ),
    ] = None,
    subledger: Annotated[str | None, Query(alias="subledgerId", max_length=500)] = None,
    sessions: Annotated[
        list[str] | None,
        Query(alias="customerSessionIDs", description="Sessions that `details` names; may be repeated."),
    ] = None,
    uuids: Annotated[
        list[str] | None,
        Query(alias="transactionUUIDs", description="UUIDs that `details` has; may be repeated."),
    ] = None,
    since: Annotated[
        Moment | None, Query(alias="startDate", description="Made at this instant, or later.")
    ] = None,
    until: Annotated[Moment | None, Query(alias="endDate", description="Made before this instant.")] = None,
    awaits_activation: Annotated[
        bool | None,
        Query(alias="awaitsActivation", description="Points that wait for an action: a ledger has none."),
    ] = None,
) -> ProgramEntries:
    """Return the last 50 transactions of a program, or those that are asked for."""
    if page.skip + page.size > LAST_ROW:
        right = f"pages end at {LAST_ROW:,} transactions: choose by startDate and endDate"
        raise BadInput([Problem("skip", str(page.skip), right, "page_too_far")])
    if awaits_activation is False:
        right = "can only be true, as the vendor has it; left out, all are meant"
        raise BadInput([Problem("awaitsActivation", "false", right, "bad_value")])
    if awaits_activation:
        return ProgramEntries(hasMore=False, data=[])
    now = datetime.now(UTC)
    if since is not None and since >= min(until or now, now):
        return ProgramEntries(hasMore=False, data=[])
    filters: list[dict[str, Any]] = [
        {"field": "program_id", "is": program.program_id},
        {"field": "type", "is_not": "expired"},
        *(_KINDS[kind] if kind else []),
        *([{"field": "subledger_id", "is": subledger}] if subledger is not None else []),
        *_any_of("details.customersessionid", sessions or []),
        *_any_of("details.transactionUUID", uuids or []),
    ]
    personal = caller.may(Scope.PERSONAL)
    document = {
        "model": "transactions",
        "fields": [*_READ, *([_BY_PERSON] if personal else [])],
        "filters": filters,
        "order": ["-created_at", "-transaction_id"],
        "limit": page.skip + page.size + 1,
        "timezone": "UTC",
    }
    question = Question(definition_of(document), start=since, end=until)
    # Filters look at who made a row by hand, and show it to nobody who may not see it.
    with answered_rows(context_of(request), question, personal=True, by=caller.name) as answer:
        response.headers[READ_AT] = utc(answer.read_at)
        rows = list(islice(_rows(answer), page.skip, None))
    found = [_entry(row, program.number) for row in rows[: page.size]]
    return ProgramEntries(hasMore=len(rows) > page.size, data=found)


def _rows(answer: Answer) -> Iterator[dict[str, Any]]:
    for batch in answer.batches():
        yield from batch.to_pylist()


def _any_of(field: str, asked: list[str]) -> list[dict[str, Any]]:
    values = listed(asked)
    return [{"field": field, "in": list(values)}] if values else []


def _entry(row: dict[str, Any], program: int) -> ProgramEntry:
    found = ProgramEntry(**entry(row, program))  # type: ignore[typeddict-item]
    if row["customer_id"]:
        found["customerProfileId"] = row["customer_id"]
    if row["campaign_id"]:
        found["campaignId"] = number_of(row["campaign_id"])
    if row["import_id"]:
        found["importId"] = number_of(row["import_id"])
    if row.get(_BY_PERSON):
        found["userEmail"] = row[_BY_PERSON]
    return found
